//! `secateur bench`: what it measures, as JSON, as a table and as a picture.
use serde_json::Value;

use crate::folder::Folder;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_quick_bench_has_ceilings_and_rows() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run("bench --quick --json --plot roofline.svg").json();
    let devices = folder.run("devices --json").json();
    assert_eq!(report["adapter"], devices["chosen"]);
    for key in ["backend", "driver", "version"] {
        assert!(report[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {report}");
    }
    assert_eq!(report["command"], "secateur bench --quick --json --plot roofline.svg");
    assert_eq!(report["quick"], true, "nobody shall take these figures for a measurement");
    let date = report["date"].as_str().expect("a date");
    let digits = date.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "0000-00-00T00:00:00Z", "{date}");

    let ceilings = &report["ceilings"];
    for key in
        ["copy_bytes_per_second", "fma_flops_per_second", "launch_seconds", "round_trip_seconds"]
    {
        let value = number(&ceilings[key]);
        assert!(value.is_finite() && value > 0.0, "{key}: {value}");
    }
    let rows = report["rows"].as_array().expect("rows");
    for kind in [
        "matmul NN",
        "matmul NT",
        "matmul TN",
        "matmul NT 1x64x64",
        "add",
        "mask update",
        "train step",
    ] {
        assert!(
            rows.iter().any(|r| r["name"].as_str().is_some_and(|n| n.starts_with(kind))),
            "{kind}"
        );
    }
    for row in rows {
        for key in ["seconds", "samples", "throughput", "intensity", "share"] {
            let value = number(&row[key]);
            assert!(value.is_finite() && value > 0.0, "{key}: {row}");
        }
        let [rate, limit] =
            ["flops_per_second", "attainable_flops_per_second"].map(|k| number(&row[k]));
        assert!((rate / limit / number(&row["share"]) - 1.0).abs() < 1e-9, "{row}");
    }
    assert!(report["left_out"].is_array());

    let svg = String::from_utf8(folder.read("roofline.svg")).expect("UTF-8");
    let picture = roxmltree::Document::parse(&svg).expect("XML");
    let points = picture.descendants().filter(|n| n.has_tag_name("circle")).count();
    assert_eq!(points, rows.len());

    assert_eq!(report["precision"], "f32");
    let mixed = folder.run("bench --quick --json --precision mixed").json();
    let names = mixed["rows"].as_array().expect("rows").iter().filter_map(|r| r["name"].as_str());
    let halves = names.filter(|name| name.starts_with("f16 matmul")).count();
    assert_eq!(mixed["precision"] == "mixed", halves > 0, "{mixed}");

    let table = folder.run("bench --quick").ok().out;
    for row in rows {
        assert!(table.contains(row["name"].as_str().expect("a name")), "{row}: {table}");
    }
}

#[test]
fn a_picture_that_is_no_svg_is_refused_at_once() {
    let folder = Folder::new();
    folder.run("bench --plot roofline.png").fails(2, &["roofline.png", "name a file *.svg"]);
    assert_eq!(folder.list("."), [""; 0]);
}

#[test]
fn a_card_is_modelled_without_a_gpu() {
    let folder = Folder::new();
    let report = folder.run("bench --model 4090 --only add --json").json();
    assert_eq!(report["card"]["name"], "NVIDIA GeForce RTX 4090");
    assert_eq!(report["command"], "secateur bench --model 4090 --only add --json");
    let [row] = &report["rows"].as_array().expect("rows")[..] else { panic!("{report}") };
    let [kernel] = &row["kernels"].as_array().expect("kernels")[..] else { panic!("{row}") };
    assert_eq!((&row["name"], &kernel["limit"]), (&"add 2^24".into(), &"memory".into()));
    for key in ["loaded_bytes", "registers", "sectors_per_load"] {
        assert!(number(&kernel[key]) > 0.0, "{key}: {kernel}");
    }
    let table = folder.run("bench --model --only add").ok().out;
    for text in ["NVIDIA H100 SXM", "add 2^24", "memory", "sectors"] {
        assert!(table.contains(text), "{text}: {table}");
    }
    folder.run("bench --model abacus").fails(2, &["abacus", "h100, 4090, 7900xtx, m3max, b580"]);
    folder.run("bench --model --only abacus").fails(2, &["--only abacus"]);
    folder.run("bench --model --quick").fails(2, &["--model", "--quick"]);
    folder.run("bench --only add").fails(2, &["--model"]);
}
