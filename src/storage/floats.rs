//! Floats as files have them, and as f32.
use half::{bf16, f16};

use super::Dtype;

/// Whether [`widen`] knows the type.
pub(crate) fn is_float(dtype: &Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64)
}

/// Little-endian floats of one of the four types as f32: exactly, but for those of 64 bits, which
/// are rounded to the nearest.
pub(crate) fn widen(dtype: &Dtype, bytes: &[u8], values: &mut [f32]) {
    fn all<const N: usize>(bytes: &[u8], values: &mut [f32], value: impl Fn([u8; N]) -> f32) {
        bytes.as_chunks::<N>().0.iter().zip(values).for_each(|(&b, v)| *v = value(b));
    }
    match dtype {
        Dtype::F16 => all(bytes, values, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => all(bytes, values, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F64 => all(bytes, values, |b| f64::from_le_bytes(b) as f32),
        _ => all(bytes, values, f32::from_le_bytes),
    }
}

/// f32 as little-endian floats of one of the four types, rounded to the nearest, of two to the even
/// one. What becomes zero is +0.
pub(crate) fn narrow(dtype: &Dtype, values: &[f32], bytes: &mut [u8]) {
    fn all<const N: usize>(values: &[f32], bytes: &mut [u8], element: impl Fn(f32) -> [u8; N]) {
        values.iter().zip(bytes.as_chunks_mut::<N>().0).for_each(|(&v, b)| *b = element(v));
    }
    // The sum with +0 changes no value but -0.
    match dtype {
        Dtype::F16 => all(values, bytes, |v| match f16::from_f32(v) {
            zero if zero == f16::ZERO => [0; 2],
            rounded => rounded.to_le_bytes(),
        }),
        Dtype::BF16 => all(values, bytes, |v| match bf16::from_f32(v) {
            zero if zero == bf16::ZERO => [0; 2],
            rounded => rounded.to_le_bytes(),
        }),
        Dtype::F64 => all(values, bytes, |v| (f64::from(v) + 0.0).to_le_bytes()),
        _ => all(values, bytes, |v| (v + 0.0).to_le_bytes()),
    }
}

/// f32 as a tensor of the type has them.
pub(crate) fn rounded(dtype: &Dtype, values: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0; values.len() * dtype.bits().map_or(0, |bits| bits as usize / 8)];
    let mut rounded = vec![0.0; values.len()];
    narrow(dtype, values, &mut bytes);
    widen(dtype, &bytes, &mut rounded);
    rounded
}

/// The first of `values` that has no finite element of the type near it: its place, and what is
/// wrong with it.
pub(crate) fn misfit(dtype: &Dtype, values: &[f32]) -> Option<(usize, String)> {
    // Half a step over the largest element, from where on rounding leads to infinity.
    let (largest, bound) = match dtype {
        Dtype::F16 => (f16::MAX.to_f32(), 65520.0),
        Dtype::BF16 => (bf16::MAX.to_f32(), f32::from_bits(0x7f7f_8000)),
        _ => (f32::MAX, f32::INFINITY),
    };
    let place = values.iter().position(|v| v.is_nan() || v.abs() >= bound)?;
    let value = values[place];
    let message = match value.is_finite() {
        true => format!("{value:e} is over {largest:e}, the largest {dtype}"),
        false => format!("{value} is not finite"),
    };
    Some((place, message))
}
