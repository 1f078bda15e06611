//! Products that leave out terms whose weights are all pruned: the bits of those that do not.
use std::cell::Cell;

use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, each_kind, gpu};

/// A mask with one bit for each rectangle of so many `[inputs, units]`: of four of them one is kept.
fn mask(of: Units, together: [u32; 2], seed: u64) -> Vec<u32> {
    let across = of.units.div_ceil(together[1]);
    let count = across * of.inputs.div_ceil(together[0]);
    let kept = Noise::new(seed).below(count as usize, 4);
    let mut mask = vec![0; of.len().div_ceil(32) as usize];
    for (input, unit) in (0..of.inputs).flat_map(|i| (0..of.units).map(move |u| (i, u))) {
        let at = match of.layout {
            Layout::InOut => input * of.units + unit,
            Layout::OutIn => unit * of.inputs + input,
        };
        let rectangle = input / together[0] * across + unit / together[1];
        mask[at as usize / 32] |= u32::from(kept[rectangle as usize] == 0) << (at % 32);
    }
    mask
}

const LAYOUTS: [Layout; 2] = [Layout::InOut, Layout::OutIn];

/// Around words of bits and groups of units.
#[test]
fn the_table_says_which_inputs_are_kept() {
    let Some(gpu) = gpu() else { return };
    for (inputs, units) in [(1, 1), (31, 33), (32, 32), (33, 31), (100, 70), (300, 64), (7, 257)] {
        for (layout, together) in LAYOUTS.into_iter().zip([[1, 32], [5, 11]]) {
            let of = Units::new([inputs, units]).layout(layout);
            let bits = mask(of, together, u64::from(inputs));
            let want = live_inputs_reference(&bits, of);
            let mut rig = Rig::new(gpu);
            let (mask, live) = (rig.slot("mask", &bits), rig.output("live", want.len()));
            rig.push(LiveInputs { mask, live, of });
            assert_eq!(rig.run().read::<u32>(live), want, "{of:?}");
        }
    }
}

/// A product of one of the four kinds that a step has: forward or the gradient of the inputs, with
/// a weight of either layout.
struct Case {
    of: Units,
    terms: LiveTerms,
    rows: u32,
    a: Vec<f32>,
    b: Vec<f32>,
    bits: Vec<u32>,
}

impl Case {
    fn new(of: Units, terms: LiveTerms, rows: u32, together: [u32; 2]) -> Self {
        let mut noise = Noise::new(of.len());
        let [n, k] = Self::extents(of, terms);
        let (a, b) = (noise.floats((rows * k) as usize, 1.0), noise.floats((n * k) as usize, 1.0));
        Self { of, terms, rows, a, b, bits: mask(of, together, 7) }
    }

    /// Columns and terms.
    fn extents(of: Units, terms: LiveTerms) -> [u32; 2] {
        match terms {
            LiveTerms::Inputs => [of.units, of.inputs],
            LiveTerms::Units => [of.inputs, of.units],
            other => panic!("{other:?} has a test of its own"),
        }
    }

    fn form(&self) -> Form {
        match (self.of.layout, self.terms) {
            (Layout::InOut, LiveTerms::Inputs) | (Layout::OutIn, LiveTerms::Units) => Form::NN,
            (Layout::InOut, LiveTerms::Units) | (Layout::OutIn, LiveTerms::Inputs) => Form::NT,
            (_, other) => panic!("{other:?} has a test of its own"),
        }
    }

    /// With the pruned weights held at zero, or `masked`; leaving out terms, or not.
    fn run(&self, gpu: &Gpu, target: Target, masked: bool, skips: bool) -> Vec<f32> {
        let mut rig = Rig::for_target(gpu, target);
        let held = apply_mask_reference(&self.bits, &self.b);
        let [n, k] = Self::extents(self.of, self.terms);
        let a = rig.slot("a", &self.a);
        let b = rig.slot("b", if masked { &self.b } else { &held });
        let mask = rig.slot("mask", &self.bits);
        let c = rig.slot("c", &vec![0.5_f32; (self.rows * n) as usize]);
        let mut product = Matmul::new(self.form(), [a, b, c], [self.rows, n, k]);
        product.mask = masked.then_some(mask);
        product.bias = Some(rig.slot("bias", &vec![-0.25_f32; n as usize]));
        product.activation = Activation::Relu;
        if skips {
            let live = rig.output("live", LiveInputs::words(self.of) as usize);
            rig.push(LiveInputs { mask, live, of: self.of });
            let live = Live { slot: live, terms: self.terms };
            LiveMatmul::new(product, live).push_onto(&mut rig.plan).unwrap();
            assert!(rig.plan.to_string().contains("live_matmul"));
        } else {
            product.push_onto(&mut rig.plan).unwrap();
        }
        rig.run().read(c)
    }
}

fn bits(values: Vec<f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

/// In every tiling, split or not, with ragged edges; blocks as large as a group, smaller ones, and
/// vectors.
#[test]
fn what_is_left_out_changes_no_bit() {
    let Some(gpu) = gpu() else { return };
    let all = [
        (33, [300, 70], [32, 32]),
        (9, [65, 130], [1, 32]),
        (130, [40, 33], [16, 16]),
        (5, [1100, 8], [40, 8]),
    ];
    for (at, (rows, extents, together)) in all.into_iter().enumerate() {
        for (i, terms) in [LiveTerms::Inputs, LiveTerms::Units].into_iter().enumerate() {
            // Layouts and masks take turns.
            let of = Units::new(extents).layout(LAYOUTS[(at / 2 + i) % 2]);
            let case = Case::new(of, terms, rows, together);
            let masked = (at + i) % 2 == 0;
            let run = |skips| each_kind(gpu, |t| bits(case.run(gpu, t, masked, skips)));
            let (got, want) = (run(true), run(false));
            assert!(got == want, "{of:?}, {terms:?}, {rows} rows, masked: {masked}");
        }
    }
}

/// Gradients of weights: those of weights that are kept have the bits of the whole product, and of
/// the others those whose workgroup has any.
#[test]
fn gradients_of_pruned_weights_are_left_out() {
    let Some(gpu) = gpu() else { return };
    let all = [(33, [300, 70]), (9, [65, 130]), (130, [40, 33]), (5, [1100, 8])];
    for (at, (rows, extents)) in all.into_iter().enumerate() {
        for layout in LAYOUTS {
            let of = Units::new(extents).layout(layout);
            let bits = mask(of, [32, 32], 7);
            let [m, n] = match layout {
                Layout::InOut => extents,
                Layout::OutIn => [extents[1], extents[0]],
            };
            let terms = match layout {
                Layout::InOut => LiveTerms::RowsOfInputs,
                Layout::OutIn => LiveTerms::RowsOfUnits,
            };
            let mut noise = Noise::new(at as u64);
            let (a, b) =
                (noise.floats((rows * m) as usize, 1.0), noise.floats((rows * n) as usize, 1.0));
            let run = |target: Target, skips: bool| {
                let mut rig = Rig::for_target(gpu, target);
                let (a, b) = (rig.slot("a", &a), rig.slot("b", &b));
                let c = rig.output("c", (m * n) as usize);
                let product = Matmul::new(Form::TN, [a, b, c], [m, n, rows]);
                if skips {
                    let mask = rig.slot("mask", &bits);
                    let live = rig.output("live", LiveInputs::words(of) as usize);
                    rig.push(LiveInputs { mask, live, of });
                    LiveMatmul::new(product, Live { slot: live, terms })
                        .push(&mut rig.plan)
                        .unwrap();
                } else {
                    product.push(&mut rig.plan).unwrap();
                }
                rig.run().read::<f32>(c)
            };
            let left_out = Cell::new(0);
            each_kind(gpu, |target| {
                let (got, want) = (run(target, true), run(target, false));
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    let same = got.to_bits() == want.to_bits();
                    left_out.set(left_out.get() + usize::from(!same));
                    assert!(
                        same || (!bit(&bits, i) && got.to_bits() == 0),
                        "{of:?}, {i}: {got} {want}"
                    );
                }
                Vec::<u32>::new()
            });
            let left_out = left_out.get();
            assert!(left_out > (m * n) as usize / 8, "{of:?}: {left_out} of {}", m * n);
        }
    }
}

/// Whole numbers against the host, and a weight of which nothing is left.
#[test]
fn sums_are_those_of_the_host() {
    let Some(gpu) = gpu() else { return };
    let of = Units::new([96, 70]);
    for none in [false, true] {
        let mut case = Case::new(of, LiveTerms::Inputs, 21, [32, 32]);
        case.a = Noise::new(1).integers(case.a.len(), 4);
        case.b = Noise::new(2).integers(case.b.len(), 4);
        if none {
            case.bits.fill(0);
        }
        let sums = matmul_reference(Form::NN, (&case.a, &case.b), Some(&case.bits), [21, 70, 96]);
        let want: Vec<f64> = sums.into_iter().map(|(sum, _)| (sum + 0.25).max(0.0)).collect();
        each_kind(gpu, |target| {
            let got = case.run(gpu, target, true, true);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{target:?}: {e}"));
        });
    }
}

/// An infinity in an input reaches the units that keep a weight of it, as it does where nothing is
/// left out; elsewhere nothing is multiplied with it.
#[test]
fn an_infinity_that_meets_no_weight_does_not_show() {
    let Some(gpu) = gpu() else { return };
    let of = Units::new([64, 256]);
    let mut case = Case::new(of, LiveTerms::Inputs, 2, [32, 32]);
    // The first 32 inputs are kept by the last 128 units only; no workgroup has more.
    let kept = |at: u32| at / 256 >= 32 || at % 256 >= 128;
    case.bits = (0..512).map(|w| (0..32).map(|b| u32::from(kept(w * 32 + b)) << b).sum()).collect();
    case.a[0] = f32::INFINITY;
    case.b.iter_mut().for_each(|w| *w = w.abs() + 0.5);
    let [dense, live] = [false, true].map(|skips| case.run(gpu, gpu.target(), false, skips));
    assert!(dense[..128].iter().all(|x| !x.is_finite()), "{:?}", &dense[..128]);
    assert!(live[..128].iter().all(|x| x.is_finite()), "{:?}", &live[..128]);
    assert!([&dense, &live].iter().all(|c| c[128..256].iter().all(|&x| x == f32::INFINITY)));
    assert_eq!(bits(dense[256..].to_vec()), bits(live[256..].to_vec()));
}

/// What the table does not say is refused.
#[test]
fn some_columns_of_a_weight_are_refused() {
    let Some(gpu) = gpu() else { return };
    let mut rig = Rig::new(gpu);
    let [a, b, c, live] = ["a", "b", "c", "live"].map(|name| rig.output(name, 64));
    let mut product = Matmul::new(Form::NT, [a, b, c], [4, 4, 8]);
    product.first_column = 4;
    let live = Live { slot: live, terms: LiveTerms::Units };
    let error = LiveMatmul::new(product, live).push(&mut rig.plan).unwrap_err().to_string();
    assert!(error.contains("first column 4"), "{error}");
}
