//! The roofline: no workload is done sooner than its arithmetic, or than its bytes, allow.
use serde::Serialize;

/// What a workload cannot do without, whatever computes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Work {
    /// Floating-point operations, a multiply-add as two; of a selection one comparison a value.
    pub flops: f64,
    /// Bytes to read and to write when each operand passes once between memory and the adapter.
    pub bytes: f64,
}

impl Work {
    /// Operations a byte.
    pub fn intensity(&self) -> f64 {
        self.flops / self.bytes
    }
}

/// Which ceiling is the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// The rate of multiply-adds.
    Arithmetic,
    /// Bytes a second.
    Bandwidth,
}

/// What an adapter reaches where nothing else stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ceilings {
    /// Bytes read and written a second by a large copy.
    pub copy_bytes_per_second: f64,
    /// f32 operations a second of multiply-adds in registers, each counted as two.
    pub fma_flops_per_second: f64,
    /// What a launch of a replayed plan costs the host.
    pub launch_seconds: f64,
    /// An empty submission, from before it to the end of the wait for it.
    pub round_trip_seconds: f64,
}

impl Ceilings {
    /// Seconds that `work` takes at least.
    pub fn least_seconds(&self, work: Work) -> f64 {
        (work.flops / self.fma_flops_per_second).max(work.bytes / self.copy_bytes_per_second)
    }

    /// Operations a second that `work` can reach: the lower of the rate of multiply-adds and
    /// intensity times bandwidth.
    pub fn attainable(&self, work: Work) -> f64 {
        self.fma_flops_per_second.min(work.intensity() * self.copy_bytes_per_second)
    }

    /// What keeps `work` from being faster.
    pub fn limit(&self, work: Work) -> Limit {
        if work.intensity() < self.ridge() { Limit::Bandwidth } else { Limit::Arithmetic }
    }

    /// Share of the roofline that `work` in `seconds` is: 1 is as fast as can be. Above 1 where
    /// operands stay in a cache that the copy is too large for.
    pub fn share(&self, work: Work, seconds: f64) -> f64 {
        self.least_seconds(work) / seconds
    }

    /// Operations a byte from which arithmetic is the limit.
    pub fn ridge(&self) -> f64 {
        self.fma_flops_per_second / self.copy_bytes_per_second
    }
}
