//! The gradients of a layer's weights and of its bias in one launch.
use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, gpu};

/// Product and sums by one launch, and by two.
fn run(gpu: &Gpu, of_a: bool, size: [usize; 3], [a, b]: [&[f32]; 2]) -> [[Vec<f32>; 2]; 2] {
    let [m, n, k] = size;
    let columns = if of_a { m } else { n };
    let mut rig = Rig::for_target(gpu, Target::default());
    let [a, b] = [rig.slot("a", a), rig.slot("b", b)];
    let [c, apart] = ["c", "c apart"].map(|name| rig.output(name, m * n));
    let [sums, sums_apart] = ["sums", "sums apart"].map(|name| rig.output(name, columns));
    let extents = size.map(|extent| extent as u32);
    let both = WeightGradient::of(extents, of_a, Target::default()).unwrap();
    rig.push(both([a, b, c, sums]));
    let product = Matmul::new(Form::TN, [a, b, apart], extents);
    product.push_as(Tiling::Blocks, &mut rig.plan).unwrap();
    let (x, rows, columns) = (if of_a { a } else { b }, k as u32, columns as u32);
    ColumnSum { x, out: sums_apart, rows, columns }.push(&mut rig.plan).unwrap();
    let bench = rig.run();
    [[c, sums], [apart, sums_apart]].map(|of| of.map(|slot| bench.read(slot)))
}

/// Ragged in every direction, shorter and longer than a tile; and enough results for tiles of 64.
const SIZES: [[usize; 3]; 6] =
    [[1, 1, 1], [5, 3, 15], [33, 65, 70], [31, 100, 128], [64, 32, 255], [769, 705, 19]];

#[test]
fn one_launch_has_the_bits_of_two() {
    let Some(gpu) = gpu() else { return };
    for size in SIZES {
        for of_a in [false, true] {
            let [m, n, k] = size;
            let mut noise = Noise::new((m * n * k) as u64);
            let (a, b) = (noise.floats(m * k, 1.0), noise.floats(k * n, 1.0));
            let [together, apart] = run(gpu, of_a, size, [&a, &b]);
            let context = format!("{size:?}, sums of a: {of_a}");
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            for (x, y) in together.iter().zip(&apart) {
                assert!(bits(x) == bits(y), "{context}");
            }
            assert_eq!(together, run(gpu, of_a, size, [&a, &b])[0], "{context}: two runs differ");
            let (x, columns) = if of_a { (&a, m) } else { (&b, n) };
            let (want, magnitude): (Vec<_>, Vec<_>) =
                column_sum_reference(x, columns).into_iter().unzip();
            let tol = Tol::Sum { terms: k, magnitude: &magnitude };
            tol.check(&together[1], &want).unwrap_or_else(|e| panic!("{context}: {e}"));
            let (want, magnitude): (Vec<_>, Vec<_>) =
                matmul_reference(Form::TN, (&a, &b), None, size).into_iter().unzip();
            let tol = Tol::Sum { terms: k, magnitude: &magnitude };
            tol.check(&together[0], &want).unwrap_or_else(|e| panic!("{context}: {e}"));
        }
    }
}

/// Where the terms of either are in parts, in the largest tiles, and on software adapters.
#[test]
fn some_launches_stay_apart() {
    let (any, software) = (Target::default(), Target { software: true, ..Target::default() });
    let one = |size, target| WeightGradient::of(size, false, target).is_some();
    assert!(one([300, 100, 128], any));
    assert!(!one([300, 100, 128], software));
    assert!(!one([300, 100, 400], any), "terms in parts");
    assert!(!one([1900, 1900, 600], any), "sums in parts");
    assert!(!one([4096, 4096, 128], any), "tiles of 128");
}
