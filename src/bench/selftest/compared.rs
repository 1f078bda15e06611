//! What a check has compared so far, and what of it is wrong.
use bytemuck::Pod;
use serde::Serialize;

/// Unit roundoff of f32: the relative error of one rounding.
pub(super) const U: f64 = 1.0 / (1 << 24) as f64;
/// Results below this may be flushed to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) passed: bool,
    pub(super) detail: String,
    pub(super) worst: Option<Worst>,
}

/// The error that is the largest share of its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Worst {
    /// How far the value is from its reference; no number (null) where the value is none.
    pub error: f64,
    /// How far it may be.
    pub tolerance: f64,
}

impl Worst {
    /// The error as a share of its tolerance; infinite for what is no number.
    fn share(&self) -> f64 {
        let share = self.error / self.tolerance;
        if share.is_nan() { f64::INFINITY } else { share }
    }
}

/// Comparisons of many cases as one check.
#[derive(Debug, Default)]
pub(super) struct Compared {
    values: usize,
    wrong: usize,
    pub(super) worst: Option<Worst>,
    /// The first of them that is wrong.
    first: Option<String>,
}

impl Compared {
    /// Compares values with a reference, each within its own bound. `case` says which they are.
    pub(super) fn within(&mut self, case: &str, got: &[f32], want: &[f64], bounds: &[f64]) {
        if got.len() != want.len() || want.len() != bounds.len() {
            let (got, want) = (got.len(), want.len());
            return self.fault(format!("{case}: {got} values, the reference has {want}"));
        }
        self.values += got.len();
        for (i, ((&got, &want), bound)) in got.iter().zip(want).zip(bounds).enumerate() {
            let (error, tolerance) = ((f64::from(got) - want).abs(), bound + TINY);
            let here = Worst { error, tolerance };
            if self.worst.is_none_or(|worst| here.share() > worst.share()) {
                self.worst = Some(here);
            }
            if error.is_nan() || error > tolerance {
                self.fault(format!(
                    "{case}, element {i}: {got:e}, must be {want:e} within {tolerance:e}"
                ));
            }
        }
    }

    /// Compares words bit by bit.
    pub(super) fn same<T: Pod>(&mut self, case: &str, got: &[T], want: &[T]) {
        let [got, want]: [&[u8]; 2] = [got, want].map(bytemuck::cast_slice);
        if got.len() != want.len() {
            let (got, want) = (got.len(), want.len());
            return self.fault(format!("{case}: {got} bytes, must be {want}"));
        }
        self.values += got.len() / 4;
        let words = got.chunks(4).zip(want.chunks(4)).enumerate();
        for (i, (got, want)) in words.filter(|(_, (got, want))| got != want) {
            let [got, want] = [got, want].map(|bytes| {
                bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>()
            });
            self.fault(format!("{case}, word {i}: {got}, must be {want} (hexadecimal)"));
        }
    }

    /// Holds a statement to be true.
    pub(super) fn holds(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        self.values += 1;
        if !holds {
            self.fault(fault());
        }
    }

    /// Notes that something is wrong.
    pub(super) fn fault(&mut self, what: String) {
        self.wrong += 1;
        self.first.get_or_insert(what);
    }

    /// What the check comes to; `what` says what was compared.
    pub(super) fn found(self, what: &str) -> Found {
        let (passed, worst) = (self.wrong == 0, self.worst);
        let detail = match self.first {
            None => format!("{what}: {} values", self.values),
            Some(first) => format!("{} of {} values are wrong; {first}", self.wrong, self.values),
        };
        Found { passed, detail, worst }
    }
}
