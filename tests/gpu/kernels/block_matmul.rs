//! `block_matmul` in every size of blocks, and beside the dense product.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, every_target, gpu, shared_targets};

/// Inputs and outputs: within a block, past its edge, and several of them.
const MATRICES: [[u32; 2]; 4] = [[1, 1], [31, 33], [100, 65], [65, 7]];

/// A matrix of which about half of the blocks are kept, of `values`.
fn weights(of: [u32; 2], size: [u32; 2], values: Vec<f32>) -> KeptBlocks {
    let [inputs, outputs] = of;
    let [height, width] = size;
    let across = outputs.div_ceil(width);
    let kept = Noise::new(7).below((inputs.div_ceil(height) * across) as usize, 2);
    let at = |i: usize| {
        let (input, output) = (i as u32 / outputs, i as u32 % outputs);
        kept[(input / height * across + output / width) as usize]
    };
    let dense = values.iter().enumerate().map(|(i, &x)| if at(i) == 1 { x } else { 0.0 });
    KeptBlocks::of(&dense.collect::<Vec<_>>(), Units::new(of), size).unwrap()
}

/// What goes into a product besides the weights.
struct Operands {
    a: Vec<f32>,
    bias: Option<Vec<f32>>,
    /// What is there already.
    onto: Option<Vec<f32>>,
    activation: Activation,
}

impl Operands {
    fn new(a: Vec<f32>) -> Self {
        Self { a, bias: None, onto: None, activation: Activation::Identity }
    }
}

fn product(rig: &mut Rig<'_>, operands: &Operands, weights: &KeptBlocks, m: u32) -> Slot {
    let shape = weights.shape();
    let a = rig.slot("a", &operands.a);
    let matrix = PackedMatrix::of_blocks(weights, PackedValues::F32).unwrap();
    let b = matrix.declare_with(|name, words| rig.slot(name, words));
    let c = match &operands.onto {
        Some(onto) => rig.slot("c", onto),
        None => rig.output("c", (m * shape.units) as usize),
    };
    let mut product = PackedProduct::new(a, b, c, m);
    product.bias = operands.bias.as_ref().map(|bias| rig.slot("bias", bias));
    product.activation = operands.activation;
    product.onto = operands.onto.is_some();
    product.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
    c
}

fn run(gpu: &Gpu, target: Target, operands: &Operands, weights: &KeptBlocks, m: u32) -> Vec<f32> {
    let mut rig = Rig::for_target(gpu, target);
    let c = product(&mut rig, operands, weights, m);
    rig.run().read(c)
}

/// The dense product of the same.
fn dense(gpu: &Gpu, a: &[f32], weights: &KeptBlocks, m: u32) -> Vec<f32> {
    let BlockShape { inputs, units, .. } = weights.shape();
    let matrix = PackedMatrix::of_blocks(weights, PackedValues::F32).unwrap();
    let mut rig = Rig::new(gpu);
    let (a, b) = (rig.slot("a", a), rig.slot("b", &matrix.dense(Layout::InOut)));
    let c = rig.output("c", (m * units) as usize);
    Matmul::new(Form::NN, [a, b, c], [m, units, inputs]).push(&mut rig.plan).unwrap();
    rig.run().read(c)
}

#[test]
fn whole_numbers_are_exact_in_every_variant() {
    let Some(gpu) = gpu() else { return };
    // Tiles, which take a software adapter's compiler longest, of the widest blocks and the narrowest.
    for (size, m, tiles) in [([1, 32], 133, true), ([5, 4], 70, true), ([32, 8], 3, false)] {
        for of in MATRICES {
            let mut noise = Noise::new(u64::from(m));
            let values = noise.integers((of[0] * of[1]) as usize, 4);
            let weights = weights(of, size, values);
            let operands = Operands::new(noise.integers((m * of[0]) as usize, 4));
            let work = |target| run(gpu, target, &operands, &weights, m);
            let got = if tiles { every_target(gpu, work) } else { shared_targets(gpu, work) };
            let want: Vec<f64> = block_matmul_reference(&operands.a, &weights, m as usize)
                .into_iter()
                .map(|(sum, _)| sum)
                .collect();
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{m} {of:?} {size:?}: {e}"));
        }
    }
}

/// Inside of the bound of their sums, again and again to the same bits; of more than four rows those
/// of the dense product, which adds zeros between them.
#[test]
fn floats_have_the_bits_of_the_dense_product() {
    let Some(gpu) = gpu() else { return };
    let (of, size) = ([1000, 65], [16, 16]);
    for m in [1, 37] {
        let mut noise = Noise::new(3);
        let weights = weights(of, size, noise.floats((of[0] * of[1]) as usize, 1.0));
        let operands = Operands::new(noise.floats((m * of[0]) as usize, 1.0));
        let once = || shared_targets(gpu, |target| run(gpu, target, &operands, &weights, m));
        let got = once();
        assert!(got.iter().zip(&once()).all(|(x, y)| x.to_bits() == y.to_bits()), "{m} rows");
        let sums = block_matmul_reference(&operands.a, &weights, m as usize);
        let (want, magnitude): (Vec<f64>, Vec<f64>) = sums.into_iter().unzip();
        let terms = of[0] as usize;
        let near = Tol::Sum { terms, magnitude: &magnitude }.check(&got, &want);
        near.unwrap_or_else(|e| panic!("{m} rows: {e}"));
        if m > 4 {
            let dense = dense(gpu, &operands.a, &weights, m);
            let same = got.iter().zip(&dense).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "other bits than the dense product of {m} rows");
        }
    }
}

/// Where the terms take several launches, of which the first adds to nothing, and where nothing is
/// kept.
#[test]
fn bias_activation_and_what_is_there_come_last() {
    let Some(gpu) = gpu() else { return };
    for (m, of, size, all) in [(3, [70_001, 5], [1, 8], true), (6, [40, 33], [1, 8], false)] {
        let mut noise = Noise::new(5);
        let len = (of[0] * of[1]) as usize;
        let values = if all { noise.integers(len, 3) } else { vec![0.0; len] };
        let weights = KeptBlocks::of(&values, Units::new(of), size).unwrap();
        let [bias, mut onto] = [of[1], m * of[1]].map(|len| noise.integers(len as usize, 9));
        let operands = Operands {
            bias: Some(bias.clone()),
            onto: (!all).then(|| onto.clone()),
            activation: Activation::Relu,
            ..Operands::new(noise.integers((m * of[0]) as usize, 3))
        };
        if all {
            onto.fill(0.0);
        }
        let got = shared_targets(gpu, |target| run(gpu, target, &operands, &weights, m));
        let sums = block_matmul_reference(&operands.a, &weights, m as usize);
        let both = sums.into_iter().zip(&onto).zip(bias.iter().cycle());
        let want: Vec<f64> = both.map(|(((x, _), c), b)| (x + f64::from(c + b)).max(0.0)).collect();
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{m} {of:?}: {e}"));
    }
}

/// A term that is left out is left out: an infinity meets no zero.
#[test]
fn what_is_pruned_is_not_read() {
    let Some(gpu) = gpu() else { return };
    let (of, m) = ([9, 4], 6);
    let mut values = vec![1.0; 36];
    values[4 * 3..4 * 4].fill(0.0);
    let weights = KeptBlocks::of(&values, Units::new(of), [1, 4]).unwrap();
    assert_eq!((weights.shape().blocks, weights.shape().most), (8, 8));
    let mut a = vec![1.0; 54];
    (0..6).for_each(|row| a[row * 9 + 3] = f32::INFINITY);
    assert_eq!(run(gpu, gpu.target(), &Operands::new(a), &weights, m), vec![8.0; 24]);
}

/// Pieces of the grid, each a launch.
#[test]
fn pieces_give_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let mut noise = Noise::new(11);
    let (of, m) = ([65, 133], 300);
    let weights = weights(of, [4, 8], noise.floats((of[0] * of[1]) as usize, 1.0));
    let operands = Operands::new(noise.floats((m * of[0]) as usize, 1.0));
    let launched = |most| {
        let mut rig = Rig::for_target(gpu, Target { most_operations: most, ..gpu.target() });
        let c = product(&mut rig, &operands, &weights, m);
        let launches = rig.plan.to_string().lines().filter(|line| line.starts_with("  ")).count();
        (rig.run().read::<u32>(c), launches)
    };
    let ((whole, one), (pieces, many)) = (launched(None), launched(Some(1)));
    assert!(one == 1 && many > 10, "{one} and {many} launches");
    assert!(whole == pieces);
}
