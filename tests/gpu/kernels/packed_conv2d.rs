//! Convolutions with packed kernels, against sums over pixel pairs and against dense ones.
use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;

use super::conv2d::{geometries, same};
use crate::common::{Noise, Rig, Tol, gpu};

/// Whole numbers of which most are zero: sums are exact in any order.
fn kernels(shape: &Convolution) -> Vec<f32> {
    let len = shape.weight_len() as usize;
    let kept = Noise::new(3).below(len, 3);
    let values = Noise::new(4).integers(len, 4);
    kept.into_iter().zip(values).map(|(kept, v)| if kept == 0 { v } else { 0.0 }).collect()
}

fn packed(form: PackedForm, shape: &Convolution, w: &[f32], target: Target) -> PackedMatrix {
    let of = Units::new([Patches::columns(shape) as u32, shape.outputs]);
    PackedMatrix::pack(form, of, w, PackedValues::F32, target).unwrap()
}

/// The convolution added to what is there, with bias and ReLU.
fn run(
    gpu: &Gpu,
    target: Target,
    shape: Convolution,
    form: PackedForm,
    all: &[Vec<f32>],
) -> Vec<f32> {
    let [x, w, bias, before] = all else { panic!("four operands") };
    let matrix = packed(form, &shape, w, target);
    let mut rig = Rig::for_target(gpu, target);
    let [a, bias, c] = [x, bias, before].map(|values| rig.slot("operand", values));
    let b = matrix.declare_with(|name, words| rig.slot(name, words));
    let mut product = PackedProduct::new(a, b, c, 0);
    (product.bias, product.activation, product.onto) = (Some(bias), Activation::Relu, true);
    let convolution = PackedConvolution { shape, product };
    convolution.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
    rig.run().read(c)
}

/// All geometries without groups: odd sizes, strides, dilations, paddings, and kernels of one pixel
/// or as large as an image, whose patches are the images. Forms and kinds of adapter take turns: the
/// products are tested by themselves.
#[test]
fn every_geometry_is_exact() {
    let Some(gpu) = gpu() else { return };
    let pixels = same(3, [5, 7], [6, 9], [1, 1]);
    let whole = Convolution { kernel: [5, 7], out: [1, 1], pad: [0, 0], ..pixels };
    assert!(pixels.is_product() && whole.is_product());
    let others = geometries().into_iter().filter(|shape| shape.groups == 1);
    for (at, shape) in [pixels, whole].into_iter().chain(others).enumerate() {
        let mut noise = Noise::new(shape.output_len());
        let [x, y] = [shape.input_len(), shape.output_len()].map(|len| len as usize);
        let w = kernels(&shape);
        let all = [
            noise.integers(x, 4),
            w.clone(),
            noise.integers(shape.outputs as usize, 4),
            noise.integers(y, 4),
        ];
        let sums = conv2d_reference(Form::NN, &shape, (&all[0], &w), None).into_iter();
        let more = all[3].iter().zip(all[2].iter().cycle());
        let want = sums.zip(more).map(|((sum, _), (c, b))| (sum + f64::from(c + b)).max(0.0));
        let want: Vec<f64> = want.collect();
        let (form, software) = (PackedForm::ALL[at % 3], at % 2 == 0);
        let target = Target { software, ..gpu.target() };
        let got = run(gpu, target, shape, form, &all);
        let context = |e| panic!("{form:?}, {shape:?}, {target:?}: {e}");
        Tol::Exact.check(&got, &want).unwrap_or_else(context);
    }
}

/// Patches of more than 2^22 words are written for some of the images at a time: here for two, two
/// and one. As the dense convolution has it, which is tested against the host.
#[test]
fn patches_of_many_images_come_in_shares() {
    let Some(gpu) = gpu() else { return };
    let shape = same(5, [48, 47], [32, 3], [5, 5]);
    assert!(Patches::rows(&shape) * Patches::columns(&shape) > 2 << 22);
    let (x, w) = (Noise::new(1).integers(shape.input_len() as usize, 4), kernels(&shape));
    let nothing = vec![0.0; shape.output_len() as usize];
    let all = [x, w, vec![1.0, -2.0, 0.0], nothing];
    let got = run(gpu, gpu.target(), shape, PackedForm::Blocks, &all);
    let mut rig = Rig::new(gpu);
    let [a, b, bias] = [0, 1, 2].map(|at| rig.slot("operand", &all[at]));
    let c = rig.output("c", got.len());
    let mut dense = Conv2d::new(Form::NN, shape, [a, b, c]);
    (dense.bias, dense.activation) = (Some(bias), Activation::Relu);
    dense.push(&mut rig.plan).unwrap();
    let want: Vec<f32> = rig.run().read(c);
    assert!(want.iter().any(|&x| x != 0.0));
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
}

/// What no packed product is for is refused with its number.
#[test]
fn groups_of_channels_are_refused() {
    let Some(gpu) = gpu() else { return };
    let shape = Convolution { groups: 2, ..same(1, [3, 3], [4, 6], [3, 3]) };
    let one = Convolution { groups: 1, channels: 2, ..shape };
    let matrix = packed(PackedForm::Gaps, &one, &kernels(&one), gpu.target());
    let mut rig = Rig::new(gpu);
    let (a, c) = (rig.output("a", 36), rig.output("c", 54));
    let b = matrix.declare_with(|name, words| rig.slot(name, words));
    let convolution = PackedConvolution { shape, product: PackedProduct::new(a, b, c, 0) };
    let error = convolution.push(&mut rig.plan).unwrap_err().to_string();
    assert!(error.contains("2 groups of channels"), "{error}");
}
