//! `secateur eval` and `prune` on folders of pretrained language models, with a text.
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::paths::project;

/// A tokenizer whose words are `w0`, `w1`, ...: the text of a model's golden tokens is known.
pub fn tokenizer(words: u32) -> String {
    let vocabulary: serde_json::Map<String, Value> =
        (0..words).map(|i| (format!("w{i}"), json!(i))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    })
    .to_string()
}

/// The golden Llama in a folder `llama`, with such a tokenizer, and its windows as `text.txt`.
pub fn with_llama() -> Option<(Folder, Value)> {
    let folder = Folder::with_gpu()?;
    let from = project().join("tests/goldens/models/llama");
    folder.copy_model("llama");
    folder.write("llama/tokenizer.json", tokenizer(101));
    let golden = fs::read_to_string(from.join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let rows = golden["input_ids"].as_array().unwrap();
    let ids = rows.iter().flat_map(|row| row.as_array().unwrap());
    let words: Vec<String> = ids.map(|id| format!("w{id}")).collect();
    folder.write("text.txt", words.join(" "));
    Some((folder, golden))
}

/// What so many batches of so many rows took that were timed alone.
pub fn check_latencies(report: &Value, [batch, timed]: [u64; 2]) {
    let found = [&report["batch"], &report["timed_batches"]].map(serde_json::Value::as_u64);
    assert_eq!(found, [batch, timed].map(Some), "{report}");
    let [p50, p99] = ["p50", "p99"].map(|p| report["latency_ms"][p].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p99, "{report}");
}

fn length(golden: &Value) -> usize {
    golden["input_ids"][0].as_array().unwrap().len()
}

#[test]
fn the_perplexity_of_a_text_is_that_of_transformers() {
    let Some((folder, golden)) = with_llama() else { return };
    let length = length(&golden);
    let run = format!("eval llama --data text:text.txt --length {length}");
    let report = folder.run(&format!("{run} --json")).json();
    let loss = golden["mean_next_token_loss"].as_f64().unwrap();
    assert!((report["loss"].as_f64().unwrap() - loss).abs() <= 2e-4, "{report}");
    assert_eq!(report["windows"], json!(golden["input_ids"].as_array().unwrap().len()));
    let text = folder.run(&run).ok().out;
    assert!(text.contains("perplexity") && text.contains("tokens/s"), "{text}");
    // Half a window of context for each token but the first ones.
    let stride = length / 2;
    let report = folder.run(&format!("{run} --stride {stride} --json")).json();
    let (windows, tokens) = (&report["windows"], &report["tokens"]);
    assert_eq!((windows, tokens), (&json!(3), &json!(length + 2 * stride - 1)), "{report}");
    let report = folder.run(&format!("{run} --samples 1 --latencies 3 --json")).json();
    assert_eq!(report["windows"], 1);
    check_latencies(&report, [1, 3]);
}

#[test]
fn a_folder_is_pruned_into_a_folder() {
    let Some((folder, golden)) = with_llama() else { return };
    let length = length(&golden);
    let run = format!("--data text:text.txt --length {length} --samples 2 --sparsity 50%");
    for score in ["magnitude", "wanda", "sparsegpt", "admm"] {
        let out = format!("out-{score}");
        let run = format!("prune llama -o {out} {run} --score {score}");
        let report = folder.run(&format!("{run} --json")).json();
        assert_eq!(report["method"], score);
        assert_eq!(report["blocks"].as_array().unwrap().len(), 2, "{report}");
        let files = ["config.json", "model.safetensors", "tokenizer.json"];
        assert_eq!(folder.list(&out), files, "{score}");
        for block in report["blocks"].as_array().unwrap() {
            for weight in block["weights"].as_array().unwrap() {
                let [nonzero, len] = ["nonzero", "len"].map(|key| weight[key].as_u64().unwrap());
                assert_eq!(2 * nonzero, len, "{weight}");
            }
        }
        let same = |file: &str| {
            fs::read(folder.path("llama").join(file)).unwrap()
                == fs::read(folder.path(&out).join(file)).unwrap()
        };
        assert!(same("config.json") && same("tokenizer.json") && !same("model.safetensors"));
        let evaluated =
            folder.run(&format!("eval {out} --data text:text.txt --length {length} --json"));
        let [perplexity, calibration] = [
            evaluated.json()["perplexity"].as_f64().unwrap(),
            report["calibration_perplexity"].as_f64().unwrap(),
        ];
        assert!((perplexity / calibration - 1.0).abs() < 1e-5, "{perplexity}, {calibration}");
        folder.run(&run).fails(2, &[&out, "--force"]);
    }
    let text = folder.run(&format!("prune llama -o t {run} --score wanda")).ok().out;
    assert!(text.contains("model.layers.1") && text.contains("perplexity on the 2 windows"));
    let run = format!("prune llama -o nm --data text:text.txt --length {length} --score sparsegpt");
    folder.run(&format!("{run} --pattern 2:4")).ok();
}

#[test]
fn blocks_with_more_outliers_lose_less() {
    let Some((folder, golden)) = with_llama() else { return };
    let length = length(&golden);
    let run = format!("--data text:text.txt --length {length} --samples 2 --sparsity 50%");
    let owl = format!("prune llama {run} --score wanda --allocate owl:2,0.1");
    let plan = folder.run(&format!("{owl} --plan --json")).json();
    let report = folder.run(&format!("{owl} -o out --json")).json();
    assert_eq!(report["device_bytes"], plan["device_bytes"]);
    assert_eq!(report["allocate"], "owl:2,0.1");
    let blocks = report["blocks"].as_array().unwrap();
    let of = |key: &str| [0, 1].map(|block| blocks[block][key].as_f64().unwrap());
    let ([outliers, asked], sum) = (["outliers", "asked"].map(of), of("asked").iter().sum::<f64>());
    assert!((sum - 1.0).abs() < 1e-9 && (asked[0] - asked[1]).abs() > 0.19, "{report}");
    assert_eq!(outliers[0] > outliers[1], asked[0] < asked[1], "{report}");
    assert!((report["reached_sparsity"].as_f64().unwrap() - 0.5).abs() < 1e-3, "{report}");
    let page = fs::read_to_string(folder.path("out.report.html")).unwrap();
    assert!(page.contains("outliers") && page.contains("asked"));
    let text = folder.run(&format!("{owl} -o text")).ok();
    assert!(text.out.contains("outliers") && text.out.contains("asked"), "{}", text.out);
    let said = "of all weights that were pruned are zero";
    assert!(text.out.contains(said), "{}", text.out);
    folder.run(&format!("{owl} -o x --pattern 2:4")).fails(2, &["allocate", "2:4", "uniform"]);
    folder.run(&format!("prune llama -o x {run} --allocate owl:5")).fails(2, &["owl:M,LAMBDA"]);
    let file = "prune llama/model.safetensors -o x.safetensors --sparsity 0.5 --allocate owl";
    folder.run(file).fails(2, &["--allocate owl:5,0.08", "config.json"]);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let Some((folder, golden)) = with_llama() else { return };
    let length = length(&golden);
    let prune = |rest: &str| folder.run(&format!("prune llama -o out --sparsity 0.5 {rest}"));
    let text = format!("--data text:text.txt --length {length}");
    prune("--score wanda").fails(2, &["--data is missing", "text:FILE"]);
    prune("--score wanda --data csv:x.csv").fails(2, &["csv:x.csv", "text:FILE"]);
    prune(&format!("--score saliency {text}")).fails(2, &["saliency", "sparsegpt"]);
    prune(&format!("--score wanda --scope global {text}")).fails(2, &["take unit or layer"]);
    prune(&format!("--score wanda --pattern block:4x4 {text}")).fails(2, &["N:M"]);
    prune("--score wanda --data text:text.txt --length 65").fails(2, &["65", "64 positions"]);
    folder.write("short.txt", "w1 w2 w3");
    let short = format!("--score wanda --data text:short.txt --length {length}");
    prune(&short).fails(2, &["text:short.txt", "the text has 3", &length.to_string()]);
    let budget = format!("--score wanda {text} --memory-budget 10kB");
    prune(&budget).fails(2, &["the largest block needs", "budget"]);
    folder.write("llama/tokenizer.json", tokenizer(120));
    prune(&format!("--score wanda {text}")).fails(2, &["119", "101"]);
    folder.run(&format!("eval llama {text}")).fails(2, &["another vocabulary"]);
    fs::remove_file(folder.path("llama/tokenizer.json")).unwrap();
    prune(&format!("--score wanda {text}")).fails(2, &["has no tokenizer.json"]);
    assert_eq!(folder.list("."), ["llama", "short.txt", "text.txt"]);
    folder
        .run("prune text.txt --sparsity 0.5 --plan")
        .fails(2, &["text.txt is no folder of a pretrained model", "--dry-run"]);
    folder.run("eval llama --data text:text.txt --batch 4").fails(2, &["--batch"]);
    folder.run("prune text.txt -o x --sparsity 0.5 --score admm").fails(2, &["config.json"]);
}

/// A Llama 2 of 7 billion weights, whose file is a hole.
fn write_7b(folder: &Path) {
    let (width, hidden, blocks, vocabulary) = (4096, 11008, 32, 32000);
    let config = json!({
        "model_type": "llama", "hidden_size": width, "intermediate_size": hidden,
        "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": blocks,
        "rms_norm_eps": 1e-5, "vocab_size": vocabulary, "max_position_embeddings": 4096,
        "tie_word_embeddings": false, "hidden_act": "silu",
    });
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer(100)).unwrap();
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocabulary, width]),
        ("model.norm.weight".to_owned(), vec![width]),
        ("lm_head.weight".to_owned(), vec![vocabulary, width]),
    ];
    for i in 0..blocks {
        let of = |name: &str| format!("model.layers.{i}.{name}.weight");
        let square = ["q", "k", "v", "o"].map(|p| of(&format!("self_attn.{p}_proj")));
        shapes.extend(square.map(|name| (name, vec![width, width])));
        shapes.push((of("mlp.gate_proj"), vec![hidden, width]));
        shapes.push((of("mlp.up_proj"), vec![hidden, width]));
        shapes.push((of("mlp.down_proj"), vec![width, hidden]));
        shapes.push((of("input_layernorm"), vec![width]));
        shapes.push((of("post_attention_layernorm"), vec![width]));
    }
    let (mut header, mut at) = (serde_json::Map::new(), 0u64);
    for (name, shape) in shapes {
        let end = at + 2 * shape.iter().product::<u64>();
        header.insert(name, json!({"dtype": "F16", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = Value::Object(header).to_string();
    let path = folder.join("model.safetensors");
    fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8 + header.len() as u64 + at).unwrap();
}

/// One block at a time is on the device, whatever the model's size.
#[test]
fn seven_billion_weights_are_planned_within_eight_gibibytes() {
    let folder = Folder::new();
    write_7b(&folder.path("llama7b"));
    let words: Vec<String> = (0..128 * 2048).map(|i| format!("w{}", i % 97)).collect();
    folder.write("long.txt", words.join(" "));
    for score in ["wanda", "sparsegpt", "admm"] {
        let run = "prune llama7b --data text:long.txt --samples 128 --length 2048 --sparsity 0.5";
        let plan = folder.run(&format!("{run} --score {score} --plan --json")).json();
        let device = plan["device_bytes"].as_u64().unwrap();
        assert!(device < 8 << 30, "{score}: {plan}");
        // All weights of a block are there, in f32.
        assert!(device > 4 * (4 * 4096 * 4096 + 3 * 4096 * 11008), "{score}: {plan}");
        let streams = if score == "admm" { 2 } else { 1 };
        let host = streams * 4u64 * 128 * 2048 * 4096;
        assert_eq!(plan["host_bytes"], json!(host), "{score}");
        let plan = folder.run(&format!("{run} --score {score} --plan --json --activations ."));
        let plan = plan.json();
        assert_eq!([&plan["host_bytes"], &plan["file_bytes"]], [&json!(host / 64), &json!(host)]);
    }
    // What counts outliers looks at all inputs, which magnitudes alone do not.
    let run = "prune llama7b --data text:long.txt --samples 128 --length 2048 --sparsity 0.5";
    let [uniform, owl] = ["uniform", "owl"].map(|rule| {
        let run = format!("{run} --score magnitude --allocate {rule} --plan --json");
        folder.run(&run).json()["device_bytes"].as_u64().unwrap()
    });
    assert!(uniform < owl && owl < 8 << 30, "{uniform}, {owl}");
    // Channels are taken out by second moments of 11,008 inputs and their inverse.
    let run = "prune llama7b --remove heads=0.5,channels=0.25 --data text:long.txt --samples 1";
    let plan = folder.run(&format!("{run} --length 2048 --plan --json")).json();
    let device = plan["device_bytes"].as_u64().unwrap();
    assert!(device < 8 << 30 && device > 2 * 4 * 11008 * 11008, "{plan}");
    assert_eq!([&plan["sizes"][0]["kept"], &plan["sizes"][1]["kept"]], [16, 8256], "{plan}");
    assert_eq!(folder.list("."), ["llama7b", "long.txt"]);
}
