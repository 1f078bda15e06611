//! What a tuner chooses, and where it is kept.
use secateur::bench::tune;
use secateur::gpu::{Choices, Gpu, GpuOptions, PlanBuilder, Precision, Target};
use secateur::kernels::{F16Matmul, F16Operand, Form, Matmul, Tiling};

use crate::common::{gpu, mixed_gpu};

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

/// The text of a plan with one product over halves.
fn plan_of_halves(target: Target, [m, n]: [u32; 2]) -> String {
    let mut plan = PlanBuilder::new(target);
    let [a, b, peaks, c] = [m * 8, n * 8, 2, m * n].map(|words| plan.persistent("", words));
    plan.phase("test");
    let operands = [(a, 0), (b, 1)].map(|(copy, at)| F16Operand { copy, at });
    F16Matmul::new(Form::NT, operands, [peaks, c], [m, n, 16]).push(&mut plan).unwrap();
    plan.to_string()
}

/// Tiles on cooperative matrices follow the extents, the largest subgroup, the workgroup memory, and
/// what was chosen.
#[test]
fn tiles_on_matrices_follow_the_choices() {
    let mixed = Target { precision: Precision::Mixed, ..Target::default() };
    let (cooperative, largest_subgroup) = (Some(16), Some(32));
    let nvidia = Target { cooperative, largest_subgroup, workgroup_bytes: 48 << 10, ..mixed };
    let amd = Target { largest_subgroup: Some(64), workgroup_bytes: 64 << 10, ..nvidia };
    let apple = Target { cooperative: Some(8), workgroup_bytes: 32 << 10, ..nvidia };
    let webgpu = Target { workgroup_bytes: 0, ..nvidia };
    let large = [4096; 2];
    for (target, extents, text) in [
        (nvidia, [64; 2], "TRANS_B:1 (coop_16)  grid 1x1x1"),
        (nvidia, [1536; 2], "ACROSS:4 ROWS:4 TILE_A:1280 TILE_B:1280 SUMS:2048"),
        (nvidia, large, "DOWN:4 ROWS:4 COLUMNS:4 FOURS_A:8"),
        // Eight subgroups of 64 would be more invocations than WebGPU allows.
        (amd, large, "SUBGROUP:64 ROWS:4 COLUMNS:4 TILE_A"),
        (apple, large, "(coop_8)  grid 64x32x1"),
        // 16 KiB are enough for four subgroups and 16 terms at a time.
        (webgpu, large, "TRANS_B:1 ROWS:4 COLUMNS:4 DEPTH:16 TILE_A:768 TILE_B:768 (coop_16)"),
        (Target { largest_subgroup: Some(128), ..nvidia }, [64; 2], "(tiles)"),
        (mixed, [64; 2], "(tiles)"),
    ] {
        let plan = plan_of_halves(target, extents);
        assert!(plan.contains(text), "{target:?}: {plan}");
    }
    let choosing = |name: &str| {
        let mut choices = Choices::default();
        assert!(choices.set(Tiling::place_f16(Form::NT, 2), name));
        Target { choices, ..nvidia }
    };
    assert!(plan_of_halves(choosing("matrices-4x4"), large).contains("grid 64x64x1"));
    assert!(plan_of_halves(choosing("tiles-64"), large).contains("(tiles)"));
    for choice in ["lanes", "matrices-9x9"] {
        assert_eq!(plan_of_halves(choosing(choice), large), plan_of_halves(nvidia, large));
    }
    // Products of f32 have choices of their own.
    assert_eq!(plan(choosing("blocks")), plan(nvidia));
}

fn sorted(variants: &[(String, std::time::Duration)]) -> bool {
    variants.is_sorted_by_key(|(_, time)| *time) && !variants[0].1.is_zero()
}

#[test]
fn every_form_and_size_is_tried() {
    let Some(gpu) = gpu() else { return };
    let (choices, rows) = tune(gpu, [[8, 9, 10], [40, 33, 20], [70, 65, 5]]).unwrap();
    assert_eq!(
        choices.names().map(|name| name.is_some()).collect::<Vec<_>>(),
        [[true; 9], [false; 9]].concat()
    );
    assert_eq!(rows.len(), 9);
    assert!(rows.iter().all(|row| sorted(&row.variants)), "{rows:?}");
}

/// In mixed precision products over halves too, on the cooperative matrices that there are.
#[test]
fn tiles_on_matrices_are_tried() {
    let Some(gpu) = mixed_gpu() else { return };
    let (choices, rows) = tune(gpu, [[8, 9, 10]; 3]).unwrap();
    assert!(choices.names().all(|name| name.is_some()), "{choices:?}");
    assert_eq!(rows.len(), 18);
    assert!(rows.iter().all(|row| sorted(&row.variants)), "{rows:?}");
    let all = Tiling::all_f16(gpu.target());
    let matrices = all.iter().filter(|tiling| tiling.name().starts_with("matrices")).count();
    assert_eq!(matrices > 0, gpu.target().cooperative.is_some());
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
