//! Whole mask updates against the host: what is dropped, what grows.
use secateur::graph::Graph;
use secateur::kernels::*;
use secateur::prune::{MaskUpdate, PrunedTensor, PruningSpec, Targets, pruned_count};

use crate::common::{Noise, Rig, Tol, gpu};

const SHAPES: [[u32; 2]; 3] = [[33, 7], [300, 100], [31, 1]];

struct Host {
    weights: Vec<f32>,
    gradient: Vec<f32>,
    mask: Vec<u32>,
    units: usize,
}

impl Host {
    /// A tensor of which `mask` is left already.
    fn new([rows, columns]: [u32; 2], sparsity: f64, seed: u64) -> Self {
        let len = (rows * columns) as usize;
        let mut noise = Noise::new(seed);
        let (weights, gradient) = (noise.floats(len, 1.0), noise.floats(len, 1.0));
        let mask = topk_reference(&weights, None, pruned_count(len as u64, sparsity) as usize);
        let weights = apply_mask_reference(&mask, &weights);
        Self { weights, gradient, mask, units: columns as usize }
    }

    fn floor(&self) -> Vec<u32> {
        unit_floor_reference(&unit_peak_reference(&self.weights, self.units), self.weights.len())
    }
}

/// RigL: of the weights that are to stay, all but the exchanged ones stay by |w|; the rest grows by
/// |gradient| among all others.
#[test]
fn rigl_drops_by_weight_and_grows_by_gradient() {
    let Some(gpu) = gpu() else { return };
    let spec: PruningSpec = "regrow=rigl,end_pruning_step=100,target_sparsity=0.8".parse().unwrap();
    spec.validate().unwrap();
    let mut graph = Graph::default();
    for (i, shape) in SHAPES.into_iter().enumerate() {
        let weight = graph.parameter(format!("fc{i}.weight"), shape).unwrap();
        graph.apply_mask(weight).unwrap();
    }
    let targets = Targets::new(&spec, graph.parameters()).unwrap();
    let hosts: Vec<Host> = (1..).zip(SHAPES).map(|(i, s)| Host::new(s, 0.75, i)).collect();

    let mut rig = Rig::new(gpu);
    let mut tensors = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        let len = host.weights.len() as u32;
        let velocity = vec![1.0f32; host.weights.len()];
        tensors.push(PrunedTensor {
            name: format!("fc{i}.weight"),
            weights: rig.slot("weights", &host.weights),
            gradient: Some(rig.slot("gradient", &host.gradient)),
            mask: rig.slot("mask", &host.mask),
            state: rig.slot("state", &[MaskState::default()]),
            slots: vec![rig.slot("velocity", &velocity)],
            len,
            units: host.units as u32,
        });
    }
    let update = MaskUpdate::push(&mut rig.plan, &spec, targets, &tensors).unwrap();
    let bench = rig.build();
    bench.upload(update.counts(), &update.words(50, 0.8));
    bench.run();

    // Half way the cosine leaves half of 0.3.
    assert!((spec.regrow_fraction_at(50) - 0.15).abs() < 1e-12);
    for (host, tensor) in hosts.iter().zip(&tensors) {
        let len = host.weights.len() as u64;
        let prune = pruned_count(len, 0.8);
        let exchanged = pruned_count(len - prune, 0.15);
        assert!(exchanged > 0 || len < 40);
        let dropped = (prune + exchanged) as usize;
        let kept = topk_reference(&host.weights, Some(&host.floor()), dropped);
        let want = topk_reference(&host.gradient, Some(&kept), prune as usize);
        let got: Vec<u32> = bench.read(tensor.mask);
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{}: {e}", tensor.name));

        let state = bench.read::<MaskState>(tensor.state)[0];
        assert_eq!(u64::from(state.kept), len - prune);
        let changed: u32 =
            want.iter().zip(&host.mask).map(|(new, old)| (new ^ old).count_ones()).sum();
        assert_eq!(state.changed, changed);
        // Of |w|, not of the gradient.
        let highest = (0..host.weights.len()).filter(|&i| !bit(&kept, i));
        let highest = highest.map(|i| host.weights[i].abs()).fold(0.0, f32::max);
        assert_eq!(f32::from_bits(state.threshold), highest);
        // What grows starts from 0, and nothing pruned keeps anything.
        let weights: Vec<f32> = bench.read(tensor.weights);
        let velocity: Vec<f32> = bench.read(tensor.slots[0]);
        assert_eq!(weights, apply_mask_reference(&want, &host.weights));
        assert_eq!(velocity, apply_mask_reference(&want, &vec![1.0; host.weights.len()]));
        let grown = (0..host.weights.len()).find(|&i| bit(&want, i) && !bit(&host.mask, i));
        assert!(grown.is_none_or(|i| weights[i] == 0.0), "{}", tensor.name);
    }
}
