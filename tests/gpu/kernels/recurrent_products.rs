//! Steps of recurrent layers with their products in one launch: the second of three times, at sizes
//! around a workgroup and a tile.
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

/// Rows, units, elements of a state, and features before them.
const SIZES: [[usize; 4]; 6] =
    [[1, 1, 1, 1], [3, 5, 5, 2], [8, 8, 8, 3], [9, 17, 64, 4], [7, 9, 65, 1], [17, 33, 130, 5]];

/// Whether weight `at` is kept.
fn kept(mask: &[u32], at: usize) -> bool {
    mask[at / 32] >> (at % 32) & 1 == 1
}

/// What is around the `of`-th of parts of `one` words each stays.
fn others_are_left(before: &[f32], after: &[f32], of: usize, one: usize) {
    let same = |range: std::ops::Range<usize>| {
        before[range.clone()].iter().zip(&after[range]).all(|(x, y)| x.to_bits() == y.to_bits())
    };
    assert!(same(0..of * one) && same((of + 1) * one..before.len()));
}

#[test]
fn a_step_of_an_lstm() {
    let Some(gpu) = gpu() else { return };
    for [rows, units, outputs, width] in SIZES {
        for (masked, projects, peeps) in [(false, false, false), (true, true, true)] {
            // Without a projection the states are the units'.
            let outputs = if projects { outputs } else { units };
            let clip = peeps.then_some(0.4f32);
            let (one, stride) = (rows * units, width + outputs);
            let mut noise = Noise::new((rows * units + outputs) as u64);
            let weights = noise.floats(stride * 4 * units, 0.5);
            let mask = noise.words(weights.len().div_ceil(32));
            let (sums, cells) = (noise.floats(3 * 4 * one, 1.0), noise.floats(4 * one, 1.0));
            let (states, peepholes) =
                (noise.floats(4 * rows * stride, 1.0), noise.floats(3 * units, 0.5));
            let hidden = noise.floats(3 * one, 1.0);
            let [r, u, o, w] = [rows, units, outputs, width].map(|n| n as u32);
            let step = LstmStep { rows: r, units: u, time: 1, forget_bias: 1.0, clip };
            let place = |time: u32| Stride { begin: time * r * (w + o) + w, stride: w + o };
            let mut rig = Rig::new(gpu);
            let (gates, cell) = (rig.slot("gates", &sums), rig.slot("cells", &cells));
            let inputs = rig.slot("inputs", &states);
            let out = if projects { rig.slot("hidden", &hidden) } else { inputs };
            let to = match projects {
                true => Stride { begin: r * u, stride: u },
                false => place(2),
            };
            let values = rig.slot("weights", &weights);
            let mask_at = rig.slot("mask", &mask);
            let p = rig.slot("peepholes", &peepholes);
            rig.push(LstmProduct {
                step,
                weights: StateWeights { values, mask: masked.then_some(mask_at), width: w },
                peepholes: peeps.then_some(p),
                projected: projects.then_some(inputs),
                from: place(1),
                outputs: o,
                gates,
                cells: cell,
                out,
                to,
            });
            let bench = rig.run();
            let here = 4 * one..8 * one;
            let operands: [&[f32]; 5] = [
                &sums[here.clone()],
                &cells[one..2 * one],
                &peepholes,
                &weights,
                &states[rows * stride..2 * rows * stride],
            ];
            let f = |x: &[Vec<f64>]| {
                let mut all: Vec<Vec<f64>> = vec![Vec::new(); 2];
                let mut of = vec![0.0; 4 * one];
                for (row, unit) in (0..rows).flat_map(|r| (0..units).map(move |u| (r, u))) {
                    let gate = |n: usize| row * 4 * units + n * units + unit;
                    let sum = |n: usize| {
                        let term = |k: usize| {
                            let at = (width + k) * 4 * units + n * units + unit;
                            let state = x[4][row * stride + width + k];
                            if masked && !kept(&mask, at) { 0.0 } else { state * x[3][at] }
                        };
                        x[0][gate(n)] + (0..outputs).map(term).sum::<f64>()
                    };
                    let peep = |n: usize| if peeps { x[2][n * units + unit] } else { 0.0 };
                    let before = x[1][row * units + unit];
                    let sums = [0, 1, 2, 3].map(sum);
                    let (gates, [_, after, h]) =
                        lstm_reference(sums, before, [0, 1, 2].map(peep), 1.0, clip);
                    (0..4).for_each(|n| of[gate(n)] = gates[n]);
                    all[0].push(h);
                    all[1].push(after);
                }
                all.push(of);
                all.concat()
            };
            let (want, bounds) = bounds_of(&operands, 64 + outputs, f);
            let (gates, cell): (Vec<f32>, Vec<f32>) = (bench.read(gates), bench.read(cell));
            let written: Vec<f32> = bench.read(out);
            let h = (0..rows).flat_map(|row| {
                let begin = to.begin as usize + row * to.stride as usize;
                written[begin..begin + units].to_vec()
            });
            let got = [h.collect(), cell[2 * one..3 * one].to_vec(), gates[here].to_vec()].concat();
            let context = |e| panic!("{rows} x {units} of {outputs}, {masked}: {e}");
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            others_are_left(&sums, &gates, 1, 4 * one);
            others_are_left(&cells, &cell, 2, one);
            match projects {
                true => others_are_left(&hidden, &written, 1, one),
                false => others_are_left(&states, &written, 2, rows * stride),
            }
        }
    }
}

#[test]
fn a_step_of_the_gradient_of_an_lstm() {
    let Some(gpu) = gpu() else { return };
    for [rows, units, _, width] in SIZES {
        for (masked, peeps) in [(false, false), (true, true)] {
            let clip = peeps.then_some(0.4f32);
            let one = rows * units;
            let mut noise = Noise::new((rows * units) as u64);
            let weights = noise.floats((width + units) * 4 * units, 0.5);
            let mask = noise.words(weights.len().div_ceil(32));
            // What gates are: between 0 and 1, and here a candidate, too.
            let gates: Vec<f32> =
                noise.floats(3 * 4 * one, 0.5).iter().map(|x| x.abs() + 0.2).collect();
            let (cells, peepholes) = (noise.floats(4 * one, 1.0), noise.floats(3 * units, 0.5));
            let (gradient, carry) = (noise.floats(one, 1.0), noise.floats(one, 1.0));
            let of_gates = noise.floats(3 * 4 * one, 1.0);
            let [r, u, w] = [rows, units, width].map(|n| n as u32);
            let step = LstmStep { rows: r, units: u, time: 1, forget_bias: 1.0, clip };
            let mut rig = Rig::new(gpu);
            let (values, mask_at) = (rig.slot("weights", &weights), rig.slot("mask", &mask));
            let (g, c) = (rig.slot("gates", &gates), rig.slot("cells", &cells));
            let (of_h, p) = (rig.slot("gradient", &gradient), rig.slot("peepholes", &peepholes));
            let (back, out) = (rig.slot("carry", &carry), rig.slot("of_gates", &of_gates));
            rig.push(LstmGradientProduct {
                step,
                weights: StateWeights { values, mask: masked.then_some(mask_at), width: w },
                gradient: of_h,
                from: Stride { begin: 0, stride: u },
                gates: g,
                cells: c,
                peepholes: peeps.then_some(p),
                carry: back,
                out,
            });
            let bench = rig.run();
            let here = 4 * one..8 * one;
            let operands: [&[f32]; 7] = [
                &gates[here.clone()],
                &cells[one..3 * one],
                &peepholes,
                &gradient,
                &carry,
                &of_gates[8 * one..],
                &weights,
            ];
            let f = |x: &[Vec<f64>]| {
                let mut back = Vec::new();
                let mut of = vec![0.0; 4 * one];
                for (row, unit) in (0..rows).flat_map(|r| (0..units).map(move |u| (r, u))) {
                    let at = row * units + unit;
                    let gate = |n: usize| row * 4 * units + n * units + unit;
                    let term = |k: usize| {
                        let at = (width + unit) * 4 * units + k;
                        let sent = x[5][row * 4 * units + k];
                        if masked && !kept(&mask, at) { 0.0 } else { sent * x[6][at] }
                    };
                    let of_h = x[3][at] + (0..4 * units).map(term).sum::<f64>();
                    let [i, j, f, o] = [0, 1, 2, 3].map(|n| x[0][gate(n)]);
                    let (before, after) = (x[1][at], x[1][one + at]);
                    let peep = |n: usize| if peeps { x[2][n * units + unit] } else { 0.0 };
                    let (sums, sent, _) = lstm_gradient_reference(
                        [of_h, x[4][at]],
                        [i, j, f, o],
                        [before, f * before + i * j, after],
                        [0, 1, 2].map(peep),
                        clip,
                    );
                    (0..4).for_each(|n| of[gate(n)] = sums[n]);
                    back.push(sent);
                }
                [back, of].concat()
            };
            let (want, bounds) = bounds_of(&operands, 64 + 4 * units, f);
            let of: Vec<f32> = bench.read(out);
            let got = [bench.read::<f32>(back), of[here].to_vec()].concat();
            let context = |e| panic!("{rows} x {units}, {masked}: {e}");
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            others_are_left(&of_gates, &of, 1, 4 * one);
        }
    }
}

/// Both halves, and both of their gradients: each on values of its own.
#[test]
fn a_step_of_a_gru_and_its_gradient() {
    let Some(gpu) = gpu() else { return };
    for [rows, units, _, width] in SIZES {
        for masked in [false, true] {
            let (one, stride) = (rows * units, width + units);
            let mut noise = Noise::new((rows * units) as u64);
            let mut floats = |len: usize, size| noise.floats(len, size);
            let (to_gates, to_candidate) =
                (floats(stride * 2 * units, 0.5), floats(stride * units, 0.5));
            let (gates, candidates) = (floats(3 * 2 * one, 1.0), floats(3 * one, 1.0));
            let (inputs, resets) = (floats(4 * rows * stride, 1.0), floats(3 * rows * stride, 1.0));
            let (gradient, carry) = (floats(3 * one, 1.0), floats(one, 1.0));
            let (of_gates, of_candidates) = (floats(3 * 2 * one, 1.0), floats(3 * one, 1.0));
            let mask = noise.words(to_gates.len().div_ceil(32));
            let [r, u, w] = [rows, units, width].map(|n| n as u32);
            let step = GruStep { rows: r, units: u, width: w, length: 3, time: 1 };
            let mut rig = Rig::new(gpu);
            let mask_at = rig.slot("mask", &mask);
            let mut weights = |values: &[f32]| StateWeights {
                values: rig.slot("weights", values),
                mask: masked.then_some(mask_at),
                width: w,
            };
            let [for_gates, for_candidate] = [&to_gates, &to_candidate].map(|w| weights(w));
            let mut slot = |values: &[f32]| rig.slot("tape", values);
            let [g, c, x, res] = [&gates, &candidates, &inputs, &resets].map(|v| slot(v));
            let [of_y, back, of_g, of_c] =
                [&gradient, &carry, &of_gates, &of_candidates].map(|v| slot(v));
            let weights = for_gates;
            rig.push(GruResetProduct { step, weights, inputs: x, gates: g, resets: res });
            let (weights, resets_at) = (for_candidate, res);
            rig.push(GruProduct {
                step,
                weights,
                resets: resets_at,
                gates: g,
                candidates: c,
                inputs: x,
            });
            let weights = for_gates;
            rig.push(GruGradientProduct {
                step,
                weights,
                gates: g,
                candidates: c,
                inputs: x,
                carry: back,
                of_gates: of_g,
                of_candidates: of_c,
            });
            let weights = for_candidate;
            rig.push(GruResetGradientProduct {
                step,
                weights,
                gradient: of_y,
                gates: g,
                inputs: x,
                of_candidates: of_c,
                carry: back,
                of_gates: of_g,
            });
            let bench = rig.run();
            let operands: [&[f32]; 8] = [
                &gates,
                &candidates,
                &inputs,
                &gradient,
                &carry,
                &of_gates,
                &to_gates,
                &to_candidate,
            ];
            let weight = |values: &[f64], at: usize| {
                if masked && !kept(&mask, at) { 0.0 } else { values[at] }
            };
            let pairs = || (0..rows).flat_map(|row| (0..units).map(move |unit| (row, unit)));
            let f = |v: &[Vec<f64>]| {
                let state =
                    |time: usize, row: usize, k: usize| (time * rows + row) * stride + width + k;
                let sum = |n: usize, row: usize, unit: usize| {
                    let term = |k: usize| {
                        let at = (width + k) * 2 * units + n * units + unit;
                        v[2][state(1, row, k)] * weight(&v[6], at)
                    };
                    let of_inputs = v[0][2 * one + row * 2 * units + n * units + unit];
                    of_inputs + (0..units).map(term).sum::<f64>()
                };
                let mut all: Vec<Vec<f64>> = vec![Vec::new(); 6];
                let mut back = vec![0.0; one];
                let mut of_candidate = vec![0.0; one];
                let mut of_r = vec![0.0; one];
                for (row, unit) in pairs() {
                    let before = |k: usize| v[2][state(1, row, k)];
                    let reset =
                        |k: usize| gru_reference([sum(0, row, k), 0.0], 0.0, 0.0).0[0] * before(k);
                    let term = |k: usize| reset(k) * weight(&v[7], (width + k) * units + unit);
                    let i = row * units + unit;
                    let candidate = v[1][one + i] + (0..units).map(term).sum::<f64>();
                    let sums = [sum(0, row, unit), sum(1, row, unit)];
                    let ([r, z, c], after) = gru_reference(sums, candidate, before(unit));
                    let term = |k: usize| {
                        let sent = v[5][4 * one + row * 2 * units + k];
                        sent * weight(&v[6], (width + unit) * 2 * units + k)
                    };
                    let of_h = v[4][i] + (0..2 * units).map(term).sum::<f64>();
                    let ([of_c, of_z], straight) =
                        gru_gradient_reference(of_h, [z, c], before(unit));
                    (of_candidate[i], back[i], of_r[i]) = (of_c, straight, r);
                    all[0].push(reset(unit));
                    all[1].push(after);
                    all[2].push(of_c);
                    all[3].push(of_z);
                }
                for (row, unit) in pairs() {
                    let i = row * units + unit;
                    let term = |k: usize| {
                        let sent = of_candidate[row * units + k];
                        sent * weight(&v[7], (width + unit) * units + k)
                    };
                    let of_product = (0..units).map(term).sum::<f64>();
                    let (r, before) = (of_r[i], v[2][state(1, row, unit)]);
                    all[4].push(of_product * before * r * (1.0 - r));
                    let of_output = v[3][row * 3 * units + unit];
                    all[5].push(back[i] + of_product * r + of_output);
                }
                all.concat()
            };
            let (want, bounds) = bounds_of(&operands, 64 + 2 * units, f);
            let places = |of: &dyn Fn(usize, usize) -> usize, values: &[f32]| -> Vec<f32> {
                pairs().map(|(row, unit)| values[of(row, unit)]).collect()
            };
            let state = |time: usize| {
                move |row: usize, unit: usize| (time * rows + row) * stride + width + unit
            };
            let gate = |n: usize| {
                move |row: usize, unit: usize| 2 * one + row * 2 * units + n * units + unit
            };
            let (of, states): (Vec<f32>, Vec<f32>) = (bench.read(of_g), bench.read(x));
            let got = [
                places(&state(1), &bench.read::<f32>(res)),
                places(&state(2), &states),
                bench.read::<f32>(of_c)[one..2 * one].to_vec(),
                places(&gate(1), &of),
                places(&gate(0), &of),
                bench.read(back),
            ]
            .concat();
            let context = |e| panic!("{rows} x {units}, {masked}: {e}");
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            others_are_left(&of_gates, &of, 1, 2 * one);
            others_are_left(&inputs, &states, 2, rows * stride);
            others_are_left(&of_candidates, &bench.read::<f32>(of_c), 1, one);
        }
    }
}
