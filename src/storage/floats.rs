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
