//! A trained network as a file: weights under their plain names, and what is needed to use them.
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::variable::Variable;
use super::{Fastest, Session};
use crate::checkpoint::{self, Checkpoint};
use crate::data::Schema;
use crate::gpu::Gpu;
use crate::graph::{MASK, Weight, effective_in_file};
use crate::nn::{Input, Model};
use crate::optim::{AVERAGE, Optimizer};
use crate::prune::MaskUpdateOp;
use crate::storage::{Encoding, Floats, Replace, Tensor, TensorData, read_floats};
use crate::{Error, Result};

/// The key of the network's name in a file's metadata.
pub(crate) const MODEL: &str = "model";
/// The key of what its rows are, as JSON.
pub(crate) const SCHEMA: &str = "schema";

/// A trained network on the host: its weights, what model they are of, and what rows it is for.
///
/// A file of it is a safetensors file that any reader opens; the rest is in its metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelFile {
    /// The file, or the checkpoint's folder.
    pub path: PathBuf,
    /// Name of the network: a [`Model`] as text, unless it was made by hand.
    pub network: String,
    /// What its rows are; `None` in files that do not say.
    pub schema: Option<Schema>,
    /// Effective weights, f32: pruned ones are zero, averages stand where the run keeps them.
    pub weights: Vec<Tensor>,
    /// Train steps that they have seen, where the file is of a checkpoint.
    pub global_step: Option<u64>,
    /// Names of those that the file has packed.
    pub packed: Vec<String>,
    /// Which were faster packed, where the file says so.
    pub fastest: Option<Fastest>,
}

impl ModelFile {
    /// Reads what is at `path`: a file that [`write`](Self::write) wrote, a checkpoint (its folder,
    /// or a file in it), or a logdir, whose newest valid checkpoint it takes.
    ///
    /// # Errors
    /// [`Error::File`] names the file and what is wrong or missing; [`Error::NoValidCheckpoint`].
    pub fn open(path: &Path) -> Result<Self> {
        let folder =
            path.parent().filter(|folder| folder.join(checkpoint::MANIFEST_FILE).is_file());
        match (path.is_file(), folder) {
            (true, Some(folder)) => Self::of(&checkpoint::load(folder)?),
            (true, None) => Self::read(path),
            (false, _) => Self::of(&checkpoint::find(path)?),
        }
    }

    /// What `found` evaluates by.
    ///
    /// # Errors
    /// [`Error::File`] for weights that are not f32.
    pub fn of(found: &Checkpoint) -> Result<Self> {
        let weights = found.model.iter().map(|t| effective(found, t)).collect::<Result<_>>()?;
        Ok(Self {
            path: found.path.clone(),
            network: found.manifest.model.clone(),
            schema: found.manifest.schema.clone(),
            weights,
            global_step: Some(found.manifest.global_step),
            packed: Vec::new(),
            fastest: None,
        })
    }

    fn read(path: &Path) -> Result<Self> {
        let Floats { tensors: weights, metadata, others, packed, .. } = read_floats(path)?;
        let fail = |message: String| Error::file(path, message);
        if let Some(other) = others.first() {
            return Err(fail(format!("{other} is no float; a model's file holds floats alone")));
        }
        let network = metadata.get(MODEL).cloned().ok_or_else(|| {
            fail(
                "does not say its model; take a checkpoint, what `export` wrote, or a model and \
                 Session::load_weights"
                    .to_owned(),
            )
        })?;
        let schema = metadata.get(SCHEMA).map(|json| serde_json::from_str(json));
        let schema = schema.transpose().map_err(|e| fail(format!("its schema: {e}")))?;
        let fastest = Fastest::of(&metadata).map_err(fail)?;
        let (path, global_step) = (path.to_owned(), None);
        Ok(Self { path, network, schema, weights, global_step, packed, fastest })
    }

    /// Writes it to `path`, whole or not at all, in place of what is there.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = Replace::create(path)?;
        self.encode(path, &mut file)?;
        file.finish()
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// Of a name or a shape that no file can have.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(&self.path, &mut bytes)?;
        Ok(bytes)
    }

    fn encode(&self, path: &Path, out: &mut impl Write) -> Result<()> {
        let mut metadata = HashMap::from([(MODEL.to_owned(), self.network.clone())]);
        if let Some(schema) = &self.schema {
            let json =
                serde_json::to_string(schema).map_err(|e| Error::file(path, e.to_string()))?;
            metadata.insert(SCHEMA.to_owned(), json);
        }
        if let Some(fastest) = &self.fastest {
            metadata.extend([fastest.metadata()?]);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let encoding = Encoding::new(&name, &self.weights, Some(metadata))?;
        encoding.write(out).map_err(Error::io("write", path))
    }

    /// The model that its name says.
    ///
    /// # Errors
    /// [`Error::Argument`] for the name of a network that was made by hand.
    pub fn model(&self) -> Result<Model> {
        self.network.parse()
    }

    /// A session of it for batches of `batch` rows, which predicts and evaluates.
    ///
    /// # Errors
    /// [`Error::File`] where the file does not say its rows (take
    /// [`session_for`](Self::session_for)), or lacks a weight.
    pub fn session(&self, gpu: &Gpu, batch: usize) -> Result<Session> {
        let schema = self.schema.as_ref().ok_or_else(|| {
            let message = "does not say what its rows are; give an input for it";
            Error::file(&self.path, message)
        })?;
        self.session_for(gpu, batch, &Input::from(schema), &MaskUpdateOp::none())
    }

    /// As [`session`](Self::session) for rows of `input`, with the masks of `op`.
    ///
    /// # Errors
    /// As [`session`](Self::session), and of the model and the masks.
    pub fn session_for(
        &self,
        gpu: &Gpu,
        batch: usize,
        input: &Input,
        op: &MaskUpdateOp,
    ) -> Result<Session> {
        // Gradient descent keeps no tensors of its own, and nothing here takes a step.
        let optimizer = Optimizer::sgd(1.0);
        let network = self.model()?.network(batch, input)?;
        let mut session = Session::new(gpu, &network, optimizer, op, 0)?;
        session.load(self)?;
        Ok(session)
    }
}

/// A tensor of the model as the run itself evaluates by: its average where it keeps one, under its
/// mask.
fn effective(found: &Checkpoint, tensor: &Tensor) -> Result<Tensor> {
    let beside = |slot: &str| {
        let name = format!("{}/{slot}", tensor.name);
        found.optimizer.iter().find(|t| t.name == name).map(|t| &t.data)
    };
    let TensorData::F32(values) = &tensor.data else {
        return Err(Error::file(&found.path, format!("{} is not F32", tensor.name)));
    };
    let values = match beside(AVERAGE) {
        Some(TensorData::F32(average)) => effective_in_file(average, beside(MASK)),
        _ => values.clone(),
    };
    Ok(Tensor { data: TensorData::F32(values), ..tensor.clone() })
}

impl Session {
    /// Opens what is at `path` ([`ModelFile::open`]) for batches of `batch` rows.
    ///
    /// # Errors
    /// As [`ModelFile::open`] and [`ModelFile::session`].
    pub fn open(gpu: &Gpu, path: &Path, batch: usize) -> Result<Self> {
        ModelFile::open(path)?.session(gpu, batch)
    }

    /// The network as a file has it: effective weights, and what its rows are where that is known.
    /// Waits for the device.
    ///
    /// # Errors
    /// [`Error::DeviceLost`]
    pub fn model_file(&self) -> Result<ModelFile> {
        let kept = self.variables.iter().filter(|v| !v.carried);
        let weights = kept.map(|v| {
            let Weight { name, shape, .. } = &v.weight;
            let shape = shape.dims().iter().map(|&d| d as usize).collect();
            let data = TensorData::F32(self.average(name)?);
            Ok(Tensor { name: name.clone(), shape, data })
        });
        Ok(ModelFile {
            path: PathBuf::new(),
            network: self.network.clone(),
            schema: self.schema.clone(),
            weights: weights.collect::<Result<_>>()?,
            global_step: Some(self.global_step),
            packed: Vec::new(),
            fastest: None,
        })
    }

    /// Puts the weights of `file` into the network, each by its name.
    ///
    /// # Errors
    /// [`Error::File`] names what is missing or has another shape; then nothing has been changed.
    pub fn load(&mut self, file: &ModelFile) -> Result<()> {
        self.put(&file.path, &file.weights)?;
        self.schema = file.schema.clone().or(self.schema.take());
        self.global_step = file.global_step.unwrap_or(0);
        Ok(())
    }

    /// Puts the weights of any safetensors file into the network, each by its name; f16, bf16 and
    /// f64 are converted. Names of the file's tensors that the network does not have.
    ///
    /// # Errors
    /// [`Error::File`] names the weight that is missing or has another shape; then nothing has been
    /// changed.
    pub fn load_weights(&mut self, path: &Path) -> Result<Vec<String>> {
        let Floats { tensors: weights, others, .. } = read_floats(path)?;
        self.put(path, &weights)?;
        let unknown = |name: &String| !self.variables.iter().any(|v| v.weight.name == *name);
        Ok(weights.into_iter().map(|w| w.name).chain(others).filter(unknown).collect())
    }

    fn put(&mut self, path: &Path, weights: &[Tensor]) -> Result<()> {
        let fail = |message: String| Error::file(path, message);
        let mut found = Vec::new();
        for v in self.variables.iter().filter(|v| !v.carried) {
            let Weight { name, shape, .. } = &v.weight;
            let Some(tensor) = weights.iter().find(|w| w.name == *name) else {
                let message = format!("{name} of {} is missing", self.network);
                return Err(fail(message));
            };
            let fits = tensor.shape.iter().copied().eq(shape.dims().iter().map(|&d| d as usize));
            match &tensor.data {
                TensorData::F32(values) if fits => found.push((name.clone(), values)),
                _ => {
                    let (have, need) = (&tensor.shape, shape);
                    return Err(fail(format!(
                        "{name} is {have:?}, {} needs F32 {need}",
                        self.network
                    )));
                }
            }
        }
        // What is packed was made of what the file has.
        let is_packed = |name: &str| {
            let own = |v: &Variable| v.weight.name == name && v.weight.stored.packed().is_some();
            self.variables.iter().any(own)
        };
        found.retain(|(name, _)| !is_packed(name));
        found.into_iter().try_for_each(|(name, values)| self.set_weights(&name, values))
    }
}
