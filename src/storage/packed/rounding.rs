//! Elements in the type that they are to have, and what that changes.
use std::borrow::Cow;

use serde::Serialize;

use super::contents::Content;
use super::int8::Scales;
use super::options::{PackOptions, Values};
use crate::storage::floats::{is_float, misfit, narrow, widen};
use crate::storage::{Dtype, Header};
use crate::{Error, Result};

/// How far rounded values are from what they were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The largest difference of an element.
    pub largest: f64,
    /// Sum of the differences over the sum of the elements, both without signs; 0 of a tensor of
    /// zeros.
    pub relative: f64,
}

impl Loss {
    fn of(before: &[f32], after: impl Iterator<Item = f32>) -> Self {
        let (mut largest, mut differences, mut sum) = (0.0_f64, 0.0, 0.0);
        for (&before, after) in before.iter().zip(after) {
            let difference = (f64::from(before) - f64::from(after)).abs();
            largest = largest.max(difference);
            differences += difference;
            sum += f64::from(before).abs();
        }
        Self { largest, relative: if sum > 0.0 { differences / sum } else { 0.0 } }
    }
}

/// A tensor as it is written, before it is packed.
#[derive(Debug)]
pub(super) struct Elements {
    pub(super) dtype: Dtype,
    pub(super) bytes: Vec<u8>,
    /// Where the elements are codes.
    pub(super) scales: Option<Scales>,
    /// Where they have been rounded.
    pub(super) loss: Option<Loss>,
}

impl Elements {
    /// Those of `content` of the file `input` in the type that they are to have.
    pub(super) fn read(input: &Header, content: &Content, options: &PackOptions) -> Result<Self> {
        let bytes = content.read(input)?;
        let (own, shape) = (&content.dtype, &content.shape[..]);
        let plain = |bytes| Self { dtype: own.clone(), bytes, scales: None, loss: None };
        let rounds = is_float(own) && shape.len() > 1 && !bytes.is_empty();
        let Some(values) = options.values.filter(|values| rounds && values.dtype() != *own) else {
            return Ok(plain(bytes));
        };
        let axis = options.unit_axes.get(&content.name).copied().unwrap_or(0);
        if axis >= shape.len() {
            let message = format!("axis {axis} of output units; {shape:?} has no such axis");
            return Err(Error::argument(&content.name, message));
        }
        let mut wide = vec![0.0; shape.iter().product()];
        widen(own, &bytes, &mut wide);
        // Codes take any finite value.
        let range = if values == Values::Int8 { Dtype::F32 } else { values.dtype() };
        if let Some((at, message)) = misfit(&range, &wide) {
            let way = if values == Values::Int8 { "mend it first" } else { "take a wider type" };
            let message = format!("{}: element {at}: {message}; {way}", content.name);
            return Err(Error::file(&input.path, message));
        }
        if values == Values::Int8 {
            // Scales would take more than the codes save.
            if wide.len() + shape[axis] * 4 >= bytes.len() {
                return Ok(plain(bytes));
            }
            let (codes, scales) = Scales::of(&wide, shape, axis);
            let dense = scales.values(&codes, shape);
            let dense = dense.map_err(|wrong| Error::argument(&content.name, wrong))?;
            let after = dense.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
            let loss = Some(Loss::of(&wide, after));
            return Ok(Self { dtype: Dtype::I8, bytes: codes, scales: Some(scales), loss });
        }
        let dtype = values.dtype();
        let mut bytes = vec![0; wide.len() * (dtype.bits().unwrap_or(32) / 8) as usize];
        narrow(&dtype, &wide, &mut bytes);
        let mut after = vec![0.0; wide.len()];
        widen(&dtype, &bytes, &mut after);
        let loss = Some(Loss::of(&wide, after.into_iter()));
        Ok(Self { dtype, bytes, scales: None, loss })
    }

    /// What the name of the elements themselves ends with, where they are not packed.
    pub(super) fn suffix(&self) -> &'static str {
        if self.scales.is_some() { super::sparse::VALUES } else { "" }
    }

    /// The name of a part of the tensor `name`, whose other parts' names begin with `stem`.
    pub(super) fn part_name<'a>(stem: &'a str, suffix: &str) -> Cow<'a, str> {
        match suffix {
            "" => Cow::Borrowed(stem),
            suffix => Cow::Owned(format!("{stem}.{suffix}")),
        }
    }
}
