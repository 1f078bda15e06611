//! Pruning of a pretrained model by its data: block after block, each calibrated on the outputs of
//! the pruned blocks before it.
mod allocate;
mod block;
mod inputs;
mod options;
mod outliers;
mod pair;
mod report;
mod sink;
mod tap;

pub use allocate::{Allocate, OutlierReport};
pub use options::{Method, PruneOptions};
pub use outliers::ALLOCATION;
pub use report::{BlockReport, PruneReport, WeightReport};
pub use sink::Sink;

use std::time::Instant;

use self::allocate::Allocation;
use self::block::{Block, BlockPlan, PrunedWeight};
pub(in crate::pretrained) use self::inputs::Inputs;
use self::options::Shares;
use self::pair::PairPlan;
pub(in crate::pretrained) use self::pair::push_moved;
use super::cut::Cut;
use super::model::{Pretrained, Read};
use super::rows::Rows;
use super::stage::StagePlan;
use super::stream::Stream;
use super::window::Window;
use crate::gpu::{Gpu, Memory, Target};
use crate::{Error, Result};

/// What is told while a model is pruned.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PruneEvent<'a> {
    /// The outliers of a block of the dense model are counted, where [`Allocate::Owl`] asks for it.
    /// All blocks are before the first is pruned.
    Measured(&'a OutlierReport),
    /// A block is done.
    Pruned(&'a BlockReport),
}

/// Hears of what is done.
pub type Told<'a> = &'a mut dyn FnMut(PruneEvent<'_>);

impl Pretrained {
    /// Prunes the weights of the blocks into `sink`, by what `windows` come to on their way through
    /// them; `told` hears of each block. With [`Allocate::Owl`] the dense model goes first, and how
    /// much of each block goes is in `sink` as one more block that is done.
    ///
    /// # Errors
    /// [`Error::Argument`] for settings or windows that do not fit; of the device and the files.
    pub fn prune(
        &self,
        gpu: &Gpu,
        windows: &[Window],
        options: &PruneOptions,
        sink: &mut dyn Sink,
        told: Told<'_>,
    ) -> Result<PruneReport> {
        self.prune_by(gpu, Rows::Tokens(windows), options, sink, told)
    }

    /// The same of any model, by `rows` that it takes: of texts with padding the positions that are
    /// none count, of images all pixels.
    ///
    /// # Errors
    /// As [`prune`](Self::prune).
    pub fn prune_by(
        &self,
        gpu: &Gpu,
        rows: Rows<'_>,
        options: &PruneOptions,
        sink: &mut dyn Sink,
        told: Told<'_>,
    ) -> Result<PruneReport> {
        options.validate()?;
        let windows = self.windows_of(rows)?;
        let (allocation, measured_bytes) = self.allocation(gpu, rows, options, sink, told)?;
        let (mut stream, embed_bytes) =
            self.embedded_by(gpu, rows, 1, options.activations.as_deref())?;
        // What the dense model makes of the same windows, where weights are brought back to that.
        let mut dense = (options.method == Method::Admm).then(|| stream.copied()).transpose()?;
        let blocks = self.architecture().blocks();
        let mut report = PruneReport::default();
        for i in 0..blocks {
            let name = self.architecture().prefix(i).trim_end_matches('.').to_owned();
            let at = (1, &*stream.shape().to_vec());
            let input: Read<'_> = &|name| self.files().read_f32(name);
            let plan = match sink.done().contains(&name) {
                true => None,
                false => self.block_plan(i, at, (options, allocation.as_ref()), gpu.target())?,
            };
            let Some(plan) = plan else {
                if let Some(dense) = &mut dense {
                    self.stage(gpu, Cut::Block(i), at, input)?.advance(dense)?;
                }
                match sink.done().contains(&name) {
                    true => {
                        let read: Read<'_> = &|name| sink.read(name);
                        self.stage(gpu, Cut::Block(i), at, read)?.advance(&mut stream)?;
                        let remark = sink.remark(&name);
                        report.blocks.extend(remark.and_then(|r| serde_json::from_str(r).ok()));
                    }
                    false => {
                        self.stage(gpu, Cut::Block(i), at, input)?.advance(&mut stream)?;
                        sink.mark_done(&name, "")?;
                    }
                }
                continue;
            };
            let begun = Instant::now();
            let device_bytes = plan.memory().peak();
            let (weights, error) = match (plan, &mut dense) {
                (Planned::Parts(parts), Some(dense)) => {
                    let mut weights = Vec::new();
                    for part in parts {
                        let streams = [&mut stream, &mut *dense];
                        weights.extend(self.prune_part(gpu, part, streams, options, sink)?);
                    }
                    (weights, apart(&dense.row(0)?, &stream.row(0)?, stream.beside(0)))
                }
                (Planned::Block(plan), _) => {
                    let block = plan.build(gpu, self, input)?;
                    self.prune_block(&block, &mut stream, options, sink)?
                }
                (Planned::Parts(_), None) => unreachable!("pairs are planned for two streams"),
            };
            let seconds = begun.elapsed().as_secs_f64();
            let share = allocation.as_ref().and_then(|of| of.blocks.get(&name));
            let [outliers, asked] =
                [share.map(|share| share.outliers), share.map(|share| share.sparsity)];
            let of = BlockReport {
                block: i,
                blocks,
                name,
                outliers,
                asked,
                weights,
                error,
                seconds,
                device_bytes,
            };
            // Numbers and names have a form in JSON.
            let remark = serde_json::to_string(&of).unwrap_or_default();
            sink.mark_done(&of.name, &remark)?;
            told(PruneEvent::Pruned(&of));
            report.blocks.push(of);
        }
        let of_blocks = report.blocks.iter().map(|b| b.device_bytes).max();
        report.device_bytes = of_blocks.unwrap_or(0).max(embed_bytes).max(measured_bytes);
        if let Some(windows) = windows {
            let read: Read<'_> = &|name| self.files().read_f32(name);
            let (evaluated, bytes) = self.scored(gpu, &stream, windows, read)?;
            report.calibration_perplexity = Some(evaluated.perplexity);
            report.device_bytes = report.device_bytes.max(bytes);
        }
        Ok(report)
    }

    /// Prunes one block, sends `stream` through it, and says how far its output on the first window
    /// is from what it was.
    fn prune_block(
        &self,
        block: &Block,
        stream: &mut Stream,
        options: &PruneOptions,
        sink: &mut dyn Sink,
    ) -> Result<(Vec<WeightReport>, f64)> {
        let before = block.output(stream, 0)?;
        block.look(stream)?;
        block.choose(options.share())?;
        let reports = put(block.weights(self)?, sink, &|at, values| block.set(at, values))?;
        block.advance(stream)?;
        Ok((reports, apart(&before, &stream.row(0)?, stream.beside(0))))
    }

    /// Prunes a part of a block, matrix after matrix, and sends both streams through it.
    fn prune_part(
        &self,
        gpu: &Gpu,
        part: PartPlan,
        [stream, dense]: [&mut Stream; 2],
        options: &PruneOptions,
        sink: &mut dyn Sink,
    ) -> Result<Vec<WeightReport>> {
        let input: Read<'_> = &|name| self.files().read_f32(name);
        let mut reports = Vec::new();
        let pair = match part {
            PartPlan::Pair(plan) => plan.build(gpu, self, input)?,
            PartPlan::Dense(plan) => {
                let part = plan.build(gpu, self, input)?;
                [stream, dense].into_iter().try_for_each(|stream| part.advance(stream))?;
                return Ok(reports);
            }
        };
        for group in 0..pair.groups() {
            let weights = pair.solve(group, (stream, dense), options, self)?;
            reports.extend(put(weights, sink, &|at, values| pair.set(at, values))?);
        }
        pair.advance(stream)?;
        Ok(reports)
    }

    /// What block `i` needs on the device; none where nothing of it is pruned.
    fn block_plan(
        &self,
        i: u32,
        (batch, shape): (u32, &[u32]),
        (options, allocation): (&PruneOptions, Option<&Allocation>),
        target: Target,
    ) -> Result<Option<Planned>> {
        let of = self.cut(Cut::Block(i), batch, shape)?;
        let masked = || of.graph.parameters().iter().filter(|p| p.masked);
        let mut dense = self.left(&of.graph, &of.prefix, options);
        let share = |name: &String| allocation?.share(&self.name(&of.prefix, name));
        let pruned = masked().map(|p| &p.name).filter(|name| !dense.contains(name));
        let shares = pruned.filter_map(|name| Some((name.clone(), share(name)?)));
        let (shares, none): (Shares, Shares) = shares.partition(|&(_, share)| share > 0.0);
        // A small matrix may come to less than one of each unit.
        dense.extend(none.into_keys());
        if dense.len() == masked().count() {
            return Ok(None);
        }
        let is_dense = |name: &String| dense.contains(name);
        let ragged = |m: u32| masked().find(|p| !is_dense(&p.name) && p.units().inputs % m != 0);
        let groups = options.pattern.groups();
        if let Some((p, [_, m])) = groups.and_then(|g| Some((ragged(g[1])?, g))) {
            let (name, inputs) = (self.name(&of.prefix, &p.name), p.units().inputs);
            let message = format!(
                "{name} has {inputs} inputs, which groups of {m} do not divide; take another \
                 pattern, or leave it out with --exclude"
            );
            return Err(Error::argument("pattern", message));
        }
        Ok(Some(match options.method {
            Method::Admm => {
                let options = (options, &shares, &*dense);
                Planned::Parts(self.part_plans(i, (batch, shape), options, target)?)
            }
            _ => Planned::Block(BlockPlan::new(of, (options, &shares), &dense, target)?.into()),
        }))
    }

    /// The parts of block `i`, each beside its dense self. Rows wait on the host between two, so what
    /// is behind a part does not compute it again for each of its matrices.
    fn part_plans(
        &self,
        i: u32,
        (batch, shape): (u32, &[u32]),
        (options, shares, left): (&PruneOptions, &Shares, &[String]),
        target: Target,
    ) -> Result<Vec<PartPlan>> {
        let (mut shape, mut plans) = (shape.to_vec(), Vec::new());
        for part in 0..self.architecture().parts(i) {
            let cut = Cut::Part(i, part);
            let of = self.cut(cut, batch, &shape)?;
            let out = of.graph.shape(of.output).dims()[1..].to_vec();
            let masked = of.graph.parameters().iter().filter(|p| p.masked);
            let (dense, pruned): (Vec<String>, Vec<String>) =
                masked.map(|p| p.name.clone()).partition(|name| left.contains(name));
            plans.push(match pruned.is_empty() {
                true => PartPlan::Dense(StagePlan::new(of, target)?),
                false => {
                    let pair = self.pair(cut, batch, &shape)?;
                    PartPlan::Pair(PairPlan::new(pair, (options, shares), &dense, target)?)
                }
            });
            shape = out;
        }
        Ok(plans)
    }

    /// Bytes on the device that pruning takes at most, without a device: by windows or texts of
    /// `length`, which says nothing of images.
    ///
    /// # Errors
    /// As [`prune`](Self::prune), as far as no values are read.
    pub fn prune_memory(
        &self,
        length: u32,
        options: &PruneOptions,
        target: Target,
    ) -> Result<Memory> {
        options.validate()?;
        let shapes = self.shapes(length)?;
        let mut all = self.ends_memory(&shapes[0], target)?;
        for (i, shape) in (0..self.architecture().blocks()).zip(&shapes[1..]) {
            all.extend(self.outlier_memory(i, (1, shape), options, target)?);
            all.push(match self.block_plan(i, (1, shape), (options, None), target)? {
                Some(plan) => plan.memory(),
                None => StagePlan::new(self.cut(Cut::Block(i), 1, shape)?, target)?.memory(),
            });
        }
        Ok(all.into_iter().max_by_key(Memory::peak).unwrap_or_default())
    }
}

/// Puts weights into `sink`, and what they are there back to the device, by `set`.
fn put(
    weights: Vec<PrunedWeight>,
    sink: &mut dyn Sink,
    set: &dyn Fn(usize, Vec<f32>),
) -> Result<Vec<WeightReport>> {
    let one = |weight: PrunedWeight| {
        let stored = sink.put(&weight.name, &weight.values)?;
        let report = WeightReport::new(&weight.name, &stored, weight.threshold);
        if stored != weight.values {
            set(weight.at, stored);
        }
        Ok(report)
    };
    weights.into_iter().map(one).collect()
}

/// A block with what its method needs.
enum Planned {
    Block(Box<BlockPlan>),
    /// One after the other.
    Parts(Vec<PartPlan>),
}

/// A part of a block.
enum PartPlan {
    /// Beside its dense self.
    Pair(PairPlan),
    /// One of which nothing is pruned.
    Dense(StagePlan),
}

impl Planned {
    /// What is on the device at once.
    fn memory(&self) -> Memory {
        match self {
            Self::Block(plan) => plan.memory(),
            Self::Parts(parts) => {
                let memory = |part: &PartPlan| match part {
                    PartPlan::Pair(plan) => plan.memory(),
                    PartPlan::Dense(plan) => plan.memory(),
                };
                parts.iter().map(memory).max_by_key(Memory::peak).unwrap_or_default()
            }
        }
    }
}

/// The squared length of the difference over that of `before`, at the positions that `seen` has,
/// where it says any.
pub(in crate::pretrained) fn apart(before: &[f32], after: &[f32], seen: &[f32]) -> f64 {
    let width = (before.len() / seen.len().max(1)).max(1);
    let counts = |i: usize| seen.get(i / width).is_none_or(|&seen| seen != 0.0);
    let (mut difference, mut all) = (0.0, 0.0_f64);
    for (_, (a, b)) in before.iter().zip(after).enumerate().filter(|&(i, _)| counts(i)) {
        difference += f64::from(a - b).powi(2);
        all += f64::from(*a).powi(2);
    }
    difference / all.max(f64::MIN_POSITIVE)
}
