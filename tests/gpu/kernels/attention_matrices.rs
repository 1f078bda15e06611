//! `attention` on cooperative matrices of halves: `SKIPPED` where the adapter has none.
use secateur::gpu::{Gpu, PlanBuilder, Target};
use secateur::kernels::*;

use super::attention::Operands;
use crate::common::{Tol, bounds_of, cooperative_gpu};

/// An operand is off by 2^-10 of itself at most, whichever way the device rounds to 11 bits: as the
/// sum of so many terms in f32. Weights are rounded alike, and beside those of values that is less
/// than what `bounds` leaves. What a half loses of small numbers is below 2^-24 of the largest in
/// all tiles so far, and of weights below 2^-22 of the highest.
const HALVES: usize = 1 << 28;

/// Those of GPUs with the adapter's matrices, in subgroups as they are and in larger ones: there
/// half of the subgroups or more have no matrices.
fn targets(gpu: &Gpu) -> Vec<Target> {
    let own = Target { software: false, ..gpu.target() };
    let largest = own.largest_subgroup.unwrap();
    let wider = [1, 2, 4].map(|times| largest * times).into_iter().filter(|&size| size <= 32);
    wider.map(|largest| Target { largest_subgroup: Some(largest), ..own }).collect()
}

/// Whether a plan for `target` has `shape` on matrices.
fn on_matrices(shape: Heads, target: Target) -> bool {
    let mut plan = PlanBuilder::new(target);
    plan.phase("test");
    let len = shape.heads * shape.length * shape.batch * shape.width * 3;
    let [queries, keys, values, out] = [len; 4].map(|words| plan.persistent("", words));
    let logs = plan.persistent("", shape.queries());
    let of = Attended { shape, queries, keys, values, seen: None };
    Attention { of, logs, out }.push(&mut plan).unwrap();
    plan.to_string().contains("(coop_")
}

/// On the `nth` of the targets: a software adapter's compiler takes many seconds for each.
fn check(shape: Heads, operands: &Operands, nth: usize) {
    let Some(gpu) = cooperative_gpu() else { return };
    let targets = targets(gpu);
    let target = targets[nth % targets.len()];
    assert!(on_matrices(shape.masked(false), target), "{shape:?}, {target:?}");
    operands.check_on(gpu, shape, target, HALVES);
}

#[test]
fn lengths_and_widths() {
    let lengths = [[63, 64, 65], [1, 33, 200]];
    for (nth, width) in [16, 64, 80, 128, 100].into_iter().enumerate() {
        for length in lengths[nth % 2] {
            let causal = nth < 3;
            let shape = Heads::new([1, 2, length, width]).causal(causal).packed(causal);
            check(shape, &Operands::new(&shape), nth);
        }
    }
}

#[test]
fn shared_heads_windows_and_what_nobody_sees() {
    let shapes = [
        Heads::new([2, 4, 70, 32]).kv_heads(2).causal(true),
        Heads::new([1, 6, 33, 64]).kv_heads(1),
        Heads::new([2, 2, 130, 16]).window(Some(20)).masked(true).packed(true),
        Heads::new([3, 2, 65, 48]).causal(true).masked(true).scale(0.3),
        Heads::new([1, 1, 200, 64]).window(Some(1)),
    ];
    for (nth, shape) in shapes.into_iter().enumerate() {
        check(shape, &Operands::new(&shape), nth);
    }
}

/// Scores that rise from block to block by far more than what a half holds, values and gradients
/// that do, and all falling.
#[test]
fn sums_fade_as_scores_and_values_rise() {
    let (length, width) = (200, 64);
    let shape = Heads::new([1, 1, length, width]).causal(true);
    for (falling, of_gradient) in [(false, 0.0), (true, 0.0), (false, 1.5), (true, 1.5)] {
        let mut operands = Operands::new(&shape);
        let rise = |values: &mut [f32], power: f32| {
            for (at, row) in values.chunks_mut(width as usize).enumerate() {
                let at = if falling { length as usize - at } else { at };
                row.iter_mut().for_each(|x| *x *= (at as f32 / 16.0).exp2().powf(power));
            }
        };
        // Not together: a slope is a difference of products that rise by both, and is off by what
        // halves leave of these.
        if of_gradient == 0.0 {
            rise(&mut operands.keys, 0.4);
            rise(&mut operands.values, 2.0);
        }
        rise(&mut operands.gradient, of_gradient);
        check(shape, &operands, 0);
        // Each row beside the largest value that it sees.
        let Some(gpu) = cooperative_gpu() else { return };
        let mut most = 0.0_f32;
        let of_row = |row: &[f32]| {
            most = row.iter().fold(most, |most, x| most.max(x.abs()));
            most
        };
        let most: Vec<f32> = operands.values.chunks(width as usize).map(of_row).collect();
        let beside = |at: usize| f64::from(most[at / width as usize]);
        let of = [&*operands.queries, &operands.keys, &operands.values];
        let (want, bounds) = bounds_of(&of, HALVES, |x| {
            let [queries, keys, values] = x else { panic!("three operands") };
            let of = AttendedValues { queries, keys, values, seen: None };
            let out = attention_reference(&shape, &of);
            out.into_iter().enumerate().map(|(at, x)| x / beside(at)).collect()
        });
        let got = operands.in_parts(gpu, shape, targets(gpu)[0], u32::MAX);
        let got: Vec<f64> =
            got.iter().enumerate().map(|(at, &x)| f64::from(x) / beside(at)).collect();
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{falling}: {e}"));
    }
}

/// Powers of two change no bit, however far they are from what a half holds: 2^17 is 131,072.
#[test]
fn large_and_tiny_operands_have_the_same_bits() {
    let Some(gpu) = cooperative_gpu() else { return };
    let shape = Heads::new([1, 2, 100, 64]).kv_heads(1).causal(true);
    let of = |[queries, keys, values]: [i32; 3]| {
        let mut operands = Operands::new(&shape);
        let scale =
            |x: &mut Vec<f32>, power: i32| x.iter_mut().for_each(|x| *x *= 2f32.powi(power));
        scale(&mut operands.queries, queries);
        scale(&mut operands.keys, keys);
        scale(&mut operands.values, values);
        let mut out = operands.in_parts(gpu, shape, gpu.target(), u32::MAX);
        scale(&mut out, -values);
        out
    };
    let plain = of([0; 3]);
    for powers in [[17, -17, 17], [-20, 20, -20], [60, -60, 100], [-90, 90, -90]] {
        assert!(of(powers) == plain, "{powers:?}");
    }
}

/// Operands of 10^5 and of 10^-6, whose scores are ordinary by their scale.
#[test]
fn what_halves_do_not_hold() {
    for (size, scale) in [(1e5, 1e-10), (1e-6, 1e12)] {
        let shape = Heads::new([1, 2, 70, 32]);
        let shape = shape.scale(shape.scale * scale);
        let mut operands = Operands::new(&shape);
        let all = [&mut operands.queries, &mut operands.keys, &mut operands.values];
        all.into_iter().flatten().for_each(|x| *x *= size);
        check(shape, &operands, 1);
    }
}

/// A launch goes on where the one before has stopped.
#[test]
fn positions_part_by_part() {
    let Some(gpu) = cooperative_gpu() else { return };
    let shape = Heads::new([2, 2, 200, 36]).kv_heads(1).window(Some(30)).masked(true);
    let operands = Operands::new(&shape);
    let seen: Vec<f64> = operands.seen.iter().map(|&s| s.into()).collect();
    let of = [&*operands.queries, &operands.keys, &operands.values];
    let (want, bounds) = bounds_of(&of, HALVES, |x| {
        let [queries, keys, values] = x else { panic!("three operands") };
        attention_reference(&shape, &AttendedValues { queries, keys, values, seen: Some(&seen) })
    });
    let target = targets(gpu)[0];
    let got = operands.in_parts(gpu, shape, target, 64);
    Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{shape:?}: {e}"));
    // Of the first sequence nothing is seen by any launch.
    assert!(got[..got.len() / 2].iter().all(|&x| x == 0.0));
    assert!(got == operands.in_parts(gpu, shape, target, 64), "two runs differ");
}

/// What is not finite stays so, wherever it is.
#[test]
fn nothing_hides_what_is_not_finite() {
    let Some(gpu) = cooperative_gpu() else { return };
    let shape = Heads::new([1, 1, 70, 32]);
    for bad in [f32::NAN, f32::INFINITY] {
        for operand in 0..3 {
            let mut operands = Operands::new(&shape);
            let of = [&mut operands.queries, &mut operands.keys, &mut operands.values];
            of.into_iter().nth(operand).unwrap()[33 * 32 + 5] = bad;
            let out = operands.in_parts(gpu, shape, gpu.target(), u32::MAX);
            assert!(!out[33 * 32 + 5].is_finite(), "{bad} of operand {operand}");
        }
    }
}

/// What decides whether an adapter's matrices are trusted makes products and attention.
#[test]
fn the_check_of_matrices_has_attention() {
    let Some(gpu) = cooperative_gpu() else { return };
    let check = secateur::bench::matrices(gpu).unwrap().unwrap();
    assert!(check.passed && check.detail.contains("attention 8 times"), "{check:?}");
}

/// Other widths, and adapters without matrices, have the f32 kernels.
#[test]
fn what_stays_in_32_bits() {
    let matrices = Target {
        precision: secateur::gpu::Precision::Mixed,
        cooperative: Some(16),
        largest_subgroup: Some(32),
        workgroup_bytes: 48 << 10,
        ..Target::default()
    };
    let of = |width, target| on_matrices(Heads::new([1, 1, 64, width]), target);
    let amd = Target { largest_subgroup: Some(64), ..matrices };
    let apple = Target { cooperative: Some(8), workgroup_bytes: 32 << 10, ..matrices };
    for width in [16, 64, 80, 128] {
        assert!([matrices, amd, apple].into_iter().all(|target| of(width, target)), "{width}");
        let f32 = Target { precision: secateur::gpu::Precision::F32, ..matrices };
        let none = Target { cooperative: None, ..matrices };
        // What WebGPU promises is too little for many channels.
        let little = Target { workgroup_bytes: 0, ..matrices };
        assert!([f32, none, little].into_iter().all(|target| !of(width, target)), "{width}");
    }
    assert!([8, 15, 65, 132, 256].into_iter().all(|width| !of(width, matrices)));
}
