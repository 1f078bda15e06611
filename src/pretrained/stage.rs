//! A cut of a model on the device, and rows that go through it.
use super::cut::{Cut, CutGraph};
use super::layers::Source;
use super::model::{Pretrained, Read};
use super::stream::Stream;
use crate::gpu::{
    Encoder, Gpu, Memory, Phase, PlanBuilder, Program, ReadbackRing, Slot, Target, Ticket,
};
use crate::graph::{Bindings, Graph, Mode, Parameter, Tensor, lower};
use crate::kernels::{STEP_WORDS, Step};
use crate::{Error, Result};

/// Batches that are on their way through the device at once.
const UNDER_WAY: usize = 2;

/// A parameter's place on the device, and where its values come from.
#[derive(Debug, Clone)]
struct Placed {
    slot: Slot,
    source: Source,
}

/// The parameters of a program, in the order of its graph's.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    all: Vec<Placed>,
    /// What the names of the file have in front of those of the sources.
    prefix: String,
}

/// Where rows go in and come out of a program.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) features: Slot,
    pub(crate) step: Slot,
    pub(crate) output: Slot,
    pub(crate) batch: usize,
    /// Extents of a row of what comes out.
    pub(crate) shape: Vec<u32>,
    /// For errors.
    pub(crate) name: String,
}

/// The forward pass of a program: its phase, and where rows go in and come out of it.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) ends: Ends,
    phase: Phase,
}

/// The forward pass of a cut, before it is built.
pub(crate) struct StagePlan {
    plan: PlanBuilder,
    forward: Forward,
    parameters: Parameters,
}

/// The forward pass of a cut.
#[derive(Debug)]
pub(crate) struct Stage {
    gpu: Gpu,
    program: Program,
    forward: Forward,
}

/// A slot of `plan` that stays, for `tensor`, which is bound to it.
pub(crate) fn place(
    (plan, graph, bindings): (&mut PlanBuilder, &Graph, &mut Bindings),
    name: &str,
    tensor: Tensor,
) -> Slot {
    let slot = plan.persistent(name, graph.shape(tensor).elements().unwrap_or(0));
    bindings.set(tensor, slot);
    slot
}

impl Parameters {
    /// Those of `sources`, which lie at `slots`.
    pub(crate) fn at(slots: Vec<Slot>, sources: Vec<Source>, prefix: String) -> Self {
        let placed = |(slot, source)| Placed { slot, source };
        Self { all: slots.into_iter().zip(sources).map(placed).collect(), prefix }
    }

    /// Those of `graph`, each in a slot of its own.
    pub(crate) fn place(
        (plan, graph, bindings): (&mut PlanBuilder, &Graph, &mut Bindings),
        sources: Vec<Source>,
        prefix: String,
    ) -> Self {
        let slot = |p: &Parameter| place((&mut *plan, graph, &mut *bindings), &p.name, p.tensor);
        Self::at(graph.parameters().iter().map(slot).collect(), sources, prefix)
    }

    /// Gives all of them the values that `read` has by their names in the file.
    pub(crate) fn upload(
        &self,
        (gpu, program): (&Gpu, &Program),
        model: &Pretrained,
        read: Read<'_>,
    ) -> Result<()> {
        for Placed { slot, source } in &self.all {
            program.upload(gpu, *slot, &model.values(source, &self.prefix, read)?);
        }
        Ok(())
    }

    pub(crate) fn slot(&self, at: usize) -> Slot {
        self.all[at].slot
    }

    /// What all of their names in the file begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name in the file of the one at `at`, which is one tensor there.
    pub(crate) fn name(&self, model: &Pretrained, at: usize) -> String {
        model.name(&self.prefix, &self.all[at].source.tensors[0].0)
    }

    /// Its values on the device, in the order of the file.
    pub(crate) fn values(&self, (gpu, program): (&Gpu, &Program), at: usize) -> Result<Vec<f32>> {
        let Placed { slot, source } = &self.all[at];
        Ok(source.arranged.to_file(program.download(gpu, *slot)?, &source.tensors[0].1))
    }

    /// Gives it other values, in the order of the file.
    pub(crate) fn set(&self, (gpu, program): (&Gpu, &Program), at: usize, values: Vec<f32>) {
        let Placed { slot, source } = &self.all[at];
        program.upload(gpu, *slot, &source.arranged.to_graph(values, &source.tensors[0].1));
    }
}

impl Forward {
    /// Appends the forward pass of `graph` to `output` as a phase of its own, whose rows come in at
    /// `features`.
    pub(crate) fn push(
        (plan, graph, bindings): (&mut PlanBuilder, &Graph, &Bindings),
        [features, step]: [Slot; 2],
        output: Tensor,
        name: &str,
    ) -> Result<Self> {
        let phase = plan.phase("forward");
        let at = lower(graph, plan, bindings, &[output], Mode::Evaluate)?[0];
        Ok(Self::at((plan, phase), [features, step, at], graph.shape(output).dims(), name))
    }

    /// One that is part of what `phase` does: rows, whose extents are `dims` with those of a batch
    /// before them, come out at the last of `slots`.
    pub(crate) fn at(
        (plan, phase): (&mut PlanBuilder, Phase),
        slots: [Slot; 3],
        dims: &[u32],
        name: &str,
    ) -> Self {
        plan.keep(&slots[2..]);
        let ends = Ends::new(slots, dims, name);
        plan.stage(ends.staging());
        Self { ends, phase }
    }

    /// Sends the rows of `stream` through it: what comes out takes their place.
    pub(crate) fn advance(&self, on: (&Gpu, &Program), stream: &mut Stream) -> Result<()> {
        self.advance_beside(on, stream, &|_| Ok(()))
    }

    /// The same, where other rows go along.
    pub(crate) fn advance_beside(
        &self,
        on: (&Gpu, &Program),
        stream: &mut Stream,
        beside: Beside<'_>,
    ) -> Result<()> {
        let Self { ends, phase } = self;
        if stream.shape() == ends.shape {
            let mut take = |stream: &mut Stream, row: usize, x: &[f32]| stream.write(row, x);
            return ends.pass(on, *phase, (stream, beside), &mut take);
        }
        let mut out = stream.like(&ends.shape)?;
        let mut take = |_: &mut Stream, row: usize, x: &[f32]| out.write(row, x);
        ends.pass(on, *phase, (stream, beside), &mut take)?;
        stream.replace(out);
        Ok(())
    }

    /// What comes out of it for a row of `stream`.
    pub(crate) fn output(
        &self,
        on: (&Gpu, &Program),
        stream: &Stream,
        row: usize,
    ) -> Result<Vec<f32>> {
        let (mut one, mut out) = (stream.only(row)?, Vec::new());
        let mut take = |_: &mut Stream, _, values: &[f32]| {
            out = values.to_vec();
            Ok(())
        };
        self.ends.pass(on, self.phase, (&mut one, &|_| Ok(())), &mut take)?;
        Ok(out)
    }
}

impl StagePlan {
    /// Plans the forward pass of `of`, without a device.
    pub(crate) fn new(of: CutGraph, target: Target) -> Result<Self> {
        let CutGraph { graph, sources, prefix, features, output, .. } = of;
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let name = prefix.clone();
        let parameters = Parameters::place((&mut plan, &graph, &mut bindings), sources, prefix);
        let input = place((&mut plan, &graph, &mut bindings), "features", features);
        let forward = Forward::push((&mut plan, &graph, &bindings), [input, step], output, &name)?;
        Ok(Self { plan, forward, parameters })
    }

    pub(crate) fn memory(&self) -> Memory {
        self.plan.memory()
    }

    /// The cut on the device, with the weights that `read` has by their names in the file.
    pub(crate) fn build(self, gpu: &Gpu, model: &Pretrained, read: Read<'_>) -> Result<Stage> {
        let Self { plan, forward, parameters } = self;
        let program = plan.build(gpu)?;
        parameters.upload((gpu, &program), model, read)?;
        Ok(Stage { gpu: gpu.clone(), program, forward })
    }
}

/// Takes a row of what comes out: its number, and its values.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&mut Stream, usize, &[f32]) -> Result<()>;

/// Writes what goes beside the batch that begins with a row.
pub(crate) type Beside<'a> = &'a dyn Fn(usize) -> Result<()>;

impl Ends {
    /// Of slots for features, step and output, whose extents are `dims`.
    fn new([features, step, output]: [Slot; 3], dims: &[u32], name: &str) -> Self {
        let (batch, shape) = (dims[0] as usize, dims[1..].to_vec());
        Self { features, step, output, batch, shape, name: name.to_owned() }
    }

    /// Bytes of the copies that rows go in and come out through.
    fn staging(&self) -> u64 {
        UNDER_WAY as u64 * 4 * (u64::from(self.output.words) + u64::from(self.features.words))
    }

    /// Sends the rows of `stream` through `phase`, each with what is beside it, and gives what comes
    /// out to `take`, row by row; the stream may take it up in its place.
    fn pass(
        &self,
        (gpu, program): (&Gpu, &Program),
        phase: Phase,
        (stream, beside): (&mut Stream, Beside<'_>),
        take: Take<'_>,
    ) -> Result<()> {
        let mut ring = ReadbackRing::new(gpu, u64::from(self.output.words) * 4, UNDER_WAY)?;
        let rows = stream.rows();
        let mut arrived = |stream: &mut Stream, tickets: Vec<(Ticket, Vec<u8>)>| {
            for (Ticket(number), bytes) in tickets {
                let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                let first = number as usize * self.batch;
                let each = values.chunks(values.len() / self.batch);
                for (row, values) in (first..rows).zip(each) {
                    if let Some(x) = values.iter().find(|x| !x.is_finite()) {
                        let message = format!("{x} comes out of it for row {row}");
                        return Err(Error::argument(&self.name, message));
                    }
                    take(stream, row, values)?;
                }
            }
            Ok(())
        };
        for first in (0..rows).step_by(self.batch) {
            beside(first)?;
            let mut encoder = self.begin((gpu, program), phase, stream, first)?;
            ring.copy(gpu, &mut encoder, program, &[self.output])?;
            encoder.submit()?;
            let tickets = ring.ready(gpu)?;
            arrived(stream, tickets)?;
        }
        let tickets = ring.wait(gpu)?;
        arrived(stream, tickets)
    }

    /// Sends the rows of `stream` through `phase`, which leaves what it finds on the device.
    pub(crate) fn send(&self, on: (&Gpu, &Program), phase: Phase, stream: &Stream) -> Result<()> {
        self.send_beside(on, phase, stream, &|_| Ok(()))
    }

    /// The same, where other rows go along.
    pub(crate) fn send_beside(
        &self,
        (gpu, program): (&Gpu, &Program),
        phase: Phase,
        stream: &Stream,
        beside: Beside<'_>,
    ) -> Result<()> {
        for first in (0..stream.rows()).step_by(self.batch) {
            beside(first)?;
            self.begin((gpu, program), phase, stream, first)?.submit()?;
            // The host is not to run ahead: what it uploads is kept until it is copied.
            gpu.wait()?;
        }
        Ok(())
    }

    /// What the host writes of the batch of `stream` that begins with row `first`.
    pub(crate) fn features_of(&self, stream: &Stream, first: usize) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(self.features.words as usize);
        let each = self.features.words as usize / self.batch;
        for row in first..stream.rows().min(first + self.batch) {
            // A head asks for nothing beside a row.
            let row_values = stream.row(row)?;
            features.extend(row_values.iter().chain(stream.beside(row)).take(each));
        }
        features.resize(self.features.words as usize, 0.0);
        Ok(features)
    }

    /// A step of `phase` on the batch of `stream` that begins with row `first`.
    fn begin(
        &self,
        (gpu, program): (&Gpu, &Program),
        phase: Phase,
        stream: &Stream,
        first: usize,
    ) -> Result<Encoder> {
        let features = self.features_of(stream, first)?;
        let rows = (stream.rows() - first).min(self.batch) as u32;
        program.upload(gpu, self.step, &[Step { rows, share: 1.0, ..Step::default() }]);
        program.upload(gpu, self.features, &features);
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        Ok(encoder)
    }
}

impl Stage {
    /// Sends the rows of `stream` through the cut: what comes out takes their place.
    pub(crate) fn advance(&self, stream: &mut Stream) -> Result<()> {
        self.forward.advance((&self.gpu, &self.program), stream)
    }

    pub(crate) fn memory(&self) -> Memory {
        self.program.memory()
    }
}

impl Pretrained {
    /// The forward pass of `cut` on the device, for rows of `shape`.
    pub(crate) fn stage(
        &self,
        gpu: &Gpu,
        cut: Cut,
        (batch, shape): (u32, &[u32]),
        read: Read<'_>,
    ) -> Result<Stage> {
        StagePlan::new(self.cut(cut, batch, shape)?, gpu.target())?.build(gpu, self, read)
    }
}
