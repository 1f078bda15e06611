//! A model's folder whose weights are packed, or dense again.
use std::path::Path;

use super::{PackOptions, PackedTensor, pack};
use crate::storage::output::check_is_folder;
use crate::storage::{Companions, MadeFolder, Replace, Weights};
use crate::{Error, Result};

/// Writes the folder `output` with the weights of the folder `input` as `options` say and [`pack`]
/// does it, and with the files that lie beside them.
///
/// # Errors
/// As [`pack`] and [`Weights::open`]; [`Error::File`] for weights in several files.
pub fn pack_folder(
    input: &Path,
    output: &Path,
    options: &PackOptions,
) -> Result<(Vec<PackedTensor>, Companions)> {
    let Weights { files, index, .. } = Weights::open(input)?;
    let ([file], None) = (&files[..], index) else {
        let message = format!("its weights lie in {} files, which are packed singly", files.len());
        return Err(Error::file(input, format!("{message}: name one of them, and a file for -o")));
    };
    check_is_folder(output, "a folder")?;
    let companions =
        Companions::find(input, std::slice::from_ref(&file.path), output, options.force)?;
    let _made = MadeFolder::create(output)?;
    let name = file.path.file_name().unwrap_or_default();
    let told = pack(file, &output.join(name), options)?;
    Replace::finish_all(companions.copy(input, output)?)?;
    Ok((told, companions))
}
