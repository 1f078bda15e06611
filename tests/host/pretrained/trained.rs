//! Folders that are trained on, as far as no device is needed: what is trained of them, on which
//! rows, and how they are written again.
use std::fs;

use secateur::data::OpenOptions;
use secateur::pretrained::Pretrained;
use secateur::prune::TensorPattern;
use serde_json::json;

use crate::model_folders::{Copied, Held, model};

/// The same bytes again, whatever became of a tensor on its way: kernels are turned, running
/// moments are two.
#[test]
fn a_folder_is_written_as_it_was_read() {
    let out = tempfile::tempdir().unwrap();
    for folder in fs::read_dir(model("llama").parent().unwrap()).unwrap() {
        let path = folder.unwrap().path();
        let model = Pretrained::open(&path).unwrap();
        let sources = model.whole(1, 2).unwrap().sources;
        let to = out.path().join(path.file_name().unwrap());
        let mut asked = 0;
        let mut values = |name: &str| {
            asked += 1;
            model.parameter(sources.iter().find(|s| s.name == name).unwrap()).map(Some)
        };
        model.check_save(&to, false).unwrap();
        model.save(&to, false, "the same", &mut values).unwrap();
        assert_eq!(asked, sources.len(), "{}", path.display());
        let read = |folder: &std::path::Path| fs::read(folder.join("model.safetensors")).unwrap();
        assert!(read(&path) == read(&to), "{}", path.display());
        let error = model.check_save(&to, false).unwrap_err().to_string();
        assert!(error.contains("--force"), "{error}");
        // Every value has its place.
        let mut others = |name: &str| {
            let source = sources.iter().find(|s| s.name == name).unwrap();
            let values = model.parameter(source).unwrap();
            Ok(Some(values.into_iter().map(|x| x + 1.0).collect()))
        };
        model.save(&to, true, "others", &mut others).unwrap();
        let moved = Pretrained::open(&to).unwrap();
        for source in &sources {
            let [old, new] = [&model, &moved].map(|model| model.parameter(source).unwrap());
            assert!(old.iter().zip(&new).all(|(old, new)| old + 1.0 == *new), "{}", source.name);
        }
    }
}

#[test]
fn a_copy_of_the_table_of_tokens_goes_with_it() {
    let out = tempfile::tempdir().unwrap();
    let llama = Copied::of("llama3_rope");
    let table = &llama.tensors["model.embed_tokens.weight"];
    let (shape, values) = (table.shape.clone(), table.values());
    let other: Vec<f32> = values.iter().map(|x| x + 0.5).collect();
    for (what, head, follows) in [("copy", &values, true), ("another", &other, false)] {
        let copied = Copied::of("llama3_rope").put("lm_head.weight", Held::floats(&shape, head));
        let model = Pretrained::open(copied.write()).unwrap();
        let to = out.path().join(what);
        let ones = |name: &str| Ok(name.contains("embed_tokens").then(|| vec![1.0; values.len()]));
        model.save(&to, false, what, &mut { ones }).unwrap();
        let written = Pretrained::open(&to).unwrap().files().read_f32("lm_head.weight").unwrap();
        let want = if follows { vec![1.0; values.len()] } else { head.clone() };
        assert!(written == want, "{what}");
    }
}

#[test]
fn what_is_trained_is_chosen_by_name_and_what_looks_pruned_is_counted() {
    let mut copied = Copied::of("llama");
    let mut zero = |name: &str, count: usize| {
        let held = &copied.tensors[name];
        let mut values = held.values();
        values[..count].fill(0.0);
        let held = Held::floats(&held.shape.clone(), &values);
        copied.tensors.insert(name.to_owned(), held);
        values.len() as u64
    };
    let q = zero("model.layers.0.self_attn.q_proj.weight", 24);
    let up = zero("model.layers.1.mlp.up_proj.weight", 47);
    // Of 4,608 weights 47 are a hundredth, and of 2,304 these are; 46 are too few.
    let down = zero("model.layers.1.mlp.down_proj.weight", 46);
    // Never pruned, whatever is zero.
    let head = zero("lm_head.weight", 2000);
    assert_eq!([q, up, down, head], [2304, 4608, 4608, 4848]);
    let model = Pretrained::open(copied.write()).unwrap();
    let trained = |only: &str, exclude: &str| {
        let mut network = model.network(1, 4).unwrap();
        let pattern = |text: &str| (!text.is_empty()).then(|| TensorPattern::new(text));
        let (only, exclude) = (pattern(only), pattern(exclude));
        model.freeze(&mut network, only.as_ref(), exclude.as_ref())?;
        model.trained(&network)
    };
    let all = trained("", "").unwrap();
    assert_eq!((all.weights, all.frozen, all.prunable), (49_872, 0, 39_936));
    assert_eq!(all.pruned, 24 + 47);
    assert!(all.held().is_some());
    let some = trained("mlp", "up_proj").unwrap();
    assert_eq!((some.weights, some.prunable), (4 * 4608, 4 * 4608));
    assert_eq!(some.weights + some.frozen, all.weights);
    assert_eq!((some.pruned, some.held()), (0, None));
    assert_eq!(trained("lm_head", "").unwrap().prunable, 0);
    for (only, exclude, parts) in [
        ("zz", "", ["`only`", "zz"]),
        ("", "zz", ["`exclude`", "zz"]),
        ("mlp", "mlp", ["`exclude`", "no tensor to train"]),
        ("(", "", ["`only`", "unclosed group"]),
    ] {
        let error = trained(only, exclude).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn pictures_are_prepared_as_the_folder_says() {
    let photos = tempfile::tempdir().unwrap();
    for (class, grey) in [("e", 0), ("d", 51), ("c", 102), ("b", 153), ("a", 204)] {
        let folder = photos.path().join(class);
        fs::create_dir(&folder).unwrap();
        for i in 0..2 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([grey]));
            picture.save(folder.join(format!("{i}.png"))).unwrap();
        }
    }
    let mut options = OpenOptions::default();
    options.test = Some("0.5".to_owned());
    let name = format!("images:{}", photos.path().display());
    let scaling = json!({"image_mean": [0.5, 0.25, 0.0], "image_std": [0.5, 0.25, 1.0]});
    let mut preprocessor = scaling.clone();
    preprocessor["size"] = json!({"shortest_edge": 32});
    let names = json!({"0": "c", "1": "b", "2": "a", "3": "d", "4": "e"});
    let copied = Copied::of("resnet").set("id2label", names);
    let path = copied.write();
    fs::write(path.join("preprocessor_config.json"), preprocessor.to_string()).unwrap();
    let split = Pretrained::open(path).unwrap().open_data(&name, &options).unwrap();
    assert_eq!(split.train.scaling(), None);
    assert_eq!((split.train.feature_shape(), split.train.rows()), (&[32, 32, 3][..], 5));
    let mut row = vec![0.0; split.train.width()];
    for i in 0..5 {
        split.train.write_row(i, &mut row);
        // Classes are those of the names, not of their order.
        let grey = [0.4, 0.6, 0.8, 0.2, 0.0][split.train.label(i) as usize];
        let pixel = [(grey - 0.5) / 0.5, (grey - 0.25) / 0.25, grey];
        assert!(row[..3].iter().zip(pixel).all(|(x, want)| (x - want).abs() < 1e-6), "{row:?}");
    }
    preprocessor["do_normalize"] = json!(false);
    fs::write(path.join("preprocessor_config.json"), preprocessor.to_string()).unwrap();
    let split = Pretrained::open(path).unwrap().open_data(&name, &options).unwrap();
    split.train.write_row(0, &mut row);
    let grey = [0.4, 0.6, 0.8, 0.2, 0.0][split.train.label(0) as usize];
    assert!(row[..3].iter().all(|x| (x - grey).abs() < 1e-6), "{row:?}");
}

/// A tokenizer whose words are `w0`, `w1`, ...
fn tokenizer(words: u32) -> String {
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        (0..words).map(|i| (format!("w{i}"), json!(i))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    })
    .to_string()
}

#[test]
fn a_table_of_texts_has_the_classes_of_the_head() {
    let copied =
        Copied::of("bert_classes").set("id2label", json!({"0": "dog", "1": "cat", "2": "cow"}));
    let path = copied.write();
    fs::write(path.join("tokenizer.json"), tokenizer(61)).unwrap();
    let table =
        |rows: &str| fs::write(path.join("t.csv"), format!("id,what,text\n{rows}")).unwrap();
    let mut options = OpenOptions::default();
    (options.label, options.ignore) = (Some("what".to_owned()), vec!["id".to_owned()]);
    options.test = Some(path.join("t.csv").display().to_string());
    let name = format!("csv:{}", path.join("t.csv").display());
    let open = |options: &OpenOptions| Pretrained::open(path).unwrap().open_data(&name, options);
    table("7,cat,w3 w4 w5\n8,dog,w6\n9,cat,w7 w8\n");
    let split = open(&options).unwrap();
    let rows = &split.train;
    assert_eq!((0..3).map(|i| rows.label(i)).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(rows.task().classes(), Some(3));
    let mut row = vec![0.0; rows.width()];
    rows.write_row(2, &mut row);
    // Tokens, which of them are seen, and types.
    assert_eq!(row, [7.0, 8.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(Pretrained::open(path).unwrap().length_of(rows), 3);
    assert_eq!(split.test.rows(), 3);
    let labels = |options: &OpenOptions| {
        let split = open(options)?;
        Ok::<_, secateur::Error>((0..2).map(|i| split.train.label(i)).collect::<Vec<_>>())
    };
    table("7,2,w3\n8,1,w6\n");
    assert_eq!(labels(&options).unwrap(), [2, 1]);
    table("7,cat,w3\n8,pig,w6\n");
    let error = labels(&options).unwrap_err().to_string();
    assert!(error.contains("`pig`") && error.contains("dog, cat, cow"), "{error}");
    options.length = Some(33);
    let error = labels(&options).unwrap_err().to_string();
    assert!(error.contains("`length`") && error.contains("32 positions"), "{error}");
}

#[test]
fn a_text_is_parted_into_what_is_trained_on_and_what_is_tested() {
    let copied = Copied::of("llama");
    let path = copied.write();
    fs::write(path.join("tokenizer.json"), tokenizer(101)).unwrap();
    let text = |name: &str, words: u32| {
        let words: Vec<String> = (0..words).map(|i| format!("w{}", i % 90)).collect();
        fs::write(path.join(name), words.join(" ")).unwrap();
    };
    text("a.txt", 80);
    text("b.txt", 11);
    let name = format!("text:{}", path.join("a.txt").display());
    let rows = |test: Option<String>| {
        let mut options = OpenOptions::default();
        (options.length, options.test) = (Some(5), test);
        let split = Pretrained::open(path).unwrap().open_data(&name, &options)?;
        Ok::<_, secateur::Error>([split.train, split.test].map(|half| half.rows()))
    };
    assert_eq!(rows(None).unwrap(), [14, 1]);
    assert_eq!(rows(Some("0.5".to_owned())).unwrap(), [7, 7]);
    assert_eq!(rows(Some(path.join("b.txt").display().to_string())).unwrap(), [15, 2]);
    for (test, part) in [("0.01", "the text has 1"), ("1.5", "below 1"), ("-1", "above 0")] {
        let error = rows(Some(test.to_owned())).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
