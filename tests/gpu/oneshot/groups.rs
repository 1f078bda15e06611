//! N:M in files: along which axis, and which tensors.
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use secateur::kernels::{bit, nm_mask_reference};
use secateur::oneshot::Options;
use secateur::prune::{Pattern, TensorPattern};

use super::{Case, tensor};
use crate::common::Noise;

#[test]
fn n_of_m_leaves_dense_what_m_does_not_divide() {
    let mut noise = Noise::new(8);
    let data = noise.floats(13_000, 1.0);
    let tensors = [
        tensor("a.weight", Dtype::F32, &[1000, 12], &data[..12_000]),
        tensor("b.weight", Dtype::F32, &[10, 7], &data[..70]),
    ];
    let b = TensorPattern::new("^b");
    for (n, m) in [(2, 4), (1, 3), (3, 12)] {
        let case = Case::new(&tensors);
        let exclude = Some(b.clone());
        let sparsity = 1.0 - f64::from(n) / f64::from(m);
        let pattern = Pattern::Nm { n, m };
        let options =
            Options { sparsity, pattern, exclude, chunk: Some(5000), ..Default::default() };
        let Some(report) = case.prune(&options) else { return };
        let report = report.unwrap();
        let want = nm_mask_reference(&data[..12_000], 1, n as usize, m as usize);
        let after = std::fs::read(&case.output).unwrap();
        let read = SafeTensors::deserialize(&after).unwrap();
        let got = read.tensor("a.weight").unwrap().data().to_vec();
        for (i, b) in got.chunks(4).enumerate() {
            let kept = if bit(&want, i) { data[i] } else { 0.0 };
            assert_eq!(f32::from_le_bytes(b.try_into().unwrap()), kept, "{n}:{m} weight {i}");
        }
        assert!((report.sparsity - sparsity).abs() < 1e-9);

        let highest = (0..12_000).filter(|&i| !bit(&want, i)).map(|i| data[i].abs());
        assert_eq!(report.tensors[0].threshold, Some(highest.fold(0.0, f32::max)), "{n}:{m}");

        let case = Case::new(&tensors);
        let report = case.prune(&Options { exclude: None, ..options }).unwrap().unwrap();
        let divided = m == 1 || 7 % m == 0;
        assert_eq!(report.skipped, if divided { vec![] } else { vec!["b.weight"] }, "{n}:{m}");
        let after = std::fs::read(&case.output).unwrap();
        let read = SafeTensors::deserialize(&after).unwrap();
        assert!(read.tensor("b.weight").unwrap().data() == tensors[1].bytes, "{n}:{m}");
        assert!(report.warnings.iter().any(|w| w.contains("b.weight [10, 7] along axis 1")));
    }
}

/// The groups of any axis are those of a matrix whose rows are that axis, in chunks of any length;
/// the threshold is the highest that goes, however little of a chunk a tensor fills.
#[test]
fn n_of_m_runs_along_any_axis() {
    let mut noise = Noise::new(12);
    let data = noise.floats(24 * 16 * 15, 1.0);
    for (shape, axes) in [
        (&[384, 15][..], &[0][..]),
        (&[16, 24, 3, 5], &[0, 1, -3, -4]),
        (&[15, 16, 24], &[1, 2, -1]),
        (&[5760], &[0]),
    ] {
        for &axis in axes {
            let place = if axis < 0 { shape.len() as isize + axis } else { axis } as usize;
            let columns: usize = shape[place + 1..].iter().product();
            let want = nm_mask_reference(&data, columns, 1, 4);
            for chunk in [None, Some(4_100), Some(5_000)] {
                let case = Case::new(&[tensor("a.weight", Dtype::F32, shape, &data)]);
                let (pattern, include) = (Pattern::Nm { n: 1, m: 4 }, TensorPattern::new("a"));
                let options = Options {
                    sparsity: 0.75,
                    pattern,
                    chunk,
                    axis: Some(axis),
                    include: Some(include),
                    ..Default::default()
                };
                let Some(report) = case.prune(&options) else { return };
                let report = report.unwrap();
                let after = std::fs::read(&case.output).unwrap();
                let read = SafeTensors::deserialize(&after).unwrap();
                let got = read.tensor("a.weight").unwrap().data().to_vec();
                let mut highest = 0.0f32;
                for (i, b) in got.chunks(4).enumerate() {
                    let kept = if bit(&want, i) { data[i] } else { 0.0 };
                    let value = f32::from_le_bytes(b.try_into().unwrap());
                    assert_eq!(value, kept, "{shape:?} along {axis}: weight {i}");
                    highest = highest.max(if bit(&want, i) { 0.0 } else { data[i].abs() });
                }
                assert_eq!(report.tensors[0].threshold, Some(highest), "{shape:?} along {axis}");
            }
        }
    }
    let case = Case::new(&[tensor("a.weight", Dtype::F32, &[384, 15], &data)]);
    let pattern = Pattern::Nm { n: 2, m: 4 };
    for (axis, chunk, what) in
        [(2, None, "a.weight has 2 axes"), (0, Some(50), "weights of groups side by side")]
    {
        let options = Options { pattern, axis: Some(axis), chunk, ..Default::default() };
        let error = case.prune(&options).unwrap().unwrap_err();
        assert!(error.contains(what), "{error}");
        assert_eq!(case.leftovers(), [""; 0]);
    }
}
