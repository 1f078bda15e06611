//! Upstream's threshold, bin for bin: TensorFlow 1.9's own numbers, and the host reference.

use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;
use serde_json::Value;

use super::LENGTHS;
use crate::common::{Bench, Noise, Rig, gpu};

struct Updater<'a> {
    bench: Bench<'a>,
    values: Slot,
    sparsities: Slot,
    mask_state: Slot,
    mask: Slot,
}

impl<'a> Updater<'a> {
    fn new(gpu: &'a Gpu, len: usize, nbins: u32, decay: f64) -> Self {
        // Odd lengths as GPUs have them.
        let software = len.is_multiple_of(2);
        let mut rig = Rig::for_target(gpu, Target { software, ..Target::default() });
        let (values, sparsities) = (rig.output("values", len), rig.output("sparsities", 2));
        let bins = rig.slot("bins", &vec![0u32; nbins as usize]);
        let peak = rig.slot("peak", &[0u32]);
        let mask_state = rig.slot("mask_state", &[MaskState::default()]);
        let mask = rig.slot("mask", &ones(len as u32));
        rig.push(MaskBegin { mask_state, keep_nan: false });
        HistogramThreshold { sparsities, selection: 1, bins, peak, nbins, decay }
            .push(&mut rig.plan, values, mask_state, mask, len as u32)
            .unwrap();
        Self { bench: rig.build(), values, sparsities, mask_state, mask }
    }

    fn run(&self, values: &[f32], sparsity: f32) -> (MaskState, Vec<u32>) {
        self.bench.upload(self.values, values);
        self.bench.upload(self.sparsities, &[f32::NAN, sparsity]);
        self.bench.run();
        let state = self.bench.read::<MaskState>(self.mask_state)[0];
        let mask: Vec<u32> = self.bench.read(self.mask);
        assert_eq!(state.kept, mask.iter().map(|w| w.count_ones()).sum::<u32>());
        (state, mask)
    }
}

/// Quotients are to the nearest, so that without a decay all is exact. The two products and the sum
/// that a decay adds make 2 units of rounding at most; those of the updates before stay with it, so
/// that there are `2 / (1 - decay)` in the end.
fn close(got: f32, want: f32, decay: f64, context: &str) {
    let units = got.to_bits().abs_diff(want.to_bits());
    let most = if decay == 0.0 { 0.0 } else { 2.0 / (1.0 - decay) };
    assert!(f64::from(units) <= most, "{context}: threshold {got}, not {want}");
}

#[test]
fn every_golden_mask_comes_out() {
    let Some(gpu) = gpu() else { return };
    let text = crate::paths::golden("mask_update_tf19.json");
    let golden: Value = serde_json::from_str(&text).unwrap();
    let mut cases = 0;
    for case in golden["cases"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let name = case["w"].as_str().unwrap();
        let values = flat(&golden["arrays"][name]);
        let (nbins, decay, sparsity) =
            (number("nbins") as u32, number("decay"), number("sparsity") as f32);
        let updater = Updater::new(gpu, values.len(), nbins, decay);
        // One update, or a sequence of them.
        let outs = case
            .get("seq")
            .map_or_else(|| vec![&case["out"]], |s| s.as_array().unwrap().iter().collect());
        let mask = case.get("mask").unwrap_or_else(|| &case["final_mask"]);
        let mut got = Vec::new();
        for (n, out) in outs.into_iter().enumerate() {
            let state;
            (state, got) = updater.run(&values, sparsity);
            let context = format!("{name}, {sparsity} of {nbins} bins, decay {decay}, update {n}");
            close(
                f32::from_bits(state.threshold),
                out["threshold"].as_f64().unwrap() as f32,
                decay,
                &context,
            );
            assert_eq!(u64::from(state.kept), out["kept"].as_u64().unwrap(), "{context}");
        }
        let mut want = vec![0u32; got.len()];
        for (i, &kept) in flat(mask).iter().enumerate() {
            want[i / 32] |= u32::from(kept == 1.0) << (i % 32);
        }
        let wrong = (0..values.len()).find(|&i| bit(&got, i) != bit(&want, i));
        assert_eq!(wrong, None, "{name}, {sparsity} of {nbins} bins, decay {decay}");
        cases += 1;
    }
    assert_eq!(cases, 36);
}

/// Numbers of a nested list, flat.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn linspace(n: usize) -> Vec<f32> {
    (1..=n).map(|i| i as f32).collect()
}

/// Kept and threshold for 1, 2, ..., 100, measured on TensorFlow 1.9.
#[test]
fn upstreams_table_comes_out() {
    let Some(gpu) = gpu() else { return };
    let table = [
        (256, 0.1, 91, 9.765625),
        (256, 0.25, 75, 25.0),
        (256, 0.5, 50, 50.0),
        (256, 0.51, 50, 50.78125),
        (256, 0.75, 25, 75.0),
        (256, 0.9, 11, 89.84375),
        (256, 0.95, 6, 94.921875),
        (256, 0.99, 2, 98.828125),
        (256, 1.0, 1, 99.609375),
        (100, 0.5, 50, 50.0),
        (100, 0.9, 10, 90.0),
        (100, 0.95, 5, 95.0),
        (255, 0.5, 51, 49.80392),
    ];
    for (nbins, sparsity, kept, threshold) in table {
        let (state, _) = Updater::new(gpu, 100, nbins, 0.0).run(&linspace(100), sparsity);
        assert_eq!(state.kept, kept, "{sparsity} of {nbins} bins");
        close(
            f32::from_bits(state.threshold),
            threshold,
            0.0,
            &format!("{sparsity} of {nbins} bins"),
        );
    }
}

#[test]
fn a_decay_makes_the_mask_lag() {
    let Some(gpu) = gpu() else { return };
    let updater = Updater::new(gpu, 100, 256, 0.9);
    let kept: Vec<u32> = (0..12).map(|_| updater.run(&linspace(100), 0.5).0.kept).collect();
    assert_eq!(kept, [95, 91, 87, 83, 80, 77, 74, 72, 70, 68, 66, 65]);
}

#[test]
fn edges_are_as_upstreams() {
    let Some(gpu) = gpu() else { return };
    let kept = |values: &[f32], sparsity| {
        let (state, _) = Updater::new(gpu, values.len(), 256, 0.0).run(values, sparsity);
        (state.kept, state.nan)
    };
    assert_eq!(kept(&[0.0; 40], 0.5), (0, 0), "all zero: nothing is above the threshold");
    assert_eq!(kept(&[-0.25; 40], 0.9), (40, 0), "all equal");
    let half: Vec<f32> = (0..40).map(|i| if i % 2 == 0 { 0.0 } else { 1.5 }).collect();
    assert_eq!(kept(&half, 0.5), (20, 0), "just the zeros");
    let far = [1.0, f32::INFINITY, -2.0, f32::NEG_INFINITY, 0.5, 4.0];
    assert_eq!(kept(&far, 0.6), (3, 0), "infinite ones are far out, and stay");
    assert_eq!(kept(&[1.0, f32::NAN, 2.0], 0.5).1, 1);
}

#[test]
fn it_follows_the_reference() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for (nbins, decay) in [(2, 0.0), (255, 0.5), (2048, 0.0), (2049, 0.9), (65_536, 0.0)] {
            let updater = Updater::new(gpu, len, nbins, decay);
            let mut old = 0.0;
            for sparsity in [0.0, 0.3, 0.9, 1.0] {
                let values = Noise::new(len as u64 + 1).floats(len, 1.0);
                let (state, mask) = updater.run(&values, sparsity);
                let (threshold, want) =
                    histogram_threshold_reference(&values, old, sparsity, nbins, decay);
                let context = format!("{len} values, {sparsity} of {nbins} bins, decay {decay}");
                close(f32::from_bits(state.threshold), threshold, decay, &context);
                // The threshold itself may be off by its roundings.
                let near = |i: usize| (values[i].abs() - threshold).abs() <= 1e-6 * threshold;
                let wrong = (0..len).find(|&i| bit(&mask, i) != bit(&want, i) && !near(i));
                assert_eq!(wrong, None, "{context}");
                old = f32::from_bits(state.threshold);
            }
        }
    }
}
