//! A model's folder whose weights are packed, or dense again.
use std::path::Path;

use super::{PackOptions, PackedTensor, pack};
use crate::storage::output::check_is_folder;
use crate::storage::{Companions, Header, MadeFolder, Replace, Weights, check_output};
use crate::{Error, Result};

/// That [`pack_folder`] would have what it needs: one file of weights, and room for `output`.
///
/// # Errors
/// As [`pack_folder`].
pub fn check_pack_folder(input: &Path, output: &Path, options: &PackOptions) -> Result<()> {
    found(input, output, options).map(|_| ())
}

/// The one file of weights in `input`, and what lies beside it.
fn found(input: &Path, output: &Path, options: &PackOptions) -> Result<(Header, Companions)> {
    let Weights { files, index, .. } = Weights::open(input)?;
    let [file] = <[Header; 1]>::try_from(files).map_err(|files| several(input, files.len()))?;
    if index.is_some() {
        return Err(several(input, 1));
    }
    check_is_folder(output, "a folder")?;
    let companions =
        Companions::find(input, std::slice::from_ref(&file.path), output, options.force)?;
    check_output(&output.join(file.path.file_name().unwrap_or_default()), options.force)?;
    Ok((file, companions))
}

fn several(input: &Path, files: usize) -> Error {
    let message = format!("its weights lie in {files} files, which are packed singly");
    Error::file(input, format!("{message}: name one of them, and a file for -o"))
}

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
    let (file, companions) = found(input, output, options)?;
    let _made = MadeFolder::create(output)?;
    let name = file.path.file_name().unwrap_or_default();
    let told = pack(&file, &output.join(name), options)?;
    Replace::finish_all(companions.copy(input, output)?)?;
    Ok((told, companions))
}
