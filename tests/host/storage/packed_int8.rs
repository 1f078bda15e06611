//! Codes of eight bits with a scale for each output unit: how near they are, and what is refused.
use std::collections::HashMap;

use secateur::session::unit_axes;
use secateur::storage::{Format, Header, Loss, Values, pack};

use super::packed::options;
use super::packed_damaged::{i64s, read, refused};
use super::packed_own::{noise, smallest, values};
use super::{Raw, f32s, message, write};

/// Codes are within half a scale, for units along either axis, packed or not.
#[test]
fn codes_are_the_nearest_ones() {
    let dir = tempfile::tempdir().unwrap();
    let full: Vec<f32> = (0..24 * 20).map(|i| (noise(i) - 0.75) * (1 + i % 20) as f32).collect();
    let thin: Vec<f32> = (0..24 * 20).map(|i| if i % 6 == 2 { full[i] } else { 0.0 }).collect();
    let tensors: [Raw; 3] = [
        ("full", "F32", &[24, 20], f32s(full.clone())),
        ("thin", "F32", &[24, 20], f32s(thin.clone())),
        ("norm", "F32", &[20], f32s([0.3; 20])),
    ];
    write(dir.path(), "in.safetensors", &tensors);
    let input = Header::open(&dir.path().join("in.safetensors")).unwrap();
    let out = dir.path().join("out.safetensors");
    for (format, axis) in
        [Format::Dense, Format::Sparse, Format::Smallest].into_iter().flat_map(|f| [(f, 0), (f, 1)])
    {
        let mut asked = options(format).values(Some(Values::Int8));
        asked.unit_axes.extend(["full", "thin"].map(|name| (name.to_owned(), axis)));
        let told = pack(&input, &out, &asked).unwrap();
        for (name, before) in [("full", &full), ("thin", &thin)] {
            let (after, shape) = values(dir.path(), "out.safetensors", name);
            assert_eq!(shape, [24, 20]);
            let unit = |i: usize| if axis == 0 { i / 20 } else { i % 20 };
            let mut most = [0.0_f32; 24];
            before.iter().enumerate().for_each(|(i, v)| most[unit(i)] = most[unit(i)].max(v.abs()));
            let mut largest = 0.0_f64;
            for (i, (before, after)) in before.iter().zip(&after).enumerate() {
                let error = (f64::from(*before) - f64::from(*after)).abs();
                // Half a scale, and the roundings of scale and product: 2^-23 of the value.
                let scale = f64::from(most[unit(i)]) / 127.0;
                let bound = scale * 0.5 + f64::from(before.abs()) * f64::from(f32::EPSILON);
                assert!(error <= bound, "{name} {i}: {before} became {after}");
                largest = largest.max(error);
            }
            let found = told.iter().find(|t| t.name == name).unwrap();
            let Some(Loss { largest: said, .. }) = found.loss else { panic!("{name} is rounded") };
            assert_eq!((said, found.dtype.as_str()), (largest, "I8"));
        }
        let norm = told.iter().find(|t| t.name == "norm").unwrap();
        assert_eq!((norm.dtype.as_str(), norm.loss), ("F32", None));
        // Packed again they are the same.
        let again = dir.path().join("again.safetensors");
        pack(&Header::open(&out).unwrap(), &again, &options(Format::Dense)).unwrap();
        assert_eq!(values(dir.path(), "again.safetensors", "full").0, {
            values(dir.path(), "out.safetensors", "full").0
        });
    }
}

#[test]
fn odd_scales_are_handled() {
    let dir = tempfile::tempdir().unwrap();
    let tiny = f32::MIN_POSITIVE;
    let rows = [[0.0; 8], [tiny * 3.0; 8], [f32::MAX; 8], [-f32::MAX; 8], [1.0; 8]];
    let tensor: Raw = ("w", "F32", &[5, 8], f32s(rows.concat()));
    smallest(dir.path(), &[tensor], Some(Values::Int8));
    let (after, _) = values(dir.path(), "out.safetensors", "w");
    // A row of zeros; one whose scale would be no normal number, in steps of the smallest one; the
    // largest numbers, within a step of theirs; and one of which every element is the largest.
    assert_eq!(after[..16], [[0.0; 8], [tiny * 3.0; 8]].concat());
    for (after, sign) in [(after[16], 1.0), (after[24], -1.0)] {
        assert!(after.is_finite() && (after / f32::MAX - sign).abs() < 1e-6, "{after}");
    }
    assert!((after[32] - 1.0).abs() <= f32::EPSILON);
    for (value, what) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut elements = [1.0; 40];
        elements[17] = value;
        write(dir.path(), "in.safetensors", &[("w", "F32", &[5, 8], f32s(elements))]);
        let input = Header::open(&dir.path().join("in.safetensors")).unwrap();
        let out = dir.path().join("out.safetensors");
        let refused =
            message(pack(&input, &out, &options(Format::Dense).values(Some(Values::Int8))));
        assert!(refused.contains("w: element 17") && refused.contains(what), "{refused}");
    }
    // Where scales would take more than codes save.
    let told = smallest(dir.path(), &[("w", "F32", &[4, 1], f32s([1.0; 4]))], Some(Values::Int8));
    assert_eq!((told[0].dtype.as_str(), told[0].loss), ("F32", None));
}

/// Units are rows of `[out, in]`, and columns of what GPT-2 has as `[in, out]`.
#[test]
fn scales_belong_to_output_units() {
    let axes = |name: &str| {
        let path = crate::model_folders::model(name).join("model.safetensors");
        unit_axes(&Header::open(&path).unwrap()).unwrap()
    };
    let check = |axes: &HashMap<String, usize>, end: &str, axis: usize| {
        let found: Vec<_> = axes.iter().filter(|(name, _)| name.ends_with(end)).collect();
        assert!(!found.is_empty() && found.iter().all(|(_, of)| **of == axis), "{end}: {found:?}");
    };
    let gpt2 = axes("gpt2");
    for end in ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight"] {
        check(&gpt2, end, 1);
    }
    check(&gpt2, "wte.weight", 0);
    let llama = axes("llama");
    for end in ["q_proj.weight", "down_proj.weight", "embed_tokens.weight"] {
        check(&llama, end, 0);
    }
    check(&axes("resnet"), "convolution.weight", 0);
}

#[test]
fn damaged_codes_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let check = |codes: [i8; 4], extents: &[usize], scales: &[f32], what: &str| {
        let bytes = codes.iter().map(|code| code.cast_unsigned()).collect();
        let tensors: [Raw; 2] = [
            ("w.values", "I8", &[2, 2], bytes),
            ("w.scales", "F32", extents, f32s(scales.iter().copied())),
        ];
        match what {
            "" => assert_eq!(read(folder, &tensors).unwrap(), [0.5, -1.0, 0.0, 63.5]),
            what => refused(folder, &tensors, what),
        }
    };
    check([1, -2, 0, 127], &[2, 1], &[0.5, 0.5], "");
    check([1, -2, 0, 127], &[1, 2], &[0.5, 0.5], "");
    check([1, -128, 0, 127], &[2, 1], &[0.5, 0.5], "element 1 is -128");
    check([1, -2, 0, 127], &[2], &[0.5, 0.5], "scales are [2]");
    check([1, -2, 0, 127], &[2, 2], &[0.5; 4], "scales are [2, 2]");
    check([1, -2, 0, 127], &[1, 1], &[0.5], "scales are [1, 1]");
    check([1, -2, 0, 127], &[2, 1], &[0.5, f32::NAN], "scales has NaN for unit 1");
    check([1, -2, 0, 127], &[2, 1], &[0.5, -0.5], "scales has -5e-1 for unit 1");
    check([1, -2, 0, 127], &[2, 1], &[1e-40, 0.5], "for unit 0");
    check([1, -2, 0, 127], &[2, 1], &[0.5, f32::MAX], "element 3 is 127 times");
    let floats: [Raw; 4] = [
        ("w.shape", "I64", &[2], i64s(&[2, 2])),
        ("w.values", "F32", &[1], f32s([1.0])),
        ("w.scales", "F32", &[2, 1], f32s([1.0; 2])),
        ("w.bits", "U8", &[1], vec![1]),
    ];
    refused(folder, &floats, "values are F32, whose scales are for I8");
}
