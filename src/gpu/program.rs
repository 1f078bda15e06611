//! A built plan: pipelines and bind groups made once, replayed every step.
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytemuck::Pod;

use super::device::{Gpu, PipelineKey};
use super::kernel::{Access, Slot};
use super::plan::{Launch, Phase, PlanBuilder};
use super::planner::{Assignment, Memory};
use super::timestamps::Timestamps;
use crate::{Error, Result};

/// Uniforms of all launches share one buffer; this is the largest offset alignment of any adapter.
pub(super) const UNIFORM_STRIDE: usize = 256;
/// More than any shader asks to be behind an operand: one element.
const IDLE_BYTES: u64 = 256;

/// A sequence of phases with every handle already made. Nothing in it changes after it is built.
#[derive(Debug)]
pub struct Program {
    launches: Vec<Ready>,
    buffers: Vec<wgpu::Buffer>,
    home: Vec<usize>,
    builder: PlanBuilder,
}

#[derive(Debug)]
struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 3],
}

/// Commands of one step; [`submit`](Encoder::submit) sends them as one submission.
#[derive(Debug)]
pub struct Encoder {
    gpu: Gpu,
    pub(super) commands: wgpu::CommandEncoder,
    submission: Submission,
}

/// The submission that an encoder's commands end up in, known once it is submitted.
#[derive(Debug, Clone, Default)]
pub(super) struct Submission(Arc<OnceLock<wgpu::SubmissionIndex>>);

impl Submission {
    /// Blocks until the device is done with it.
    pub(super) fn wait(&self, gpu: &Gpu) -> Result<()> {
        let index = self.0.get().ok_or_else(|| {
            Error::Device("submit a step before waiting for its readback".to_owned())
        })?;
        gpu.wait_for(Some(index.clone()))
    }
}

impl Encoder {
    /// An empty step.
    pub fn new(gpu: &Gpu) -> Self {
        let commands = gpu.attended(|| gpu.device.create_command_encoder(&Default::default()));
        Self { gpu: gpu.clone(), commands, submission: Submission::default() }
    }

    pub(super) fn submission(&self) -> Submission {
        self.submission.clone()
    }

    /// Sends everything encoded as one submission; does not wait.
    pub fn submit(self) -> Result<()> {
        let index = self.gpu.submit(self.commands)?;
        // An encoder is submitted at most once: it is consumed here.
        let _ = self.submission.0.set(index);
        Ok(())
    }
}

impl PlanBuilder {
    /// Allocates memory, compiles pipelines and makes every bind group.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] and [`Error::OutOfMemory`] name the tensors;
    /// [`Error::Device`] carries the driver's words.
    pub fn build(self, gpu: &Gpu) -> Result<Program> {
        Program::new(self, gpu)
    }
}

impl Program {
    fn new(builder: PlanBuilder, gpu: &Gpu) -> Result<Self> {
        let at = builder.assignment();
        builder.check_budget(gpu.memory_budget())?;
        let buffers = allocate(&builder, &at, gpu)?;
        for (slot, values) in &builder.constants {
            let id = slot.id as usize;
            let (buffer, name) = (&buffers[at.home[id]], &builder.slots[id].name);
            let begin = u64::from(builder.begin(*slot)) * 4;
            gpu.write(buffer, begin, bytemuck::cast_slice(values), name);
        }
        let uniforms = upload_uniforms(&builder.launches, gpu)?;
        let idle = idle(gpu)?;
        let bytes_of = |slot| [builder.begin(slot), builder.words(slot)].map(|n| u64::from(n) * 4);
        let launches = builder
            .launches
            .iter()
            .enumerate()
            .map(|(i, launch)| {
                let slots = launch.operands.iter().map(|&(_, _, slot)| slot);
                // An operand left alone still needs something behind it, and nothing that is
                // written may be read.
                let buffer = |slot: Option<Slot>| match slot {
                    Some(slot) => (&buffers[at.home[slot.id as usize]], bytes_of(slot)),
                    None => (&idle, [0, IDLE_BYTES]),
                };
                ready(launch, slots.map(buffer).collect(), (&uniforms, i * UNIFORM_STRIDE), gpu)
            })
            .collect::<Result<_>>()?;
        Ok(Self { launches, buffers, home: at.home, builder })
    }

    /// Encodes every launch of `phase`.
    pub fn encode(&self, phase: Phase, encoder: &mut Encoder) {
        self.encode_part(phase, 0..self.launches_of(phase), encoder);
    }

    /// Launches of `phase`.
    pub(crate) fn launches_of(&self, phase: Phase) -> usize {
        self.builder.launches_of(phase).len()
    }

    /// As [`encode`](Self::encode), of some of the phase's launches.
    pub(crate) fn encode_part(&self, phase: Phase, part: Range<usize>, encoder: &mut Encoder) {
        let mut pass = encoder.commands.begin_compute_pass(&Default::default());
        let mut set = None;
        for ready in &self.launches[self.builder.launches_of(phase)][part] {
            if set != Some(&ready.pipeline) {
                pass.set_pipeline(&ready.pipeline);
                set = Some(&ready.pipeline);
            }
            ready.dispatch(&mut pass);
        }
    }

    /// As [`encode`](Self::encode), with each launch in a pass of its own between two timestamps.
    /// Slower for small kernels: only for steps that are traced.
    pub fn encode_timed(&self, phase: Phase, encoder: &mut Encoder, timestamps: &mut Timestamps) {
        self.encode_part_timed(phase, 0..self.launches_of(phase), encoder, timestamps);
    }

    /// As [`encode_timed`](Self::encode_timed), of some of the phase's launches.
    pub(crate) fn encode_part_timed(
        &self,
        phase: Phase,
        part: Range<usize>,
        encoder: &mut Encoder,
        timestamps: &mut Timestamps,
    ) {
        for i in self.builder.launches_of(phase).skip(part.start).take(part.len()) {
            let name = self.builder.launches[i].name;
            let descriptor = wgpu::ComputePassDescriptor {
                label: Some(name),
                timestamp_writes: timestamps.next(&self.builder.phases[phase.0].name, name),
            };
            let mut pass = encoder.commands.begin_compute_pass(&descriptor);
            pass.set_pipeline(&self.launches[i].pipeline);
            self.launches[i].dispatch(&mut pass);
        }
    }

    /// Number of launches in all phases together.
    pub fn launches(&self) -> usize {
        self.launches.len()
    }

    /// Writes `data` to the start of `slot` before the next submission.
    ///
    /// # Panics
    /// If `data` is longer than the slot.
    pub fn upload<T: Pod>(&self, gpu: &Gpu, slot: Slot, data: &[T]) {
        self.upload_from(gpu, slot, 0, data);
    }

    /// Writes `data` to `slot` from word `first` on before the next submission.
    ///
    /// # Panics
    /// If `data` reaches past the end of the slot.
    pub fn upload_from<T: Pod>(&self, gpu: &Gpu, slot: Slot, first: usize, data: &[T]) {
        let (at, bytes): (_, &[u8]) = (first * 4, bytemuck::cast_slice(data));
        assert!(at + bytes.len() <= slot.words as usize * 4, "upload is longer than its slot");
        let name = &self.builder.slots[slot.id as usize].name;
        let (buffer, begin) = self.buffer(slot);
        gpu.write(buffer, begin + at as u64, bytes, name);
    }

    /// Reads slots back, waiting for the device. Not for use inside a step: take a
    /// [`Ticket`](super::Ticket) there.
    pub fn download<T: Pod>(&self, gpu: &Gpu, slot: Slot) -> Result<Vec<T>> {
        let mut ring = super::ReadbackRing::new(gpu, u64::from(slot.words) * 4, 1)?;
        let mut encoder = Encoder::new(gpu);
        ring.copy(gpu, &mut encoder, self, &[slot])?;
        encoder.submit()?;
        let (_, bytes) = ring.wait(gpu)?.pop().expect("one ticket was taken");
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Fills all scratch with NaN before the next submission, so that a stale read shows at once.
    pub fn poison_scratch(&self, gpu: &Gpu) {
        for buffer in &self.buffers[self.builder.persistent_buffers()..] {
            let words = vec![f32::NAN; usize::try_from(buffer.size() / 4).expect("fits memory")];
            gpu.write(buffer, 0, bytemuck::cast_slice(&words), "scratch");
        }
    }

    /// Bytes allocated, and those that are staged besides.
    pub fn memory(&self) -> Memory {
        self.builder.memory()
    }

    /// The plan that this was built from, for printing.
    pub fn plan(&self) -> &PlanBuilder {
        &self.builder
    }

    /// The buffer of `slot`, and the byte where it begins there.
    pub(super) fn buffer(&self, slot: Slot) -> (&wgpu::Buffer, u64) {
        (&self.buffers[self.home[slot.id as usize]], u64::from(self.builder.begin(slot)) * 4)
    }
}

impl Ready {
    /// After its pipeline is set.
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
    }
}

fn allocate(builder: &PlanBuilder, at: &Assignment, gpu: &Gpu) -> Result<Vec<wgpu::Buffer>> {
    let limit = gpu.report().max_binding.min(gpu.report().max_buffer);
    at.words
        .iter()
        .enumerate()
        .map(|(b, &words)| {
            let bytes = u64::from(words) * 4;
            let tensor = || {
                let here = (0..at.home.len()).filter(|&s| at.home[s] == b);
                let names: Vec<&str> = here.map(|s| builder.slots[s].name.as_str()).collect();
                names.join(", ")
            };
            if bytes > limit {
                return Err(Error::TensorTooLarge { tensor: tensor(), bytes, limit });
            }
            let descriptor = wgpu::BufferDescriptor {
                label: Some("slot"),
                size: bytes,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            };
            let no_memory = || Error::OutOfMemory { tensor: tensor(), bytes };
            gpu.scoped(|| gpu.device.create_buffer(&descriptor), no_memory)
        })
        .collect()
}

/// Bytes that a program of `launches` takes besides its slots.
pub(super) fn staging(launches: usize) -> u64 {
    (launches.max(1) * UNIFORM_STRIDE) as u64 + IDLE_BYTES
}

/// What stands for operands that launches leave alone.
fn idle(gpu: &Gpu) -> Result<wgpu::Buffer> {
    let descriptor = wgpu::BufferDescriptor {
        label: Some("idle"),
        size: IDLE_BYTES,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let no_memory =
        || Error::OutOfMemory { tensor: "operands left alone".to_owned(), bytes: IDLE_BYTES };
    gpu.scoped(|| gpu.device.create_buffer(&descriptor), no_memory)
}

fn upload_uniforms(launches: &[Launch], gpu: &Gpu) -> Result<wgpu::Buffer> {
    let mut bytes = vec![0; (launches.len() * UNIFORM_STRIDE).max(UNIFORM_STRIDE)];
    for (chunk, launch) in bytes.chunks_mut(UNIFORM_STRIDE).zip(launches) {
        chunk[..launch.params.len()].copy_from_slice(&launch.params);
    }
    let size = bytes.len() as u64;
    let descriptor = wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    };
    let no_memory = || Error::OutOfMemory { tensor: "the uniforms".to_owned(), bytes: size };
    let buffer = gpu.scoped(|| gpu.device.create_buffer(&descriptor), no_memory)?;
    gpu.write(&buffer, 0, &bytes, "the uniforms");
    Ok(buffer)
}

fn ready(
    launch: &Launch,
    operands: Vec<(&wgpu::Buffer, [u64; 2])>,
    (uniforms, offset): (&wgpu::Buffer, usize),
    gpu: &Gpu,
) -> Result<Ready> {
    let key = PipelineKey {
        name: launch.name,
        source: launch.source,
        constants: launch.constants.clone(),
        writes: launch.operands.iter().map(|&(_, access, _)| access == Access::Write).collect(),
        uniform_bytes: launch.params.len() as u64,
    };
    let pipeline = gpu.pipeline(&key)?;
    let entry = |binding: usize, buffer, [offset, bytes]: [u64; 2]| wgpu::BindGroupEntry {
        binding: binding as u32,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: std::num::NonZeroU64::new(bytes),
        }),
    };
    let mut entries: Vec<_> =
        operands.iter().enumerate().map(|(i, &(b, range))| entry(i, b, range)).collect();
    entries.push(entry(entries.len(), uniforms, [offset as u64, UNIFORM_STRIDE as u64]));
    let make = || {
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(launch.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    };
    let no_memory = || Error::Device(format!("no memory to bind the operands of {}", launch.name));
    let bind_group = gpu.scoped(make, no_memory).map_err(|e| key.failed("operands", e))?;
    Ok(Ready { pipeline, bind_group, grid: launch.grid })
}
