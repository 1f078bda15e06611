//! N:M shared by V units: the same inputs for all of them.
use secateur::graph::Graph;
use secateur::kernels::{MaskState, bit};
use secateur::prune::{PruningSpec, Targets};

use super::{Host, update};
use crate::common::gpu;

/// Which weights `[inputs, units]` stay where of every `m` inputs `n` do for `v` units, by sums of
/// whole numbers; and the highest mean that goes.
fn reference(weights: &[f32], units: usize, [n, m, v]: [usize; 3]) -> (Vec<bool>, f32) {
    let inputs = weights.len() / units;
    let (mut kept, mut threshold) = (vec![false; weights.len()], 0.0f32);
    for first in (0..units).step_by(v) {
        let shared = first..units.min(first + v);
        for group in (0..inputs).step_by(m) {
            let group = group..inputs.min(group + m);
            let sum = |input: usize| -> f32 {
                shared.clone().map(|unit| weights[input * units + unit].abs()).sum()
            };
            let stay = (n * group.len()).div_ceil(m);
            let mut order: Vec<usize> = group.collect();
            // Stable: of equal ones the first stays first.
            order.sort_by(|&a, &b| sum(b).total_cmp(&sum(a)));
            for &input in &order[..stay] {
                shared.clone().for_each(|unit| kept[input * units + unit] = true);
            }
            for &input in &order[stay..] {
                threshold = threshold.max(sum(input) / shared.len() as f32);
            }
        }
    }
    (kept, threshold)
}

/// A tensor of few whole numbers, whose vectors tie.
fn host([inputs, units]: [u32; 2], seed: u64) -> Host {
    let mut host = Host::new([inputs, units], 0.0, seed);
    host.weights.iter_mut().for_each(|w| *w = (*w * 3.0).round());
    host
}

#[test]
fn vectors_share_their_inputs() {
    let Some(gpu) = gpu() else { return };
    for (text, [n, m, v]) in [
        ("pattern=8:32x32,target_sparsity=0.75", [8, 32, 32]),
        ("pattern=2:5x3,target_sparsity=0.6", [2, 5, 3]),
        ("pattern=1:4x100,target_sparsity=0.75,score=saliency", [1, 4, 100]),
    ] {
        // A group and a rest of inputs and of units, whole ones, and fewer than one.
        let mut hosts = [host([33, 70], 5), host([64, 32], 6), host([7, 2], 7)];
        for host in &mut hosts {
            host.gradient.fill(-1.0);
        }
        let turned = hosts.each_ref().map(Host::turned);
        let target = 1.0 - n as f64 / m as f64;
        let stand = update(gpu, text, &hosts, target);
        let other = update(gpu, text, &turned, target);
        let (mut pruned, mut all) = (0, 0);
        for (i, host) in hosts.iter().enumerate() {
            let (want, threshold) = reference(&host.weights, host.units, [n, m, v]);
            let context = format!("{text}: fc{i}");
            let masks = [&stand, &other].map(|d| d.bench.read::<u32>(d.tensors[i].mask()));
            let inputs = host.weights.len() / host.units;
            for (at, &stays) in want.iter().enumerate() {
                let (input, unit) = (at / host.units, at % host.units);
                assert_eq!(bit(&masks[0], at), stays, "{context}: {input}, {unit}");
                assert_eq!(bit(&masks[1], unit * inputs + input), stays, "{context}, turned");
            }
            let kept = want.iter().filter(|&&stays| stays).count();
            for done in [&stand, &other] {
                let state = done.bench.read::<MaskState>(done.tensors[i].state)[0];
                assert_eq!((state.kept as usize, state.nan), (kept, 0), "{context}");
                assert_eq!(state.changed as usize, want.len() - kept, "{context}");
                assert_eq!(f32::from_bits(state.threshold), threshold, "{context}");
            }
            (pruned, all) = (pruned + want.len() - kept, all + want.len());
        }
        assert_eq!(stand.asked, pruned as f64 / all as f64, "{text}");
    }
}

/// No weight is too narrow for it, where N:M leaves dense what M does not divide.
#[test]
fn no_weight_is_skipped() {
    let mut graph = Graph::default();
    let weight = graph.parameter("fc.weight", [33, 7]).unwrap();
    graph.apply_mask(weight).unwrap();
    let of = |text: &str| {
        let spec: PruningSpec = text.parse().unwrap();
        spec.validate().unwrap();
        Targets::new(&spec, graph.parameters())
    };
    assert!(of("pattern=8:32,target_sparsity=0.75").is_err());
    let targets = of("pattern=8:32x32,target_sparsity=0.75").unwrap();
    assert!(targets.prunes("fc.weight") && targets.skipped().is_empty());
}
