//! A plan with one phase, whose slots are longer than any launch needs, so that a stray store shows.
use bytemuck::Pod;

use super::compared::Compared;
use crate::Result;
use crate::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program, Slot};

/// A quiet NaN: what reads it is NaN, and what writes over it is found out.
const GUARD: u32 = 0x7fc0_be57;
/// Guard words after the contents of every slot.
const GUARDS: usize = 8;

/// Slots with their first contents, and the launches over them.
pub(super) struct Rig<'a> {
    gpu: &'a Gpu,
    pub(super) plan: PlanBuilder,
    phase: Phase,
    contents: Vec<(Slot, Vec<u32>)>,
}

/// A built [`Rig`].
pub(super) struct Ready<'a> {
    gpu: &'a Gpu,
    program: Program,
    phase: Phase,
}

impl<'a> Rig<'a> {
    /// An empty plan for `gpu`.
    pub(super) fn new(gpu: &'a Gpu) -> Self {
        let mut plan = PlanBuilder::new(gpu.target());
        let phase = plan.phase("selftest");
        Self { gpu, plan, phase, contents: Vec::new() }
    }

    /// A slot that holds `contents`, then guard words.
    pub(super) fn slot<T: Pod>(&mut self, name: &str, contents: &[T]) -> Slot {
        let mut words: Vec<u32> = bytemuck::cast_slice(contents).to_vec();
        words.extend([GUARD; GUARDS]);
        let slot = self.plan.persistent(name, words.len() as u32);
        self.contents.push((slot, words));
        slot
    }

    /// A slot of `len` words, all guards until a launch writes the first `len` of them.
    pub(super) fn output(&mut self, name: &str, len: usize) -> Slot {
        self.slot(name, &vec![GUARD; len])
    }

    /// Builds, uploads and runs once.
    pub(super) fn run(self) -> Result<Ready<'a>> {
        let Self { gpu, plan, phase, contents } = self;
        let program = plan.build(gpu)?;
        program.poison_scratch(gpu);
        for (slot, words) in &contents {
            program.upload(gpu, *slot, words);
        }
        let ready = Ready { gpu, program, phase };
        ready.run()?;
        Ok(ready)
    }
}

impl Ready<'_> {
    /// Runs every launch once more.
    pub(super) fn run(&self) -> Result<()> {
        let mut encoder = Encoder::new(self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit()
    }

    /// Replaces the first words of `slot`.
    pub(super) fn upload<T: Pod>(&self, slot: Slot, contents: &[T]) {
        self.program.upload(self.gpu, slot, contents);
    }

    /// The contents of `slot` without the guard words, which must be whole.
    pub(super) fn read<T: Pod>(
        &self,
        case: &str,
        slot: Slot,
        compared: &mut Compared,
    ) -> Result<Vec<T>> {
        let mut words: Vec<u32> = self.program.download(self.gpu, slot)?;
        let guards = words.split_off(words.len().saturating_sub(GUARDS));
        if guards != [GUARD; GUARDS] {
            compared.fault(format!("{case}: written past word {}, the last one", words.len()));
        }
        Ok(bytemuck::pod_collect_to_vec(&words))
    }
}

/// `len` floats in `-scale..scale`, the same on every machine (xorshift64*).
pub(super) fn noise(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32
    };
    (0..len).map(|_| (next() / (1 << 23) as f32 - 1.0) * scale).collect()
}

/// A mask over `len` weights with about half of its bits set.
pub(super) fn half_mask(seed: u64, len: usize) -> Vec<u32> {
    let mut words = vec![0; len.div_ceil(32)];
    for (i, value) in noise(seed, len, 1.0).into_iter().enumerate() {
        words[i / 32] |= u32::from(value > 0.0) << (i % 32);
    }
    words
}
