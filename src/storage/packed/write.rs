//! A safetensors file whose matrices are packed, or dense again.
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use super::contents::{Content, Contents};
use super::matrix::Matrix;
use super::packing::{Format, Packing, Part};
use crate::storage::floats::{is_float, misfit, narrow, widen};
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
}

/// Writes the tensors of `input`, packed or not, to the file `output` in the given `format`, each
/// matrix as what takes the fewest bytes. With `values`, tensors of floats that have two axes and
/// more become of that type, rounded to the nearest.
///
/// A zero has no sign in a packed matrix: -0 becomes 0. Memory grows with the largest tensor.
///
/// # Errors
/// [`Error::File`] for an output that is there and not to be replaced (`force`), for packed tensors
/// that are damaged, and where a value has no finite element of the type of `values` near it.
pub fn pack(
    input: &Header,
    output: &Path,
    format: Format,
    values: Option<&Dtype>,
    force: bool,
) -> Result<Vec<PackedTensor>> {
    check_output(output, force)?;
    let contents = Contents::of(input)?;
    let (told, mut planned) = plan(input, &contents, format, values)?;
    // Readers map elements where they lie: those of more bytes come first.
    planned.sort_by_key(|(info, place)| (Reverse(info.dtype.bits().unwrap_or(0)), *place));
    let mut end = 0;
    for (info, _) in &mut planned {
        info.offset = end;
        end += info.bytes;
    }
    let (layout, places): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
    let wrong = |message: String| Error::file(output, message);
    let (first, layout) = header(&input.metadata, layout).map_err(wrong)?;
    let mut file = Replace::create(output)?;
    file.reserve(layout.last().map_or(first.len() as u64, |last| last.offset + last.bytes))?;
    file.write(&first)?;
    // Parts of one tensor that lie together are made together.
    let mut made: Option<(usize, Vec<Part>)> = None;
    for (at, part) in places {
        if made.as_ref().is_none_or(|(of, _)| *of != at) {
            let content = &contents.tensors[at];
            let (dtype, bytes) = read(input, content, values)?;
            made = Some((at, parts(content, &dtype, told[at].packing, bytes)));
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
pub fn packed_sizes(
    input: &Header,
    format: Format,
    values: Option<&Dtype>,
) -> Result<Vec<PackedTensor>> {
    Ok(plan(input, &Contents::of(input)?, format, values)?.0)
}

/// What becomes of each tensor, and the tensors of the output, each with its place among the parts
/// of one.
fn plan(
    input: &Header,
    contents: &Contents,
    format: Format,
    values: Option<&Dtype>,
) -> Result<(Vec<PackedTensor>, Vec<Planned>)> {
    let mut names: HashSet<String> = contents.tensors.iter().map(|t| t.name.clone()).collect();
    let (mut told, mut planned) = (Vec::new(), Vec::new());
    for (at, content) in contents.tensors.iter().enumerate() {
        let (dtype, bytes) = read(input, content, values)?;
        let matrix = Matrix::new(&dtype, &content.shape, &bytes).filter(|_| is_float(&dtype));
        let chosen = matrix.as_ref().and_then(|matrix| format.choose(matrix));
        // Names that others have would be there twice.
        let free = |packing: &Packing| {
            let stem = packing.stem(&content.name)?;
            let of = matrix.as_ref().map(|matrix| packing.parts(matrix)).unwrap_or_default();
            let parts: Vec<String> = of.iter().map(|p| format!("{stem}.{}", p.suffix)).collect();
            parts.iter().all(|name| !names.contains(name)).then_some(parts)
        };
        let chosen = chosen.and_then(|packing| Some((packing, free(&packing)?)));
        let packing = chosen.as_ref().map(|(packing, _)| *packing);
        let parts = parts(content, &dtype, packing, bytes.clone());
        let written = match &chosen {
            Some((_, written)) => written.clone(),
            None => vec![content.name.clone()],
        };
        names.extend(written.iter().cloned());
        let shape = content.shape.clone();
        told.push(PackedTensor {
            name: content.name.clone(),
            dtype: dtype.to_string(),
            shape,
            packing,
            nonzero: dtype.nonzero(&bytes).unwrap_or(0),
            dense_bytes: content.dense_bytes(),
            bytes: parts.iter().map(|part| part.bytes.len() as u64).sum(),
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

/// The elements of a tensor in the type that they are to have.
fn read(input: &Header, content: &Content, values: Option<&Dtype>) -> Result<(Dtype, Vec<u8>)> {
    let bytes = content.read(input)?;
    let own = &content.dtype;
    let wanted = values.filter(|wanted| is_float(own) && content.shape.len() > 1 && *wanted != own);
    let Some(wanted) = wanted else { return Ok((own.clone(), bytes)) };
    let mut wide = vec![0.0; content.shape.iter().product()];
    widen(own, &bytes, &mut wide);
    if let Some((at, message)) = misfit(wanted, &wide) {
        let message = format!("{}: element {at}: {message}; take a wider type", content.name);
        return Err(Error::file(&input.path, message));
    }
    let mut bytes = vec![0; wide.len() * (wanted.bits().unwrap_or(32) / 8) as usize];
    narrow(wanted, &wide, &mut bytes);
    Ok((wanted.clone(), bytes))
}

/// What a tensor is in the output.
fn parts(content: &Content, dtype: &Dtype, packing: Option<Packing>, bytes: Vec<u8>) -> Vec<Part> {
    let matrix = Matrix::new(dtype, &content.shape, &bytes);
    match packing.zip(matrix) {
        Some((packing, matrix)) => packing.parts(&matrix),
        None => {
            let (dtype, shape) = (dtype.clone(), content.shape.clone());
            vec![Part { suffix: "", dtype, shape, bytes }]
        }
    }
}
