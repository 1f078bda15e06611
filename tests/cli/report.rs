//! `secateur report`, and the pages that other commands leave.
use roxmltree::{Document, ParsingOptions};

use crate::folder::Folder;
use crate::train::train;

/// The text of a page, which must be XML.
fn text(folder: &Folder, page: &str) -> String {
    let html = String::from_utf8(folder.read(page)).expect("text");
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(&html, options).unwrap_or_else(|e| panic!("{e}"));
    let texts = page.descendants().filter(roxmltree::Node::is_text).filter_map(|n| n.text());
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_run_leaves_a_page() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report =
        folder.run(&train("--steps 60 --eval-steps 20 --trace --logdir run --json")).json();
    let page = text(&folder, "run/report.html");
    let accuracy = format!("{:.2} %", report["test_accuracy"].as_f64().unwrap() * 100.0);
    for part in [
        "Run run",
        accuracy.as_str(),
        "90.0",
        "fc1.weight",
        "Step 2 took",
        "matmul",
        "secateur train run/recipe.toml --logdir run-again",
        "target_sparsity = 0.9",
        "Test accuracy",
    ] {
        let found = page.to_lowercase().contains(&part.to_lowercase());
        assert!(found, "no `{part}` in {page}");
    }
    let result: serde_json::Value =
        serde_json::from_slice(&folder.read("run/result.json")).unwrap();
    assert_eq!(result["test_accuracy"], report["test_accuracy"]);
    assert_eq!(result["complete"].as_bool(), Some(true));
    // Afterwards, from the logdir alone: the same page.
    let first = folder.read("run/report.html");
    let made = folder.run("report run --json").json();
    assert_eq!(made["output"], "run/report.html");
    assert!(folder.read("run/report.html") == first);
    // A call that has nothing to do changes nothing of what the run came to.
    let result = folder.read("run/result.json");
    folder.run(&train("--steps 60 --logdir run")).ok();
    assert!(folder.read("run/result.json") == result);
    // A test value every 20 steps and at the end: steps 1, 20, 40, 60.
    let events: Vec<String> =
        folder.list("run").into_iter().filter(|n| n.starts_with("events")).collect();
    let bytes = folder.read(&format!("run/{}", events[0]));
    let values = bytes.windows(13).filter(|b| b == b"test/accuracy").count();
    assert_eq!(values, 4);
}

#[test]
fn runs_side_by_side_and_refusals() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --data digits --model mlp:4 --steps 8 --eval-steps 0 --logdir a").ok();
    folder.run("train --data digits --model mlp:5 --steps 8 --logdir b").ok();
    let bytes = folder.read("a/report.html");
    assert!(!bytes.windows(5).any(|b| b == b"test/"), "nothing was evaluated on the way");
    folder.run("report a b").ok();
    let page = text(&folder, "report.html");
    for part in ["2 runs compared", "mlp:4", "mlp:5", "Settings that differ"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    folder.run("report a b").ok();
    folder.write("notes.html", "mine");
    folder.run("report a -o notes.html").fails(2, &["notes.html is there", "--force"]);
    assert_eq!(folder.read("notes.html"), b"mine");
    folder.run("report a -o notes.html --force").ok();
    assert!(text(&folder, "notes.html").contains("Run a"));
    std::fs::create_dir(folder.path("none")).unwrap();
    folder.run("report none").fails(2, &["none", "holds no run"]);
    assert_eq!(folder.list("none"), [""; 0]);
    folder.run("report").fails(2, &["<RUN>"]);
}

/// One that ends without its result has a page all the same.
#[test]
fn a_run_that_fails_has_a_page() {
    let Some(folder) = Folder::with_gpu() else { return };
    let run = folder.run("train --data digits --model mlp:4 --steps 50 --lr 1e38 --logdir run");
    assert_eq!(run.code, 2, "{}", run.err);
    let page = text(&folder, "run/report.html");
    assert!(page.contains("has not said that it ended"), "{page}");
    assert!(!folder.path("run/result.json").exists());
}

#[test]
fn a_pruned_folder_has_its_page_beside_it() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.copy_model("llama");
    folder.run("prune llama -o out --sparsity 0.5").ok();
    let page = text(&folder, "out.report.html");
    for part in ["Pruned out", "50.0", "mlp.down_proj.weight"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert_eq!(folder.list("out"), ["config.json", "model.safetensors"], "nothing else is in it");
    let first = folder.read("out.report.html");
    folder.run("report out").ok();
    assert!(folder.read("out.report.html") == first);
}

#[test]
fn a_recipe_to_begin_with() {
    let folder = Folder::new();
    let text = folder.run("train --init-recipe --model mlp:32 --sparsity 80% --steps 500").ok().out;
    let recipe: secateur::train::Recipe = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((recipe.model.to_string(), recipe.steps), ("mlp:32".to_owned(), 500));
    assert_eq!(recipe.pruning.map(|pruning| pruning.target_sparsity), Some(0.8));
    assert!(text.contains("# Rows in a batch"), "{text}");
    assert_eq!(folder.list("."), [""; 0], "nothing is written");
    folder.write("r.toml", text.replace("\nbatch = ", "\nbach = "));
    folder.run("train r.toml --plan").fails(2, &["r.toml", "line ", "did you mean `batch`?"]);
}

/// Looking at test rows on the way is no part of training.
#[test]
fn evaluations_on_the_way_change_no_bit() {
    let Some(folder) = Folder::with_gpu() else { return };
    for (every, logdir) in [(0, "a"), (4, "b")] {
        folder.run(&train(&format!("--steps 30 --eval-steps {every} --logdir {logdir}"))).ok();
    }
    for file in ["model", "optimizer"] {
        let of = |logdir| folder.read(&format!("{logdir}/ckpt-000000000030/{file}.safetensors"));
        assert!(of("a") == of("b"), "{file}");
    }
}
