//! Features and targets of mean 0 and deviation 1.
use super::{Dataset, Task};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is taken from each feature, and what it is divided by then: `(x - mean) / scale`.
///
/// There is one of each for the last extent of a row's shape: for each channel of images, and for
/// each feature of flat rows. Of targets there is one of each for every target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// All finite.
    pub mean: Vec<f32>,
    /// As many as there are means, all positive and finite.
    pub scale: Vec<f32>,
}

impl Scaling {
    /// Means and deviations of the features of `data` as they are before any scaling, added up in
    /// `f64`. A feature that has the same value in all rows is divided by 1.
    pub fn of(data: &Dataset) -> Self {
        let last = data.feature_shape().last().copied().unwrap_or(1);
        let values = (data.rows() * (data.width() / last)) as f64;
        Self::over(last, values, |f| each(data, f))
    }

    /// As [`of`](Self::of), of the targets of a regression.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows without such targets: flags are what they are.
    pub fn of_targets(data: &Dataset) -> Result<Self> {
        let outputs = data.regressed("Scaling::of_targets")?;
        Ok(Self::over(outputs, data.rows() as f64, |f| {
            for i in 0..data.rows() {
                data.targets(i).iter().enumerate().for_each(|(column, &x)| f(column, x));
            }
        }))
    }

    /// Means and deviations of `columns` columns of `values` values each; `each` hands over all of
    /// them, and is called twice.
    fn over(columns: usize, values: f64, each: impl Fn(&mut dyn FnMut(usize, f32))) -> Self {
        let mut sums = vec![0.0_f64; columns];
        each(&mut |column, x| sums[column] += f64::from(x));
        let means: Vec<f64> = sums.into_iter().map(|sum| sum / values).collect();
        let mut squares = vec![0.0_f64; columns];
        each(&mut |column, x| squares[column] += (f64::from(x) - means[column]).powi(2));
        let scale = |sum: f64| {
            let deviation = (sum / values).sqrt() as f32;
            // A deviation of 0, or one that only a subnormal number could be, tells nothing apart.
            // That of a constant is 0: up to 2^29 values of f32 the sum in f64 is exact.
            if deviation.is_normal() { deviation } else { 1.0 }
        };
        let scale = squares.into_iter().map(scale).collect();
        Self { mean: means.into_iter().map(|mean| mean as f32).collect(), scale }
    }

    /// Scales one row, or several whole ones. In `f64`, as the difference of two finite numbers may
    /// be none in `f32`.
    pub fn apply(&self, row: &mut [f32]) {
        for chunk in row.chunks_mut(self.mean.len()) {
            for ((x, &mean), &scale) in chunk.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = ((f64::from(*x) - f64::from(mean)) / f64::from(scale)) as f32;
            }
        }
    }

    /// Takes [`apply`](Self::apply) back.
    pub fn undo(&self, row: &mut [f32]) {
        for chunk in row.chunks_mut(self.mean.len()) {
            for ((x, &mean), &scale) in chunk.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (f64::from(*x) * f64::from(scale) + f64::from(mean)) as f32;
            }
        }
    }

    /// That there is one of each for `columns` columns; `why` says what these are, `what` is one.
    fn check(&self, columns: usize, what: &str, why: &str) -> Result<()> {
        let [means, scales] = [&self.mean, &self.scale].map(Vec::len);
        if [means, scales] != [columns; 2] {
            let message = format!(
                "has {means} means and {scales} scales, the rows need {columns} of each: {why}"
            );
            return Err(Error::argument("scaling", message));
        }
        for (i, (mean, scale)) in self.mean.iter().zip(&self.scale).enumerate() {
            if !mean.is_finite() || !scale.is_finite() || *scale <= 0.0 {
                let message = format!(
                    "{what} {i} has mean {mean} and scale {scale}; both must be finite, and the \
                     scale positive"
                );
                return Err(Error::argument("scaling", message));
            }
        }
        Ok(())
    }
}

/// Calls `f` with every feature of every row, and its place in the last extent.
fn each(data: &Dataset, f: &mut dyn FnMut(usize, f32)) {
    let last = data.feature_shape().last().copied().unwrap_or(1);
    let mut row = vec![0.0; data.width()];
    for i in 0..data.rows() {
        data.write_unscaled(i, &mut row);
        for chunk in row.chunks(last) {
            chunk.iter().enumerate().for_each(|(column, &x)| f(column, x));
        }
    }
}

impl Dataset {
    /// The same rows, scaled by `scaling` when they are read, in place of any scaling before.
    ///
    /// # Errors
    /// [`Error::Argument`] for a scaling of other rows, or one that is not finite, and for tokens,
    /// whose numbers mean nothing but themselves.
    pub fn scaled(self, scaling: Scaling) -> Result<Self> {
        if self.tokens {
            let message = format!("{} has rows of tokens; leave them as they are", self.name());
            return Err(Error::argument("scaling", message));
        }
        let last = self.feature_shape().last().copied().unwrap_or(1);
        scaling.check(last, "feature", "the last extent of their shape")?;
        Ok(Self { scaling: Some(scaling), ..self })
    }

    /// The same rows, with the targets of batches scaled by `scaling`, in place of any scaling
    /// before. [`targets`](Self::targets) stays what was given. A model learns the scaled ones;
    /// what it predicts, and its errors where there is one target, come in the units of the data.
    ///
    /// # Errors
    /// [`Error::Argument`] for a scaling of other targets, or one that is not finite, and for rows
    /// that are for no regression.
    pub fn with_scaled_targets(self, scaling: Scaling) -> Result<Self> {
        let outputs = self.regressed("scaling")?;
        scaling.check(outputs, "target", "the targets of a row")?;
        Ok(Self { target_scaling: Some(scaling), ..self })
    }

    /// By what targets are scaled in batches, if they are.
    pub fn target_scaling(&self) -> Option<&Scaling> {
        self.target_scaling.as_ref()
    }

    /// Writes the targets of row `i` into `row` as batches have them: scaled where they are.
    pub(super) fn write_targets(&self, i: usize, row: &mut [f32]) {
        row.copy_from_slice(self.targets(i));
        if let Some(scaling) = &self.target_scaling {
            scaling.apply(row);
        }
    }

    fn regressed(&self, name: &str) -> Result<usize> {
        match self.task() {
            Task::Regression { outputs } => Ok(outputs),
            task => {
                let message = format!(
                    "{} is for {task}; only the targets of a regression can be scaled",
                    self.name()
                );
                Err(Error::argument(name, message))
            }
        }
    }
}
