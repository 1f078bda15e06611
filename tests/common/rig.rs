//! A plan with one phase whose slots are longer than any launch needs, so that a stray access
//! shows.
use bytemuck::Pod;
use secateur::gpu::{Encoder, Gpu, Kernel, Phase, PlanBuilder, Program, Slot, Target};

/// Quiet NaNs: what reads one is NaN, and what writes over one is found out. Each slot has its own,
/// because a sum of NaNs may well be the same NaN.
const GUARD: u32 = 0x7fc0_be00;
/// Guard words after the contents of every slot.
const GUARDS: usize = 8;

/// Slots with their first contents, and the launches over them.
pub struct Rig<'a> {
    gpu: &'a Gpu,
    pub plan: PlanBuilder,
    phase: Phase,
    contents: Vec<(Slot, Vec<u32>)>,
}

/// A built [`Rig`].
pub struct Bench<'a> {
    gpu: &'a Gpu,
    program: Program,
    phase: Phase,
    guards: Vec<(Slot, u32)>,
}

impl<'a> Rig<'a> {
    /// An empty plan for `gpu` in its one phase.
    pub fn new(gpu: &'a Gpu) -> Self {
        Self::for_target(gpu, gpu.target())
    }

    /// The same with the variants that `target` chooses, which must run on `gpu`.
    pub fn for_target(gpu: &'a Gpu, target: Target) -> Self {
        let mut plan = PlanBuilder::new(target);
        let phase = plan.phase("test");
        Self { gpu, plan, phase, contents: Vec::new() }
    }

    /// A slot that holds `contents`, then guard words.
    pub fn slot<T: Pod>(&mut self, name: &str, contents: &[T]) -> Slot {
        let mut words: Vec<u32> = bytemuck::cast_slice(contents).to_vec();
        words.extend([self.guard(); GUARDS]);
        let slot = self.plan.persistent(name, words.len() as u32);
        self.contents.push((slot, words));
        slot
    }

    /// A slot of `len` words, all guards until a launch writes the first `len` of them.
    pub fn output(&mut self, name: &str, len: usize) -> Slot {
        self.slot(name, &vec![self.guard(); len])
    }

    /// The guard word of the next slot.
    fn guard(&self) -> u32 {
        GUARD + self.contents.len() as u32
    }

    /// Appends a launch that must be accepted.
    pub fn push(&mut self, kernel: impl Kernel) {
        self.plan.push(kernel).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Allocates and uploads.
    pub fn build(self) -> Bench<'a> {
        let Self { gpu, plan, phase, contents } = self;
        let program = plan.build(gpu).unwrap_or_else(|e| panic!("{e}"));
        program.poison_scratch(gpu);
        let upload = |(at, (slot, words)): (usize, (Slot, Vec<u32>))| {
            program.upload(gpu, slot, &words);
            (slot, GUARD + at as u32)
        };
        let guards = contents.into_iter().enumerate().map(upload).collect();
        Bench { gpu, program, phase, guards }
    }

    /// Builds and runs once.
    pub fn run(self) -> Bench<'a> {
        let bench = self.build();
        bench.run();
        bench
    }
}

impl Bench<'_> {
    /// Runs every launch once.
    pub fn run(&self) {
        let mut encoder = Encoder::new(self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit().unwrap_or_else(|e| panic!("{e}"));
    }

    /// Replaces the first words of `slot`.
    pub fn upload<T: Pod>(&self, slot: Slot, contents: &[T]) {
        self.program.upload(self.gpu, slot, contents);
    }

    /// The contents of `slot` without the guard words, which must be whole.
    pub fn read<T: Pod>(&self, slot: Slot) -> Vec<T> {
        let words = self.program.download(self.gpu, slot);
        let mut words: Vec<u32> = words.unwrap_or_else(|e| panic!("{e}"));
        let guards = words.split_off(words.len() - GUARDS);
        let guard = self.guards.iter().find(|(s, _)| *s == slot).expect("a slot of this rig").1;
        assert_eq!(guards, [guard; GUARDS], "wrote past word {} of a slot", words.len());
        bytemuck::pod_collect_to_vec(&words)
    }
}
