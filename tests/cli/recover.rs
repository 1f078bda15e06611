//! `secateur train --init FOLDER`: folders that others have trained are trained on.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::folder::{Folder, Run};
use crate::paths::project;
use crate::pretrained::tokenizer;

/// A text in which each token says the next one, and a run on it.
const TRAIN: &str = "--data text:text.txt --length 12 --batch 4 --lr 0.002";

/// The golden model `name` in a folder of its name, and a text in its words as `text.txt`.
pub fn copy(folder: &Folder, name: &str) {
    let from = project().join("tests/goldens/models").join(name);
    fs::create_dir(folder.path(name)).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(from.join(file), folder.path(name).join(file)).unwrap();
    }
    let config: Value =
        serde_json::from_slice(&folder.read(&format!("{name}/config.json"))).unwrap();
    let words = config["vocab_size"].as_u64().unwrap_or(1) as u32;
    folder.write(&format!("{name}/tokenizer.json"), tokenizer(words));
    let words: Vec<String> = (0..600u32).map(|i| format!("w{}", (7 * i + 3) % 23)).collect();
    folder.write("text.txt", words.join(" "));
}

/// The values of a folder's tensors, by name.
pub fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let floats = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        (name, bytemuck::pod_collect_to_vec(view.data()))
    };
    tensors.into_iter().map(floats).collect()
}

pub fn zeros(values: &[f32]) -> Vec<usize> {
    (0..values.len()).filter(|&i| values[i] == 0.0).collect()
}

/// The part of what `train` says that other runs must say, too.
fn figures(run: Run) -> [Value; 3] {
    let report = run.json();
    ["loss", "test_perplexity", "sparsity"].map(|name| report[name].clone())
}

#[test]
fn a_pruned_folder_learns_again_and_what_is_pruned_stays_so() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    folder.run("prune llama -o pruned --sparsity 50% --exclude layers.0.self_attn").ok();
    let before = folder.run("eval pruned --data text:text.txt --length 12 --json").json();
    let options = "--accumulate 2 --recompute 1";
    let run = format!("train --init pruned {TRAIN} {options} --logdir whole --steps 6 -o out");
    let straight = folder.run(&format!("{run} --json"));
    assert!(straight.err.contains("weights are pruned"), "{}", straight.err);
    let straight = figures(straight);
    let after = folder.run("eval out --data text:text.txt --length 12 --json").json();
    read_as_its_folder(&folder, &after);
    let [before, after] = [before, after].map(|report| report["loss"].as_f64().unwrap());
    assert!(after < 0.9 * before, "{after}, {before} before");
    // The folder: what it was, with other values but no other zeros.
    assert_eq!(folder.list("out"), folder.list("pruned"));
    for file in ["config.json", "tokenizer.json"] {
        assert_eq!(folder.read(&format!("out/{file}")), folder.read(&format!("pruned/{file}")));
    }
    let [old, new] = ["pruned", "out"].map(|name| tensors(&folder.path(name)));
    assert!(old.keys().eq(new.keys()));
    let mut pruned = 0;
    for (name, values) in &old {
        assert_ne!(*values, new[name], "{name} has not moved");
        assert_eq!(zeros(values), zeros(&new[name]), "{name}");
        pruned += usize::from(2 * zeros(values).len() == values.len());
    }
    // Seven products in each of two blocks, without four.
    assert_eq!(pruned, 10);

    // In two parts, the second of which is told by what the first has left.
    let run = format!("train --init pruned {TRAIN} {options} --logdir halves --steps 3 --json");
    folder.run(&run).ok();
    let goes_on = folder.run("train --logdir halves --steps 6 --json");
    assert!(goes_on.err.contains("restored"), "{}", goes_on.err);
    assert_eq!(figures(goes_on), straight);
    folder.run("export halves -o exported").ok();
    assert!(folder.read("exported/model.safetensors") == folder.read("out/model.safetensors"));
    folder.run("export halves -o exported").fails(2, &["exported", "--force"]);

    let run = format!("train --init pruned {TRAIN} --logdir grows --steps 2 --drop-masks --json");
    assert_eq!(figures(folder.run(&run))[2], 0.0);
    // The same folder in another place, and another one in that.
    fs::rename(folder.path("pruned"), folder.path("moved")).unwrap();
    folder.run("train --logdir halves --steps 7").fails(2, &["pruned", "config.json"]);
    folder.run("train --logdir halves --steps 7 --init moved").ok();
    folder.run("train --logdir halves --steps 8 --init out").fails(2, &["init.fingerprint"]);
    let bytes = folder.read("out/model.safetensors");
    folder.write("moved/model.safetensors", bytes);
    let changed = ["moved has changed since the run in halves began", "--override"];
    folder.run("train --logdir halves --steps 8").fails(2, &changed);
    folder.run("eval halves --data text:text.txt").fails(2, &changed[..1]);
    folder.run("export halves -o exported --force").fails(2, &["moved has changed since"]);
}

/// The run in `whole` is read as the folder `out` that it wrote, whose evaluation is `written`.
fn read_as_its_folder(folder: &Folder, written: &Value) {
    let data = "--data text:text.txt --length 12 --json";
    let checkpoint = "whole/ckpt-000000000006";
    for path in ["whole", checkpoint, &format!("{checkpoint}/model.safetensors")] {
        let report = folder.run(&format!("eval {path} {data}")).json();
        assert_eq!(report["window_losses"], written["window_losses"], "{path}");
        assert_eq!((&report["model"], &report["global_step"]), (&checkpoint.into(), &6.into()));
    }
    folder.run("eval whole").fails(2, &["--data is missing", "the run in whole", "text.txt"]);
    let language = ["is a language model", "secateur eval"];
    folder.run("predict whole --data text:text.txt").fails(2, &language);
    let inspected = folder.run("inspect whole").ok().out;
    let told = ["pretrained:llama at global step 6", "began with", "pruned", "secateur export"];
    assert!(told.iter().all(|part| inspected.contains(part)), "{inspected}");
    let began_with = folder.run("inspect whole --json").json()["began_with"].clone();
    assert!(began_with.as_str().unwrap().ends_with("pruned"), "{began_with}");
    let export = |out: &str| folder.run(&format!("export {checkpoint}/model.safetensors -o {out}"));
    export("x.onnx").fails(2, &["x.onnx", "written as a folder"]);
    export("x.safetensors").fails(2, &["x.safetensors would be a folder"]);
    export("x --format sparse").fails(2, &["--format", "export a folder first"]);
    export("x").ok();
    assert!(folder.read("x/model.safetensors") == folder.read("out/model.safetensors"));
    for run in [format!("--init whole {TRAIN}"), format!("--init x --distill whole {TRAIN}")] {
        let run = folder.run(&format!("train {run} --steps 1 --logdir y"));
        run.fails(2, &["whole is a run of a pretrained model", "secateur export whole -o FOLDER"]);
    }
    fs::remove_dir_all(folder.path("x")).unwrap();
    for prune in ["--sparsity 0.5", "--sparsity 0.5 --score wanda", "--remove channels=0.5"] {
        let run = folder.run(&format!("prune whole -o x.safetensors {prune}"));
        run.fails(2, &["whole is a run of a pretrained model", "secateur export whole -o FOLDER"]);
    }
}

#[test]
fn chosen_tensors_are_trained_and_the_others_cost_nothing() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "gpt2");
    let chosen = "--only mlp --exclude h.0";
    let plan = |more: &str| {
        let run = format!("train --init gpt2 {TRAIN} --steps 4 --plan --json {more}");
        folder.run(&run).json()["memory"]["persistent"].as_u64().unwrap()
    };
    let (all, some) = (plan(""), plan(chosen));
    let tensors_of = |name: &str| tensors(&folder.path(name));
    let old = tensors_of("gpt2");
    let is_chosen = |name: &str| name.contains("mlp") && !name.contains("h.0");
    let read = |name: &str| !name.ends_with(".attn.bias") && !name.ends_with("masked_bias");
    let frozen = old.iter().filter(|(name, _)| !is_chosen(name) && read(name));
    let frozen: u64 = frozen.map(|(_, values)| values.len() as u64).sum();
    // On a GPU each tensor may begin up to 1 KiB after the end of the one before.
    let takes = |bytes: u64, words: u64| {
        let padded = 4 * words + 1024 * 3 * old.len() as u64;
        assert!((4 * words..padded).contains(&bytes), "{bytes} bytes, {words} words");
    };
    // Two tensors of AdamW for each of them.
    takes(all - some, 2 * frozen);
    let moved: u64 =
        old.iter().filter(|(name, _)| is_chosen(name)).map(|(_, v)| v.len() as u64).sum();
    // A mean of the gradients of the others.
    takes(plan(&format!("{chosen} --accumulate 2")) - some, moved);
    assert_eq!(folder.list("."), ["gpt2", "text.txt"]);

    let run = format!("train --init gpt2 {TRAIN} {chosen}");
    let straight = folder.run(&format!("{run} --steps 4 --logdir straight -o out --json")).json();
    // The same rows in each update.
    let twice = run.replace("--batch 4", "--batch 2 --accumulate 2");
    let twice = folder.run(&format!("{twice} --steps 4 --logdir twice --json")).json();
    let [straight, twice] = [straight, twice].map(|report| report["test_loss"].as_f64().unwrap());
    assert!((straight - twice).abs() < 1e-4, "{straight}, {twice}");
    folder.run(&format!("{run} --steps 2 --logdir run")).ok();
    folder.run("train --logdir run --steps 4 -o again").ok();
    let new = tensors_of("again");
    assert!(folder.read("again/model.safetensors") == folder.read("out/model.safetensors"));
    for (name, values) in &old {
        assert_eq!(is_chosen(name), *values != new[name], "{name}");
    }
    // A checkpoint has no others.
    let losses = |of: &str| {
        let eval = folder.run(&format!("eval {of} --data text:text.txt --length 12 --json")).json();
        eval["window_losses"].clone()
    };
    assert_eq!(losses("run"), losses("again"));
    let held = folder.run("inspect run --json").json();
    let held = held["tensors"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap());
    assert!(held.eq(old.keys().filter(|name| is_chosen(name))));
}

#[test]
fn a_schedule_prunes_on_from_where_a_folder_is() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    folder.run("prune llama -o pruned --sparsity 0.5").ok();
    // At such a rate what is not held is soon among the largest.
    let spec = "target_sparsity=0.75,pruning_frequency=3,sparsity_function_end_step=6";
    let run = |name: &str, out: &str, spec: &str| {
        let train = "--data text:text.txt --length 12 --batch 4 --lr 0.1 --steps 6";
        let run = format!("train --init {name} {train} --logdir {out}-run -o {out}");
        folder.run(&format!("{run} --json --pruning {spec}"))
    };
    let of_dense = run("llama", "a", spec);
    assert!(!of_dense.err.contains("warning"), "{}", of_dense.err);
    assert_eq!(of_dense.json()["sparsity"], 0.75);
    let grows = run("pruned", "b", spec);
    assert!(grows.err.contains("initial_sparsity=0.5000"), "{}", grows.err);
    assert_eq!(grows.json()["sparsity"], 0.75);
    let stays = run("pruned", "c", &format!("{spec},initial_sparsity=0.5"));
    assert!(!stays.err.contains("warning"), "{}", stays.err);
    assert_eq!(stays.json()["sparsity"], 0.75);
    // What was pruned has never come back.
    let [old, new] = ["pruned", "c"].map(|name| tensors(&folder.path(name)));
    for (name, values) in &old {
        assert!(zeros(values).iter().all(|&i| new[name][i] == 0.0), "{name}");
    }
}

/// The baseline is the run that nothing prunes; it goes on with the other one.
#[test]
fn a_baseline_is_the_folder_trained_without_its_schedule() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    let run = format!("train --init llama {TRAIN}");
    let dense = folder.run(&format!("{run} --steps 3 --logdir alone --json")).json();
    let both = format!("{run} --steps 3 --logdir run -o out --sparsity 0.5 --baseline");
    let report = folder.run(&format!("{both} --json")).json();
    assert_eq!(report["dense_test_perplexity"], dense["test_perplexity"]);
    assert_eq!((report["sparsity"].as_f64(), dense["sparsity"].as_f64()), (Some(0.5), Some(0.0)));
    assert_ne!(report["test_perplexity"], dense["test_perplexity"]);
    let eval = |of: &str| {
        let run = format!("eval {of} --data text:text.txt --length 12 --json");
        folder.run(&run).json()["loss"].clone()
    };
    assert_eq!(eval("run/dense"), eval("alone"));
    assert_eq!(eval("run"), eval("out"));
    let told = folder.run("train --logdir run --steps 4").ok().out;
    assert!(told.contains("test perplexity, dense"), "{told}");
    assert!(folder.list("run/dense").contains(&"ckpt-000000000004".to_owned()));
    let none = ["--baseline", "no comparison", "--sparsity"];
    folder.run(&format!("{run} --steps 3 --logdir x --baseline")).fails(2, &none);
    assert!(!folder.path("x").exists());
}

/// How far a loss in mixed precision may be from that in f32, relatively: products of f16 have 11
/// bits, of which some hundred add up in each of a dozen layers; steps go on from there.
const MIXED: f64 = 0.02;

#[test]
fn a_pruned_folder_is_trained_in_mixed_precision_where_the_adapter_has_it() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    folder.run("prune llama -o pruned --sparsity 50%").ok();
    let run = format!("train --init pruned {TRAIN} --steps 6 --json");
    let plan = folder.run(&format!("{run} --plan --precision mixed")).json()["plan"].clone();
    assert!(plan.as_str().unwrap().contains("f16_matmul"), "{plan}");
    let full = folder.run(&format!("{run} --logdir full")).json();
    let run = format!("{run} --logdir half -o out --precision mixed");
    let half = folder.run(&run).json();
    let [a, b] = [&full, &half].map(|report| report["test_loss"].as_f64().unwrap());
    assert!((a / b - 1.0).abs() < MIXED, "{a}, {b} in mixed precision");
    if half["precision"] == "mixed" {
        assert_ne!(a, b);
    }
    let [old, new] = ["pruned", "out"].map(|name| tensors(&folder.path(name)));
    for (name, values) in &old {
        assert_eq!(zeros(values), zeros(&new[name]), "{name}");
    }
}

#[test]
fn what_does_not_fit_a_folder_is_refused_before_anything_is_written() {
    let Some(folder) = Folder::with_gpu() else { return };
    copy(&folder, "llama");
    folder.write("short.txt", "w1 w2 w3 w4");
    let run = |more: &str| folder.run(&format!("train --logdir run --steps 2 {more}"));
    let init = |more: &str| run(&format!("--init llama {more}"));
    let text = "--data text:text.txt";
    let fails = |more: &str, parts: &[&str]| init(more).fails(2, parts);
    fails("", &["--data is missing", "text:FILE"]);
    fails(&format!("{text} --length 12 --model mlp:10"), &["--model", "--init"]);
    fails("--data text:short.txt --length 12", &["short.txt", "12", "the text has 4"]);
    fails(&format!("{text} --length 65"), &["`length`", "65", "64 positions"]);
    fails(&format!("{text} --label x"), &["`label`", "takes length, test"]);
    fails("--data csv:text.txt", &["csv:", "takes text:FILE"]);
    fails(&format!("{text} --length 12 --only zz"), &["`only`", "zz", "embed_tokens"]);
    fails(&format!("{text} --length 12 --only mlp --exclude mlp"), &["no tensor to train"]);
    fails(&format!("{text} --length 12 --only ("), &["--only"]);
    fails(&format!("{text} --length 12 -o llama"), &["`output`", "llama"]);
    fails(&format!("{text} --length 12 --memory-budget 10kB"), &["budget"]);
    fails(&format!("{text} --length 12 --recompute 4"), &["recompute", "1 to 3"]);
    let both = format!("{text} --length 12 --accumulate 2 --replicas-to-aggregate 2");
    fails(&both, &["--accumulate 2", "--replicas-to-aggregate"]);
    run("--init none --data text:text.txt").fails(2, &["--init none", "config.json"]);
    run("--only mlp").fails(2, &["--only", "--init FOLDER"]);
    run("-o out").fails(2, &["-o out", "--init FOLDER"]);
    run("--model pretrained:llama").fails(2, &["pretrained:llama", "--init FOLDER"]);
    folder.write("llama/tokenizer.json", tokenizer(120));
    fails(&format!("{text} --length 12"), &["119", "another vocabulary"]);
    assert_eq!(folder.list("."), ["llama", "short.txt", "text.txt"]);
    assert_eq!(folder.list("llama").len(), 3);
}

/// Pictures of one colour each, in a folder for each of `classes`, some larger than the others.
fn pictures(folder: &Folder, classes: &[&str]) {
    for (class, name) in (0u8..).zip(classes) {
        fs::create_dir_all(folder.path("photos").join(name)).unwrap();
        for i in 0..5u8 {
            let side = 24 + 8 * u32::from(i % 2);
            let pixel = image::Rgb([40 * class, 30 * i, 255 - 40 * class]);
            let picture = image::RgbImage::from_pixel(side, side, pixel);
            picture.save(folder.path("photos").join(name).join(format!("{i}.png"))).unwrap();
        }
    }
}

/// Trains the model `name` on `data` in two parts; its loss falls, what comes out is a folder that
/// trains on, and its run answers `rows` as that folder does.
fn learns(folder: &Folder, name: &str, data: &str, rows: &str) {
    let run = format!("train --init {name} --data {data} --logdir {name}-run --batch 4");
    let first = folder.run(&format!("{run} --steps 1 --lr 0.01 --json")).json();
    let run = format!("train --logdir {name}-run --steps 12 -o {name}-out --json");
    let last = folder.run(&run).json();
    let [first, last] = [first, last].map(|report| report["loss"].as_f64().unwrap());
    assert!(last < 0.8 * first, "{name}: {last}, {first} before");
    let [old, new] = [name.to_owned(), format!("{name}-out")].map(|at| tensors(&folder.path(&at)));
    assert!(old.keys().eq(new.keys()), "{name}");
    for part in ["running_mean", "running_var", "weight"] {
        let parts = || old.keys().filter(|tensor| tensor.ends_with(part));
        assert!(parts().all(|tensor| old[tensor] != new[tensor]), "{name}: {part}");
    }
    folder.run(&format!("train --init {name}-out --data {data} --batch 4 --plan --json")).ok();
    let [began, run, out] = ["", "-run", "-out"].map(|end| {
        folder.run(&format!("predict {name}{end} --data {rows} -o {name}{end}.npy")).ok();
        folder.read(&format!("{name}{end}.npy"))
    });
    assert!(run == out && run != began, "{name}");
}

#[test]
fn pictures_and_texts_are_told_apart_by_the_classes_of_a_head() {
    let Some(folder) = Folder::with_gpu() else { return };
    ["resnet", "vit", "bert_classes"].iter().for_each(|name| copy(&folder, name));
    let classes = ["a", "b", "c", "d", "e", "f", "g"];
    pictures(&folder, &classes[..5]);
    let refused = |name: &str, data: &str, parts: &[&str]| {
        folder.run(&format!("train --init {name} --logdir x --data {data}")).fails(2, parts);
    };
    refused("resnet", "images:photos", &["resnet", "no preprocessor_config.json"]);
    let exact = r#"{"size": {"height": 24, "width": 24}, "resample": 2}"#;
    folder.write("vit/preprocessor_config.json", exact);
    let cut = r#"{"size": {"shortest_edge": 37}, "crop_pct": 0.9}"#;
    folder.write("resnet/preprocessor_config.json", cut);
    learns(&folder, "resnet", "images:photos", "images:photos");
    refused("vit", "images:photos", &["photos", "`a` is called like none", "7 classes"]);
    pictures(&folder, &classes);
    learns(&folder, "vit", "images:photos", "images:photos");
    let figures = |of: &str| {
        let report = folder.run(&format!("eval {of} --data images:photos --json")).json();
        ["test_loss", "test_accuracy"].map(|name| report[name].clone())
    };
    assert_eq!(figures("vit-run"), figures("vit-out"));
    refused("vit", "text:text.txt", &["text.txt", "images:DIR"]);
    refused("vit", "digits", &["digits", "images:DIR"]);
    refused("vit", "images:photos --size 8x8", &["size"]);
    let mut config: Value = serde_json::from_slice(&folder.read("vit/config.json")).unwrap();
    config["id2label"]["6"] = "g".into();
    folder.write("vit/config.json", config.to_string());
    refused("vit", "images:photos", &["`a` is called like none", "LABEL_0"]);

    let rows: Vec<String> = (0..30).map(|i| format!("w{} w{}, {}\n", i % 3, i, i % 3)).collect();
    folder.write("texts.csv", format!("text,what\n{}", rows.concat()));
    folder.write("lines.txt", "w1 w2\nw3\nw5 w7 w11\n");
    learns(&folder, "bert_classes", "csv:texts.csv --label what", "text:lines.txt");
    refused("bert_classes", "csv:texts.csv", &["`label`", "`text`, `what`"]);
    refused("bert_classes", "csv:texts.csv --label what --ignore text", &["`ignore`"]);
    refused("bert_classes", "csv:texts.csv --label which", &["which"]);
    refused("bert_classes", "csv:texts.csv --label text", &["texts.csv", "3 classes", "LABEL_2"]);
    assert!(!folder.path("x").exists());
}
