//! The files of a model, and those that become of them.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Place;
use super::options::Options;
use crate::checkpoint::{MANIFEST_FILE, Manifest};
use crate::prune::OwnModel;
use crate::session::{MODEL, SCHEMA};
use crate::storage::{Header, Replace, TensorInfo, replace};
use crate::{Error, Result};

/// Inputs in the order of their names, and an output for each.
pub(super) struct Files {
    inputs: Vec<Header>,
    /// Where the outputs go.
    targets: Vec<PathBuf>,
    outputs: Vec<Replace>,
    /// A multi-file checkpoint's index, and where its copy goes.
    index: Option<(Vec<u8>, PathBuf)>,
}

/// `model.safetensors.index.json`, as far as it is read.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

impl Files {
    /// Opens what is at `input`, to be written to `output` where there is one.
    pub(super) fn open(input: &Path, output: Option<&Path>, options: &Options) -> Result<Self> {
        let is_index = input.extension().is_some_and(|e| e == "json");
        let (sources, targets, index) = if is_index {
            let bytes = std::fs::read(input).map_err(Error::io("read", input))?;
            let index: Index = serde_json::from_slice(&bytes)
                .map_err(|e| Error::file(input, format!("is no index of a checkpoint: {e}")))?;
            let names: BTreeSet<&String> = index.weight_map.values().collect();
            for name in &names {
                // An index must not reach files that lie elsewhere.
                if Path::new(name).file_name().is_none_or(|n| n != name.as_str()) {
                    return Err(Error::file(
                        input,
                        format!("names {name}, which is not beside it"),
                    ));
                }
            }
            let folder = input.parent().unwrap_or(Path::new(""));
            let sources: Vec<PathBuf> = names.iter().map(|n| folder.join(n)).collect();
            let target = |output: &Path| names.iter().map(|n| output.join(n)).collect();
            let name = input.file_name().unwrap_or_default();
            let index = output.map(|output| (bytes, output.join(name)));
            (sources, output.map_or_else(Vec::new, target), index)
        } else {
            (vec![input.to_owned()], output.map(Path::to_owned).into_iter().collect(), None)
        };
        for (source, target) in sources.iter().zip(&targets) {
            refuse_overwriting(source, target, options.force)?;
        }
        let inputs = sources.iter().map(|s| Header::open(s)).collect::<Result<_>>()?;
        Ok(Self { inputs, targets, outputs: Vec::new(), index })
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn path(&self, file: usize) -> &Path {
        &self.inputs[file].path
    }

    pub(super) fn tensors(&self, file: usize) -> &[TensorInfo] {
        &self.inputs[file].tensors
    }

    pub(super) fn tensor(&self, (file, tensor): Place) -> &TensorInfo {
        &self.inputs[file].tensors[tensor]
    }

    pub(super) fn bytes(&self) -> u64 {
        self.inputs.iter().flat_map(|f| f.tensors.iter().map(|t| t.bytes)).sum()
    }

    /// All tensors, in the order of files and bytes.
    pub(super) fn places(&self) -> Vec<Place> {
        let of = |(file, header): (usize, &Header)| {
            (0..header.tensors.len()).map(move |tensor| (file, tensor))
        };
        self.inputs.iter().enumerate().flat_map(of).collect()
    }

    /// The network of ours that the files say they are.
    pub(super) fn own_model(&self) -> Option<OwnModel> {
        let input = self.inputs.first()?;
        let said = |key: &str| input.metadata.get(key);
        if let Some(model) = said(MODEL) {
            let schema = said(SCHEMA).and_then(|json| serde_json::from_str(json).ok());
            return OwnModel::of(model, schema.as_ref());
        }
        // A checkpoint's weights: its manifest is one line, with a checksum behind it.
        let text = std::fs::read_to_string(input.path.with_file_name(MANIFEST_FILE)).ok()?;
        let manifest: Manifest = serde_json::from_str(text.lines().next()?).ok()?;
        OwnModel::of(&manifest.model, manifest.schema.as_ref())
    }

    pub(super) fn read(&mut self, file: usize, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.inputs[file].read(offset, buffer)
    }

    /// Begins the output of `file`: its header is that of the input.
    pub(super) fn begin(&mut self, file: usize) -> Result<()> {
        if let (Some(_), Some(folder)) = (&self.index, self.targets[file].parent()) {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let mut output = Replace::create(&self.targets[file])?;
        output.write(&self.inputs[file].bytes)?;
        self.outputs.push(output);
        Ok(())
    }

    /// Appends to the output begun last.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.outputs.last_mut().expect("begun").write(bytes)
    }

    /// Puts all outputs in their places.
    pub(super) fn finish(self) -> Result<()> {
        self.outputs.into_iter().try_for_each(Replace::finish)?;
        let Some((bytes, path)) = self.index else { return Ok(()) };
        replace(&path, &bytes)
    }
}

fn refuse_overwriting(source: &Path, target: &Path, force: bool) -> Result<()> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(target).is_some_and(|target| Some(target) == real(source)) {
        let message = format!("{} is the input; write to another file", target.display());
        return Err(Error::argument("output", message));
    }
    if target.exists() && !force {
        let message =
            format!("{} is there already; choose another name, or --force", target.display());
        return Err(Error::argument("output", message));
    }
    Ok(())
}
