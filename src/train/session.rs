//! A compiled run: the plans, the tensors on the device, and the steps under way.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::plans::{Inputs, Plans};
use super::trace::Trace;
use super::variables::Variable;
use crate::data::{Batch, BatchSource, Batches, Dataset};
use crate::gpu::{Encoder, Gpu, Memory, Phase, Program, ReadbackRing, Slot};
use crate::kernels::{TOPK_STATE_WORDS, TopkState, ones};
use crate::nn::{Network, glorot_uniform};
use crate::optim::Optimizer;
use crate::prune::{MaskUpdateOp, PrunedTensor, pruned_count};
use crate::{Error, Result};

/// Steps that the host may be ahead of the device.
const STEPS_IN_FLIGHT: usize = 3;

/// A network on the device, with everything that training it needs.
#[derive(Debug)]
pub struct Session<'g> {
    pub(super) gpu: &'g Gpu,
    pub(super) program: Program,
    pub(super) variables: Vec<Variable>,
    pub(super) network: String,
    optimizer: Optimizer,
    train: Phase,
    mask_update: Option<Phase>,
    evaluate: Phase,
    inputs: Inputs,
    /// Loss and number of right rows of the last batch.
    outputs: [Slot; 2],
    /// Number of weights to prune in each pruned variable.
    counts: Option<Slot>,
    ring: ReadbackRing,
    in_flight: VecDeque<InFlight>,
    batch: usize,
    classes: u32,
}

#[derive(Debug)]
struct InFlight {
    step: u64,
    rows: usize,
    asked: Option<f64>,
    submitted: Instant,
}

/// What a step left behind; it arrives a few steps later.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Global step, counted from 1.
    pub step: u64,
    /// Mean loss of the batch before the update.
    pub loss: f32,
    /// Share of right rows in the batch.
    pub accuracy: f64,
    /// The mask update after it, if one was due: sparsity asked for, and what was selected in
    /// each pruned variable.
    pub mask_update: Option<(f64, Vec<TopkState>)>,
    /// When the host submitted the step.
    pub submitted: Instant,
}

/// A network's answer on a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share of right rows.
    pub accuracy: f64,
}

impl<'g> Session<'g> {
    /// Plans `network` and puts its initial values, drawn by `seed`, on the device.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is nothing to prune; [`Error::TensorTooLarge`] and
    /// [`Error::OutOfMemory`] name the tensor.
    pub fn new(
        gpu: &'g Gpu,
        network: &Network,
        optimizer: Optimizer,
        mask_update_op: &MaskUpdateOp,
        seed: u64,
    ) -> Result<Self> {
        let Plans { plan, variables, train, mask_update, evaluate, inputs, outputs, counts } =
            Plans::new(network, &optimizer, mask_update_op)?;
        let program = plan.build(gpu)?;
        let pruned = variables.iter().filter(|v| v.mask.is_some()).count() as u64;
        let bytes = 4 * (2 + pruned * u64::from(TOPK_STATE_WORDS));
        let session = Self {
            gpu,
            program,
            network: network.name.clone(),
            optimizer,
            train,
            mask_update,
            evaluate,
            inputs,
            outputs,
            counts,
            ring: ReadbackRing::new(gpu, bytes, STEPS_IN_FLIGHT)?,
            in_flight: VecDeque::new(),
            batch: network.graph.shape(network.features).dims()[0] as usize,
            classes: network.classes,
            variables,
        };
        for (i, parameter) in (0..).zip(network.graph.parameters()) {
            let variable = &session.variables[i as usize];
            let values = glorot_uniform(parameter, seed, i);
            session.program.upload(gpu, variable.weights, &values);
            if let Some(mask) = variable.mask {
                let bits = ones(variable.len);
                session.program.upload(gpu, mask.bits, &bits);
            }
        }
        Ok(session)
    }

    /// Submits the step that makes `global_step`, with the mask update to sparsity `asked` when one
    /// is due: one submission. Does not wait, but when too many steps are in flight.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        global_step: u64,
        asked: Option<f64>,
        mut trace: Option<&mut Trace>,
    ) -> Result<()> {
        let submitted = Instant::now();
        let mark = |trace: &mut Option<&mut Trace>, name| {
            if let Some(trace) = trace {
                trace.mark(name);
            }
        };
        mark(&mut trace, "upload");
        self.upload_batch(batch, global_step);
        let mut readback = self.outputs.to_vec();
        let mask_update = asked.and_then(|sparsity| {
            let counts: Vec<u32> = self.pruned().map(|v| v.count_at(sparsity)).collect();
            self.program.upload(self.gpu, self.counts?, &counts);
            readback.extend(self.pruned().map(|v| v.state));
            self.mask_update
        });
        mark(&mut trace, "encode");
        let mut encoder = Encoder::new(self.gpu);
        for phase in [self.train].into_iter().chain(mask_update) {
            match trace.as_deref_mut().and_then(|t| t.timestamps.as_mut()) {
                Some(timestamps) => self.program.encode_timed(phase, &mut encoder, timestamps),
                None => self.program.encode(phase, &mut encoder),
            }
        }
        if let Some(timestamps) = trace.as_deref().and_then(|t| t.timestamps.as_ref()) {
            timestamps.resolve(&mut encoder);
        }
        self.ring.copy(self.gpu, &mut encoder, &self.program, &readback)?;
        mark(&mut trace, "submit");
        encoder.submit()?;
        let asked = mask_update.and(asked);
        self.in_flight.push_back(InFlight {
            step: global_step,
            rows: batch.rows,
            asked,
            submitted,
        });
        Ok(())
    }

    /// Results that have arrived, oldest first; never blocks.
    pub(super) fn ready(&mut self) -> Result<Vec<StepResult>> {
        let arrived = self.ring.ready(self.gpu)?;
        Ok(arrived.into_iter().map(|(_, bytes)| self.result(&bytes)).collect())
    }

    /// Results of all steps submitted; blocks until they have arrived.
    pub(super) fn drain(&mut self) -> Result<Vec<StepResult>> {
        let arrived = self.ring.wait(self.gpu)?;
        Ok(arrived.into_iter().map(|(_, bytes)| self.result(&bytes)).collect())
    }

    fn result(&mut self, bytes: &[u8]) -> StepResult {
        let InFlight { step, rows, asked, submitted } =
            self.in_flight.pop_front().expect("one entry for each ticket");
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let state = |w: &[u32]| bytemuck::pod_read_unaligned(bytemuck::cast_slice(w));
        let states = || words[2..].chunks_exact(TOPK_STATE_WORDS as usize).map(state).collect();
        StepResult {
            step,
            loss: f32::from_bits(words[0]),
            accuracy: f64::from(f32::from_bits(words[1])) / rows.max(1) as f64,
            mask_update: asked.map(|sparsity| (sparsity, states())),
            submitted,
        }
    }

    /// Loss and accuracy on all rows of `dataset`, with the weights as they are now.
    ///
    /// # Errors
    /// [`Error::Shape`] when the data set does not fit the network.
    pub fn evaluate(&self, dataset: &Arc<Dataset>) -> Result<Evaluation> {
        let width = self.inputs.features.words as usize / self.batch;
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
        let mut batches = Batches::new(Arc::clone(dataset), self.batch, None)?.epochs(Some(1));
        let mut ring = ReadbackRing::new(self.gpu, 8, STEPS_IN_FLIGHT)?;
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
            self.upload_batch(&batch, 1);
            let mut encoder = Encoder::new(self.gpu);
            self.program.encode(self.evaluate, &mut encoder);
            ring.copy(self.gpu, &mut encoder, &self.program, &self.outputs)?;
            encoder.submit()?;
            rows.push_back(batch.rows);
            add(&mut rows, ring.ready(self.gpu)?);
        }
        add(&mut rows, ring.wait(self.gpu)?);
        let total = dataset.rows() as f64;
        Ok(Evaluation { loss: loss / total, accuracy: correct / total })
    }

    /// The plans as text: what is launched, on which buffers.
    pub fn plan(&self) -> String {
        self.program.plan().to_string()
    }

    /// Bytes on the device.
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    /// Launches of one train step and of one mask update together.
    pub(super) fn launches(&self) -> usize {
        self.program.launches()
    }

    pub(super) fn pruned(&self) -> impl Iterator<Item = PrunedTensor> + '_ {
        self.variables.iter().filter_map(Variable::pruned)
    }

    fn upload_batch(&self, batch: &Batch, global_step: u64) {
        let Inputs { features, labels, step } = self.inputs;
        let scalars = self.optimizer.step(global_step, batch.rows as u32);
        self.program.upload(self.gpu, features, &batch.features);
        self.program.upload(self.gpu, labels, &batch.labels);
        self.program.upload(self.gpu, step, &[scalars]);
    }
}

impl PrunedTensor {
    fn count_at(&self, sparsity: f64) -> u32 {
        // At most `len`, which is a u32.
        pruned_count(self.len.into(), sparsity) as u32
    }
}
