//! Which units go by a text, and what makes up for them.
use safetensors::Dtype;
use secateur::pretrained::{Pretrained, Window};

use super::super::Golden;
use super::{ORDER, exact, given, llama, removed, zero};
use crate::common::gpu;
use crate::interpreter::evaluate;
use crate::models::Copied;

fn windows() -> Vec<Window> {
    let golden = Golden::open("llama");
    golden.rows("input_ids").into_iter().map(Window::new).collect()
}

/// Units that do nothing are those that go, by the weights and by data.
#[test]
fn units_that_are_zero_go_first() {
    if gpu().is_none() {
        return;
    }
    let mut copied = Copied::of("llama");
    let mut goes = [vec![false; 6], vec![false; 96]];
    goes[0][3..].fill(true);
    [0, 17, 18, 50, 95].iter().for_each(|&channel| goes[1][channel] = true);
    for layer in 0..2 {
        for (places, goes) in llama(8, 3, false).iter().zip(&goes) {
            zero(&mut copied, &format!("model.layers.{layer}"), places, goes);
        }
    }
    let model = Pretrained::open(copied.write()).unwrap();
    let amounts = "heads=3,channels=5";
    let (_, by_weights) = removed(&model, amounts, None);
    let (folder, by_data) = removed(&model, amounts, Some(&windows()));
    for report in [&by_weights, &by_data] {
        for block in &report.blocks {
            for (kept, goes) in block.kept.iter().zip(&goes) {
                let stays = |unit: &u32| !goes[*unit as usize];
                assert_eq!(kept.kept, (0..kept.of).filter(stays).collect::<Vec<_>>());
            }
        }
    }
    // Zeros less change nothing but the order of sums.
    assert!(by_data.blocks.iter().all(|b| b.error.unwrap() < 1e-12), "{by_data:?}");
    let (small, whole) = (exact(&Pretrained::open(folder.path()).unwrap()), exact(&model));
    assert!(small.iter().zip(&whole).all(|(a, b)| (a - b).abs() <= ORDER));
}

/// How much the weights that stay are held to what they were, in lengths of their inputs.
const DAMPING: f64 = 0.4;

/// Llama whose weights that are moved are of 16 bits.
fn in_16_bits() -> Copied {
    let mut copied = Copied::of("llama");
    for (name, held) in &mut copied.tensors {
        if name.ends_with("down_proj.weight") {
            let high = |x: f32| (x.to_bits() >> 16) as u16;
            held.bytes = held.values().into_iter().flat_map(|x| high(x).to_le_bytes()).collect();
            held.dtype = Dtype::BF16;
        }
    }
    copied
}

/// The channels that stay are those with the highest sums of `(|w| |x|)^2`, in f64. The folder has
/// the perplexity that was found on the way, by weights as it has them.
#[test]
fn by_data_those_stay_that_add_most_and_make_up_for_the_others() {
    let Some(gpu) = gpu() else { return };
    let (copied, windows) = (in_16_bits(), windows());
    let model = Pretrained::open(copied.write()).unwrap();
    let (folder, report) = removed(&model, "channels=0.5", Some(&windows));
    let of = model.whole(windows.len() as u32, windows[0].ids.len() as u32).unwrap();
    let ids = windows.iter().flat_map(|w| w.ids.iter().map(|&id| id as f32)).collect::<Vec<_>>();
    let parameter = |source| model.parameter(source).unwrap().into_iter().map(f64::from).collect();
    let parameters: Vec<Vec<f64>> = of.sources.iter().map(parameter).collect();
    let name = "model.layers.0.mlp.down_proj.weight";
    let at = of.graph.parameters().iter().position(|p| p.name == name).unwrap();
    let read = of.graph.inputs_of(of.graph.parameters()[at].tensor)[0];
    let x =
        evaluate(&of.graph, &given(&ids, windows.len(), &parameters), read, None).pop().unwrap();
    let moment = |i: usize, j: usize| x.chunks(96).map(|x| x[i] * x[j]).sum::<f64>();
    let gram: Vec<f64> = (0..96 * 96).map(|e| moment(e / 96, e % 96)).collect();
    let weights = &parameters[at];
    let score =
        |c: usize| gram[97 * c] * weights.iter().skip(c).step_by(96).map(|w| w * w).sum::<f64>();
    let kept: Vec<usize> = report.blocks[0].kept[0].kept.iter().map(|&c| c as usize).collect();
    assert_eq!(kept.len(), 48);
    let lowest = kept.iter().map(|&c| score(c)).fold(f64::INFINITY, f64::min);
    let gone = || (0..96).filter(|c| !kept.contains(c));
    let highest = gone().map(score).fold(0.0, f64::max);
    // Sums of f32 may order two that are all but equal the other way.
    assert!(lowest >= highest * (1.0 - 1e-5), "{lowest} stays, {highest} goes");

    // Where the sum of the squares of what the outputs lack, and of how far the weights have gone,
    // is least, it does not change with any weight: but for what 8 bits of a weight leave open.
    let small = Pretrained::open(folder.path()).unwrap();
    let moved: Vec<f64> =
        small.files().read_f32(name).unwrap().into_iter().map(f64::from).collect();
    let (mut stayed, mut far) = (0, 0);
    for (new, old) in moved.chunks(48).zip(weights.chunks(96)) {
        for (i, &c) in kept.iter().enumerate() {
            let with = |(j, &d): (usize, &usize)| {
                let more = if i == j { 1.0 + DAMPING } else { 1.0 };
                [
                    (new[j] - old[d]) * more * gram[96 * c + d],
                    new[j].abs() * more * gram[96 * c + d].abs(),
                ]
            };
            let of_kept = kept.iter().enumerate().map(with);
            let [slope, open] = of_kept.fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
            let lack: f64 = gone().map(|d| old[d] * gram[96 * c + d]).sum();
            // A weight is rounded by 2^-9 of itself at most; a thousandth for sums of f32.
            let bound = open * (2.0_f64.powi(-9) + 1e-3);
            assert!(
                (slope - lack).abs() <= bound,
                "{c}: {slope} makes up for {lack}, {bound} open"
            );
            far += usize::from(lack.abs() > 4.0 * bound);
            stayed += usize::from(new[i] == old[c]);
        }
    }
    // The comparison has teeth.
    assert!(far > 48 * 48 / 8 && stayed < 48 * 48 / 8, "{far} that lack much, {stayed} stayed");

    let found = small.perplexity(gpu, &windows, &mut |_, _| {}).unwrap().perplexity;
    let calibrated = report.calibration_perplexity.unwrap();
    assert!((found / calibrated - 1.0).abs() < 1e-6, "{found}, {calibrated}");
    assert!(report.blocks.iter().all(|b| b.error.unwrap() > 1e-6));
}
