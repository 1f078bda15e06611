//! Products of every form against sums in f64.
use super::compared::{Compared, Found, U};
use super::rig::{Rig, half_mask, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{Form, Matmul};

/// Rows, columns and terms: single ones of each, sizes that no tile divides, and one that all do.
const SIZES: [[u32; 3]; 6] =
    [[1, 1, 1], [33, 65, 100], [1, 130, 257], [129, 1, 64], [5, 7, 1], [128, 192, 96]];

/// What a product must be: each element, and the sum of its terms' magnitudes.
pub(super) type Reference =
    fn(Form, (&[f32], &[f32]), Option<&[u32]>, [usize; 3]) -> Vec<(f64, f64)>;

/// Each form in each size, those of the forward pass and of the inputs' gradient with and without
/// a mask: `NT` is also a weight that has its outputs first.
pub(super) fn check(gpu: &Gpu, reference: Reference) -> Result<Found> {
    let mut compared = Compared::default();
    let forms = [
        (Form::NN, false),
        (Form::NN, true),
        (Form::NT, false),
        (Form::NT, true),
        (Form::TN, false),
    ];
    for (form, masked) in forms {
        for [m, n, k] in SIZES {
            let case = format!("{form:?} {m}x{n}x{k}{}", if masked { ", masked" } else { "" });
            let (av, bv) = (noise(1, (m * k) as usize, 1.0), noise(2, (k * n) as usize, 1.0));
            let bits = masked.then(|| half_mask(3, bv.len()));
            let mut rig = Rig::new(gpu);
            let (a, b) = (rig.slot("a", &av), rig.slot("b", &bv));
            let c = rig.output("c", (m * n) as usize);
            let mut product = Matmul::new(form, [a, b, c], [m, n, k]);
            product.mask = bits.as_ref().map(|bits| rig.slot("mask", bits));
            product.push(&mut rig.plan)?;
            let got: Vec<f32> = rig.run()?.read(&case, c, &mut compared)?;
            let extents = [m, n, k].map(|extent| extent as usize);
            let (want, magnitudes): (Vec<f64>, Vec<f64>) =
                reference(form, (&av, &bv), bits.as_deref(), extents).into_iter().unzip();
            // A sum of k products in any order, fused or not.
            let bound = |magnitude: &f64| 4.0 * f64::from(k).sqrt() * U * magnitude;
            let bounds: Vec<f64> = magnitudes.iter().map(bound).collect();
            compared.within(&case, &got, &want, &bounds);
        }
    }
    Ok(compared.found("5 forms in 6 sizes"))
}
