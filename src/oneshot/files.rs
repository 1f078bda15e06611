//! The files of a model, and those that become of them.
use std::path::{Path, PathBuf};

use super::Place;
use super::options::Options;
use crate::Result;
use crate::checkpoint::{self, MANIFEST_FILE, Manifest, is_in};
use crate::prune::OwnModel;
use crate::session::{MODEL, ModelFile, SCHEMA};
use crate::storage::{
    Companions, Contents, Header, MadeFolder, Replace, TensorInfo, Weights, check_apart,
    check_is_folder, check_output, packed_error,
};

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
    /// Opens `input`: a checkpoint or a logdir, a folder with weights, an index, or a file; to be
    /// written to `output` where there is one.
    pub(super) fn open(input: &Path, output: Option<&Path>, options: &Options) -> Result<Self> {
        let outputs = Vec::new();
        let one = |inputs: Vec<Header>| {
            let targets = output.map(Path::to_owned).into_iter().collect();
            Self { inputs, targets, outputs: Vec::new(), folder: None }
        };
        if input.is_dir() && is_in(input) {
            let found = ModelFile::of(&checkpoint::find(input)?)?;
            output.map_or(Ok(()), |output| check_output(output, options.force))?;
            return Ok(one(vec![Header::from_bytes(&found.path, found.to_bytes()?)?]));
        }
        let Weights { index, files: inputs, .. } = Weights::open(input)?;
        for file in &inputs {
            if Contents::of(file)?.tensors.iter().any(|tensor| tensor.in_parts) {
                return Err(packed_error(&file.path));
            }
        }
        if index.is_none() && !input.is_dir() {
            output.map_or(Ok(()), |output| check_apart(&inputs[0].path, output, options.force))?;
            return Ok(one(inputs));
        }
        let Some(output) = output else { return Ok(one(inputs)) };
        check_is_folder(output, if index.is_some() { "an index" } else { "a folder" })?;
        let source = if input.is_dir() { Some(input) } else { input.parent() };
        let source = source.unwrap_or(Path::new("")).to_owned();
        let target = |path: &Path| output.join(path.file_name().unwrap_or_default());
        let targets: Vec<PathBuf> = inputs.iter().map(|h| target(&h.path)).collect();
        let mut taken: Vec<PathBuf> = inputs.iter().map(|h| h.path.clone()).collect();
        taken.extend(index.as_ref().map(|index| index.path.clone()));
        for path in &taken {
            check_apart(path, &target(path), options.force)?;
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
