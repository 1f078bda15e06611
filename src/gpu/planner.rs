//! Slot lifetimes to buffers: pure, no GPU.
//!
//! Whole buffers are shared, never ranges of one: WebGPU tracks access per buffer, so two ranges
//! of an arena cannot be bound as `read` and `read_write` in the same launch. Slots that are joined
//! are one to this file, since no launch does that with them.
use std::cmp::Reverse;

/// A slot's first and last launch. Persistent slots live outside every launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) words: u32,
    /// `None` for persistent slots; inclusive launch numbers for scratch.
    pub(super) span: Option<(usize, usize)>,
    /// The joined slot whose buffer it is a range of; that slot's life is what counts.
    pub(super) within: Option<usize>,
}

/// Which buffer each slot lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Buffer of each slot.
    pub(super) home: Vec<usize>,
    /// Words of each buffer.
    pub(super) words: Vec<u32>,
}

impl Assignment {
    /// Bytes of all buffers together.
    pub(super) fn bytes(&self) -> u64 {
        self.words.iter().map(|&words| u64::from(words) * 4).sum()
    }
}

/// Memory of a program on the device in bytes, known before anything is allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights, masks, optimizer slots, inputs: kept from step to step.
    pub persistent: u64,
    /// Activations and gradients, after sharing.
    pub scratch: u64,
    /// What scratch would take without sharing.
    pub unshared: u64,
    /// Besides the slots: sizes and constants of the launches, what batches are written and results
    /// read through, and where there is a logdir the copies that a checkpoint is written from.
    /// Compiled shaders, and what the driver keeps for itself, are not in it.
    pub staging: u64,
}

impl Memory {
    /// Everything together, when all of it is in use.
    pub fn peak(&self) -> u64 {
        self.persistent + self.scratch + self.staging
    }
}

/// Largest first, each into the smallest buffer that is free for as long as it lives ("greedy by
/// size" of Pisarchyk and Lee 2020). By start time instead, small tensors that live long, the
/// gradients of biases, would take buffers that were freed by large ones.
pub(super) fn assign(slots: &[Life]) -> Assignment {
    let mut words: Vec<u32> = Vec::new();
    let mut home = vec![0; slots.len()];
    let own = || slots.iter().enumerate().filter(|(_, life)| life.within.is_none());
    for (slot, life) in own().filter(|(_, life)| life.span.is_none()) {
        home[slot] = words.len();
        words.push(life.words);
    }
    // Spans of what lives in each buffer; persistent slots share with nothing.
    let persistent = words.len();
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut order: Vec<(Reverse<u32>, (usize, usize), usize)> =
        own().filter_map(|(slot, life)| Some((Reverse(life.words), life.span?, slot))).collect();
    order.sort_unstable();
    for (Reverse(need), (first, last), slot) in order {
        let apart = |&(from, to): &(usize, usize)| last < from || to < first;
        // The later a buffer was made, the smaller it is; all are large enough.
        let free = taken.iter().rposition(|spans| spans.iter().all(apart));
        let buffer = free.unwrap_or_else(|| {
            words.push(need);
            taken.push(Vec::new());
            taken.len() - 1
        });
        taken[buffer].push((first, last));
        home[slot] = persistent + buffer;
    }
    for (slot, life) in slots.iter().enumerate() {
        if let Some(whole) = life.within {
            home[slot] = home[whole];
        }
    }
    Assignment { home, words }
}

/// Bytes of `assignment`, and `staging` besides.
pub(super) fn memory(slots: &[Life], assignment: &Assignment, staging: u64) -> Memory {
    let sum = |keep: bool| -> u64 {
        let kept = slots.iter().filter(|l| l.span.is_none() == keep && l.within.is_none());
        kept.map(|l| u64::from(l.words) * 4).sum()
    };
    let (persistent, unshared) = (sum(true), sum(false));
    Memory { persistent, scratch: assignment.bytes() - persistent, unshared, staging }
}
