//! The losses of a language model's head, some positions at a time: logits of a whole window by
//! a table of 150,000 tokens would be larger than the model.
use super::cut::{Cut, CutGraph};
use super::model::{Pretrained, Read};
use super::stream::Stream;
use super::window::Window;
use crate::Result;
use crate::gpu::{
    Encoder, Gpu, Memory, Phase, PlanBuilder, Program, ReadbackRing, Slot, Target, Ticket,
};
use crate::graph::{Bindings, Mode, lower};
use crate::kernels::{STEP_WORDS, Step};

/// Positions whose logits are on the device at once.
const POSITIONS: u32 = 128;

/// The head of a language model on the device, with the loss of the tokens that follow.
#[derive(Debug)]
pub(crate) struct Head {
    gpu: Gpu,
    program: Program,
    features: Slot,
    labels: Slot,
    step: Slot,
    loss: Slot,
    phase: Phase,
}

impl Head {
    /// The head's plan, and its slots of features, labels, step and loss.
    fn plan(model: &Pretrained, width: u32, target: Target) -> Result<Planned> {
        let of = model.cut(Cut::Head, POSITIONS, &[1, width])?;
        let CutGraph { mut graph, sources, features, output, .. } = of;
        let labels = graph.position_labels(POSITIONS, 1);
        let loss = graph.softmax_cross_entropy(output, labels)?;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, tensor| {
            let words = graph.shape(tensor).elements().unwrap_or(0);
            let slot = plan.persistent(&graph.nodes()[tensor.index()].name, words);
            bindings.set(tensor, slot);
            slot
        };
        let parameters: Vec<Slot> =
            graph.parameters().iter().map(|p| place(&mut plan, p.tensor)).collect();
        let [features, labels, loss_at] = [features, labels, loss].map(|t| place(&mut plan, t));
        let phase = plan.phase("losses");
        lower(&graph, &mut plan, &bindings, &[loss], Mode::Evaluate)?;
        let parameters = parameters.into_iter().zip(sources).collect();
        Ok(Planned { plan, parameters, slots: [features, labels, step, loss_at], phase })
    }

    /// Bytes that the head takes.
    pub(crate) fn memory(model: &Pretrained, width: u32, target: Target) -> Result<Memory> {
        Ok(Self::plan(model, width, target)?.plan.memory())
    }

    /// The head on the device, with the weights that `read` has.
    pub(crate) fn new(gpu: &Gpu, model: &Pretrained, width: u32, read: Read<'_>) -> Result<Self> {
        let Planned { plan, parameters, slots, phase } = Self::plan(model, width, gpu.target())?;
        let [features, labels, step, loss] = slots;
        let program = plan.build(gpu)?;
        for (slot, source) in parameters {
            program.upload(gpu, slot, &model.values(&source, "", read)?);
        }
        Ok(Self { gpu: gpu.clone(), program, features, labels, step, loss, phase })
    }

    /// Of each window the sum of the losses of its scored tokens.
    pub(crate) fn losses(&self, stream: &Stream, windows: &[Window]) -> Result<Vec<f64>> {
        let width = self.features.words / POSITIONS;
        let mut ring = ReadbackRing::new(&self.gpu, 4, 2)?;
        let mut of = Vec::new();
        let mut sums = vec![0.0; windows.len()];
        let add = |sums: &mut Vec<f64>, of: &[(usize, usize)], arrived: Vec<(Ticket, Vec<u8>)>| {
            for (Ticket(number), bytes) in arrived {
                let loss: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                let (window, rows) = of[number as usize];
                sums[window] += f64::from(loss[0]) * rows as f64;
            }
        };
        for (i, window) in windows.iter().enumerate() {
            // Position p says what token p + 1 is.
            let positions: Vec<usize> = (window.scored.max(1) - 1..window.ids.len() - 1).collect();
            let row = stream.row(i)?;
            for positions in positions.chunks(POSITIONS as usize) {
                let (first, last) = (positions[0], positions[positions.len() - 1]);
                let width = width as usize;
                let features = &row[first * width..(last + 1) * width];
                let mut labels = window.ids[first + 1..last + 2].to_vec();
                labels.resize(POSITIONS as usize, 0);
                let rows = positions.len();
                let step = Step { rows: rows as u32, share: 1.0, ..Step::default() };
                self.program.upload(&self.gpu, self.step, &[step]);
                self.program.upload(&self.gpu, self.features, features);
                self.program.upload(&self.gpu, self.labels, &labels);
                let mut encoder = Encoder::new(&self.gpu);
                self.program.encode(self.phase, &mut encoder);
                ring.copy(&self.gpu, &mut encoder, &self.program, &[self.loss])?;
                encoder.submit()?;
                of.push((i, rows));
                let arrived = ring.ready(&self.gpu)?;
                add(&mut sums, &of, arrived);
            }
        }
        let arrived = ring.wait(&self.gpu)?;
        add(&mut sums, &of, arrived);
        Ok(sums)
    }
}

struct Planned {
    plan: PlanBuilder,
    parameters: Vec<(Slot, super::layers::Source)>,
    slots: [Slot; 4],
    phase: Phase,
}
