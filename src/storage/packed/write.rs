//! A safetensors file whose tensors are packed, or dense again.
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use super::contents::{Content, Contents};
use super::matrix::Matrix;
use super::options::PackOptions;
use super::packing::{Format, Packing, Part};
use super::rounding::{Elements, Loss};
use crate::storage::floats::is_float;
use crate::storage::rewrite::header;
use crate::storage::{Dtype, Header, Replace, TensorInfo, check_output};
use crate::{Error, Result};

/// What became of a tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PackedTensor {
    /// Its name.
    pub name: String,
    /// The type of its elements in the output.
    pub dtype: String,
    /// Its extents.
    pub shape: Vec<usize>,
    /// How it is packed; `None` where it is dense.
    pub packing: Option<Packing>,
    /// Elements that are not zero.
    pub nonzero: u64,
    /// Bytes of all its elements in the input's type.
    pub dense_bytes: u64,
    /// Its bytes in the output.
    pub bytes: u64,
    /// What they would be in the smallest format, with values of the same type.
    pub smallest_bytes: u64,
    /// How far its values are from what they were, where they have been rounded.
    pub loss: Option<Loss>,
}

/// Writes the tensors of `input`, packed or not, to the file `output` as `options` say, each tensor
/// as what takes the fewest bytes in the format.
///
/// A zero has no sign in a packed tensor: -0 becomes 0. Memory grows with the largest tensor.
///
/// # Errors
/// [`Error::File`] for an output that is there and not to be replaced, for packed tensors that are
/// damaged, and where a value has no finite element of the type of values near it.
pub fn pack(input: &Header, output: &Path, options: &PackOptions) -> Result<Vec<PackedTensor>> {
    check_output(output, options.force)?;
    let contents = Contents::of(input)?;
    let (told, mut planned) = plan(input, &contents, options)?;
    // Readers map elements where they lie: those of more bytes come first.
    planned.sort_by_key(|(info, place)| (Reverse(info.dtype.bits().unwrap_or(0)), *place));
    let mut end = 0;
    for (info, _) in &mut planned {
        info.offset = end;
        end += info.bytes;
    }
    let (layout, places): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
    let wrong = |message: String| Error::file(output, message);
    let mut metadata = input.metadata.clone();
    metadata.extend(options.metadata.clone());
    let (first, layout) = header(&metadata, layout).map_err(wrong)?;
    let mut file = Replace::create(output)?;
    file.reserve(layout.last().map_or(first.len() as u64, |last| last.offset + last.bytes))?;
    file.write(&first)?;
    // Parts of one tensor that lie together are made together.
    let mut made: Option<(usize, Vec<Part>)> = None;
    for (at, part) in places {
        if made.as_ref().is_none_or(|(of, _)| *of != at) {
            let content = &contents.tensors[at];
            let elements = Elements::read(input, content, options)?;
            made = Some((at, parts(content, &elements, told[at].packing)));
        }
        if let Some((_, parts)) = &made {
            file.write(&parts[part].bytes)?;
        }
    }
    file.finish()?;
    Ok(told)
}

/// What [`pack`] would make of the tensors of `input`, and nothing is written.
///
/// # Errors
/// As [`pack`], of the input.
pub fn packed_sizes(input: &Header, options: &PackOptions) -> Result<Vec<PackedTensor>> {
    Ok(plan(input, &Contents::of(input)?, options)?.0)
}

/// What becomes of each tensor, and the tensors of the output, each with its place among the parts
/// of one.
fn plan(
    input: &Header,
    contents: &Contents,
    options: &PackOptions,
) -> Result<(Vec<PackedTensor>, Vec<Planned>)> {
    let mut names: HashSet<String> = contents.tensors.iter().map(|t| t.name.clone()).collect();
    let (mut told, mut planned) = (Vec::new(), Vec::new());
    for (at, content) in contents.tensors.iter().enumerate() {
        let elements = Elements::read(input, content, options)?;
        let (dtype, loss) = (elements.dtype.to_string(), elements.loss);
        let nonzero = elements.dtype.nonzero(&elements.bytes).unwrap_or(0);
        let (chosen, smallest) = chosen(content, &elements, options.format);
        // Names that others have would be there twice.
        let free = |packing: Option<Packing>| {
            let stem = packing.map_or(Some(&*content.name), |p| p.stem(&content.name))?;
            let of = parts(content, &elements, packing);
            let name = |part: &Part| Elements::part_name(stem, part.suffix).into_owned();
            let written: Vec<String> = of.iter().map(name).collect();
            let is_free = |name: &String| *name == content.name || !names.contains(name);
            written.iter().all(is_free).then_some((packing, of, written))
        };
        let found = chosen.and_then(|packing| free(Some(packing))).or_else(|| free(None));
        let Some((packing, parts, written)) = found else {
            let message = format!("the parts of {} have names that others have", content.name);
            return Err(Error::file(&input.path, format!("{message}; leave out values of int8")));
        };
        names.extend(written.iter().cloned());
        let bytes = parts.iter().map(|part| part.bytes.len() as u64).sum();
        told.push(PackedTensor {
            name: content.name.clone(),
            dtype,
            shape: content.shape.clone(),
            packing,
            nonzero,
            dense_bytes: content.dense_bytes(),
            bytes,
            smallest_bytes: smallest.min(bytes),
            loss,
        });
        for (i, (part, name)) in parts.into_iter().zip(written).enumerate() {
            let Part { dtype, shape, bytes, .. } = part;
            let bytes = bytes.len() as u64;
            planned.push((TensorInfo { name, dtype, shape, offset: 0, bytes }, (at, i)));
        }
    }
    Ok((told, planned))
}

/// A tensor of the output, with the tensor that it is made of and its number among the parts.
type Planned = (TensorInfo, (usize, usize));

/// How a tensor is packed in `format`, and its bytes in the smallest one.
fn chosen(content: &Content, elements: &Elements, format: Format) -> (Option<Packing>, u64) {
    let Elements { dtype, bytes, scales, .. } = elements;
    let beside = scales.as_ref().map_or(0, |s| s.part(content.shape.len()).bytes.len() as u64);
    let packs = is_float(dtype) || scales.is_some();
    let matrix = Matrix::new(dtype, &content.shape, bytes).filter(|_| packs);
    let best = |format: Format| matrix.as_ref().and_then(|matrix| format.choose(matrix));
    let smallest = best(Format::Smallest);
    let packing = match format {
        Format::Smallest => smallest,
        other => best(other),
    };
    let bytes = smallest.map_or(bytes.len() as u64, |(bytes, _)| bytes);
    (packing.map(|(_, packing)| packing), bytes + beside)
}

/// What a tensor is in the output.
fn parts(content: &Content, elements: &Elements, packing: Option<Packing>) -> Vec<Part> {
    let Elements { dtype, bytes, scales, .. } = elements;
    let matrix = Matrix::new(dtype, &content.shape, bytes);
    let mut parts = match packing.zip(matrix) {
        Some((packing, matrix)) => packing.parts(&matrix),
        None => {
            let (dtype, shape): (Dtype, _) = (dtype.clone(), content.shape.clone());
            vec![Part { suffix: elements.suffix(), dtype, shape, bytes: bytes.clone() }]
        }
    };
    parts.extend(scales.as_ref().map(|scales| scales.part(content.shape.len())));
    parts
}

/// Bytes of the tensors of `file` in the smallest format, with their own values.
///
/// # Errors
/// As [`pack`].
pub fn smallest_bytes(file: &Header) -> Result<u64> {
    let contents = Contents::of(file)?;
    let options = PackOptions::default();
    let of = |content: &Content| {
        let elements = Elements::read(file, content, &options)?;
        let (_, smallest) = chosen(content, &elements, Format::Smallest);
        Ok(smallest.min(elements.bytes.len() as u64))
    };
    contents.tensors.iter().map(of).sum()
}
