//! Rows to train on, and rows to test on.
use super::{Dataset, Task, permutation};
use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A data set in two halves that share no row and agree in name, shape, task and scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Rows to train on.
    pub train: Arc<Dataset>,
    /// Rows to evaluate on.
    pub test: Arc<Dataset>,
}

impl Dataset {
    /// Splits off `test` of the rows to test on, a share above 0 and below 1, in numbers that
    /// depend on rows, `test` and `seed` alone. Both halves keep the order of the rows.
    ///
    /// Where each row has one class, it is drawn from every class in proportion, and of each class
    /// at least one row stays to train on.
    ///
    /// # Errors
    /// [`Error::Argument`] for another share, or one that leaves no row to train or to test on.
    pub fn split(&self, test: f64, seed: u64) -> Result<Split> {
        if !(test > 0.0 && test < 1.0) {
            let message = format!("{test}; the share of rows to test on is above 0 and below 1");
            return Err(Error::argument("test", message));
        }
        let strata = self.strata();
        let in_test = test_rows(&strata, (self.rows() as f64 * test).round() as usize, seed);
        let tested = in_test.iter().filter(|&&tested| tested).count();
        if tested == 0 || tested == self.rows() {
            let message = format!(
                "{test} of the {} rows of {} leaves {} to train and {tested} to test on, must be 1 \
                 or more each; choose another share, or a second file",
                self.rows(),
                self.name(),
                self.rows() - tested
            );
            return Err(Error::argument("test", message));
        }
        let half = |wanted: bool| {
            let rows: Vec<u32> =
                (0..self.rows() as u32).filter(|&i| in_test[i as usize] == wanted).collect();
            Arc::new(self.select(&rows))
        };
        Ok(Split { train: half(false), test: half(true) })
    }

    /// Rows that are split in the same proportion: those of each class, or all.
    fn strata(&self) -> Vec<Vec<u32>> {
        let rows = 0..self.rows() as u32;
        let Task::Classification { positions: 1, .. } = self.task() else {
            return vec![rows.collect()];
        };
        let mut of_class: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        rows.for_each(|i| of_class.entry(self.label(i as usize)).or_default().push(i));
        of_class.into_values().collect()
    }
}

/// For every row, whether it is in the test half, which has `tested` rows.
fn test_rows(strata: &[Vec<u32>], tested: usize, seed: u64) -> Vec<bool> {
    let counts: Vec<usize> = strata.iter().map(Vec::len).collect();
    let mut in_test = vec![false; counts.iter().sum()];
    for ((i, rows), share) in (0..).zip(strata).zip(largest_remainder(&counts, tested)) {
        for &at in &permutation(rows.len(), seed, i)[..share] {
            in_test[rows[at as usize] as usize] = true;
        }
    }
    in_test
}

/// Shares of `tested` in proportion to `counts`, rounded so that they add up, as far as each leaves
/// one of its count.
fn largest_remainder(counts: &[usize], tested: usize) -> Vec<usize> {
    let total = counts.iter().sum::<usize>() as u128;
    let product = |class: usize| counts[class] as u128 * tested as u128;
    let mut shares: Vec<usize> =
        (0..counts.len()).map(|class| (product(class) / total) as usize).collect();
    let missing = tested - shares.iter().sum::<usize>();
    let mut by_remainder: Vec<usize> =
        (0..counts.len()).filter(|&class| shares[class] + 1 < counts[class]).collect();
    by_remainder.sort_by_key(|&class| Reverse(product(class) % total));
    by_remainder.into_iter().take(missing).for_each(|class| shares[class] += 1);
    shares
}
