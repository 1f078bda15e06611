//! Medians of samples that are long enough to be timed.
use std::time::Duration;

use crate::Result;

/// How much time measuring may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// For the samples of one row, where the fewest fit into it.
    pub row: Duration,
    /// Shortest sample: what takes less is repeated in it.
    pub sample: Duration,
    /// A workload that takes longer than this once is left out.
    pub longest: Duration,
    /// Samples of a row: at least, and at most.
    pub samples: [usize; 2],
    /// Sizes for seeing that everything runs; no figure means anything then.
    pub tiny: bool,
}

impl Effort {
    /// Everything within about a minute.
    pub const FULL: Self = Self {
        row: Duration::from_millis(800),
        sample: Duration::from_millis(20),
        longest: Duration::from_secs(1),
        samples: [5, 21],
        tiny: false,
    };
    /// Everything within seconds.
    pub const QUICK: Self = Self {
        row: Duration::from_millis(5),
        sample: Duration::from_millis(1),
        longest: Duration::from_millis(500),
        samples: [3, 3],
        tiny: true,
    };
}

/// A measured time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Median over the samples of the time that one repetition took.
    pub seconds: f64,
    /// Samples.
    pub samples: usize,
}

/// Samples of `time`, which repeats a workload so many times and says how long that took. The first
/// call is not counted.
///
/// # Errors
/// Those of `time`.
pub fn sample(mut time: impl FnMut(u64) -> Result<Duration>, effort: &Effort) -> Result<Sampled> {
    time(1)?;
    let mut repetitions = 1;
    let mut taken = time(1)?;
    // Repetitions within a submission cost less than the first: approach by steps.
    while taken < effort.sample * 3 / 4 && repetitions < 1 << 20 {
        let missing = effort.sample.as_secs_f64() / taken.as_secs_f64().max(1e-9);
        repetitions = (repetitions as f64 * missing.clamp(1.5, 16.0)).ceil() as u64;
        taken = time(repetitions)?;
    }
    let [least, most] = effort.samples;
    let fit = effort.row.as_secs_f64() / taken.as_secs_f64().max(1e-9);
    let samples = (fit as usize).clamp(least, most);
    let mut seconds = (0..samples)
        .map(|_| Ok(time(repetitions)?.as_secs_f64() / repetitions as f64))
        .collect::<Result<Vec<_>>>()?;
    Ok(Sampled { seconds: median(&mut seconds), samples })
}

/// The middle of `values`, or the mean of the two in the middle; NaN of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
    match values {
        [] => f64::NAN,
        _ if odd => values[half],
        _ => values[half - 1].midpoint(values[half]),
    }
}
