//! Rows in safetensors files.
use super::arrays::{self, ANSWERS, Array, FEATURES};
use super::file::foreign;
use super::{Dataset, OpenOptions, Schema};
use crate::{Error, Result};
use ::safetensors::{Dtype, SafeTensors};
use std::fs;
use std::path::Path;

/// All rows of a file: the tensor `features` or `x`, with the answers that `options` names, or else
/// `labels`, `y` or `targets`.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| {
        let message = match foreign(path, " but ") {
            but if but.is_empty() => format!("no whole safetensors file: {error}"),
            but => format!("no whole safetensors file{but}"),
        };
        Error::file(path, message)
    })?;
    let has = |name: &str| tensors.tensor(name).is_ok();
    let missing = |wanted: &str| {
        let message = format!("has no tensor {wanted}; it has {}", tensors.names().join(", "));
        Error::file(path, message)
    };
    let read = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|_| missing(&format!("`{name}`")))?;
        let dtype = match tensor.dtype() {
            Dtype::BOOL => ('b', 1),
            Dtype::U8 => ('u', 1),
            Dtype::I8 => ('i', 1),
            Dtype::I16 => ('i', 2),
            Dtype::U16 => ('u', 2),
            Dtype::F16 => ('f', 2),
            Dtype::BF16 => ('g', 2),
            Dtype::I32 => ('i', 4),
            Dtype::U32 => ('u', 4),
            Dtype::F32 => ('f', 4),
            Dtype::F64 => ('f', 8),
            Dtype::I64 => ('i', 8),
            Dtype::U64 => ('u', 8),
            other => {
                let message =
                    format!("`{name}` holds {other:?}, which is not read; save it as F32");
                return Err(Error::file(path, message));
            }
        };
        Array::new(name.to_owned(), tensor.shape().to_vec(), dtype, false, tensor.data())
            .map_err(|message| Error::file(path, message))
    };
    let features = FEATURES.iter().find(|name| has(name));
    let features = read(features.ok_or_else(|| missing(&FEATURES.join(" or ")))?)?;
    let answers = match arrays::answers_of(options, has)? {
        None if options.multi_label => return Err(missing(&ANSWERS.join(" or "))),
        // Rows to predict need none.
        Some(name) if schema.is_some() && !has(&name) => None,
        answers => answers.map(|name| read(&name)).transpose()?,
    };
    arrays::dataset(path, features, answers, options, schema)
}
