//! Pictures as pretrained networks see them: resized to the bit as Pillow does it, prepared as
//! transformers and timm do it (`scripts/make_picture_goldens.py`), and classes by their names.
use std::path::Path;

use image::RgbImage;
use secateur::data::{Pictures, Raster, Resample};
use secateur::pretrained::{Config, MatchedBy, Pool, Preparation, Pretrained};
use serde_json::{Value, json};

use crate::model_folders::Copied;
use crate::paths::golden;

fn goldens() -> Value {
    serde_json::from_str(&golden("pictures.json")).unwrap()
}

/// The picture of the golden file, 11 x 16.
fn picture() -> RgbImage {
    let value = |y: u32, x: u32, c: u32| (37 * y * y + 23 * x * x + 71 * c + 11 * x * y) as u8;
    RgbImage::from_fn(16, 11, |x, y| [0, 1, 2].map(|c| value(y, x, c)).into())
}

fn says<T>(result: secateur::Result<T>, what: &[&str]) {
    let Err(error) = result else { panic!("{what:?} is not refused") };
    let error = error.to_string();
    for what in what {
        assert!(error.contains(what), "{error}\nlacks {what}");
    }
}

#[test]
fn pictures_are_resized_to_the_bit_as_pillow_does_it() {
    let raster = Raster { size: [11, 16], channels: 3, bytes: picture().into_raw() };
    for case in goldens()["resized"].as_array().unwrap() {
        let how = Resample::of_number(case["resample"].as_u64().unwrap()).unwrap();
        let size = [0, 1].map(|d| case["size"][d].as_u64().unwrap() as usize);
        let resized = raster.resized(size, how).unwrap();
        let hex: String = resized.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case["bytes"].as_str().unwrap(), "{how:?} to {size:?}");
    }
    assert_eq!(Resample::of_number(6), None);
    says(raster.resized([0, 3], Resample::Box), &["[0, 3]", "has pixels"]);
}

/// The preparation that `file` says, in a folder of its own.
fn read(folder: &Path, file: &Value) -> secateur::Result<Option<Preparation>> {
    let config = match file.get("input_size") {
        Some(_) => json!({"architecture": "resnet18", "pretrained_cfg": file}),
        None => json!({"model_type": "vit"}),
    };
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("preprocessor_config.json"), file.to_string()).unwrap();
    Preparation::read(&Config::open(folder).unwrap())
}

/// Three roundings of f32 of what is at most the result and a mean over a deviation, which is below
/// 3; and six digits.
#[test]
fn pictures_are_prepared_as_the_folder_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    picture().save(&path).unwrap();
    let goldens = goldens();
    for case in goldens["prepared"].as_array().unwrap() {
        let file = case.get("file").or(case.get("timm")).unwrap();
        let preparation = read(folder.path(), file).unwrap().unwrap();
        let side = case["side"].as_u64().unwrap() as u32;
        let got = preparation.prepare(&path, side, 3).unwrap();
        let want: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert_eq!(got.len(), want.len(), "{file}");
        for (i, (&got, want)) in got.iter().zip(want).enumerate() {
            let tolerance = 5e-7 + 3.0 * (want.abs() + 3.0) / f64::from(1 << 24);
            let apart = (f64::from(got) - want).abs();
            assert!(
                apart <= tolerance,
                "{preparation}: value {i} is {got}, {want} by transformers"
            );
        }
        says(preparation.prepare(&path, side + 1, 3), &["picture.png: comes out with"]);
        says(preparation.prepare(&path, side, 4), &["takes 4 channels"]);
    }
}

#[test]
fn preparations_that_are_not_known_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |file: Value, what: &[&str]| says(read(folder.path(), &file), what);
    wrong(json!({"image_processor_type": "SamImageProcessor"}), &["SamImageProcessor", "ConvNext"]);
    wrong(json!({"do_flip": true}), &["`do_flip` is true", "not known"]);
    wrong(json!({"resample": 6}), &["`resample` is 6", "0 to 5"]);
    wrong(json!({"size": {"longest_edge": 5}}), &["`size.height` is missing"]);
    wrong(json!({"size": {"height": 5, "width": 5, "max_height": 7}}), &["`size.max_height` is 7"]);
    wrong(json!({"image_std": [0.1, 0.0, 0.1]}), &["`image_std`", "above 0"]);
    wrong(json!({"image_mean": [0.1, 0.2]}), &["`image_mean`"]);
    let timm = |name: &str, value: Value| {
        let mut file = json!({"input_size": [3, 8, 8]});
        file[name] = value;
        file
    };
    wrong(timm("crop_mode", json!("border")), &["`pretrained_cfg.crop_mode`", "center"]);
    wrong(timm("interpolation", json!("random")), &["`pretrained_cfg.interpolation`", "hamming"]);
    wrong(timm("input_size", json!([3, 8, 9])), &["only squares"]);

    let path = folder.path().join("long.png");
    RgbImage::new(2000, 1).save(&path).unwrap();
    let short = read(folder.path(), &json!({"size": {"shortest_edge": 9}})).unwrap().unwrap();
    says(short.prepare(&path, 9, 3), &["long.png: is 1 x 2000 and would become 9 x 18000"]);
    let as_it_is = json!({"do_resize": false, "do_center_crop": true, "crop_size": 4});
    let as_it_is = read(folder.path(), &as_it_is).unwrap().unwrap();
    says(as_it_is.prepare(&path, 4, 3), &["long.png: is 1 x 2000 before the middle of 4 x 4"]);

    let without = Pretrained::open(Copied::of("vit").write()).unwrap();
    says(without.preparation(), &["no preprocessor_config.json"]);
    let bert = Pretrained::open(Copied::of("bert").write()).unwrap();
    says(bert.preparation(), &["takes tokens with padding"]);
}

#[test]
fn classes_are_found_by_their_names() {
    let labels = json!({
        "0": "tench, Tinca tinca", "1": "great white shark", "2": "crane", "3": "crane, derrick",
        "4": "n01514859 hen", "5": "St. Bernard", "6": "tench",
    });
    let copied = Copied::of("vit").set("id2label", labels);
    let model = Pretrained::open(copied.write()).unwrap();
    let classes = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        model.classes_called(&names)
    };
    let found = |names: &[&str]| {
        let matched = classes(names).unwrap();
        (matched.classes, matched.by)
    };
    let names = ["Great_White-Shark", "n01440764_Tinca tinca", "st bernard", "hen", "tench"];
    assert_eq!(found(&names), (vec![1, 0, 5, 4, 6], MatchedBy::Name));
    assert_eq!(found(&["n01514859", "derrick"]), (vec![4, 3], MatchedBy::Name));
    // As many, and none of them known: in their order.
    assert_eq!(found(&["a", "b", "c", "d", "e", "f", "g"]), ((0..7).collect(), MatchedBy::Order));
    assert_eq!(found(&["3", "0", "6"]), (vec![3, 0, 6], MatchedBy::Number));
    says(classes(&["3", "7"]), &["`3` is called like none"]);
    says(classes(&["a", "b"]), &["`a` is called like none of the model's 7 classes", "tench"]);
    says(classes(&["a", "b", "c", "d", "e", "f", "hen"]), &["`a` is called like none"]);
    says(classes(&["Crane"]), &["`Crane` is called like", "2 (crane)", "3 (crane, derrick)"]);
    says(classes(&["hen", "n01514859"]), &["`hen` and `n01514859` are both", "join them"]);
    let copied = Copied::of("resnet_early");
    let unnamed = Pretrained::open(copied.write()).unwrap();
    assert_eq!(unnamed.class_names(), ["LABEL_0", "LABEL_1"]);
}

#[test]
fn a_text_becomes_the_vector_that_its_folder_says() {
    let (hidden, seen) = ([3.0, 0.0, 5.0, -4.0, 100.0, 200.0], [true, true, false]);
    let copied = Copied::of("bert");
    let model = Pretrained::open(copied.write()).unwrap();
    let pooled = || model.pooling().map(|pooling| pooling.pooled(&hidden, &seen));
    assert_eq!(pooled().unwrap(), [4.0, -2.0]);
    let folder = model.path();
    let write = |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string());
    std::fs::create_dir(folder.join("1_Pooling")).unwrap();
    let mode = |name: &str| json!({"word_embedding_dimension": 36, name: true});
    write("1_Pooling/config.json", mode("pooling_mode_cls_token")).unwrap();
    assert_eq!(pooled().unwrap(), [3.0, 0.0]);
    write("1_Pooling/config.json", json!({"pooling_mode": "max"})).unwrap();
    assert_eq!(pooled().unwrap(), [5.0, 0.0]);
    assert_eq!(model.pooling().unwrap().pool, Pool::Max);
    let module = |kind: &str, path: &str| json!({"type": format!("sentence_transformers.models.{kind}"), "path": path});
    let [first, pooling] = [module("Transformer", ""), module("Pooling", "1_Pooling")];
    write("modules.json", json!([first, pooling, module("Normalize", "2_Normalize")])).unwrap();
    write("1_Pooling/config.json", mode("pooling_mode_mean_tokens")).unwrap();
    let length = 20.0_f64.sqrt();
    assert_eq!(pooled().unwrap(), [4.0, -2.0].map(|x: f64| (x / length) as f32));
    write("1_Pooling/config.json", mode("pooling_mode_lasttoken")).unwrap();
    says(pooled(), &["`pooling_mode_lasttoken` is true"]);
    write("1_Pooling/config.json", json!({"pooling_mode": "lasttoken"})).unwrap();
    says(pooled(), &["`pooling_mode` is \"lasttoken\"", "pooling_mode_cls_token"]);
    write("modules.json", json!([first, module("Pooling", "2_Pooling")])).unwrap();
    says(pooled(), &["names 2_Pooling/config.json, which is missing"]);
    write("modules.json", json!([first, module("Dense", "2_Dense")])).unwrap();
    says(pooled(), &["module Dense at \"2_Dense\""]);
    write("modules.json", json!({})).unwrap();
    says(pooled(), &["modules.json: is no list of modules"]);
    assert_eq!(model.longest_text().unwrap(), None);
    write("sentence_bert_config.json", json!({"max_seq_length": 7})).unwrap();
    assert_eq!(model.longest_text().unwrap(), Some(7));
}

#[test]
fn pictures_are_listed_by_folders() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for class in ["train/b", "train/a", "test/b"] {
        std::fs::create_dir_all(at(class)).unwrap();
        std::fs::write(at(class).join("1.png"), "").unwrap();
    }
    let train = Pictures::to_train(folder.path()).unwrap();
    assert_eq!((train.classes, train.labels), (vec!["a".to_owned(), "b".to_owned()], vec![0, 1]));
    assert_eq!(train.files, [at("train/a/1.png"), at("train/b/1.png")]);
    let test = Pictures::to_test(folder.path()).unwrap();
    assert_eq!((test.classes, test.labels), (vec!["b".to_owned()], vec![0]));
    let loose = Pictures::of(&at("test/b")).unwrap();
    assert_eq!((loose.classes.len(), loose.labels.len(), loose.files.len()), (0, 0, 1));
}
