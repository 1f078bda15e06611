//! `rearrange`, and single steps of `lstm` and `gru` with their gradients; products at places of
//! their own.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn rearranged_elements_are_where_they_belong() {
    let Some(gpu) = gpu() else { return };
    for [outer, inner, width] in [[1, 1, 1], [3, 5, 7], [4, 1, 65], [2, 257, 3], [1, 3, 300]] {
        // Times outermost behind a gap to rows outermost behind another, and rows with gaps.
        let from = Strides { begin: 2, outer: width + 1, inner: outer * (width + 1) };
        let to = Strides { begin: 3, outer: inner * width, inner: width };
        let words =
            |p: Strides| (p.begin + (outer - 1) * p.outer + (inner - 1) * p.inner + width) as usize;
        let mut noise = Noise::new(u64::from(width));
        let (x, before) = (noise.floats(words(from), 1.0), noise.floats(words(to), 1.0));
        for (limit, adds, resumes) in [
            (None, false, None),
            (Some(0.5), false, None),
            (None, true, None),
            (None, false, Some(0)),
            (None, false, Some(1)),
        ] {
            let mut rig = Rig::new(gpu);
            let (xs, out) = (rig.slot("x", &x), rig.slot("out", &before));
            let follows = resumes.unwrap_or(0);
            let step = rig.slot("step", &[Step { follows, ..Default::default() }]);
            let extents = [outer, inner, width];
            let resumes = resumes.map(|_| step);
            let mut moved = Rearrange::new([xs, out], extents, [from, to]);
            (moved.limit, moved.adds, moved.resumes) = (limit, adds, resumes);
            rig.push(moved);
            let got: Vec<f32> = rig.run().read(out);
            let mut want = wide(&before);
            let follows = resumes.is_none() || follows != 0;
            rearrange_reference(&wide(&x), &mut want, extents, [from, to], limit, adds, follows);
            // A sum of two rounds once.
            Tol::Ulp(u32::from(adds)).check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

#[test]
fn rearrangements_past_the_end_are_refused() {
    let mut plan = secateur::gpu::PlanBuilder::default();
    let [x, out] = [6, 6].map(|words| plan.persistent("tensor", words));
    plan.phase("test");
    let strides = |begin| Strides { begin, outer: 3, inner: 3 };
    let mut push = |from, to, extents| plan.push(Rearrange::new([x, out], extents, [from, to]));
    push(strides(0), strides(0), [2, 1, 3]).unwrap();
    let error = push(strides(1), strides(0), [2, 1, 3]).unwrap_err().to_string();
    assert!(error.contains("holds 6 words, the launch needs 7"), "{error}");
    let error = push(strides(0), strides(0), [2, 0, 3]).unwrap_err().to_string();
    assert!(error.contains("[2, 0, 3]"), "{error}");
}

/// Each of two times is its own matrix; what is around it stays.
#[test]
fn products_begin_where_they_are_told() {
    let Some(gpu) = gpu() else { return };
    for [m, n, k] in [[1, 1, 1], [3, 5, 7], [33, 65, 31], [40, 17, 9]] {
        let mut noise = Noise::new(u64::from(n));
        let [m_, n_, k_] = [m, n, k].map(|x| x as usize);
        let (a, b) = (noise.integers(2 * m_ * k_, 8), noise.integers(k_ * n_, 8));
        for (form, transposed) in [(Form::NN, false), (Form::NT, true)] {
            let mut rig = Rig::new(gpu);
            let (sa, sb) = (rig.slot("a", &a), rig.slot("b", &b));
            let c = rig.slot("c", &vec![9f32; 3 * m_ * n_]);
            let mut product = Matmul::new(form, [sa, sb, c], [m, n, k]);
            product.begin = [m * k, m * n];
            product.push(&mut rig.plan).unwrap();
            let got: Vec<f32> = rig.run().read(c);
            let product = matmul_reference(form, (&a[m_ * k_..], &b), None, [m_, n_, k_]);
            let around = vec![9.0; m_ * n_];
            let middle: Vec<f64> = product.iter().map(|p| p.0).collect();
            let want = [around.clone(), middle, around].concat();
            let context = |e| panic!("{m}x{n}x{k}, transposed {transposed}: {e}");
            Tol::Exact.check(&got, &want).unwrap_or_else(context);
        }
    }
}

/// The second of three times of an LSTM, at every size around a workgroup.
#[test]
fn a_step_of_an_lstm_and_its_gradient() {
    let Some(gpu) = gpu() else { return };
    for units in LENGTHS {
        let (rows, one) = (3u32, 3 * units);
        let u = units as u32;
        let mut noise = Noise::new(units as u64);
        let sums = noise.floats(3 * 4 * one, 2.0);
        let (cells, peepholes) = (noise.floats(4 * one, 1.0), noise.floats(3 * units, 0.5));
        let (gradient, returned) = (noise.floats(one, 1.0), noise.floats(one, 1.0));
        let carry = noise.floats(one, 1.0);
        let clip = 0.4f32;
        for (peeps, clips) in [(false, false), (true, true)] {
            let clip = clips.then_some(clip);
            let step = LstmStep { rows, units: u, time: 1, forget_bias: 1.0, clip };
            let at = Stride { begin: 0, stride: u };
            let mut rig = Rig::new(gpu);
            let (gates, cell) = (rig.slot("gates", &sums), rig.slot("cells", &cells));
            let p = rig.slot("peepholes", &peepholes);
            let (out, of_sums) = (rig.output("out", one), rig.slot("of", &sums));
            let (g, r) = (rig.slot("gradient", &gradient), rig.slot("returned", &returned));
            let back = rig.slot("carry", &carry);
            let peephole = peeps.then_some(p);
            rig.push(Lstm { step, peepholes: peephole, gates, cells: cell, out, to: at });
            rig.push(LstmGradient {
                step,
                gradient: g,
                from: at,
                recurrent: Some((r, at)),
                gates,
                cells: cell,
                peepholes: peephole,
                carry: back,
                last: false,
                out: of_sums,
            });
            let bench = rig.run();
            // All that one element of each result is made of, in one function, for bounds by
            // roundings.
            let here = 4 * one..8 * one;
            let operands: [&[f32]; 6] = [
                &sums[here.clone()],
                &cells[one..2 * one],
                &peepholes,
                &gradient,
                &returned,
                &carry,
            ];
            let f = |x: &[Vec<f64>]| {
                let mut all: Vec<Vec<f64>> = vec![Vec::new(); 3];
                let mut of = vec![0.0; 4 * one];
                for row in 0..3 {
                    for unit in 0..units {
                        let i = row * units + unit;
                        let gate = |n: usize| row * 4 * units + n * units + unit;
                        let peep = |n: usize| if peeps { x[2][n * units + unit] } else { 0.0 };
                        let peep = [0, 1, 2].map(peep);
                        let before = x[1][i];
                        let sums = [0, 1, 2, 3].map(|n| x[0][gate(n)]);
                        let (gates, [raw, after, h]) =
                            lstm_reference(sums, before, peep, 1.0, clip);
                        let of_h = x[3][i] + x[4][i];
                        let (of_sums, back, _) = lstm_gradient_reference(
                            [of_h, x[5][i]],
                            gates,
                            [before, raw, after],
                            peep,
                            clip,
                        );
                        (0..4).for_each(|n| of[gate(n)] = of_sums[n]);
                        all[0].push(h);
                        all[1].push(after);
                        all[2].push(back);
                    }
                }
                all.push(of);
                all.concat()
            };
            let (want, bounds) = bounds_of(&operands, 64, f);
            let got = [
                bench.read::<f32>(out),
                bench.read::<f32>(cell)[2 * one..3 * one].to_vec(),
                bench.read::<f32>(back),
                bench.read::<f32>(of_sums)[here.clone()].to_vec(),
            ]
            .concat();
            let context = |e| panic!("{units} units, peepholes {peeps}: {e}");
            // A cell at the very edge of the clip may fall on either side; none of these is.
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            // Other times are left alone.
            let all: Vec<f32> = bench.read(of_sums);
            assert!(all[..4 * one] == sums[..4 * one] && all[8 * one..] == sums[8 * one..]);
            let all: Vec<f32> = bench.read(cell);
            assert!(all[..2 * one] == cells[..2 * one] && all[3 * one..] == cells[3 * one..]);
        }
    }
}

/// The second of three times of a GRU.
#[test]
fn a_step_of_a_gru_and_its_gradient() {
    let Some(gpu) = gpu() else { return };
    const WIDTH: usize = 2;
    for units in LENGTHS {
        let (rows, one, stride) = (3usize, 3 * units, WIDTH + units);
        let mut noise = Noise::new(units as u64);
        let mut floats = |len, size| noise.floats(len, size);
        let (gates, candidates) = (floats(3 * 2 * one, 2.0), floats(3 * one, 2.0));
        let (inputs, resets) = (floats(4 * rows * stride, 1.0), floats(3 * rows * stride, 1.0));
        let (gradient, carry) = (floats(3 * one, 1.0), floats(one, 1.0));
        let [returned, of_resets] = [(); 2].map(|()| floats(one, 1.0));
        let step =
            GruStep { rows: 3, units: units as u32, width: WIDTH as u32, length: 3, time: 1 };
        let mut rig = Rig::new(gpu);
        let [g, c, x, r] = [
            ("gates", &gates),
            ("candidates", &candidates),
            ("inputs", &inputs),
            ("resets", &resets),
        ]
        .map(|(name, values)| rig.slot(name, values));
        let [of_y, back, sent, of_r] = [
            ("gradient", &gradient),
            ("carry", &carry),
            ("returned", &returned),
            ("of", &of_resets),
        ]
        .map(|(name, values)| rig.slot(name, values));
        let (of_gates, of_candidates) =
            (rig.slot("of_gates", &gates), rig.slot("of_candidates", &candidates));
        rig.push(GruReset { step, inputs: x, gates: g, resets: r });
        rig.push(Gru { step, gates: g, candidates: c, inputs: x });
        rig.push(GruGradient {
            step,
            gradient: of_y,
            recurrent: Some(sent),
            gates: g,
            candidates: c,
            inputs: x,
            carry: back,
            of_gates,
            of_candidates,
        });
        rig.push(GruResetGradient {
            step,
            recurrent: of_r,
            gates: g,
            inputs: x,
            carry: back,
            of_gates,
        });
        let bench = rig.run();
        let operands: [&[f32]; 7] =
            [&gates, &candidates, &inputs, &gradient, &returned, &carry, &of_resets];
        let f = |v: &[Vec<f64>]| {
            let mut all: Vec<Vec<f64>> = vec![Vec::new(); 6];
            for (row, unit) in (0..rows).flat_map(|r| (0..units).map(move |u| (r, u))) {
                let i = row * units + unit;
                let gate = |n: usize| 2 * one + row * 2 * units + n * units + unit;
                let state = |time: usize| (time * rows + row) * stride + WIDTH + unit;
                let before = v[2][state(1)];
                let sums = [v[0][gate(0)], v[0][gate(1)]];
                let ([r, z, candidate], after) = gru_reference(sums, v[1][one + i], before);
                let of_h = v[3][(row * 3 + 1) * units + unit] + v[4][i] + v[5][i];
                let ([of_candidate, of_z], straight) =
                    gru_gradient_reference(of_h, [z, candidate], before);
                let of_product = v[6][i];
                all[0].push(r * before);
                all[1].push(after);
                all[2].push(of_candidate);
                all[3].push(of_z);
                all[4].push(of_product * before * r * (1.0 - r));
                all[5].push(straight + of_product * r);
            }
            all.concat()
        };
        let (want, bounds) = bounds_of(&operands, 64, f);
        let places = |of: &dyn Fn(usize, usize) -> usize, values: Vec<f32>| -> Vec<f32> {
            (0..rows)
                .flat_map(|r| (0..units).map(move |u| (r, u)))
                .map(|(r, u)| values[of(r, u)])
                .collect()
        };
        let state = |time: usize| move |r: usize, u: usize| (time * rows + r) * stride + WIDTH + u;
        let gate = |n: usize| move |r: usize, u: usize| 2 * one + r * 2 * units + n * units + u;
        let got = [
            places(&state(1), bench.read(r)),
            places(&state(2), bench.read(x)),
            bench.read::<f32>(of_candidates)[one..2 * one].to_vec(),
            places(&gate(1), bench.read(of_gates)),
            places(&gate(0), bench.read(of_gates)),
            bench.read(back),
        ]
        .concat();
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{units} units: {e}"));
    }
}

/// What the steps of an LSTM add to the gradient of its peepholes, and a projection that was
/// clipped.
#[test]
fn gradients_of_peepholes_and_projections() {
    let Some(gpu) = gpu() else { return };
    for units in LENGTHS {
        let (rows, length, one) = (2usize, 3usize, 2 * units);
        let mut noise = Noise::new(units as u64);
        let (gradient, cells) = (noise.floats(4 * length * one, 1.0), noise.floats(4 * one, 1.0));
        let mut rig = Rig::new(gpu);
        let (g, c) = (rig.slot("gradient", &gradient), rig.slot("cells", &cells));
        let out = rig.output("out", 3 * length * one);
        let [r, u, l] = [rows, units, length].map(|n| n as u32);
        rig.push(PeepholeGradient { rows: r, units: u, length: l, gradient: g, cells: c, out });
        let got: Vec<f32> = rig.run().read(out);
        let want: Vec<f64> = (0..3 * length * one)
            .map(|at| {
                let (row, which, unit) = (at / (3 * units), at / units % 3, at % units);
                let gate = [0, 2, 3][which];
                let cell = row * units + unit + if which == 2 { one } else { 0 };
                f64::from(gradient[(row * 4 + gate) * units + unit]) * f64::from(cells[cell])
            })
            .collect();
        Tol::Ulp(1).check(&got, &want).unwrap_or_else(|e| panic!("{units}: {e}"));

        let (sent, projected) = (noise.floats(one, 1.0), noise.floats(2 * one, 1.0));
        let before = noise.floats(2 * one, 1.0);
        for (clip, recurs) in [(None, false), (Some(0.5f32), true)] {
            let mut rig = Rig::new(gpu);
            let g = rig.slot("gradient", &gradient[..one]);
            let (s, p) = (rig.slot("sent", &sent), rig.slot("projected", &projected));
            let out = rig.slot("out", &before);
            let at = Stride { begin: 0, stride: u };
            let (time, recurrent) = (1, recurs.then_some((s, at)));
            rig.push(ProjectionGradient {
                rows: r,
                width: u,
                time,
                clip,
                gradient: g,
                from: at,
                recurrent,
                projected: p,
                out,
            });
            let got: Vec<f32> = rig.run().read(out);
            let one_of = |i: usize| {
                let sum = f64::from(gradient[i]) + if recurs { f64::from(sent[i]) } else { 0.0 };
                let clipped = clip.is_some_and(|clip| projected[one + i].abs() > clip);
                if clipped { 0.0 } else { sum }
            };
            let want: Vec<f64> =
                before[..one].iter().map(|&b| b.into()).chain((0..one).map(one_of)).collect();
            Tol::Ulp(1).check(&got, &want).unwrap_or_else(|e| panic!("{units}: {e}"));
        }
    }
}
