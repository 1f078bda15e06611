//! `secateur selftest`: all checks pass here, and the file has what a bug report needs.
use serde_json::Value;

use crate::folder::Folder;

#[test]
fn the_adapter_passes_and_its_file_says_how() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run("selftest --json -o selftest.json").json();
    let file: Value = serde_json::from_slice(&folder.read("selftest.json")).expect("JSON");
    assert_eq!(file, report);
    assert_eq!((&report["passed"], &report["failed"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["command"], "secateur selftest --json -o selftest.json");
    let devices = folder.run("devices --json").json();
    let adapter = &report["adapter"];
    assert_eq!(adapter["name"], devices["chosen"]);
    for key in ["backend", "driver", "max_binding", "max_buffer", "workgroup_memory", "f16"] {
        assert!(!adapter[key].is_null(), "{key}: {adapter}");
    }
    let checks = report["checks"].as_array().expect("checks");
    for name in [
        "loop iterations",
        "products",
        "selection counts",
        "convolutions",
        "optimizer step",
        "softmax",
        "cross-entropy",
        "bit-equal reruns",
        "train and prune",
    ] {
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("no {name} in {report}"));
        assert_eq!(check["passed"], true, "{check}");
        assert!(check["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{check}");
    }
    let products = checks.iter().find(|check| check["name"] == "products").expect("products");
    let [error, tolerance] =
        ["error", "tolerance"].map(|key| products["worst"][key].as_f64().expect("a number"));
    assert!(0.0 < error && error <= tolerance, "{products}");

    // As other commands treat what is there.
    folder
        .run("selftest -o selftest.json")
        .fails(2, &["selftest.json is there already", "--force"]);
    let text = folder.run("selftest -o selftest.json --force").ok().out;
    for part in ["ok", "train and prune", "all 11 checks passed", "written to selftest.json"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    folder.run("selftest --force").fails(2, &["--output"]);
}
