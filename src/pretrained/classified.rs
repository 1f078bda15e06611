//! How right a model is that says one of several classes.
use super::architectures::Answer;
use super::model::Pretrained;
use crate::data::Task;
use crate::{Error, Result};

/// Rows whose class is known, against what a model says of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Classified {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the losses: of each row the negative logarithm of its class's probability.
    losses: f64,
    /// Rows whose class has the highest logit.
    right: u64,
    /// Rows whose class is among the five highest.
    among_five: u64,
}

impl Classified {
    /// Counts a row of the class `label`, which is one of the `logits`. Of equal logits the lower
    /// class is taken to be higher.
    pub fn add(&mut self, logits: &[f32], label: u32) {
        let own = logits[label as usize];
        let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let powers: f64 = logits.iter().map(|&z| (f64::from(z) - highest).exp()).sum();
        let above = |&(i, &z): &(usize, &f32)| z > own || (z == own && i < label as usize);
        let above = logits.iter().enumerate().filter(above).count();
        self.rows += 1;
        self.losses += highest + powers.ln() - f64::from(own);
        self.right += u64::from(above == 0);
        self.among_five += u64::from(above < 5);
    }

    /// Mean loss of a row.
    pub fn loss(&self) -> f64 {
        self.losses / self.rows as f64
    }

    /// Share of the rows whose class has the highest logit.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.rows as f64
    }

    /// Share of the rows whose class is among the five highest.
    pub fn top_5_accuracy(&self) -> f64 {
        self.among_five as f64 / self.rows as f64
    }
}

impl Pretrained {
    /// What its head says of a row; [`Task::Unlabelled`] for a model without one, and for one that
    /// says the next token.
    ///
    /// # Errors
    /// [`Error::File`] for a setting that is no text.
    pub fn task(&self) -> Result<Task> {
        let Answer::Class { classes } = self.architecture().answer() else {
            return Ok(Task::Unlabelled);
        };
        let outputs = classes as usize;
        // As transformers has it: a single number where nobody says another thing.
        let problem = self.config().text("problem_type")?;
        Ok(match problem {
            Some("regression") => Task::Regression { outputs },
            None if classes < 2 => Task::Regression { outputs },
            Some("multi_label_classification") => Task::MultiLabel { labels: outputs },
            None | Some("single_label_classification") => Task::classification(classes),
            Some(_) => {
                let known = "regression, single_label_classification, multi_label_classification";
                return Err(self.config().wrong("problem_type", format!("known are {known}")));
            }
        })
    }

    /// Number of classes that it chooses one of.
    ///
    /// # Errors
    /// [`Error::Argument`] for a model that does not.
    pub fn classes(&self) -> Result<u32> {
        match self.task()? {
            Task::Classification { classes, .. } => Ok(classes),
            _ => {
                let message = format!("{} chooses no class", self.path().display());
                Err(Error::argument("model", message))
            }
        }
    }
}
