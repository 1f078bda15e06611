//! Cutting dead units out: the smaller network computes the same.
use proptest::prelude::*;
use secateur::nn::{Dense, Model, shrink};

/// In f64: logits of `x`, and the sum of all magnitudes that went into each.
fn forward(layers: &[Dense], x: &[f64]) -> Vec<[f64; 2]> {
    let mut values: Vec<[f64; 2]> = x.iter().map(|&v| [v, v.abs()]).collect();
    for (i, layer) in layers.iter().enumerate() {
        let outputs = layer.bias.len();
        values = (0..outputs)
            .map(|o| {
                let bias = f64::from(layer.bias[o]);
                let sum = values.iter().enumerate().fold([bias, bias.abs()], |[s, m], (r, v)| {
                    let w = f64::from(layer.weight[r * outputs + o]);
                    [s + v[0] * w, m + v[1] * w.abs()]
                });
                if i + 1 < layers.len() { [sum[0].max(0.0), sum[1]] } else { sum }
            })
            .collect();
    }
    values
}

fn dense(weight: &[f32], bias: &[f32]) -> Dense {
    Dense { weight: weight.to_vec(), bias: bias.to_vec() }
}

/// Unit 0 reads nothing and has a bias, unit 1 is read by nobody, unit 2 lives.
#[test]
fn constants_are_folded_and_unread_units_go() {
    let layers = [
        dense(&[0.0, 1.0, 2.0, 0.0, -1.0, 3.0], &[0.5, 7.0, 0.0]),
        dense(&[2.0, -4.0, 0.0, 0.0, 1.0, 1.0], &[1.0, 1.0]),
    ];
    let small = shrink(&Model::mlp(&[3]), &layers).unwrap();
    assert_eq!(small.model, Model::mlp(&[1]));
    assert_eq!(small.kept, [[2]]);
    // 0.5 times 2 and -4 go into the biases.
    assert_eq!(small.layers, [dense(&[2.0, 3.0], &[0.0]), dense(&[1.0, 1.0], &[2.0, -1.0])]);
    // A negative bias is a constant of zero.
    let mut negative = layers;
    negative[0].bias[0] = -0.5;
    assert_eq!(shrink(&Model::mlp(&[3]), &negative).unwrap().layers[1].bias, [1.0, 1.0]);
}

/// A unit whose only reader goes, goes with it; so does one whose only source was folded away.
#[test]
fn death_spreads() {
    let layers = [
        dense(&[1.0, 1.0, 0.0], &[0.0, 0.0, 2.0]),
        // Unit 0 feeds only unit 0, which nobody reads; unit 2, a constant, feeds only unit 1.
        dense(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 3.0, 0.0], &[0.0, 1.0, 0.0]),
        dense(&[0.0, 1.0, 1.0], &[0.0]),
    ];
    let small = shrink(&Model::mlp(&[3, 3]), &layers).unwrap();
    assert_eq!(small.kept, [[1], [2]]);
    // relu(1 + 3 * 2) ends in the last bias.
    assert_eq!(small.layers[2], dense(&[1.0], &[7.0]));
}

#[test]
fn a_layer_keeps_one_unit() {
    let layers = [dense(&[0.0; 4], &[1.0, 2.0]), dense(&[3.0, 4.0], &[5.0])];
    let small = shrink(&Model::mlp(&[2]), &layers).unwrap();
    assert_eq!(small.model, Model::mlp(&[1]));
    assert_eq!(small.layers[1], dense(&[0.0], &[16.0]));
}

#[test]
fn layers_must_fit_the_model() {
    let layers = [dense(&[1.0; 6], &[0.0; 3]), dense(&[1.0; 6], &[0.0; 2])];
    assert!(shrink(&Model::mlp(&[3]), &layers).is_ok());
    let wrong = |model: &[u32], layers: &[Dense], what: &str| {
        let message = shrink(&Model::mlp(model), layers).unwrap_err().to_string();
        assert!(message.contains(what), "{message} lacks {what}");
    };
    wrong(&[3, 2], &layers, "2 layers, the model has 3");
    wrong(&[4], &layers, "fc1 has 3 biases, the model has 4 units");
    wrong(&[3], &[layers[0].clone(), dense(&[1.0; 5], &[0.0; 2])], "fc2 has 5 weights");
    wrong(&[3], &[dense(&[1.0; 7], &[0.0; 3]), layers[1].clone()], "fc1 has 7 weights");
}

proptest! {
    /// Folded biases are rounded once each, and carry that on: a few units of all that went in.
    #[test]
    fn the_smaller_network_computes_the_same(
        widths in prop::collection::vec(1usize..7, 3..6), sparsity in 0.0f64..=1.0, seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let layers: Vec<Dense> = widths
            .windows(2)
            .map(|w| {
                let mut value = |zero: f64| {
                    if random() < zero { 0.0 } else { (random() * 2.0 - 1.0) as f32 }
                };
                let weight = (0..w[0] * w[1]).map(|_| value(sparsity)).collect();
                Dense { weight, bias: (0..w[1]).map(|_| value(0.2)).collect() }
            })
            .collect();
        let hidden: Vec<u32> = widths[1..widths.len() - 1].iter().map(|&w| w as u32).collect();
        let small = shrink(&Model::mlp(&hidden), &layers).unwrap();
        for (kept, layer) in small.kept.iter().zip(&small.layers) {
            prop_assert!(!kept.is_empty() && kept.len() == layer.bias.len());
        }
        for _ in 0..4 {
            let x: Vec<f64> = (0..widths[0]).map(|_| random()).collect();
            let (whole, small) = (forward(&layers, &x), forward(&small.layers, &x));
            for ([want, magnitude], [got, _]) in whole.iter().zip(&small) {
                let bound = widths.len() as f64 * f64::from(f32::EPSILON) * magnitude;
                prop_assert!((want - got).abs() <= bound, "{} is not {}", got, want);
            }
        }
        // Nothing that is left is dead.
        let again = shrink(&small.model, &small.layers).unwrap();
        prop_assert_eq!(&again.model, &small.model);
    }
}
