//! Factors of second moments, against definitions in f64.
use secateur::prune::layerwise::{Factor, FactorLayout, Multipliers};

/// `X^T X` of correlated inputs, as it comes from a device.
fn gram(n: usize) -> Vec<f32> {
    let rows = 2 * n + 3;
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f64 / (1 << 23) as f64 - 1.0
    };
    let z: Vec<f64> = (0..rows * (n + 1)).map(|_| noise()).collect();
    let x = |r: usize, c: usize| z[r * (n + 1) + c] + z[r * (n + 1) + c + 1];
    let sum = |i: usize, j: usize| (0..rows).map(|r| x(r, i) * x(r, j)).sum::<f64>();
    (0..n * n).map(|at| sum(at / n, at % n) as f32).collect()
}

/// The factor `[n, n]` of its words: 0 below the diagonal.
fn upper(words: &[f32], layout: FactorLayout) -> Vec<f64> {
    let [n, width] = [layout.inputs, layout.width].map(|n| n as usize);
    let (mut upper, mut words) = (vec![0.0; n * n], words.iter());
    for first in (0..n).step_by(width) {
        let end = n.min(first + width);
        for columns in [first..end, end..n] {
            for i in first..end {
                columns.clone().for_each(|j| upper[i * n + j] = (*words.next().unwrap()).into());
            }
        }
    }
    assert_eq!(words.next(), None);
    upper
}

/// How far `U (G + damping) U^T` is from one, at most, over the inputs that were seen.
fn off(gram: &[f32], factor: &Factor, layout: FactorLayout) -> f64 {
    let n = layout.inputs as usize;
    let u = upper(&factor.words, layout);
    let seen: Vec<usize> = (0..n).filter(|&i| gram[i * n + i] != 0.0).collect();
    let mean = seen.iter().map(|&i| f64::from(gram[i * n + i])).sum::<f64>() / seen.len() as f64;
    let g = |i: usize, j: usize| {
        f64::from(gram[i * n + j]) + if i == j { factor.damping * mean } else { 0.0 }
    };
    let mut worst = 0.0;
    for &i in &seen {
        let row: Vec<f64> =
            (0..n).map(|k| (i..n).map(|j| u[i * n + j] * g(j, k)).sum::<f64>()).collect();
        for &j in &seen {
            let sum: f64 = (j..n).map(|k| row[k] * u[j * n + k]).sum();
            worst = f64::max(worst, (sum - f64::from(u8::from(i == j))).abs());
        }
    }
    worst
}

/// `U` is rounded to f32, and the condition of what it is of is some hundreds.
const NEAR: f64 = 1e-4;

#[test]
fn a_factor_is_that_of_the_inverse() {
    for n in [1, 2, 31, 128, 129, 200] {
        let gram = gram(n);
        for m in [None, Some(4), Some(3), Some(32)] {
            let layout = FactorLayout::new(n as u32, m);
            let factor = Factor::new("w", &gram, layout).unwrap();
            assert_eq!((factor.unseen, factor.damping), (0, 0.01));
            assert_eq!(factor.words.len() as u64, layout.words());
            let off = off(&gram, &factor, layout);
            assert!(off < NEAR, "{n}, groups of {m:?}: off by {off:e}");
        }
    }
}

#[test]
fn the_layout_leaves_out_what_is_0() {
    let layout = FactorLayout::new(300, None);
    assert_eq!((layout.width, layout.blocks()), (128, 3));
    assert_eq!(layout.words(), 128 * 300 + 128 * 172 + 44 * 44);
    assert_eq!(FactorLayout::new(300, Some(5)).width, 125);
    assert_eq!(FactorLayout::new(11_008, None).words() * 4, 245_170_176);
}

/// What was never seen has no part in the others' factor, and 0 on the diagonal.
#[test]
fn unseen_inputs_are_left_out() {
    let n = 9;
    let whole = gram(n);
    let mut with = vec![0.0; (n + 2) * (n + 2)];
    // Between the others: at places 0 and 4.
    let places: Vec<usize> = (0..n + 2).filter(|i| ![0, 4].contains(i)).collect();
    for (i, &row) in places.iter().enumerate() {
        for (j, &column) in places.iter().enumerate() {
            with[row * (n + 2) + column] = whole[i * n + j];
        }
    }
    let [small, large] = [n, n + 2].map(|n| FactorLayout::new(n as u32, None));
    let want = upper(&Factor::new("w", &whole, small).unwrap().words, small);
    let factor = Factor::new("w", &with, large).unwrap();
    assert_eq!(factor.unseen, 2);
    let got = upper(&factor.words, large);
    for i in 0..n + 2 {
        for j in 0..n + 2 {
            let at = |x| places.iter().position(|&p| p == x);
            let want = match (at(i), at(j)) {
                (Some(i), Some(j)) => want[i * n + j],
                _ => 0.0,
            };
            let got = got[i * (n + 2) + j];
            // The same in f64 but for its last bits, then rounded.
            assert!((got - want).abs() <= 2f64.powi(-22) * want.abs(), "{i}, {j}: {got}, {want}");
        }
    }
    let nothing = Factor::new("w", &[0.0; 4], FactorLayout::new(2, None)).unwrap();
    assert_eq!((nothing.words, nothing.unseen), (vec![0.0; 4], 2));
}

#[test]
fn damping_grows_until_it_is_enough() {
    let layout = FactorLayout::new(2, None);
    let factor = |apart: f32| Factor::new("fc1.weight", &[1.0, apart, apart, 1.0], layout);
    // One eigenvalue is 1 - apart.
    for (apart, damping) in [(0.9, 0.01), (1.05, 0.1), (1.5, 1.0)] {
        let factor = factor(apart).unwrap();
        assert_eq!(factor.damping, damping, "{apart}");
        assert!(off(&[1.0, apart, apart, 1.0], &factor, layout) < NEAR);
    }
    let message = factor(2.5).unwrap_err().to_string();
    let want = "`fc1.weight`: the second moments of its 2 inputs are not positive definite";
    assert!(message.starts_with(want), "{message}");
}

#[test]
fn what_is_not_finite_is_refused_by_name() {
    let layout = FactorLayout::new(3, None);
    for (at, value, what) in [
        (0, f32::NAN, "inputs 0 and 0 is NaN"),
        (5, f32::INFINITY, "inputs 1 and 2 is inf"),
        (8, f32::NEG_INFINITY, "inputs 2 and 2 is -inf"),
    ] {
        let mut gram = gram(3);
        gram[at] = value;
        let message = Factor::new("fc1.weight", &gram, layout).unwrap_err().to_string();
        assert!(message.starts_with("`fc1.weight`: the second moment of its "), "{message}");
        assert!(message.contains(what), "{message}");
    }
    let message = Factor::new("fc1.weight", &[1.0; 8], layout).unwrap_err().to_string();
    assert_eq!(message, "`fc1.weight`: 8 second moments of 3 inputs");
}

/// `solver (G + damping diag(G))` is one, over the inputs that were seen: of rounding to f32 there
/// is as much as the factor above has.
#[test]
fn a_solver_is_the_inverse_in_the_inputs_own_scale() {
    for (n, damping) in [(1, 0.4), (31, 0.4), (129, 0.1)] {
        let mut gram = gram(n);
        if n > 4 {
            // One that was never seen.
            (0..n).for_each(|i| (gram[3 * n + i], gram[i * n + 3]) = (0.0, 0.0));
        }
        let solver = Multipliers::solver("w", &gram, n as u32, damping).unwrap();
        let g = |i: usize, j: usize| {
            f64::from(gram[i * n + j]) * if i == j { 1.0 + damping } else { 1.0 }
        };
        for i in 0..n {
            let seen = gram[i * n + i] != 0.0;
            for j in 0..n {
                let sum: f64 = (0..n).map(|k| f64::from(solver[i * n + k]) * g(k, j)).sum();
                let want = f64::from(u8::from(i == j && seen));
                assert!((sum - want).abs() <= NEAR, "{n} inputs, {i} {j}: {sum}");
            }
        }
    }
}

/// Where an input all but vanishes, as behind a ReLU, what the outputs lack is the other inputs' to
/// make up for: its own weight would have to be some 10,000 times as large.
#[test]
fn what_all_but_vanishes_makes_up_for_little() {
    let (n, at, small) = (31, 7, 1e-4_f32);
    let mut gram = gram(n);
    for i in 0..n {
        gram[at * n + i] *= small;
        gram[i * n + at] *= small;
    }
    let middle = {
        let mut squares: Vec<f32> = (0..n).map(|i| gram[i * n + i]).collect();
        squares.sort_by(f32::total_cmp);
        squares[n / 2]
    };
    let solver = Multipliers::solver("w", &gram, n as u32, 0.4).unwrap();
    // Next to nothing of the others is in it: a length of a tenth of the middle one, and damping.
    let want = 1.0 / (1.4 * 0.01 * f64::from(middle));
    let found = f64::from(solver[at * n + at]);
    assert!((found / want - 1.0).abs() < 1e-3, "{found}, not {want}");
    let scale = Multipliers::new("w", &gram, n as u32, 0.4).unwrap().scale;
    assert!((scale[at] / (0.1 * middle.sqrt()) - 1.0).abs() < 1e-6, "{}", scale[at]);
}
