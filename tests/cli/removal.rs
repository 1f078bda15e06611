//! `secateur prune FOLDER --remove`: smaller folders of pretrained models.
use std::fs;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::pretrained::with_llama;

const TEXT: &str = "--data text:text.txt --length 20 --samples 2";

fn config(folder: &Folder, name: &str) -> Value {
    serde_json::from_slice(&folder.read(&format!("{name}/config.json"))).unwrap()
}

#[test]
fn a_folder_becomes_smaller_by_a_text() {
    let Some((folder, _)) = with_llama() else { return };
    let run = format!("prune llama -o out --remove heads=3,channels=25% {TEXT}");
    let report = folder.run(&format!("{run} --json")).json();
    let sizes = json!([
        {"kind": "heads", "shared": 3, "of": 2, "kept": 1},
        {"kind": "channels", "shared": 1, "of": 96, "kept": 72},
    ]);
    assert_eq!(report["sizes"], sizes);
    for block in report["blocks"].as_array().unwrap() {
        let kept = |i: usize| block["kept"][i]["kept"].as_array().unwrap().len();
        assert_eq!([kept(0), kept(1)], [3, 72], "{block}");
        assert!(block["error"].as_f64().unwrap() > 0.0, "{block}");
    }
    assert_eq!(folder.list("out"), ["config.json", "model.safetensors", "tokenizer.json"]);
    let (mut old, new) = (config(&folder, "llama"), config(&folder, "out"));
    let sizes = [("num_attention_heads", 3), ("num_key_value_heads", 1), ("intermediate_size", 72)];
    sizes.iter().for_each(|&(name, size)| old[name] = json!(size));
    assert_eq!(old, new);
    let evaluated =
        folder.run("eval out --data text:text.txt --length 20 --samples 2 --json").json();
    let [found, calibrated] = [&evaluated["perplexity"], &report["calibration_perplexity"]]
        .map(|value| value.as_f64().unwrap());
    assert!((found / calibrated - 1.0).abs() < 1e-5, "{found}, {calibrated}");
    folder.run(&run).fails(2, &["out/", "--force"]);
    let text = folder.run(&format!("{run} --force")).ok().out;
    for what in ["model.layers.1", "3 of 6", "72 of 96", "heads 6 -> 3, of keys 2 -> 1"] {
        assert!(text.contains(what), "{what}: {text}");
    }
}

/// Without a text there is nothing for a device to do, and no block has an error.
#[test]
fn a_folder_becomes_smaller_by_its_weights_without_an_adapter() {
    let folder = Folder::new();
    folder.copy_model("llama");
    let plan = folder.run("prune llama --remove channels=0.5 --plan").ok().out;
    for what in
        ["channels 96 -> 48 in each of 2 blocks", "o_proj.weight stay", "nothing was written"]
    {
        assert!(plan.contains(what), "{what}: {plan}");
    }
    let plan = folder.run("prune llama --remove channels=0.5 --dry-run --json").json();
    assert_eq!(plan["sizes"][0]["kept"], 48);
    assert_eq!((&plan["device_bytes"], plan["left"].as_array().unwrap().len()), (&Value::Null, 4));
    assert_eq!(folder.list("."), ["llama"]);
    let run = "prune llama -o out --remove channels=0.5 --adapter nobody";
    let report = folder.run(&format!("{run} --json")).json();
    assert_eq!((&report["adapter"], &report["blocks"][1]["error"]), (&Value::Null, &Value::Null));
    assert_eq!(config(&folder, "out")["intermediate_size"], 48);
    let bytes = |name: &str| folder.read(&format!("{name}/model.safetensors")).len();
    assert!(bytes("out") < bytes("llama"));
    // Heads stay where only channels were named.
    folder.run("prune out -o again --remove heads=0.5 --multiple 8").fails(2, &["`multiple`: 8"]);
    let again = folder.run("prune out -o again --remove channels=0.25 --multiple 8").ok();
    assert!(again.out.contains("channels 48 -> 40"), "{}", again.out);
    assert!(again.err.contains("by their weights alone"), "{}", again.err);
}

#[test]
fn what_cannot_be_taken_out_is_refused_before_anything_is_written() {
    let folder = Folder::new();
    let models = ["llama", "gpt2", "bert", "resnet"];
    models.iter().for_each(|model| folder.copy_model(model));
    let refused = |model: &str, remove: &str, what: &[&str]| {
        folder.run(&format!("prune {model} -o out --remove {remove}")).fails(2, what);
    };
    refused("llama", "heads=6", &["6 of the 6", "one must stay"]);
    refused("llama", "heads=0.99", &["2 heads of keys", "none would stay", "smaller share"]);
    refused("llama", "heads=0.1", &["all would stay", "larger share"]);
    refused("llama", "heads=2", &["3 share one of keys", "multiple of 3"]);
    refused("llama", "channels=96", &["96 of the 96", "one must stay"]);
    for share in ["channels=0.0", "channels=1.0", "channels=100%"] {
        refused("llama", share, &["must be above 0 and below 1"]);
    }
    for amount in ["channels=1.5", "channels=-0.5", "channels=half", "channels="] {
        refused("llama", amount, &["must be a share above 0 and below 1, or a whole number"]);
    }
    refused("llama", "channels=0", &["0 of them leave all as it is"]);
    refused("llama", "heads=3,heads=3", &["given twice"]);
    refused("llama", "layers=0.5", &["layers=0.5", "heads and channels"]);
    refused("llama", "heads", &["heads=0.25"]);
    refused("llama", "channels=0.5 --multiple 0", &["0 must be 1 or more"]);
    refused("llama", "channels=0.5 --sparsity 0.5", &["--sparsity", "--remove"]);
    refused("llama", "channels=0.5 --data csv:x.csv", &["text:FILE"]);
    refused("llama", "channels=0.5 --length 20", &["--length is for --data"]);
    refused("gpt2", "heads=0.2", &["gpt2/config.json cannot say", "`n_embd`, 40"]);
    refused("bert", "heads=1", &["bert/config.json cannot say", "`hidden_size`, 36"]);
    refused("resnet", "channels=0.25", &["transformers", "`hidden_sizes`"]);
    refused("resnet", "heads=0.25", &["heads", "none that can be taken out"]);
    folder.run("prune llama -o out --multiple 8 --sparsity 0.5").fails(2, &["--remove"]);
    folder.write("weights.safetensors", folder.read("llama/model.safetensors"));
    refused("weights.safetensors", "channels=0.5", &["no folder of a pretrained model"]);
    assert_eq!(folder.list("."), ["bert", "gpt2", "llama", "resnet", "weights.safetensors"]);
}

/// transformers holds the number of heads of a Llama against its width.
#[test]
fn sizes_that_transformers_refuses_are_refused() {
    let folder = Folder::new();
    folder.copy_model("llama3_rope");
    // Four heads of 16, of which three are left, for a width of 64.
    let run = "prune llama3_rope -o out --remove heads=1";
    folder.run(run).fails(2, &["cannot say 3", "divisors of `hidden_size`, 64"]);
    folder.run(&run.replace("heads=1", "heads=2")).ok();
    assert_eq!(config(&folder, "out")["num_attention_heads"], 2);
}

/// What fails on the way leaves nothing.
#[test]
fn a_weight_that_is_not_finite_leaves_nothing() {
    let folder = Folder::new();
    folder.copy_model("llama");
    let mut bytes = folder.read("llama/model.safetensors");
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let name = "model.layers.1.mlp.down_proj.weight";
    let at = tensors[name]["data_offsets"][0].as_u64().unwrap() as usize + 8 + header;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("llama/model.safetensors", bytes);
    folder.run("prune llama -o out --remove channels=0.5").fails(2, &[name, "not finite"]);
    assert_eq!(folder.list("."), ["llama"]);
    fs::create_dir(folder.path("out")).unwrap();
    folder.run("prune llama -o out --remove channels=0.5").fails(2, &[name]);
    assert_eq!(folder.list("out"), [""; 0]);
}
