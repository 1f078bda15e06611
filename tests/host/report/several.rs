//! Runs side by side, sweeps, and prunings of folders.
use std::collections::BTreeMap;
use std::fs;

use secateur::report::{Page, SWEEP_FILE, Sweep, Trial, TrialOutcome, numbers_of, page_of};
use serde_json::json;

use super::fixture::{Parsed, Run, parsed};

#[test]
fn runs_are_compared_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    // Two of one name in different folders, and one that has no checkpoint.
    let first = Run::full(&dir.path().join("a"), "run");
    let second = Run::full(&dir.path().join("b"), "run");
    let third = Run::full(dir.path(), "other");
    fs::remove_dir_all(third.logdir.join("ckpt-000000000120")).unwrap();
    let path = second.logdir.join("recipe.toml");
    let recipe = fs::read_to_string(&path).unwrap().replace("batch = 64", "batch = 32");
    fs::write(&path, recipe).unwrap();
    let page = parsed(&[first, second, third]);
    page.check();
    let came_to = |name: &str| page.row("What the runs came to", name);
    assert_eq!(came_to("a/run")[1..4], ["97.50 %", "0.2500", "65.38 %"]);
    assert_eq!(came_to("other")[3..7], ["-", "-", "-", "-"]);
    assert_eq!(page.row("Settings that differ", "batch"), ["batch", "64", "32", "64"]);
    let rows = page.table("Settings that differ").descendants();
    assert_eq!(rows.filter(|n| n.has_tag_name("tr")).count(), 2, "the others are the same");
    let layer = page.row("Sparsity of layers", "fc1.weight 32x12");
    assert_eq!(layer, ["fc1.weight 32x12", "66.67 %", "66.67 %", "-"]);
    assert_eq!(page.points("Loss of train batches"), [12, 12, 12]);
    assert_eq!(page.points("Sparsity reached"), [3, 3, 3]);
    let dots = page.figure("test accuracy against sparsity").descendants();
    // A small dot for the run, a large one for the mean of one.
    assert_eq!(dots.filter(|n| n.has_tag_name("circle")).count(), 4);
    let same = parsed(&[Run::full(dir.path(), "x"), Run::full(dir.path(), "y")]);
    assert!(same.text().contains("The recipes are the same."));
}

fn trial(sparsity: &str, seed: u64, value: Option<f64>) -> Trial {
    let settings = BTreeMap::from([("sparsity".to_owned(), sparsity.to_owned())]);
    let mut trial = Trial::new(&format!("sparsity-{sparsity}_seed-{seed}"), settings, seed);
    match value {
        Some(value) => {
            let mut outcome = TrialOutcome::default();
            outcome.figure = "test_accuracy".into();
            outcome.value = value;
            outcome.sparsity = sparsity.parse().unwrap();
            outcome.bytes = (10_000.0 * (1.0 - outcome.sparsity)) as u64;
            outcome.dense_bytes = 10_000;
            outcome.seconds = 2.0;
            trial.outcome = Some(outcome);
        }
        None => trial.failed = Some("the loss of step 7 is <not finite>".into()),
    }
    trial
}

fn sweep() -> Sweep {
    let mut sweep = Sweep::new("s & t", "recipes/x.toml", vec!["sparsity".into()]);
    sweep.trials = vec![
        trial("0.5", 1, Some(0.98)),
        trial("0.5", 2, Some(0.96)),
        trial("0.5", 3, Some(0.97)),
        trial("0.9", 1, Some(0.95)),
        trial("0.9", 2, None),
    ];
    sweep
}

#[test]
fn a_sweep_has_means_and_spreads() {
    let groups = sweep().groups();
    assert_eq!(groups.len(), 2);
    assert!((groups[0].mean.unwrap() - 0.97).abs() < 1e-12);
    // Of three values 0.01 apart, by n - 1.
    assert!((groups[0].deviation.unwrap() - 0.01).abs() < 1e-12);
    assert_eq!((groups[0].bytes, groups[0].runs), (Some(5000.0), [3, 3]));
    assert_eq!((groups[1].mean, groups[1].deviation, groups[1].runs), (Some(0.95), None, [1, 2]));
    let dir = tempfile::tempdir().unwrap();
    let files = sweep().write(dir.path()).unwrap();
    assert_eq!(files.len(), 4);
    assert_eq!(Sweep::read(dir.path()).unwrap(), sweep());
    let page = Parsed::of(&[dir.path().to_owned()]);
    page.check();
    let row = page.row("Means over the seeds", "0.5");
    assert_eq!(row[1..6], ["3", "97.00 %", "1.00 points", "50.00 %", "4.9 KiB"]);
    assert_eq!(page.row("Means over the seeds", "0.9")[1..4], ["1 of 2", "95.00 %", "-"]);
    let failed = page.row("Every run", "sparsity-0.9_seed-2");
    assert_eq!(failed[2], "the loss of step 7 is <not finite>");
    for title in
        ["test accuracy against sparsity", "test accuracy against bytes of the weights, packed"]
    {
        assert_eq!(page.points(title)[0], 2, "a line of two means");
        let dots = page.figure(title).descendants().filter(|n| n.has_tag_name("circle"));
        assert_eq!(dots.count(), 4 + 2, "four runs, two means");
    }
    let csv = fs::read_to_string(dir.path().join("sweep.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "run,sparsity,seed,figure,value,sparsity,bytes,dense_bytes,seconds,failed"
    );
    assert_eq!(lines[1], "sparsity-0.5_seed-1,0.5,1,test_accuracy,0.98,0.5,5000,10000,2,");
    assert_eq!(lines.len(), 6);
    let svg = fs::read_to_string(dir.path().join("sweep.svg")).unwrap();
    let svg = Parsed::new(&svg);
    let root = svg.one("svg");
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    assert!(svg.one("style").text().unwrap().contains("--accent"), "it has its colours");
    assert!(!svg.html.contains("var(--") || svg.html.contains("--line:"));
    // One that has not begun is a page too.
    let mut empty = sweep();
    empty.trials.iter_mut().for_each(|t| (t.outcome, t.failed) = (None, None));
    Parsed::new(Page::of_sweep(&empty).html()).check();
    assert_eq!(empty.picture(), None);
    fs::write(dir.path().join(SWEEP_FILE), "{}").unwrap();
    let wrong = Page::of(&[dir.path().to_owned()]).unwrap_err().to_string();
    assert!(wrong.contains("sweep.json") && wrong.contains("is no sweep's result"), "{wrong}");
}

#[test]
fn a_pruned_folder_has_a_page_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pruned");
    fs::create_dir(&folder).unwrap();
    let block = |at: u32| {
        json!({
            "block": at, "blocks": 2, "name": format!("layers.{at}"), "error": 0.01 * f64::from(at + 1),
            "seconds": 1.5, "device_bytes": 4096,
            "weights": [
                {"name": format!("layers.{at}.q"), "len": 100, "nonzero": 50, "threshold": 0.5},
                {"name": format!("layers.{at}.<k>"), "len": 100, "nonzero": 20, "threshold": 0.25},
            ],
        })
    };
    let numbers = json!({
        "adapter": "Some adapter", "input": "model/", "output": "out/pruned", "method": "wanda",
        "sparsity": 0.6, "blocks": [block(0), block(1)], "calibration_perplexity": 12.5,
        "device_bytes": 4096, "seconds": 3.0, "left_out": ["x.bin (weights)"],
    });
    fs::write(numbers_of(&folder), numbers.to_string()).unwrap();
    assert_eq!(page_of(&folder), dir.path().join("pruned.report.html"));
    let page = Parsed::of(std::slice::from_ref(&folder));
    page.check();
    for part in ["Pruned pruned", "12.50", "65.00 %", "140 of 400 weights left", "0.0200"] {
        assert!(page.text().contains(part), "no `{part}` in {}", page.text());
    }
    let block = page.row("What became of each block", "layers.1");
    assert_eq!(block[1..5], ["2", "70 of 200", "65.00 %", "0.02000"]);
    assert_eq!(page.row("Weights that were pruned", "layers.0.<k>")[1], "20 of 100");
    assert_eq!(page.row("How it was pruned", "method")[1], "wanda");
    for title in ["Error", "Sparsity"] {
        let bars = page.figure(title).descendants().filter(|n| n.has_tag_name("rect"));
        assert_eq!(bars.count(), 2, "{title}");
    }
    // Of a pruning without data there are tensors.
    let tensor = |name: &str, fate: &str| {
        let shape = [10, 10];
        json!({"name": name, "shape": shape, "fate": fate, "nonzero": 40, "sparsity": 0.6})
    };
    let tensors = json!({
        "output": "x", "tensors": [tensor("a", "pruned"), tensor("b", "dense")],
        "whole_sparsity": 0.3,
    });
    fs::write(numbers_of(&folder), tensors.to_string()).unwrap();
    let page = Parsed::of(&[numbers_of(&folder)]);
    page.check();
    assert!(page.text().contains("40 of 100 weights left") && page.text().contains("30.00 %"));
    fs::write(numbers_of(&folder), "{}").unwrap();
    let wrong = Page::of(&[folder]).unwrap_err().to_string();
    assert!(wrong.contains("pruned.report.json") && wrong.contains("neither"), "{wrong}");
}

/// Where all values are 0, as the sparsity of dense runs, an axis goes to a tenth: its names are as
/// short as on any other.
#[test]
fn an_axis_of_nothing_but_zero_has_short_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut dense = Sweep::new("dense", "recipes/x.toml", vec!["sparsity".into()]);
    dense.trials = vec![trial("0", 1, Some(0.9)), trial("0.9", 1, None)];
    dense.write(dir.path()).unwrap();
    let svg = fs::read_to_string(dir.path().join("sweep.svg")).unwrap();
    let svg = roxmltree::Document::parse(&svg).unwrap();
    let texts = svg.descendants().filter(|n| n.has_tag_name("text"));
    let shares: Vec<&str> =
        texts.filter_map(|n| n.text()).filter(|text| text.ends_with('%')).collect();
    assert!(shares.contains(&"0.0 %") && shares.contains(&"10.0 %"), "{shares:?}");
    assert!(shares.iter().all(|text| text.len() <= 6), "{shares:?}");
}
