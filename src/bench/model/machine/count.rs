//! What a workgroup does.
use serde::Serialize;

/// Of one workgroup, or the mean of several: all lanes of it together, where nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Fused multiply-adds.
    pub multiply_adds: f64,
    /// Multiply-adds on cooperative matrices.
    pub matrix_multiply_adds: f64,
    /// Other operations on floats: conversions, comparisons and choices among them.
    pub floats: f64,
    /// Exponentials, logarithms, roots, and divisions of floats.
    pub specials: f64,
    /// Operations on whole numbers that are not the same in all lanes.
    pub integers: f64,
    /// Divisions and remainders of whole numbers by what is no constant.
    pub divisions: f64,
    /// Those of them within loops.
    pub loop_divisions: f64,
    /// Instructions of warps.
    pub slots: f64,
    /// Bytes that lanes ask global memory for.
    pub loaded_bytes: f64,
    /// Loads of warps.
    pub load_requests: f64,
    /// Sectors of 32 bytes that these touch.
    pub load_sectors: f64,
    /// Sectors that are loaded, each counted once.
    pub unique_sectors: f64,
    /// Bytes that lanes write to global memory.
    pub stored_bytes: f64,
    /// Stores of warps.
    pub store_requests: f64,
    /// Sectors that are written, each counted once.
    pub stored_sectors: f64,
    /// Atomics on global memory.
    pub atomics: f64,
    /// The most of them on one word.
    pub hottest: f64,
    /// Bytes between workgroup memory and lanes.
    pub shared_bytes: f64,
    /// Loads and stores of workgroup memory by warps.
    pub shared_requests: f64,
    /// How often its 32 banks are asked for these: as often as the busiest bank has words.
    pub shared_passes: f64,
    /// Barriers.
    pub barriers: f64,
    /// Slots in which the workgroup, alone on a multiprocessor, waits for what it loads.
    pub waited: f64,
    /// Slots from its beginning to its end, so alone.
    pub clock: f64,
    /// The most words of variables and named values that a lane has at once, of those that differ
    /// from lane to lane.
    pub registers: f64,
}

impl Counts {
    /// Each field of both.
    fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            multiply_adds: f(self.multiply_adds, other.multiply_adds),
            matrix_multiply_adds: f(self.matrix_multiply_adds, other.matrix_multiply_adds),
            floats: f(self.floats, other.floats),
            specials: f(self.specials, other.specials),
            integers: f(self.integers, other.integers),
            divisions: f(self.divisions, other.divisions),
            loop_divisions: f(self.loop_divisions, other.loop_divisions),
            slots: f(self.slots, other.slots),
            loaded_bytes: f(self.loaded_bytes, other.loaded_bytes),
            load_requests: f(self.load_requests, other.load_requests),
            load_sectors: f(self.load_sectors, other.load_sectors),
            unique_sectors: f(self.unique_sectors, other.unique_sectors),
            stored_bytes: f(self.stored_bytes, other.stored_bytes),
            store_requests: f(self.store_requests, other.store_requests),
            stored_sectors: f(self.stored_sectors, other.stored_sectors),
            atomics: f(self.atomics, other.atomics),
            hottest: f(self.hottest, other.hottest),
            shared_bytes: f(self.shared_bytes, other.shared_bytes),
            shared_requests: f(self.shared_requests, other.shared_requests),
            shared_passes: f(self.shared_passes, other.shared_passes),
            barriers: f(self.barriers, other.barriers),
            waited: f(self.waited, other.waited),
            clock: f(self.clock, other.clock),
            registers: f(self.registers, other.registers),
        }
    }

    /// The mean; of registers the most.
    pub(in crate::bench::model) fn mean(of: &[Self]) -> Self {
        let most = of.iter().map(|counts| counts.registers).fold(0.0, f64::max);
        let sum = of.iter().fold(Self::default(), |sum, &counts| sum.with(counts, |x, y| x + y));
        let mean = sum.with(sum, |x, _| x / of.len().max(1) as f64);
        Self { registers: most, ..mean }
    }
}
