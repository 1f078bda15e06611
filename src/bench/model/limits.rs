//! The least time that a launch can take on a card, by each of its limits.
use serde::Serialize;

use super::cards::Card;
use super::launches::Modelled;
use super::machine::SLOTS;

/// Seconds from the end of a launch to the beginning of one that needs its results, on any card:
/// the lower end of what is reported.
pub const LAUNCH: f64 = 2e-6;
/// Workgroups that a multiprocessor has at once, at most.
const RESIDENT: u32 = 32;
/// Words of registers that a lane has besides those of its variables: addresses and what is on its
/// way.
const OTHER_REGISTERS: f64 = 16.0;
/// Sectors of its first cache that a multiprocessor reads in a cycle.
const SECTORS: f64 = 4.0;

/// What keeps a launch from being faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Multiply-adds of lanes, at the card's rate.
    Arithmetic,
    /// Multiply-adds of matrices.
    Matrices,
    /// Bytes of memory, each once.
    Memory,
    /// Bytes of the cache that all multiprocessors share: what each workgroup loads, once.
    Cache,
    /// Instructions of warps on the multiprocessor that has the most workgroups.
    Instructions,
    /// What goes through workgroup memory and the first cache there.
    Loads,
    /// Atomics on one word, one a cycle.
    Atomics,
    /// Workgroups that wait for what they load, as many at once as fit.
    Waiting,
}

impl Limit {
    /// All, in the order of [`Least::seconds`].
    pub const ALL: [Self; 8] = [
        Self::Arithmetic,
        Self::Matrices,
        Self::Memory,
        Self::Cache,
        Self::Instructions,
        Self::Loads,
        Self::Atomics,
        Self::Waiting,
    ];
}

/// The least times of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Least {
    /// By each of [`Limit::ALL`].
    pub seconds: [f64; 8],
    /// The one that counts.
    pub limit: Limit,
    /// Workgroups that a multiprocessor has at once.
    pub resident: u32,
    /// How often all multiprocessors are filled with workgroups.
    pub waves: f64,
}

impl Least {
    /// That of the limit.
    pub fn most(&self) -> f64 {
        self.seconds.iter().copied().fold(0.0, f64::max)
    }
}

impl Modelled {
    /// Words of registers of a lane.
    pub fn registers(&self) -> f64 {
        self.of_workgroup.registers + OTHER_REGISTERS
    }

    /// The least times of one launch on `card`.
    pub fn least(&self, card: &Card) -> Least {
        let (of, hertz) = (&self.of_workgroup, card.hertz());
        let (all, processors) = (self.workgroups, f64::from(card.multiprocessors));
        // What the busiest multiprocessor has to do, whatever runs beside what.
        let busiest = (all / processors).ceil();
        let resident = self.resident(card);
        let waves = (all / (processors * f64::from(resident))).ceil();
        let slots = SLOTS as f64;
        let matrices = card
            .matrix_flops
            .map_or(0.0, |rate| 2.0 * of.matrix_multiply_adds * busiest * processors / rate);
        let cache = card.cache_bytes_per_second;
        let seconds = [
            2.0 * of.multiply_adds * all / card.flops,
            matrices,
            self.bytes / card.bytes_per_second,
            cache.map_or(0.0, |rate| 32.0 * of.unique_sectors * all / rate),
            busiest * of.slots / slots / hertz,
            busiest * (of.shared_passes + of.load_sectors / SECTORS) / hertz,
            of.hottest * all / hertz,
            waves * of.clock / slots / hertz,
        ];
        let most = (0..8).max_by(|&x, &y| seconds[x].total_cmp(&seconds[y])).unwrap_or(0);
        Least { seconds, limit: Limit::ALL[most], resident, waves }
    }

    fn resident(&self, card: &Card) -> u32 {
        let invocations = self.invocations.max(1);
        let by_registers = f64::from(card.registers) / (self.registers() * f64::from(invocations));
        let by_memory = card.workgroup_bytes.checked_div(self.workgroup_bytes);
        let by_invocations = card.invocations / invocations;
        let all = [by_registers as u32, by_memory.unwrap_or(RESIDENT), by_invocations, RESIDENT];
        all.into_iter().min().unwrap_or(1).max(1)
    }
}
