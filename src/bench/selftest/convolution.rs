//! Convolutions and both of their gradients against sums in f64.
use super::compared::{Compared, Found, U};
use super::rig::{Rig, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{Conv2d, Convolution, Form};

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
        for (form, [a_len, b_len, len]) in
            [(Form::NN, [x, w, y]), (Form::NT, [y, w, x]), (Form::TN, [x, y, w])]
        {
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
