//! What a tuner chooses, and where it is kept.
use secateur::bench::tune;
use secateur::gpu::{Choices, Gpu, GpuOptions, PlanBuilder, Target};
use secateur::kernels::{Form, Matmul, Tiling};

use crate::common::gpu;

/// The text of a plan with one small product.
fn plan(target: Target) -> String {
    let mut plan = PlanBuilder::new(target);
    let [a, b, c] = ["a", "b", "c"].map(|name| plan.persistent(name, 64));
    plan.phase("test");
    Matmul::new(Form::TN, [a, b, c], [8; 3]).push(&mut plan).unwrap();
    plan.to_string()
}

fn choosing(name: &str) -> Choices {
    let mut choices = Choices::default();
    assert!(choices.set(Tiling::place(Form::TN, 0), name));
    choices
}

#[test]
fn plans_follow_the_choices() {
    let target = |choice| Target { choices: choosing(choice), ..Target::default() };
    assert!(plan(Target::default()).contains("SIDE:8 (tiles)"));
    assert!(plan(target("blocks")).contains("LANES:4"), "{}", plan(target("blocks")));
    assert!(plan(target("tiles-64")).contains("TRANS_A:1 (tiles)"), "{}", plan(target("tiles-64")));
    assert!(plan(target("tiles-128")).contains("FOURS:2"), "{}", plan(target("tiles-128")));
    // What does not run there, and what there is not.
    for choice in ["lanes", "coop-8", "tiles of 64"] {
        assert_eq!(plan(target(choice)), plan(Target::default()));
    }
    let lanes = Target { subgroup: Some(8), ..target("lanes") };
    assert!(plan(lanes).contains("COLUMNS:1 (lanes)"), "{}", plan(lanes));
}

#[test]
fn every_form_and_size_is_tried() {
    let Some(gpu) = gpu() else { return };
    let (choices, rows) = tune(gpu, [[8, 9, 10], [40, 33, 20], [70, 65, 5]]).unwrap();
    assert!(choices.names().all(|name| name.is_some()), "{choices:?}");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let times: Vec<_> = row.variants.iter().map(|(_, time)| *time).collect();
        assert!(times.is_sorted() && !times[0].is_zero(), "{row:?}");
    }
}

#[test]
fn choices_are_kept_by_adapter_and_driver() {
    if gpu().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cache_dir = Some(dir.path().to_owned());
    let options = GpuOptions::from_env().unwrap().cache_dir(cache_dir);
    let open = || Gpu::open(&options).unwrap();
    let first = open();
    assert_eq!(first.target().choices, Choices::default());
    let file = first.keep_tuning(&choosing("tiles-64")).unwrap().unwrap();
    assert_eq!(open().target().choices, choosing("tiles-64"));
    let text = std::fs::read_to_string(&file).unwrap();
    for damaged in [
        text.replace("\"version\": \"", "\"version\": \"9"),
        text[9..].to_owned(),
        text.replace("tiles-64", &"x".repeat(16)),
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(open().target().choices, Choices::default());
    }
    // A folder that is a file is an error by name, and no folder none.
    let options = options.clone().cache_dir(Some(file.clone()));
    let error = Gpu::open(&options).unwrap().keep_tuning(&choosing("tiles-64")).unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}
