//! Slot lifetimes to buffers: pure, no GPU.
//!
//! Whole buffers are shared, never ranges of one: WebGPU tracks access per buffer, so two ranges
//! of an arena cannot be bound as `read` and `read_write` in the same launch.

/// A slot's first and last launch. Persistent slots live outside every launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) words: u32,
    /// `None` for persistent slots; inclusive launch numbers for scratch.
    pub(super) span: Option<(usize, usize)>,
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

/// Memory of a program in bytes, known before anything is allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights, masks, optimizer slots, inputs: kept from step to step.
    pub persistent: u64,
    /// Activations and gradients, after sharing.
    pub scratch: u64,
    /// What scratch would take without sharing.
    pub unshared: u64,
}

/// First fit by start time, smallest sufficient buffer first; a buffer that is free but too small
/// grows when no free one is large enough, so that sizes differ without waste.
pub(super) fn assign(slots: &[Life]) -> Assignment {
    let mut words: Vec<u32> = Vec::new();
    let mut free_from: Vec<usize> = Vec::new();
    let mut home = vec![0; slots.len()];
    for (slot, life) in slots.iter().enumerate().filter(|(_, l)| l.span.is_none()) {
        home[slot] = words.len();
        words.push(life.words);
        free_from.push(usize::MAX);
    }
    let mut order: Vec<(usize, usize, usize)> = slots
        .iter()
        .enumerate()
        .filter_map(|(slot, life)| life.span.map(|(first, last)| (first, last, slot)))
        .collect();
    order.sort_unstable();
    for (first, last, slot) in order {
        let need = slots[slot].words;
        let free = || (0..words.len()).filter(|&b| free_from[b] <= first);
        let fit = free().filter(|&b| words[b] >= need).min_by_key(|&b| words[b]);
        let buffer = fit.or_else(|| free().max_by_key(|&b| words[b])).unwrap_or_else(|| {
            words.push(0);
            free_from.push(0);
            words.len() - 1
        });
        words[buffer] = words[buffer].max(need);
        free_from[buffer] = last + 1;
        home[slot] = buffer;
    }
    Assignment { home, words }
}

/// Bytes of `assignment`.
pub(super) fn memory(slots: &[Life], assignment: &Assignment) -> Memory {
    let sum = |keep: bool| -> u64 {
        let kept = slots.iter().filter(|l| l.span.is_none() == keep);
        kept.map(|l| u64::from(l.words) * 4).sum()
    };
    let (persistent, unshared) = (sum(true), sum(false));
    Memory { persistent, scratch: assignment.bytes() - persistent, unshared }
}
