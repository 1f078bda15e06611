//! N:M shared by V outputs in files: which axis they are, and edges.
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use secateur::oneshot::Options;
use secateur::prune::{Pattern, TensorPattern};

use super::{Case, tensor};
use crate::common::Noise;

/// Which weights of a matrix `[inputs, outputs]` stay, and the highest mean that goes.
fn reference(
    at: impl Fn(usize, usize) -> f32,
    [inputs, outputs]: [usize; 2],
    [n, m, v]: [usize; 3],
) -> (Vec<bool>, f32) {
    let (mut kept, mut threshold) = (vec![false; inputs * outputs], 0.0f32);
    for first in (0..outputs).step_by(v) {
        let shared = first..outputs.min(first + v);
        for group in (0..inputs).step_by(m) {
            let group = group..inputs.min(group + m);
            let mean = |input: usize| -> f32 {
                let sum: f64 = shared.clone().map(|o| f64::from(at(input, o).abs())).sum();
                (sum / shared.len() as f64) as f32
            };
            let stay = (n * group.len()).div_ceil(m);
            let mut order: Vec<usize> = group.collect();
            order.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
            for (place, &input) in order.iter().enumerate() {
                if place < stay {
                    shared.clone().for_each(|o| kept[input * outputs + o] = true);
                } else {
                    threshold = threshold.max(mean(input));
                }
            }
        }
    }
    (kept, threshold)
}

/// Linear layers either way round, convolutions of PyTorch and of this crate; groups and vectors
/// that end at an edge.
#[test]
fn vectors_share_their_inputs_along_any_axis() {
    let data = Noise::new(12).floats(70 * 36 * 33, 1.0);
    for (shape, axis, last) in [
        (&[70, 33][..], None, true),
        (&[33, 70], Some(0), false),
        (&[64, 1], None, true),
        (&[1, 64], Some(0), false),
        (&[70, 11, 3, 1], None, true),
        (&[3, 2, 11, 35], Some(-2), false),
        (&[2, 35, 33], Some(-1), true),
    ] {
        let len: usize = shape.iter().product();
        let data = &data[..len];
        // The inputs are the last of two, or the first.
        let outputs = match (shape, last) {
            (&[a, _, 33], _) => a * shape[1],
            (_, true) => shape[0],
            (_, false) => shape[shape.len() - 1],
        };
        let inputs = len / outputs;
        let place =
            |input: usize, o: usize| if last { o * inputs + input } else { input * outputs + o };
        for (n, m, v) in [(8, 32, 32), (2, 5, 3), (1, 2, 1)] {
            let (want, threshold) = reference(
                |input, o| data[place(input, o)],
                [inputs, outputs],
                [n, m, v].map(|x| x as usize),
            );
            let case = Case::new(&[tensor("a.weight", Dtype::F32, shape, data)]);
            let options = Options {
                sparsity: 1.0 - f64::from(n) / f64::from(m),
                pattern: Pattern::Vectors { n, m, v },
                axis,
                include: Some(TensorPattern::new("a")),
                ..Default::default()
            };
            let Some(report) = case.prune(&options) else { return };
            let report = report.unwrap();
            let after = std::fs::read(&case.output).unwrap();
            let read = SafeTensors::deserialize(&after).unwrap();
            let got = read.tensor("a.weight").unwrap().data().to_vec();
            let context = format!("{shape:?}, {n}:{m}x{v}");
            for (i, &stays) in want.iter().enumerate() {
                let at = place(i / outputs, i % outputs);
                let bytes = got[4 * at..][..4].try_into().unwrap();
                let kept = if stays { data[at] } else { 0.0 };
                assert_eq!(f32::from_le_bytes(bytes), kept, "{context}: weight {at}");
            }
            assert_eq!(report.tensors[0].threshold, Some(threshold), "{context}");
            let kept = want.iter().filter(|&&stays| stays).count() as u64;
            assert_eq!(report.tensors[0].nonzero, Some(kept), "{context}");
        }
    }
}

/// Where the outputs could be either axis a weight stays dense, and NaN has no rank.
#[test]
fn what_has_no_outputs_stays_dense() {
    let mut data = Noise::new(3).floats(60, 1.0);
    let pattern = Pattern::Vectors { n: 1, m: 2, v: 4 };
    let options = Options { pattern, ..Default::default() };
    let both = |data: &[f32]| {
        Case::new(&[
            tensor("a.weight", Dtype::F16, &[3, 4, 5], data),
            tensor("b.weight", Dtype::F32, &[6, 10], data),
        ])
    };
    let case = both(&data);
    let Some(report) = case.prune(&options) else { return };
    let report = report.unwrap();
    assert_eq!(report.skipped, ["a.weight"]);
    let said = |w: &String| w.contains("1:2x4 skips") && w.contains("a.weight [3, 4, 5]");
    assert!(report.warnings.iter().any(said), "{:?}", report.warnings);
    data[7] = f32::NAN;
    let error = both(&data).prune(&options).unwrap().unwrap_err();
    assert!(error.contains("b.weight holds NaN"), "{error}");
}
