//! `secateur eval`, `predict` and `prune` on folders of pretrained models of images and of texts.
use std::fs;

use image::RgbImage;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::paths::project;
use crate::pretrained::{check_latencies, tokenizer};

/// The golden model `name` in a folder of that name.
fn put(folder: &Folder, name: &str) {
    let from = project().join("tests/goldens/models").join(name);
    fs::create_dir(folder.path(name)).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(from.join(file), folder.path(name).join(file)).unwrap();
    }
}

/// The golden ViT of seven classes, and two pictures each of three of them.
fn with_images() -> Option<Folder> {
    let folder = Folder::with_gpu()?;
    put(&folder, "vit");
    let config: Value = serde_json::from_slice(&folder.read("vit/config.json")).unwrap();
    let names = ["red fox", "owl", "ant", "hen", "eel", "asp", "emu"];
    let names: serde_json::Map<String, Value> =
        names.iter().enumerate().map(|(i, &name)| (i.to_string(), json!(name))).collect();
    let mut config = config;
    config["id2label"] = Value::Object(names);
    folder.write("vit/config.json", config.to_string());
    let preparation = json!({"size": {"height": 24, "width": 24}, "resample": 3});
    folder.write("vit/preprocessor_config.json", preparation.to_string());
    for (i, class) in ["eel", "hen", "red_fox"].iter().enumerate() {
        fs::create_dir_all(folder.path("images").join(class)).unwrap();
        for j in 0..2 {
            let seed = 3 * i as u32 + j;
            let pixel = |x: u32, y: u32| {
                [0, 1, 2].map(|c| ((x * x + 3 * y * (seed + 1) + 50 * c * seed) % 256) as u8).into()
            };
            let path = folder.path(&format!("images/{class}/{j}.png"));
            RgbImage::from_fn(30 + j, 27, pixel).save(path).unwrap();
        }
    }
    Some(folder)
}

/// The values of an array of f32 in NumPy's form.
fn values(bytes: &[u8]) -> Vec<f64> {
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let number = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    bytes[header..].chunks_exact(4).map(number).collect()
}

#[test]
fn accuracy_and_loss_are_those_of_the_logits() {
    let Some(folder) = with_images() else { return };
    let report = folder.run("eval vit --data images:images --latencies 2 --json").json();
    check_latencies(&report, [16, 2]);
    let predicted = folder.run("predict vit --data images:images -o out.npy --json").json();
    assert_eq!((&predicted["rows"], &predicted["shape"]), (&json!(6), &json!([7])));
    let (mut loss, mut right, mut top) = (0.0, 0.0, 0.0);
    let classes = [4, 4, 3, 3, 0, 0];
    for (logits, class) in values(&folder.read("out.npy")).chunks(7).zip(classes) {
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        loss += (sum.ln() - logits[class]) / 6.0;
        let above = logits.iter().filter(|&&z| z > logits[class]).count();
        right += f64::from(u8::from(above == 0)) / 6.0;
        top += f64::from(u8::from(above < 5)) / 6.0;
    }
    let near = |name: &str, want: f64| {
        let got = report[name].as_f64().unwrap();
        assert!((got - want).abs() < 1e-9, "{name}: {got}, {want}");
    };
    near("test_loss", loss);
    near("test_accuracy", right);
    near("test_top_5_accuracy", top);
    assert_eq!((&report["rows"], &report["classes_by"]), (&json!(6), &json!("name")));
    assert!(report["device_bytes"].as_u64().unwrap() > 0, "{report}");
    let run = folder.run("eval vit --data images:images --batch 1 --min-test-accuracy 1.0");
    assert_eq!(run.code, if right == 1.0 { 0 } else { 1 }, "{}", run.err);
    for part in ["test accuracy", "among top 5", "images/s", "resized to 24x24 (bicubic)"] {
        assert!(run.out.contains(part), "{part} is not in {}", run.out);
    }
    let text = folder.run("predict vit --data images:images").ok().out;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("file,class,p_red fox,p_owl"), "{}", lines[0]);
    assert!(lines[1].starts_with("eel/0.png,"), "{}", lines[1]);
}

#[test]
fn embeddings_are_the_means_of_transformers_hidden_states() {
    let Some(folder) = Folder::with_gpu() else { return };
    put(&folder, "bert");
    folder.write("bert/tokenizer.json", tokenizer(83));
    let golden = project().join("tests/goldens/models/bert/golden.json");
    let golden: Value = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
    let hidden = golden["last_hidden_state_row1_first11"].to_string();
    let hidden: Vec<f64> = hidden
        .split(|c: char| "[], ".contains(c))
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap())
        .collect();
    let width = hidden.len() / 11;
    let ids = golden["input_ids"][1].as_array().unwrap()[..11].iter();
    let words: Vec<String> = ids.map(|id| format!("w{id}")).collect();
    let long = vec!["w5"; 60].join(" ");
    folder.write("texts.txt", format!("{long}\n{}\nw7 w9\n", words.join(" ")));
    let timed = "predict bert --data text:texts.txt -o timed.npy --latencies 2 --batch 1 --json";
    let report = folder.run(timed).json();
    check_latencies(&report, [1, 2]);
    assert!(report["rows_per_second"].as_f64().unwrap() > 0.0, "{report}");
    let run = folder.run("predict bert --data text:texts.txt -o out.npy");
    assert!(run.err.contains("1 of 3 texts have more than 48 tokens"), "{}", run.err);
    run.ok();
    let embeddings = values(&folder.read("out.npy"));
    assert_eq!(embeddings.len(), 3 * width);
    for c in 0..width {
        let want = hidden.iter().skip(c).step_by(width).sum::<f64>() / 11.0;
        let got = embeddings[width + c];
        assert!((got - want).abs() <= 2e-4, "channel {c}: {got}, {want} by transformers");
    }
    // In another batch, with other padding: the same but for roundings.
    let csv = folder.run("predict bert --data text:texts.txt --batch 1 --length 11").ok().out;
    let line: Vec<f64> =
        csv.lines().nth(2).unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    assert!(csv.starts_with("embedding_1,"), "{csv}");
    let apart = line.iter().zip(&embeddings[width..]).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-5);
}

#[test]
fn models_of_images_and_of_texts_are_pruned_by_their_data() {
    let Some(folder) = with_images() else { return };
    put(&folder, "bert_classes");
    put(&folder, "resnet_early");
    folder.write("bert_classes/tokenizer.json", tokenizer(61));
    folder.write("texts.txt", "w1 w2 w3\nw4 w5\nw6 w7 w8 w9\nw11 w12\n");
    let side = json!({"size": {"shortest_edge": 33}, "crop_pct": 0.9});
    folder.write("resnet_early/preprocessor_config.json", side.to_string());
    for (model, data, blocks, rows) in [
        ("vit", "images:images", 2, json!({"images": 4})),
        ("resnet_early", "images:images", 3, json!({"images": 4})),
        ("bert_classes", "text:texts.txt", 2, json!({"texts": 4, "length": 4})),
    ] {
        let run = format!("prune {model} --data {data} --sparsity 0.5 --samples 4");
        let plan = folder.run(&format!("{run} --score admm --plan --json")).json();
        let report = folder.run(&format!("{run} -o {model}-out --score admm --json")).json();
        assert_eq!(report["blocks"].as_array().unwrap().len(), blocks, "{report}");
        assert_eq!(report["device_bytes"], plan["device_bytes"], "{model}");
        for (name, count) in rows.as_object().unwrap() {
            assert_eq!((&report[name], &plan[name]), (count, count), "{model}: {name}");
        }
        assert!(report.get("calibration_perplexity").is_none(), "{report}");
        for block in report["blocks"].as_array().unwrap() {
            for weight in block["weights"].as_array().unwrap() {
                let [nonzero, len] = ["nonzero", "len"].map(|key| weight[key].as_u64().unwrap());
                assert_eq!(2 * nonzero, len, "{weight}");
            }
        }
        let predict = |model: &str| {
            let run = format!("predict {model} --data {data} -o {model}.npy --force");
            folder.run(&run).ok();
            values(&folder.read(&format!("{model}.npy")))
        };
        let [dense, pruned] = [predict(model), predict(&format!("{model}-out"))];
        assert!(dense.len() == pruned.len() && dense != pruned, "{model}");
    }
    let run = "prune vit --data images:images --sparsity 0.5 --score wanda -o w";
    let text = folder.run(run).ok().out;
    assert!(
        text.contains("vit.encoder.layer.1") && text.contains("calibrated on 6 images"),
        "{text}"
    );
    let run = "prune vit --data images:images --sparsity 0.5 --score wanda -o b";
    folder.run(&format!("{run} --memory-budget 10kB")).fails(2, &["take a larger --memory-budget"]);
}

#[test]
fn models_of_images_and_of_texts_become_smaller_by_their_data() {
    let Some(folder) = with_images() else { return };
    put(&folder, "bert_classes");
    folder.write("bert_classes/tokenizer.json", tokenizer(61));
    folder.write("texts.txt", "w1 w2 w3\nw4 w5\nw6 w7 w8 w9\nw11 w12\n");
    fs::create_dir(folder.path("spill")).unwrap();
    for (model, remove, data, rows) in [
        ("vit", "heads=1,channels=25%", "images:images", json!({"images": 3})),
        ("bert_classes", "channels=0.5", "text:texts.txt", json!({"texts": 3, "length": 4})),
    ] {
        let run = format!("prune {model} --remove {remove} --data {data} --samples 3");
        let plan = folder.run(&format!("{run} --plan --json")).json();
        let report = folder.run(&format!("{run} -o {model}-out --json")).json();
        assert_eq!(report["device_bytes"], plan["device_bytes"], "{model}");
        for (name, count) in rows.as_object().unwrap() {
            assert_eq!(&report[name], count, "{model}: {name}");
        }
        assert!(report.get("windows").is_none() && report["calibration_perplexity"].is_null());
        for block in report["blocks"].as_array().unwrap() {
            assert!(block["error"].as_f64().unwrap() > 0.0, "{block}");
        }
        // Other units than by the weights, and the same where rows wait in a file.
        let by_weights = format!("prune {model} --remove {remove} -o {model}-w --json");
        assert_ne!(folder.run(&by_weights).json()["blocks"], report["blocks"]);
        let text = folder.run(&format!("{run} -o {model}-s --activations spill")).ok().out;
        assert!(text.contains("calibrated on 3 "), "{text}");
        let weights = |end: &str| folder.read(&format!("{model}-{end}/model.safetensors"));
        assert!(weights("s") == weights("out") && weights("s") != weights("w"));
        folder.run(&format!("predict {model}-out --data {data} -o {model}.npy")).ok();
    }
    assert_eq!(folder.list("spill"), [""; 0]);
    let remove = "prune vit -o x --remove channels=0.5";
    let fails =
        |more: &str, parts: &[&str]| folder.run(&format!("{remove} {more}")).fails(2, parts);
    fails("--data text:texts.txt", &["24 x 24", "images:DIR"]);
    fails("--data images:images --samples 0", &["--samples 0"]);
    fails("--data images:images --memory-budget 10kB", &["take a larger --memory-budget"]);
    fails("--activations spill", &["--activations is for --data"]);
    assert!(!folder.path("x").exists());
}

#[test]
fn data_that_does_not_fit_is_named() {
    let Some(folder) = with_images() else { return };
    put(&folder, "bert");
    put(&folder, "llama");
    for (model, words) in [("bert", 83), ("llama", 101)] {
        folder.write(&format!("{model}/tokenizer.json"), tokenizer(words));
    }
    folder.write("texts.txt", "w1 w2\n \nw3\n");
    let fails = |args: &str, parts: &[&str]| folder.run(args).fails(2, parts);
    fails("eval vit", &["--data is missing", "images:DIR"]);
    fails("eval vit --data text:texts.txt", &["--data text:texts.txt", "24 x 24", "images:DIR"]);
    fails("predict bert --data images:images", &["--data images:images", "texts", "text:FILE"]);
    fails("predict bert --data text:texts.txt", &["texts.txt: line 2 is empty"]);
    fails("predict llama --data text:texts.txt", &["is a language model", "secateur eval"]);
    fails("eval bert --data text:texts.txt", &["secateur predict"]);
    fails("eval vit --data images:images --stride 2", &["--stride", "language models"]);
    fails("eval vit --data images:images --size 9x9", &["--size", "folder says"]);
    fails("eval vit --data images:images --batch 0", &["--batch 0"]);
    fails("eval vit --data images:gone", &["gone"]);
    fs::create_dir(folder.path("empty")).unwrap();
    fails("eval vit --data images:empty", &["empty: holds no picture"]);
    fails("eval vit --data images:images/eel", &["pictures without classes", "predict"]);
    fails("prune vit -o x --sparsity 0.5 --score wanda --data text:texts.txt", &["images:DIR"]);
    let none = "prune vit -o x --sparsity 0.5 --score wanda --samples 0 --data images:images";
    fails(none, &["--samples 0"]);
    fs::rename(folder.path("images/hen"), folder.path("images/chicken")).unwrap();
    let what = ["`chicken` is called like none of the model's 7 classes", "red fox, owl"];
    fails("eval vit --data images:images", &what);
    folder.write("images/eel/2.png", "no picture");
    fails("predict vit --data images:images", &["2.png: no picture that can be read"]);
    fs::remove_file(folder.path("vit/preprocessor_config.json")).unwrap();
    fails("predict vit --data images:images", &["no preprocessor_config.json"]);
    assert!(!folder.path("x").exists());
}
