//! Convolutions and both of their gradients against sums in f64.
use super::compared::{Compared, Found, U};
use super::rig::{Rig, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{
    Conv2d, Convolution, F16Begin, F16Conv2d, F16Copy, F16Operand, Form, MagnitudePeak, Tiling,
    conv2d_reference,
};

/// Each element of a product of a convolution, and the sum of its terms' magnitudes.
pub(super) type Reference =
    fn(Form, &Convolution, (&[f32], &[f32]), Option<&[u32]>) -> Vec<(f64, f64)>;

/// Images of 7 by 9 pixels in a border of zeros, with strides and without them, in groups, with
/// holes between the weights, and one with more outputs than a tile has columns.
const SHAPES: [Convolution; 5] = [
    BASE,
    Convolution { stride: [2, 3], pad: [0, 0], out: [3, 3], ..BASE },
    Convolution { dilation: [2, 2], pad: [2, 2], ..BASE },
    Convolution { channels: 6, outputs: 12, groups: 3, ..BASE },
    Convolution { size: [12, 11], out: [12, 11], channels: 3, outputs: 65, ..BASE },
];
const BASE: Convolution = Convolution {
    images: 2,
    size: [7, 9],
    channels: 2,
    kernel: [3, 3],
    stride: [1, 1],
    dilation: [1, 1],
    pad: [1, 1],
    out: [7, 9],
    outputs: 4,
    groups: 1,
};

/// Each of the three products of each shape.
pub(super) fn check(gpu: &Gpu, reference: Reference) -> Result<Found> {
    let mut compared = Compared::default();
    for (at, shape) in SHAPES.iter().enumerate() {
        let lens = [shape.input_len(), shape.weight_len(), shape.output_len()];
        let [x, w, y] = lens.map(|len| len as usize);
        for (form, [a_len, b_len, len]) in forms([x, w, y]) {
            let case = format!("{form:?} of shape {at}");
            let (av, bv) = (noise(1, a_len, 1.0), noise(2, b_len, 1.0));
            let mut rig = Rig::new(gpu);
            let (a, b) = (rig.slot("a", &av), rig.slot("b", &bv));
            let c = rig.output("c", len);
            Conv2d::new(form, *shape, [a, b, c]).push(&mut rig.plan)?;
            let got: Vec<f32> = rig.run()?.read(&case, c, &mut compared)?;
            let (want, magnitudes): (Vec<f64>, Vec<f64>) =
                reference(form, shape, (&av, &bv), None).into_iter().unzip();
            // A sum of so many products in any order, fused or not.
            let bound =
                |(magnitude, &terms): (&f64, &u32)| 4.0 * f64::from(terms).sqrt() * U * magnitude;
            let bounds: Vec<f64> =
                magnitudes.iter().zip(&terms(shape, form, len)).map(bound).collect();
            compared.within(&case, &got, &want, &bounds);
        }
    }
    Ok(compared.found("3 products of 5 shapes"))
}

/// Each product, with what it reads and makes of images, kernels and results.
fn forms<T: Copy>([x, w, y]: [T; 3]) -> [(Form, [T; 3]); 3] {
    [(Form::NN, [x, w, y]), (Form::NT, [y, w, x]), (Form::TN, [x, y, w])]
}

/// Each product over copies in halves of whole numbers, whose sums are exact in any order, in a
/// tiling of one's choice or the plan's.
pub(super) fn over_halves(gpu: &Gpu, tiling: Option<Tiling>) -> Result<Found> {
    let shape = Convolution { channels: 20, outputs: 33, ..BASE };
    let [pixels, results] = [shape.size, shape.out].map(|[y, x]| shape.images * y * x);
    let x = [pixels, shape.channels, pixels];
    let w = [9 * shape.channels, shape.outputs, shape.channels];
    let y = [results, shape.outputs, results];
    let mut compared = Compared::default();
    for (form, layouts) in forms([x, w, y]) {
        let case = format!("{form:?} of a convolution of small integers");
        let mut rig = Rig::new(gpu);
        let peaks = rig.plan.scratch("peaks", 2);
        rig.plan.push(F16Begin { peaks })?;
        let [len_a, len_b, len] = layouts.map(|[rows, columns, _]| rows * columns);
        let values = |(len, by): (u32, u32)| -> Vec<f32> {
            (0..len).map(|i| (i * by % 17) as f32 - 8.0).collect()
        };
        let factors = [(len_a, 7), (len_b, 5)].map(values);
        let mut copy = |at: u32| {
            let ([rows, columns, block], mask) = (layouts[at as usize], None);
            let x = rig.slot("factor", &factors[at as usize]);
            let words = F16Copy::words_in_blocks([rows, columns], block).unwrap_or(u32::MAX);
            let out = rig.plan.scratch("f16", words);
            let len = rows * columns;
            rig.plan.push(MagnitudePeak::new([x, peaks], at, len))?;
            let whole = F16Copy::new([x, peaks, out], at, [rows, columns]);
            rig.plan.push(F16Copy { mask, block, ..whole })?;
            Ok::<_, crate::Error>(F16Operand { copy: out, at })
        };
        let operands = [copy(0)?, copy(1)?];
        let c = rig.output("c", len as usize);
        let product = F16Conv2d::new(form, shape, operands, [peaks, c]);
        match tiling {
            Some(tiling) => product.push_as(tiling, &mut rig.plan)?,
            None => product.push(&mut rig.plan)?,
        }
        let got: Vec<f32> = rig.run()?.read(&case, c, &mut compared)?;
        let want = conv2d_reference(form, &shape, (&factors[0], &factors[1]), None);
        for (i, (got, (want, _))) in got.iter().zip(want).enumerate() {
            let right = f64::from(*got) == want;
            compared.holds(right, || format!("{case}, element {i}: {got}, must be {want}"));
        }
    }
    Ok(compared.found("3 products of a convolution"))
}

/// How many products each element is the sum of.
fn terms(shape: &Convolution, form: Form, len: usize) -> Vec<u32> {
    let at = match form {
        Form::NN => 2,
        Form::NT => 0,
        Form::TN => 1,
    };
    let mut terms = vec![0; len];
    shape.terms().for_each(|places| terms[places[at]] += 1);
    terms
}
