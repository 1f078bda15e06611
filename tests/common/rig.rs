//! A plan with one phase whose slots are longer than any launch needs, so that a stray access shows.
use bytemuck::Pod;
use secateur::gpu::{Encoder, Gpu, Kernel, Phase, PlanBuilder, Program, Slot};

/// A quiet NaN: what reads it is NaN, and what writes over it is found out.
const GUARD: u32 = 0x7fc0_beef;
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
}

impl<'a> Rig<'a> {
    /// An empty plan in its one phase.
    pub fn new(gpu: &'a Gpu) -> Self {
        let mut plan = PlanBuilder::default();
        let phase = plan.phase("test");
        Self { gpu, plan, phase, contents: Vec::new() }
    }

    /// A slot that holds `contents`, then guard words.
    pub fn slot<T: Pod>(&mut self, name: &str, contents: &[T]) -> Slot {
        let mut words: Vec<u32> = bytemuck::cast_slice(contents).to_vec();
        words.extend([GUARD; GUARDS]);
        let slot = self.plan.persistent(name, words.len() as u32);
        self.contents.push((slot, words));
        slot
    }

    /// A slot of `len` words, all guards until a launch writes the first `len` of them.
    pub fn output(&mut self, name: &str, len: usize) -> Slot {
        self.slot(name, &vec![GUARD; len])
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
        for (slot, words) in contents {
            program.upload(gpu, slot, &words);
        }
        Bench { gpu, program, phase }
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
        assert_eq!(guards, [GUARD; GUARDS], "wrote past word {} of a slot", words.len());
        bytemuck::pod_collect_to_vec(&words)
    }
}
