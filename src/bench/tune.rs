//! Which variant of the products is the fastest on an adapter, by trying each.
use std::time::{Duration, Instant};

use crate::Result;
use crate::gpu::{Choices, Encoder, Gpu, Phase, PlanBuilder, Precision, Program};
use crate::kernels::{F16Copy, F16Matmul, F16Operand, Form, Matmul, Tiling};

/// One for each class of size: a layer of a small network, and products that fill a small and a
/// large GPU.
pub const TUNED_SIZES: [[u32; 3]; 3] = [[128, 300, 784], [1024, 1024, 512], [2048, 2048, 256]];
/// Each is measured as often, by turns with the others.
const TURNS: usize = 5;
/// What takes so many times as long as the fastest is not measured again.
const HOPELESS: u32 = 3;
/// A turn is as many launches as fill this.
const TURN: Duration = Duration::from_millis(10);

/// The variants of one form at one size.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// Whether it is of f32, or reads halves.
    pub precision: Precision,
    /// NN, NT or TN.
    pub form: Form,
    /// Rows, columns and terms.
    pub size: [u32; 3],
    /// Name of each variant that runs on the adapter, with the median time of a launch; the first
    /// is the fastest.
    pub variants: Vec<(String, Duration)>,
}

/// Tries every variant that runs on `gpu` at `sizes` (those of [`TUNED_SIZES`] take up to a minute)
/// and says which is the fastest at each form and class of size; in mixed precision products over
/// halves too, on cooperative matrices where `gpu` uses any. [`Gpu::keep_tuning`] keeps the choices.
/// They change no result: each sum has the same terms in the same order in any, but on cooperative
/// matrices, which add up in an order of the adapter's own. The rate of the last size in f32, in its
/// slowest form, says how much work one launch may have
/// ([`Target::most_operations`](crate::gpu::Target::most_operations)).
///
/// # Errors
/// [`crate::Error::Device`] and [`crate::Error::OutOfMemory`].
pub fn tune(gpu: &Gpu, sizes: [[u32; 3]; 3]) -> Result<(Choices, Vec<Tuned>)> {
    let mut choices = Choices::default();
    let mut rows = Vec::new();
    for (class, size) in sizes.into_iter().enumerate() {
        for form in [Form::NN, Form::NT, Form::TN] {
            let (best, tuned) = fastest(gpu, Precision::F32, form, size)?;
            keep(&mut choices, Tiling::place(form, class), best);
            // Of the largest class, the slowest form.
            let time = tuned.variants[0].1.as_secs_f64().max(1e-9);
            let rate = size.iter().map(|&extent| f64::from(extent)).product::<f64>() / time;
            let before = if form == Form::NN { u64::MAX } else { choices.rate };
            choices.rate = before.min((rate as u64).max(1));
            rows.push(tuned);
            if gpu.precision() == Precision::Mixed {
                let (best, tuned) = fastest(gpu, Precision::Mixed, form, size)?;
                keep(&mut choices, Tiling::place_f16(form, class), best);
                rows.push(tuned);
            }
        }
    }
    Ok((choices, rows))
}

fn keep(choices: &mut Choices, place: usize, best: Tiling) {
    let kept = choices.set(place, best.name());
    assert!(kept, "{} has a place", best.name());
}

/// One variant in a plan of its own.
struct Candidate {
    tiling: Tiling,
    program: Program,
    phase: Phase,
    /// Of a launch.
    times: Vec<Duration>,
}

impl Candidate {
    fn new(
        gpu: &Gpu,
        tiling: Tiling,
        precision: Precision,
        form: Form,
        [m, n, k]: [u32; 3],
    ) -> Result<Self> {
        let mut plan = PlanBuilder::new(gpu.target());
        let words = |[rows, columns]: [u32; 2]| match precision {
            Precision::F32 => rows * columns,
            Precision::Mixed => F16Copy::words(rows, columns).unwrap_or(u32::MAX),
        };
        let of_a = words(if form == Form::TN { [k, m] } else { [m, k] });
        let of_b = words(if form == Form::NT { [n, k] } else { [k, n] });
        let [a, b, c] =
            [("a", of_a), ("b", of_b), ("c", m * n)].map(|(s, w)| plan.persistent(s, w));
        let peaks = plan.persistent("peaks", 2);
        let phase = plan.phase("tune");
        match precision {
            Precision::F32 => {
                Matmul::new(form, [a, b, c], [m, n, k]).push_as(tiling, &mut plan)?;
            }
            Precision::Mixed => {
                let operands = [(a, 0), (b, 1)].map(|(copy, at)| F16Operand { copy, at });
                let product = F16Matmul::new(form, operands, [peaks, c], [m, n, k]);
                product.push_as(tiling, &mut plan)?;
            }
        }
        Ok(Self { tiling, program: plan.build(gpu)?, phase, times: Vec::new() })
    }

    /// Time of a launch where there are `launches`.
    fn run(&self, gpu: &Gpu, launches: u32) -> Result<Duration> {
        let begin = Instant::now();
        let mut encoder = Encoder::new(gpu);
        (0..launches).for_each(|_| self.program.encode(self.phase, &mut encoder));
        encoder.submit()?;
        gpu.wait()?;
        Ok(begin.elapsed() / launches)
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[times.len() / 2]
    }
}

fn fastest(gpu: &Gpu, precision: Precision, form: Form, size: [u32; 3]) -> Result<(Tiling, Tuned)> {
    let target = gpu.target();
    let all = match precision {
        Precision::F32 => Tiling::ALL.to_vec(),
        Precision::Mixed => Tiling::all_f16(target),
    };
    let mut candidates = Vec::new();
    let mut least = Duration::MAX;
    for tiling in all.into_iter().filter(|tiling| tiling.runs_on(target)) {
        let candidate = Candidate::new(gpu, tiling, precision, form, size)?;
        // The first run may compile, and warms up.
        candidate.run(gpu, 1)?;
        let time = candidate.run(gpu, 1)?;
        least = least.min(time);
        candidates.push((time, candidate));
    }
    let hopeful = candidates.into_iter().filter(|(time, _)| *time <= least * HOPELESS);
    let mut candidates: Vec<Candidate> = hopeful.map(|(_, candidate)| candidate).collect();
    let launches = (TURN.as_nanos() / least.as_nanos().max(1)).clamp(1, 100) as u32;
    for _ in 0..TURNS {
        for candidate in &mut candidates {
            let time = candidate.run(gpu, launches)?;
            candidate.times.push(time);
        }
    }
    candidates.sort_by_key(Candidate::median);
    let variants = candidates.iter().map(|c| (c.tiling.name().to_owned(), c.median())).collect();
    Ok((candidates[0].tiling, Tuned { precision, form, size, variants }))
}
