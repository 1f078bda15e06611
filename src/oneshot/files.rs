//! The files of a model, and those that become of them.
use std::path::{Path, PathBuf};

use super::Place;
use super::companions::Companions;
use super::options::Options;
use crate::checkpoint::{self, is_in};
use crate::session::ModelFile;
use crate::storage::{Header, MadeFolder, Replace, TensorInfo, Weights, check_output};
use crate::{Error, Result};

/// Inputs in the order of their names, and an output for each.
pub(super) struct Files {
    inputs: Vec<Header>,
    /// Where the outputs go.
    targets: Vec<PathBuf>,
    outputs: Vec<Replace>,
    folder: Option<Folder>,
}

/// Of an output that is a folder: what goes into it besides the weights.
struct Folder {
    /// Where the weights and what lies beside them come from.
    source: PathBuf,
    path: PathBuf,
    /// The index of several files, and where its copy goes.
    index: Option<(Vec<u8>, PathBuf)>,
    companions: Companions,
    /// Gone again where nothing is put into it; dropped after the outputs.
    _made: MadeFolder,
}

impl Files {
    /// Opens `input`: a checkpoint or a logdir, a folder with weights, an index, or a file.
    pub(super) fn open(input: &Path, output: &Path, options: &Options) -> Result<Self> {
        let outputs = Vec::new();
        if input.is_dir() && is_in(input) {
            let found = ModelFile::of(&checkpoint::find(input)?)?;
            check_output(output, options.force)?;
            let inputs = vec![Header::from_bytes(&found.path, found.to_bytes()?)?];
            return Ok(Self { inputs, targets: vec![output.to_owned()], outputs, folder: None });
        }
        let Weights { index, files: inputs, .. } = Weights::open(input)?;
        if index.is_none() && !input.is_dir() {
            refuse_overwriting(&inputs[0].path, output, options.force)?;
            return Ok(Self { inputs, targets: vec![output.to_owned()], outputs, folder: None });
        }
        if output.extension().is_some_and(|e| e == "safetensors") {
            let input = if index.is_some() { "an index" } else { "a folder" };
            let message =
                format!("{} would be a folder, since the input is {input}", output.display());
            return Err(Error::argument("output", format!("{message}; name one, like pruned/")));
        }
        let source = if input.is_dir() { Some(input) } else { input.parent() };
        let source = source.unwrap_or(Path::new("")).to_owned();
        let target = |path: &Path| output.join(path.file_name().unwrap_or_default());
        let targets: Vec<PathBuf> = inputs.iter().map(|h| target(&h.path)).collect();
        let mut taken: Vec<PathBuf> = inputs.iter().map(|h| h.path.clone()).collect();
        taken.extend(index.as_ref().map(|index| index.path.clone()));
        for path in &taken {
            refuse_overwriting(path, &target(path), options.force)?;
        }
        let companions = Companions::find(&source, &taken, output, options.force)?;
        let index = index.map(|index| (index.bytes, target(&index.path)));
        let (path, made) = (output.to_owned(), MadeFolder::create(output)?);
        let folder = Some(Folder { source, path, index, companions, _made: made });
        Ok(Self { inputs, targets, outputs, folder })
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

    pub(super) fn names(&self) -> Vec<&str> {
        self.inputs.iter().flat_map(|f| f.tensors.iter().map(|t| t.name.as_str())).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.inputs.iter().flat_map(|f| f.tensors.iter().map(|t| t.bytes)).sum()
    }

    /// The tensors that `options` prune, in the order of files and bytes.
    pub(super) fn selected(&self, options: &Options) -> Vec<Place> {
        let of = |(file, header): (usize, &Header)| {
            let chosen = |t: &usize| options.selects(&header.tensors[*t]);
            (0..header.tensors.len()).filter(chosen).map(move |t| (file, t)).collect::<Vec<_>>()
        };
        self.inputs.iter().enumerate().flat_map(of).collect()
    }

    pub(super) fn read(&mut self, file: usize, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.inputs[file].read(offset, buffer)
    }

    /// Begins the output of `file`: its header is that of the input.
    pub(super) fn begin(&mut self, file: usize) -> Result<()> {
        let mut output = Replace::create(&self.targets[file])?;
        output.write(&self.inputs[file].bytes)?;
        self.outputs.push(output);
        Ok(())
    }

    /// Appends to the output begun last.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.outputs.last_mut().expect("begun").write(bytes)
    }

    /// Puts all outputs in their places, and what belongs beside them.
    pub(super) fn finish(mut self) -> Result<Companions> {
        let Some(folder) = &mut self.folder else {
            return Replace::finish_all(self.outputs).map(|()| Companions::default());
        };
        self.outputs.extend(folder.companions.copy(&folder.source, &folder.path)?);
        if let Some((bytes, path)) = &folder.index {
            let mut copy = Replace::create(path)?;
            copy.write(bytes)?;
            self.outputs.push(copy);
        }
        Replace::finish_all(self.outputs)?;
        Ok(std::mem::take(&mut folder.companions))
    }
}

fn refuse_overwriting(source: &Path, target: &Path, force: bool) -> Result<()> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(target).is_some_and(|target| Some(target) == real(source)) {
        let message = format!("{} is the input; write to another file", target.display());
        return Err(Error::argument("output", message));
    }
    check_output(target, force)
}
