//! Sparsity that differs by block: counts of outliers, what is allocated by them, and that work of
//! this kind can be interrupted.
use secateur::pretrained::{Allocate, BlockReport, Method, PruneEvent, PruneOptions};
use secateur::prune::{Scope, TensorPattern};
use secateur::{Error, Result};

use super::prune::{Held, open, prune, read, windows};
use crate::common::gpu;

const METHODS: [Method; 4] = [Method::Magnitude, Method::Wanda, Method::SparseGpt, Method::Admm];

fn owl(method: Method, sparsity: f64) -> PruneOptions {
    PruneOptions::new(method, sparsity).allocate(Allocate::Owl { above: 2.0, range: 0.1 })
}

/// The f64 reference: the sparsity of blocks by their share of outliers.
fn reference(blocks: &[[f64; 2]], sparsity: f64, range: f64) -> Vec<f64> {
    let all: f64 = blocks.iter().map(|[_, weights]| weights).sum();
    let mean: f64 = blocks.iter().map(|[count, _]| count).sum::<f64>() / all;
    let apart: Vec<f64> = blocks.iter().map(|[count, weights]| count / weights - mean).collect();
    let far = apart.iter().fold(0.0, |far: f64, x| far.max(x.abs()));
    apart.iter().map(|x| sparsity - range * x / far).collect()
}

/// Scores of f32 may be on the other side of the threshold where they all but equal it.
#[test]
fn outliers_are_those_of_the_textbook() {
    if gpu().is_none() {
        return;
    }
    for golden in read()["owl"].as_array().unwrap() {
        let above = golden["above"].as_f64().unwrap();
        let options = PruneOptions::new(Method::Wanda, 0.5);
        let options = options.allocate(Allocate::Owl { above, range: 0.1 });
        let report = prune(&options, &mut Held::default()).unwrap();
        let pair = |of: &serde_json::Value| [0, 1].map(|i| of[i].as_f64().unwrap());
        let want: Vec<[f64; 2]> = golden["of"].as_array().unwrap().iter().map(pair).collect();
        for (block, [count, weights]) in report.blocks.iter().zip(&want) {
            let got = block.outliers.unwrap() * weights;
            assert!((got - count).abs() <= 2.0, "{}: {got}, {count} by torch", block.name);
        }
        let want = reference(&want, 0.5, 0.1);
        for (block, want) in report.blocks.iter().zip(want) {
            let asked = block.asked.unwrap();
            assert!((asked - want).abs() < 1e-9, "{}: {asked}, {want}", block.name);
        }
    }
}

fn zeros(block: &BlockReport) -> [u64; 2] {
    let counts = |[zeros, all]: [u64; 2], len, nonzero| [zeros + len - nonzero, all + len];
    block.weights.iter().fold([0; 2], |sum, w| counts(sum, w.len, w.nonzero))
}

#[test]
fn all_zeros_together_are_what_was_asked() {
    if gpu().is_none() {
        return;
    }
    for method in METHODS {
        for sparsity in [0.5, 0.637] {
            let (options, mut held) = (owl(method, sparsity), Held::default());
            let report = prune(&options, &mut held).unwrap();
            let (mut all, mut pruned) = (0, 0);
            for (block, sign) in report.blocks.iter().zip([-1.0, 1.0]) {
                let ([zeros, of], asked) = (zeros(block), block.asked.unwrap());
                assert!((asked - sparsity - sign * 0.1).abs() < 1e-9, "{block:?}");
                let apart = (zeros as f64 - asked * of as f64).abs();
                // Of each of 96 units of a matrix before the last one may be owed.
                assert!(apart <= 96.0, "{}: {apart} of {}", method.name(), block.name);
                all += of;
                pruned += zeros;
            }
            let asked = (all as f64 * sparsity).round();
            let apart = (pruned as f64 - asked).abs();
            // The last matrix has 48 units, and each loses as many.
            let quantum = if options.scope == Scope::Unit { 24.0 } else { 0.0 };
            assert!(apart <= quantum, "{}: {pruned} of {all}, not {asked}", method.name());
            if options.scope == Scope::Unit {
                each_unit_loses_as_many(&held);
            }
        }
    }
}

fn each_unit_loses_as_many(held: &Held) {
    let model = open();
    for (name, values) in &held.tensors {
        let inputs = model.files().info(name).unwrap().shape[1];
        let kept = |unit: &[f32]| unit.iter().filter(|&&x| x != 0.0).count();
        let first = kept(&values[..inputs]);
        assert!(values.chunks(inputs).all(|unit| kept(unit) == first), "{name}");
    }
}

/// The blocks that are told of: of the dense model, and pruned.
fn prune_again(options: &PruneOptions, held: &mut Held) -> Result<[Vec<u32>; 2]> {
    let gpu = gpu().expect("asked before");
    let mut told = [Vec::new(), Vec::new()];
    open().prune(gpu, &windows(&read()), options, held, &mut |event| match event {
        PruneEvent::Measured(block) => told[0].push(block.block),
        PruneEvent::Pruned(block) => told[1].push(block.block),
        _ => {}
    })?;
    Ok(told)
}

#[test]
fn an_interrupted_work_goes_on_without_counting_again() {
    if gpu().is_none() {
        return;
    }
    for method in [Method::Wanda, Method::Admm] {
        let (options, mut whole) = (owl(method, 0.6), Held::default());
        assert_eq!(prune_again(&options, &mut whole).unwrap(), [vec![0, 1], vec![0, 1]]);
        for (until, measured, pruned) in
            [(0, vec![0, 1], vec![0, 1]), (1, vec![], vec![0, 1]), (2, vec![], vec![1])]
        {
            let mut parts = Held { until: Some(until), ..Held::default() };
            let stopped = prune_again(&options, &mut parts).unwrap_err();
            assert!(matches!(stopped, Error::Argument { .. }), "{stopped}");
            parts.until = None;
            assert_eq!(prune_again(&options, &mut parts).unwrap(), [measured, pruned], "{until}");
            assert_eq!(parts.tensors, whole.tensors, "{}, {until}", method.name());
        }
    }
}

#[test]
fn what_is_left_out_is_not_counted() {
    if gpu().is_none() {
        return;
    }
    let options = owl(Method::Wanda, 0.5).exclude(Some(TensorPattern::new("layers.0.|k_proj")));
    let mut held = Held::default();
    let report = prune(&options, &mut held).unwrap();
    let [block] = &report.blocks[..] else { panic!("{report:?}") };
    // One block alone has nothing to differ from.
    assert_eq!((block.block, block.asked, held.tensors.len()), (1, Some(0.5), 6));
    assert!(block.outliers.unwrap() > 0.05, "{block:?}");
}

#[test]
fn what_cannot_be_allocated_is_refused() {
    let Some(gpu) = gpu() else { return };
    let refused = |options: PruneOptions| {
        let (windows, mut held) = (windows(&read()), Held::default());
        open().prune(gpu, &windows, &options, &mut held, &mut |_| {}).unwrap_err().to_string()
    };
    let groups = owl(Method::Wanda, 0.5).pattern("2:4".parse().unwrap());
    assert!(refused(groups.clone()).contains("2:4 leaves as many"), "{}", refused(groups));
    let said = refused(owl(Method::SparseGpt, 0.95));
    assert!(said.contains("lambda is 0.1") && said.contains("0.0500"), "{said}");
}

#[test]
fn what_it_takes_on_the_device_is_known_before() {
    let Some(gpu) = gpu() else { return };
    for method in METHODS {
        let (options, mut held) = (owl(method, 0.5), Held::default());
        let planned = open().prune_memory(24, &options, gpu.target()).unwrap().peak();
        assert_eq!(prune(&options, &mut held).unwrap().device_bytes, planned, "{}", method.name());
    }
}
