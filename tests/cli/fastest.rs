//! What is faster packed: `export --fastest`, and what `eval` and `predict` make of it.
use serde_json::Value;

use crate::folder::Folder;

const TRAIN: &str = "train --data digits --model mlp:40 --steps 60 --batch 64 --lr 0.005 --seed 3 \
                     --logdir run --pruning target_sparsity=0.9,pruning_frequency=10,\
                     do_not_prune=[fc2]";

/// Whichever is the faster here, the file says it, and what reads the file goes by it.
#[test]
fn what_was_faster_is_in_the_file_and_heeded() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(TRAIN).ok();
    let export = "export run -o small.safetensors --format bitmask --fastest --batch 2";
    let report = folder.run(&format!("{export} --json")).json();
    let layers = report["fastest"]["layers"].as_array().unwrap().clone();
    let [first, second] = layers.as_slice() else { panic!("{report}") };
    assert_eq!([&first["layer"], &second["layer"]], ["fc1.weight", "fc2.weight"]);
    assert_eq!(first["shape"], serde_json::json!([40, 64]));
    assert_eq!((&first["rows"], &first["pattern"]), (&2.into(), &"unstructured".into()));
    // Where the schedule of so few steps has come to.
    assert!(first["sparsity"].as_f64().unwrap() > 0.8, "{first}");
    let times = &first["times"];
    let dense = times["dense_seconds"].as_f64().unwrap();
    let packed = times["packed"].as_array().unwrap();
    let seconds = |time: &Value| time["seconds"].as_f64().unwrap();
    let best = packed.iter().min_by(|x, y| seconds(x).total_cmp(&seconds(y))).unwrap();
    let choice = if seconds(best) < dense { best["form"].clone() } else { Value::Null };
    assert_eq!(first["choice"], choice, "{first}");
    for time in packed {
        let speedup = dense / seconds(time);
        assert!((time["speedup"].as_f64().unwrap() / speedup - 1.0).abs() < 1e-9, "{time}");
        assert!(time["bytes"].as_u64().unwrap() < 4 * 40 * 64, "{time}");
        assert!(time["bound"].as_f64().unwrap() > 1.0, "{time}");
    }
    // It has no zeros to leave out.
    assert_eq!((&second["choice"], second.get("times")), (&Value::Null, None));

    let eval = |options: &str| {
        let args = format!("eval small.safetensors --data digits {options} --json");
        folder.run(&args).json()
    };
    let names = |report: &Value| report.get("packed").cloned().unwrap_or(Value::Null);
    let here = if choice.is_null() { Value::Null } else { serde_json::json!(["fc1.weight"]) };
    assert_eq!(names(&eval("--batch 2")), here);
    assert_eq!(names(&eval("--batch 3")), Value::Null, "measured with two rows");
    let [dense, packed] = ["dense", "packed"].map(|w| eval(&format!("--weights {w} --batch 50")));
    assert_eq!((names(&dense), names(&packed)), (Value::Null, serde_json::json!(["fc1.weight"])));
    assert_eq!(dense["test_accuracy"], packed["test_accuracy"]);
    // Sums of the same numbers in another order, in f32.
    let [loss, other] = [&dense, &packed].map(|r| r["test_loss"].as_f64().unwrap());
    assert!((loss - other).abs() < 1e-5 * (1.0 + loss), "{other} is not {loss}");

    let predict = |options: &str| {
        let args = format!("predict small.safetensors --data digits {options}");
        folder.run(&args).ok().out
    };
    let classes = |text: &str| {
        let classes =
            text.lines().map(|line| line.split(',').next().unwrap_or_default().to_owned());
        classes.collect::<Vec<_>>()
    };
    let [dense, packed] = ["dense", "packed"].map(|w| classes(&predict(&format!("--weights {w}"))));
    assert!(dense.len() > 100);
    assert_eq!(dense, packed);
}

#[test]
fn a_table_says_where_dense_stays() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(TRAIN).ok();
    let text = folder.run("export run -o plain.safetensors --fastest").ok().out;
    for part in ["fc1.weight", "40 x 64", "dense ms", "packed ms", "10,240", "0.00 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let words = text.lines().find(|line| line.starts_with("fc2.weight: "));
    let words = words.unwrap_or_else(|| panic!("{text}"));
    assert!(words.contains("dense stays") && words.contains("too few to leave out"), "{words}");
    for pattern in ["unstructured", "N:32x32", "16x16"] {
        let said = text.lines().find(|line| line.contains(&format!(".weight: {pattern} pays")));
        assert!(said.is_some_and(|said| said.ends_with("with 1 row")), "{pattern}: {text}");
    }
    let found = folder.run("export run -o c.safetensors --fastest --json").json();
    let advice = &found["fastest"]["advice"];
    assert_eq!(advice["rows"], 1, "{found}");
    for one in advice["pays_from"].as_array().expect("patterns") {
        let (pays, speedup) = (!one["sparsity"].is_null(), one["speedup"].as_f64().unwrap());
        assert!(speedup > 0.0 && pays == (speedup >= 1.05), "{one}");
    }
    for (args, parts) in [
        ("export run -o a.onnx --fastest", &["--fastest", "*.safetensors"][..]),
        ("export run -o b.safetensors --batch 2", &["--fastest"]),
        ("export run -o b.safetensors --fastest --batch 0", &["--batch 0"]),
    ] {
        folder.run(args).fails(2, parts);
    }
}

/// Layers are timed as they are, and a weight that nothing can do without the zeros of is named.
#[test]
fn recurrent_layers_are_timed_and_tables_stay_dense() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.txt", "to be, or not to be, that is the question ".repeat(9));
    let train = "train --data text:some.txt --model charlstm:24 --length 6 --steps 6 --batch 8 \
                 --logdir run --pruning target_sparsity=0.9,pruning_frequency=2";
    folder.run(train).ok();
    let export = "export run -o small.safetensors --format smallest --fastest --batch 2";
    let report = folder.run(&format!("{export} --json")).json();
    let layers = report["fastest"]["layers"].as_array().unwrap();
    let lstm = layers.iter().find(|layer| layer["layer"] == "lstm1.weight").unwrap();
    assert_eq!((&lstm["operation"], &lstm["rows"]), (&"lstm".into(), &2.into()));
    assert_eq!(lstm["shape"], serde_json::json!([96, 48]));
    assert!(lstm["times"]["dense_seconds"].as_f64().unwrap() > 0.0, "{lstm}");
    let eval = |weights: &str| {
        let args = format!("eval small.safetensors --data text:some.txt --weights {weights}");
        folder.run(&format!("{args} --json")).json()
    };
    let [dense, packed] = ["dense", "packed"].map(eval);
    let names = packed["packed"].as_array().unwrap();
    assert!(names.contains(&"lstm1.weight".into()), "{packed}");
    // Sums of the same numbers in another order, in f32.
    let [loss, other] = [&dense, &packed].map(|r| r["test_loss"].as_f64().unwrap());
    assert!((loss - other).abs() < 1e-5 * (1.0 + loss), "{other} is not {loss}");

    let all = "--pruning target_sparsity=0.9,pruning_frequency=1 --model chargpt:8x1x2";
    let train = format!("train --data text:some.txt {all} --length 6 --steps 4 --logdir gpt");
    folder.run(&train).ok();
    let text = folder.run("export gpt -o gpt.safetensors --format smallest --fastest").ok().out;
    assert!(text.contains("matmul") && text.contains("read by"), "{text}");
}

#[test]
fn a_quick_bench_of_sparse_layers_has_bounds_and_a_picture() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run("bench --sparse --quick --json --plot sparse.svg").json();
    assert_eq!(report["quick"], true);
    let rows = report["rows"].as_array().unwrap();
    let few = &["bitmask", "gaps"][..];
    for (pattern, sparsity, forms) in [
        ("2:4", 0.5, few),
        ("unstructured", 0.5, few),
        ("unstructured", 0.95, few),
        ("N:32x32", 0.75, &["blocks"]),
        ("16x16", 0.5, &["blocks"]),
    ] {
        for batch in [1, 8, 256] {
            for &form in forms {
                let is = |row: &&Value| {
                    row["pattern"] == pattern
                        && row["sparsity"] == sparsity
                        && row["batch"] == batch
                        && row["form"] == form
                };
                let row = rows.iter().find(is);
                let row = row.unwrap_or_else(|| panic!("{pattern} {sparsity} {batch} {form}"));
                let of = |key: &str| row[key].as_f64().unwrap();
                assert!(of("seconds") > 0.0 && of("speedup") > 0.0, "{row}");
                // With many rows the bound is terms over terms.
                let most = 1.0 / (1.0 - sparsity);
                assert!(of("bound") > 1.0 && of("bound") < 1.2 * most, "{row}");
            }
        }
    }
    let svg = folder.read("sparse.svg");
    let svg = String::from_utf8(svg).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
    for part in ["batch 1", "batch 8", "batch 256", "bitmask", "gaps", "blocks"] {
        assert!(texts.iter().any(|text| text.trim() == part), "{part}: {texts:?}");
    }
}

/// The model of a folder is read dense, whatever one asks.
#[test]
fn the_weights_of_a_folder_are_not_packed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("model")).unwrap();
    folder.write("model/config.json", "{}");
    for command in ["eval model --data text:text.txt", "predict model --data text:text.txt"] {
        folder.run(&format!("{command} --weights packed")).fails(2, &["--weights", "dense"]);
    }
}
