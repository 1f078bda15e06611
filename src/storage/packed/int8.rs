//! Values as whole numbers of eight bits, times a scale for each output unit: symmetric, rounded to
//! the nearest, of two to the even one.
use super::packing::Part;
use crate::storage::Dtype;

pub(super) const SCALES: &str = "scales";
/// The largest code. -128 is none, so that each value has its negative one.
const MOST: f32 = 127.0;

/// The scales of a tensor's units, which lie along one of its axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scales {
    axis: usize,
    scales: Vec<f32>,
}

/// Which unit each element of a tensor is of.
fn units(shape: &[usize], axis: usize) -> impl Iterator<Item = usize> + use<> {
    let (units, run) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let elements: usize = shape.iter().product();
    (0..elements).map(move |place| place / run.max(1) % units.max(1))
}

impl Scales {
    /// The codes of `values`, all of which are finite, and the scales of the units along `axis`.
    ///
    /// A unit of zeros has the scale 0. No other scale is smaller than the smallest normal number,
    /// since devices take what is smaller for zero; no product of a code and its scale is infinite.
    pub(super) fn of(values: &[f32], shape: &[usize], axis: usize) -> (Vec<u8>, Self) {
        let mut scales = vec![0.0_f32; shape[axis]];
        for (unit, value) in units(shape, axis).zip(values) {
            scales[unit] = scales[unit].max(value.abs());
        }
        for scale in scales.iter_mut().filter(|scale| **scale > 0.0) {
            *scale = (*scale / MOST).max(f32::MIN_POSITIVE);
            if (*scale * MOST).is_infinite() {
                *scale = scale.next_down();
            }
        }
        let code = |(unit, &value): (usize, &f32)| match scales[unit] {
            0.0 => 0,
            scale => {
                let whole = (f64::from(value) / f64::from(scale)).round_ties_even();
                (whole.clamp(-f64::from(MOST), f64::from(MOST)) as i8).cast_unsigned()
            }
        };
        let codes = units(shape, axis).zip(values).map(code).collect();
        (codes, Self { axis, scales })
    }

    /// The scales that a part of these extents holds for a tensor of `shape`; or what is wrong.
    pub(super) fn read(bytes: &[u8], of: &[usize], shape: &[usize]) -> Result<Self, String> {
        let is_axis = |&axis: &usize| {
            let one =
                |(i, &extent): (usize, &usize)| extent == if i == axis { shape[axis] } else { 1 };
            of.len() == shape.len() && of.iter().enumerate().all(one)
        };
        let axis = (0..shape.len()).find(is_axis);
        let axis = axis.ok_or_else(|| format!("{SCALES} are {of:?}, which {shape:?} has not"))?;
        let scales: Vec<f32> = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        if scales.len() != shape[axis] {
            return Err(format!("{SCALES} has {} numbers for {}", scales.len(), shape[axis]));
        }
        let is_right = |s: f32| s == 0.0 || (s.is_normal() && s > 0.0);
        match scales.iter().position(|&s| !is_right(s)) {
            None => Ok(Self { axis, scales }),
            Some(unit) => {
                let found = scales[unit];
                let message = format!("{SCALES} has {found:e} for unit {unit}");
                Err(format!("{message}; 0 and normal positive numbers are scales"))
            }
        }
    }

    /// The values that `codes` stand for, as bytes of f32; or what is wrong with them.
    pub(super) fn values(&self, codes: &[u8], shape: &[usize]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(codes.len() * 4);
        for (place, (unit, code)) in units(shape, self.axis).zip(codes).enumerate() {
            let (code, scale) = (code.cast_signed(), self.scales[unit]);
            if code == i8::MIN {
                return Err(format!("element {place} is -128; codes are -127 to 127"));
            }
            // A zero has no sign.
            let value = f32::from(code) * scale + 0.0;
            if !value.is_finite() {
                return Err(format!("element {place} is {code} times {scale:e}: too large"));
            }
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Ok(bytes)
    }

    /// The part that holds them, for a tensor of so many axes.
    pub(super) fn part(&self, rank: usize) -> Part {
        let mut shape = vec![1; rank];
        shape[self.axis] = self.scales.len();
        let bytes = self.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        Part { suffix: SCALES, dtype: Dtype::F32, shape, bytes }
    }
}
