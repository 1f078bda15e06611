//! Floor 8: a compiled network on a device, without a loop and without files: its plans, its
//! tensors, its steps.
mod evaluate;
mod fastest;
mod gradients;
mod masks;
mod model_file;
mod objectives;
mod packed;
mod phases;
mod plans;
mod predict;
mod replica;
mod snapshot;
mod staging;
mod step;
mod steps;
mod trace;
mod unit_axes;
mod variable;
mod weights;

pub use evaluate::Evaluation;
pub use fastest::{Fastest, FastestWeight};
#[doc(hidden)]
pub use gradients::{Gradients, Measured};
pub use masks::{MaskEvent, MaskSparsity};
pub use model_file::ModelFile;
pub(crate) use model_file::{MODEL, SCHEMA};
pub use packed::PackedWeights;
pub(crate) use packed::packed;
pub use plans::{plan, plan_accumulating};
pub use predict::Prediction;
pub use steps::{Selected, StepResult};
pub use unit_axes::unit_axes;

pub(crate) use plans::Plans;
pub(crate) use snapshot::{Layout, Snapshot};
pub(crate) use trace::{Trace, Traced};

use self::plans::{Inputs, Objective};
use self::predict::Predicted;
use self::steps::Steps;
use self::variable::Variable;
use crate::Result;
use crate::data::{Batch, Schema, Task};
use crate::gpu::{Gpu, Memory, Phase, Program, Slot};
use crate::kernels::{Step, ones, random_bits};
use crate::nn::{Metric, Network, Takes, initial_values};
use crate::optim::Training;
use crate::prune::{MaskUpdate, MaskUpdateOp, PrunedTensor, Score};

/// A network on the device, with everything that training it needs.
#[derive(Debug)]
pub struct Session {
    gpu: Gpu,
    program: Program,
    variables: Vec<Variable>,
    network: String,
    training: Training,
    seed: u64,
    objectives: Vec<Objective>,
    mask_update: Option<(Phase, MaskUpdate)>,
    settle: Option<Phase>,
    calibrate: Option<Phase>,
    /// Whether any batch has left what scores rank by.
    has_seen_batches: bool,
    inputs: Inputs,
    steps: Steps,
    /// Names of parameters that nothing has given a value.
    uninitialised: Vec<String>,
    evaluate: Phase,
    /// By the weights themselves, where `evaluate` is by their averages.
    evaluate_raw: Option<Phase>,
    /// Loss and each metric, as an evaluation leaves them.
    evaluated: Vec<Slot>,
    metrics: Vec<Metric>,
    predict: Phase,
    predicted: Vec<Predicted>,
    takes: Takes,
    global_step: u64,
    schema: Option<Schema>,
}

impl Session {
    /// Plans `network` and puts its initial values, drawn by `seed`, on the device.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when there is nothing to prune;
    /// [`Error::TensorTooLarge`](crate::Error::TensorTooLarge) and
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) name the tensor.
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
    pub(crate) fn build(
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
            settle,
            calibrate,
            evaluate,
            evaluate_raw,
            evaluated,
            predict,
            predicted,
            inputs,
        } = plans;
        let program = plan.build(gpu)?;
        let pruned = variables.iter().filter(|v| v.mask.is_some()).count();
        let metrics: Vec<Metric> = network.metrics.iter().map(|&(metric, _)| metric).collect();
        let of_a_row = |metric: Metric| (metric, metric.of_a_row(network.task.positions()));
        let first = metrics.first().map(|&metric| of_a_row(metric));
        let this = Self {
            gpu: gpu.clone(),
            program,
            network: network.name.clone(),
            training,
            seed,
            objectives,
            mask_update,
            settle,
            calibrate,
            has_seen_batches: false,
            inputs,
            steps: Steps::new(gpu, pruned, first)?,
            uninitialised: variables
                .iter()
                .filter(|v| !v.carried)
                .map(|v| v.weight.name.clone())
                .collect(),
            evaluate,
            evaluate_raw,
            evaluated,
            metrics,
            predict,
            predicted: Predicted::of(network, predicted),
            takes: network.takes(),
            global_step: 0,
            schema: None,
            variables,
        };
        for v in &this.variables {
            if let Some(mask) = v.weight.stored.mask() {
                this.program.upload(gpu, mask, &ones(v.weight.len));
            }
        }
        Ok(this)
    }

    /// Draws every parameter by `seed`.
    pub(crate) fn initialise(&mut self, network: &Network, seed: u64) {
        for (i, parameter) in (0..).zip(network.graph.parameters()) {
            let values = initial_values(parameter, seed, i);
            let v = &self.variables[i as usize];
            for slot in v.holders() {
                self.program.upload(&self.gpu, slot, &values);
            }
        }
        self.uninitialised.clear();
    }

    /// The device that it is on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Name of the network, as checkpoints have it.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Names of the parameters that nothing has given a value yet.
    pub(crate) fn uninitialised(&self) -> &[String] {
        &self.uninitialised
    }

    /// The plans as text: what is launched, on which buffers.
    pub fn plan(&self) -> String {
        self.program.plan().to_string()
    }

    /// Bytes on the device, as far as they are known before the first step.
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    fn pruned(&self) -> impl Iterator<Item = PrunedTensor> + '_ {
        self.variables.iter().filter_map(Variable::pruned)
    }

    /// Rows of a batch.
    pub fn batch(&self) -> usize {
        self.takes.batch
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.takes.width
    }

    /// What its answers are.
    pub fn task(&self) -> Task {
        self.takes.task
    }

    /// The batches that it takes.
    pub(crate) fn takes(&self) -> &Takes {
        &self.takes
    }

    /// What its rows are, where that is known: what a run was trained on, or what a file says.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Says what its rows are, for those who open its file.
    pub fn set_schema(&mut self, schema: Schema) {
        self.schema = Some(schema);
    }

    /// Train steps that its weights have seen.
    pub fn global_step(&self) -> u64 {
        self.global_step
    }

    /// What ranks the pruned weights, where any are.
    fn score(&self) -> Option<&Score> {
        self.variables.iter().find(|v| v.mask.is_some()).map(|v| &v.score)
    }

    /// The scalars of the step that makes `global_step`, counted from 1, over `rows` valid rows.
    pub(crate) fn scalars(&self, global_step: u64, rows: usize) -> Step {
        // Both halves of both: a run of 2^32 steps, or another seed, draws other noise.
        let words = [self.seed, global_step].map(|n| [n as u32, (n >> 32) as u32]).concat();
        let noise = words.into_iter().fold(0, random_bits);
        Step { noise, ..self.training.step(global_step, rows as u32) }
    }

    /// Writes a batch and its step's scalars, for the next submission to see. Whether it follows
    /// the batch before is the batch's to say.
    fn upload_batch(&self, batch: &Batch, scalars: Step) {
        self.upload_features(&batch.features, Step { follows: batch.follows.into(), ..scalars });
        match self.takes.task.targets() {
            0 => self.program.upload(&self.gpu, self.inputs.answers, &batch.labels),
            _ => self.program.upload(&self.gpu, self.inputs.answers, &batch.targets),
        }
    }

    fn upload_features(&self, features: &[f32], scalars: Step) {
        self.program.upload(&self.gpu, self.inputs.features, features);
        self.program.upload(&self.gpu, self.inputs.step, &[scalars]);
    }
}
