//! A curve of any length in a fixed memory.

/// Most points that a curve has: more than a terminal has columns of dots.
const POINTS: usize = 512;

/// Values over steps. Where there are too many, each two neighbours become their mean.
#[derive(Debug, Clone)]
pub struct Series {
    points: Vec<(f64, f64)>,
    /// How many values a point is the mean of.
    width: u32,
    /// Sums of the steps and values that make no point yet, and how many they are.
    pending: (f64, f64, u32),
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), width: 1, pending: (0.0, 0.0, 0) }
    }
}

impl Series {
    /// Appends a value; one that is no number is left out.
    pub fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let (steps, values, count) = &mut self.pending;
        (*steps, *values, *count) = (*steps + step as f64, *values + value, *count + 1);
        if *count < self.width {
            return;
        }
        let n = f64::from(*count);
        self.points.push((*steps / n, *values / n));
        self.pending = (0.0, 0.0, 0);
        if self.points.len() == POINTS {
            let mean = |pair: &[(f64, f64)]| {
                ((pair[0].0 + pair[1].0) / 2.0, (pair[0].1 + pair[1].1) / 2.0)
            };
            self.points = self.points.chunks_exact(2).map(mean).collect();
            self.width *= 2;
        }
    }

    /// Leaves out what lies behind `step`: a run goes on from there.
    pub fn back_to(&mut self, step: u64) {
        self.points.retain(|point| point.0 <= step as f64);
        self.pending = (0.0, 0.0, 0);
    }

    /// Step and value of each point, by steps.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }
}
