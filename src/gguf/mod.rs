//! Floor 10: language models as GGUF files, which llama.cpp and what is built on it run: dense
//! tensors under its names, the settings by its keys, and the tokenizer's tables.
mod format;
mod gpt2;
mod llama;
mod tensors;
mod vocabulary;

use std::path::Path;

use serde::Serialize;

use self::format::Entry;
use self::tensors::Plan;
use crate::pretrained::{Input, Pretrained};
use crate::storage::{Values, check_output};
use crate::{Error, Result};

/// Architectures that are written.
const KNOWN: &str = "gpt2, llama, mistral, qwen2, qwen3";

/// What a GGUF file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GgufReport {
    /// The architecture, as llama.cpp calls it.
    pub architecture: String,
    /// What splits texts into words, as llama.cpp calls it; `None` where the folder has no
    /// tokenizer, without which tokens can be given by their numbers only.
    pub tokenizer: Option<String>,
    /// Tensors in the order of the file.
    pub tensors: Vec<GgufTensor>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A tensor of a GGUF file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GgufTensor {
    /// Its name there.
    pub name: String,
    /// Its name in the folder; empty for what the settings say.
    pub source: String,
    /// `F32`, `F16` or `BF16`.
    pub dtype: String,
    /// Extents, slowest first.
    pub shape: Vec<usize>,
    /// Elements that are not zero.
    pub nonzero: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Writes the language model `model` to the file `output`, whole or not at all. Tensors of two axes
/// are of the type of `values`, or of their own where that is one of F32, F16 and BF16; norms,
/// biases and positions are F32, as llama.cpp wants them.
///
/// # Errors
/// [`Error::Argument`] for an architecture that is not known there, an output that is there without
/// `force`, and values of int8; [`Error::File`] names a setting, a tensor or a part of the
/// tokenizer that GGUF files cannot say, or a value that does not fit its type.
pub fn write_gguf(
    model: &Pretrained,
    output: &Path,
    values: Option<Values>,
    force: bool,
) -> Result<GgufReport> {
    check_output(output, force)?;
    if values == Some(Values::Int8) {
        let message = "int8 with a scale a row has no type in GGUF files; take f16, and quantise \
                       the file by llama.cpp's own tools";
        return Err(Error::argument("values", message));
    }
    let config = model.config();
    let mut plan = match model.kind() {
        "gpt2" => gpt2::plan(model)?,
        "llama" | "mistral" | "qwen2" | "qwen3" => llama::plan(model)?,
        _ => {
            let message = format!("has no GGUF form here; known are {KNOWN}");
            return Err(config.wrong("model_type", message));
        }
    };
    let Input::Tokens { vocabulary, .. } = model.architecture().input() else {
        return Err(config.wrong("model_type", "reads no tokens"));
    };
    let name = std::path::absolute(model.path()).map_err(Error::io("find", model.path()))?;
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file_type = tensors::file_type(&plan, model, values)?;
    let mut entries = vec![
        Entry::text("general.architecture", &plan.architecture),
        Entry::text("general.type", "model"),
        Entry::text("general.name", &name),
        Entry::count("general.file_type", file_type),
        Entry::count("general.quantization_version", 2),
    ];
    entries.append(&mut plan.entries);
    let tokenizer = vocabulary::entries(model, vocabulary, &mut entries)?;
    check_all_written(model, &plan)?;
    let (tensors, bytes) = tensors::write(model, &plan, &entries, values, output)?;
    Ok(GgufReport { architecture: plan.architecture, tokenizer, tensors, bytes })
}

/// That no tensor is left out which says something.
fn check_all_written(model: &Pretrained, plan: &Plan) -> Result<()> {
    let written: Vec<&str> = plan.tensors.iter().map(|t| t.source.as_str()).collect();
    let left = model.files().tensors().find(|tensor| {
        !written.contains(&tensor.name.as_str()) && !model.architecture().is_idle(&tensor.name)
    });
    match left {
        None => Ok(()),
        Some(tensor) => {
            let message = format!("{} has no name in a GGUF file", tensor.name);
            Err(Error::file(model.path(), message))
        }
    }
}
