//! A compiled run: the plans and the tensors on the device.
use std::collections::VecDeque;
use std::sync::Arc;

use super::plans::{Inputs, Objective, Plans};
use super::staging::EVALUATION_BYTES;
use super::steps::{STEPS_IN_FLIGHT, Steps};
use super::variables::Variable;
use crate::data::{Batch, BatchSource, Batches, Dataset};
use crate::gpu::{Encoder, Gpu, Memory, Phase, Program, ReadbackRing};
use crate::kernels::{Step, ones, random_bits};
use crate::nn::{Network, initial_values};
use crate::optim::Training;
use crate::prune::{MaskUpdate, MaskUpdateOp, PrunedTensor, Score};
use crate::{Error, Result};

/// A network on the device, with everything that training it needs.
#[derive(Debug)]
pub struct Session {
    pub(super) gpu: Gpu,
    pub(super) program: Program,
    pub(super) variables: Vec<Variable>,
    pub(super) network: String,
    pub(super) training: Training,
    seed: u64,
    pub(super) objectives: Vec<Objective>,
    pub(super) mask_update: Option<(Phase, MaskUpdate)>,
    pub(super) calibrate: Option<Phase>,
    /// Whether any batch has left what scores rank by.
    pub(super) has_seen_batches: bool,
    pub(super) inputs: Inputs,
    pub(super) steps: Steps,
    /// Names of parameters that nothing has given a value.
    pub(super) uninitialised: Vec<String>,
    evaluate: Phase,
    /// By the weights themselves, where `evaluate` is by their averages.
    evaluate_raw: Option<Phase>,
    batch: usize,
    classes: u32,
}

/// A network's answer on a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share of right rows, or of right places where rows have several labels.
    pub accuracy: f64,
}

impl Session {
    /// Plans `network` and puts its initial values, drawn by `seed`, on the device.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is nothing to prune; [`Error::TensorTooLarge`] and
    /// [`Error::OutOfMemory`] name the tensor.
    pub fn new(
        gpu: &Gpu,
        network: &Network,
        training: impl Into<Training>,
        mask_update_op: &MaskUpdateOp,
        seed: u64,
    ) -> Result<Self> {
        let training = training.into();
        let target = gpu.target();
        let mut plans = Plans::new(network, &training, mask_update_op, false, target)?;
        plans.count_staging(false);
        let mut session = Self::build(gpu, network, training, plans, seed)?;
        session.initialise(network, seed);
        Ok(session)
    }

    /// Everything on the device but initial values.
    pub(super) fn build(
        gpu: &Gpu,
        network: &Network,
        training: Training,
        plans: Plans,
        seed: u64,
    ) -> Result<Self> {
        let Plans {
            plan,
            variables,
            objectives,
            mask_update,
            calibrate,
            evaluate,
            evaluate_raw,
            inputs,
        } = plans;
        let program = plan.build(gpu)?;
        let pruned = variables.iter().filter(|v| v.mask.is_some()).count();
        let batch = network.batch() as usize;
        let places = inputs.labels.words as usize / batch;
        let this = Self {
            gpu: gpu.clone(),
            program,
            network: network.name.clone(),
            training,
            seed,
            objectives,
            mask_update,
            calibrate,
            has_seen_batches: false,
            inputs,
            steps: Steps::new(gpu, pruned, places)?,
            uninitialised: variables
                .iter()
                .filter(|v| !v.carried)
                .map(|v| v.name.clone())
                .collect(),
            evaluate,
            evaluate_raw,
            batch,
            classes: network.classes,
            variables,
        };
        for v in &this.variables {
            if let Some(mask) = v.mask {
                this.program.upload(gpu, mask.bits, &ones(v.len));
            }
        }
        Ok(this)
    }

    /// Draws every parameter by `seed`.
    pub(super) fn initialise(&mut self, network: &Network, seed: u64) {
        for (i, parameter) in (0..).zip(network.graph.parameters()) {
            let values = initial_values(parameter, seed, i);
            let v = &self.variables[i as usize];
            for slot in [Some(v.weights), v.average()].into_iter().flatten() {
                self.program.upload(&self.gpu, slot, &values);
            }
        }
        self.uninitialised.clear();
    }

    /// The device that it is on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Loss and accuracy on all rows of `dataset`, with the weights as they are now, or with their averages where
    /// [`Training::average`] keeps them: in file order, those of a text in streams ([`Batches::streams`]).
    ///
    /// # Errors
    /// [`Error::Shape`] when the data set does not fit the network.
    pub fn evaluate(&self, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        self.evaluate_by(self.evaluate, dataset)
    }

    /// As [`evaluate`](Self::evaluate), never with averages.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_raw(&self, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        self.evaluate_by(self.evaluate_raw.unwrap_or(self.evaluate), dataset)
    }

    fn evaluate_by(&self, phase: Phase, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        let [_, width, _] = self.takes();
        if dataset.width() != width {
            let (name, have) = (dataset.name(), dataset.width());
            let message = format!("{name} has {have} features, the network takes {width}");
            return Err(Error::shape("evaluate", message));
        }
        if dataset.classes() > self.classes {
            let (name, have, most) = (dataset.name(), dataset.classes(), self.classes);
            let message = format!("{name} has {have} classes, the network tells {most} apart");
            return Err(Error::shape("evaluate", message));
        }
        self.check_places("evaluate", dataset.places())?;
        let batches = Batches::new(Arc::clone(dataset), self.batch, None)?.epochs(Some(1));
        let mut batches = batches.streams(dataset.is_text());
        let gpu = &self.gpu;
        let mut ring = ReadbackRing::new(gpu, EVALUATION_BYTES, STEPS_IN_FLIGHT)?;
        let (mut batch, mut rows) = (Batch::default(), VecDeque::new());
        let (mut loss, mut correct) = (0.0, 0.0);
        let mut add = |rows: &mut VecDeque<usize>, arrived: Vec<(_, Vec<u8>)>| {
            for (_, bytes) in arrived {
                let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                loss += f64::from(values[0]) * rows.pop_front().unwrap_or(0) as f64;
                correct += f64::from(values[1]);
            }
        };
        while batches.next_batch(&mut batch)? {
            self.upload_batch(&batch, self.scalars(1, batch.rows));
            let mut encoder = Encoder::new(gpu);
            self.program.encode(phase, &mut encoder);
            ring.copy(gpu, &mut encoder, &self.program, &self.objectives[0].outputs)?;
            encoder.submit()?;
            rows.push_back(batch.rows);
            add(&mut rows, ring.ready(gpu)?);
        }
        add(&mut rows, ring.wait(gpu)?);
        let rows = dataset.rows() as f64;
        let accuracy = correct / (rows * self.places() as f64);
        Ok(Evaluation { loss: loss / rows, accuracy })
    }

    /// The plans as text: what is launched, on which buffers.
    pub fn plan(&self) -> String {
        self.program.plan().to_string()
    }

    /// Bytes on the device, as far as they are known before the first step.
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    pub(super) fn pruned(&self) -> impl Iterator<Item = PrunedTensor> + '_ {
        self.variables.iter().filter_map(Variable::pruned)
    }

    /// Rows of a batch, features of a row, and classes.
    pub(super) fn takes(&self) -> [usize; 3] {
        let width = self.inputs.features.words as usize / self.batch;
        [self.batch, width, self.classes as usize]
    }

    /// Labels of a row.
    pub(super) fn places(&self) -> usize {
        self.inputs.labels.words as usize / self.batch
    }

    /// That rows of `places` labels are what the network answers, for `op`.
    pub(super) fn check_places(&self, op: &str, places: usize) -> Result<()> {
        if places == self.places() {
            return Ok(());
        }
        let answers = self.places();
        let message = format!("rows have {places} labels, the network gives {answers} answers");
        Err(Error::shape(op, message))
    }

    /// What ranks the pruned weights, where any are.
    pub(super) fn score(&self) -> Option<&Score> {
        self.variables.iter().find(|v| v.mask.is_some()).map(|v| &v.score)
    }

    /// The scalars of the step that makes `global_step`, counted from 1, over `rows` valid rows.
    pub(super) fn scalars(&self, global_step: u64, rows: usize) -> Step {
        // Both halves of both: a run of 2^32 steps, or another seed, draws other noise.
        let words = [self.seed, global_step].map(|n| [n as u32, (n >> 32) as u32]).concat();
        let noise = words.into_iter().fold(0, random_bits);
        Step { noise, ..self.training.step(global_step, rows as u32) }
    }

    /// Writes a batch and its step's scalars, for the next submission to see. Whether it follows the
    /// batch before is the batch's to say.
    pub(super) fn upload_batch(&self, batch: &Batch, scalars: Step) {
        let Inputs { features, labels, step } = self.inputs;
        self.program.upload(&self.gpu, features, &batch.features);
        self.program.upload(&self.gpu, labels, &batch.labels);
        let follows = batch.follows.into();
        self.program.upload(&self.gpu, step, &[Step { follows, ..scalars }]);
    }
}
