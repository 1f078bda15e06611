//! How much of each block goes.
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::prune::pruned_count;
use crate::{Error, Result};

/// How the sparsity of a model is divided among its blocks. Written as `uniform`, `owl` or
/// `owl:5,0.08`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub enum Allocate {
    /// The same share of every matrix.
    #[default]
    Uniform,
    /// Blocks with more outliers lose less (Yin et al. 2024). A weight is an outlier if |w| times
    /// the length of its input, in the dense model, is more than `above` times the mean of its
    /// block.
    Owl {
        /// How many times the mean. The paper's M.
        above: f64,
        /// How far a block's sparsity is from the model's at most. The paper's lambda.
        range: f64,
    },
}

impl Allocate {
    /// By outliers, with the paper's settings: 5 and 0.08.
    pub const OWL: Self = Self::Owl { above: 5.0, range: 0.08 };
}

impl fmt::Display for Allocate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Owl { above, range } => write!(f, "owl:{above},{range}"),
        }
    }
}

impl FromStr for Allocate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be uniform, owl, or owl:M,LAMBDA like owl:5,0.08");
        let numbers = match text {
            "uniform" => return Ok(Self::Uniform),
            "owl" => return Ok(Self::OWL),
            _ => text.strip_prefix("owl:").and_then(|numbers| numbers.split_once(',')),
        };
        let (above, range) = numbers.ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        match (number(above), number(range)) {
            (Some(above), Some(range)) => Ok(Self::Owl { above, range }),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Allocate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allocate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What is known of a block before any is pruned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutlierReport {
    /// Its number, from 0 on.
    pub block: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// What the names of its tensors begin with.
    pub name: String,
    /// Share of the outliers of its weights that are to be pruned.
    pub outliers: f64,
    /// These weights.
    pub weights: u64,
}

/// A matrix as the allocation sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Matrix {
    /// Its name in the file.
    pub(super) name: String,
    pub(super) len: u64,
    /// How many of its weights go at once: one, or one of each output unit.
    pub(super) quantum: u64,
}

/// A block as the dense model has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) report: OutlierReport,
    pub(super) matrices: Vec<Matrix>,
}

/// How many weights of each matrix go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Allocation {
    /// Of each block, by its name.
    pub(super) blocks: BTreeMap<String, BlockShare>,
    /// Of each matrix the share that goes, by its name in the file: a whole number of weights.
    shares: BTreeMap<String, f64>,
}

/// What a block is to become.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct BlockShare {
    pub(super) outliers: f64,
    pub(super) sparsity: f64,
}

impl Allocation {
    /// Allocates `sparsity` to the blocks.
    pub(super) fn new(measured: &[Measured], sparsity: f64, range: f64) -> Self {
        let of = |m: &Measured| (m.report.weights, m.report.outliers);
        let sparsities = by_outliers(&measured.iter().map(of).collect::<Vec<_>>(), sparsity, range);
        let matrices = measured.iter().zip(&sparsities);
        let matrices: Vec<(&Matrix, f64)> =
            matrices.flat_map(|(m, &s)| m.matrices.iter().map(move |matrix| (matrix, s))).collect();
        let counts = counts(&matrices, sparsity);
        let share = |((matrix, _), count): (&(&Matrix, f64), u64)| {
            (matrix.name.clone(), count as f64 / matrix.len as f64)
        };
        let shares = matrices.iter().zip(counts).map(share).collect();
        let block = |(m, &sparsity): (&Measured, &f64)| {
            (m.report.name.clone(), BlockShare { outliers: m.report.outliers, sparsity })
        };
        Self { blocks: measured.iter().zip(&sparsities).map(block).collect(), shares }
    }

    /// The share that goes of the matrix `name`, where it was allocated.
    pub(super) fn share(&self, name: &str) -> Option<f64> {
        self.shares.get(name).copied()
    }
}

/// The sparsity of each of `blocks`, of which the weights and their share of outliers are known.
/// The mean over all weights is `sparsity`. What a block has more than the mean share of outliers is
/// taken off in proportion, such that the farthest block is `range` away.
fn by_outliers(blocks: &[(u64, f64)], sparsity: f64, range: f64) -> Vec<f64> {
    let all: f64 = blocks.iter().map(|&(weights, _)| weights as f64).sum();
    let mean = blocks.iter().map(|&(weights, share)| weights as f64 * share).sum::<f64>() / all;
    let far = blocks.iter().map(|&(_, share)| (share - mean).abs()).fold(0.0, f64::max);
    // What rounding alone sets apart is no difference.
    let scale = if far > 1e-12 * mean.abs() { range / far } else { 0.0 };
    blocks.iter().map(|&(_, share)| sparsity - scale * (share - mean)).collect()
}

/// How many weights of each matrix go, whose blocks have these sparsities. What one matrix cannot
/// lose in whole quanta the next one does, so all of them together are as near to `sparsity` as the
/// last quantum allows.
fn counts(matrices: &[(&Matrix, f64)], sparsity: f64) -> Vec<u64> {
    let len: u64 = matrices.iter().map(|(matrix, _)| matrix.len).sum();
    let (mut asked, mut given) = (0.0, 0_u64);
    let count = |(i, &(matrix, sparsity_of_block)): (usize, &(&Matrix, f64))| {
        asked += matrix.len as f64 * sparsity_of_block;
        if i + 1 == matrices.len() {
            // Sums of fractions may be off by a rounding.
            asked = pruned_count(len, sparsity) as f64;
        }
        let quanta = ((asked - given as f64) / matrix.quantum as f64).round_ties_even().max(0.0);
        let count = (quanta as u64).min(matrix.len / matrix.quantum) * matrix.quantum;
        given += count;
        count
    };
    matrices.iter().enumerate().map(count).collect()
}

impl Allocate {
    /// # Errors
    /// [`Error::Argument`] for numbers out of range, by which a block would lose all or nothing.
    pub(super) fn validate(self, sparsity: f64) -> Result<()> {
        let Self::Owl { above, range } = self else { return Ok(()) };
        let wrong = |message: String| Err(Error::argument("allocate", message));
        if !(above.is_finite() && above > 0.0) {
            return wrong(format!("M is {above}, it must be above 0; the paper has 5"));
        }
        let most = sparsity.min(1.0 - sparsity);
        if !(0.0..most).contains(&range) {
            return wrong(format!(
                "lambda is {range}, and {sparsity} of the weights go: it must be from 0 to below \
                 {most:.4}, or a block would lose all of them or none"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(of: &[(u64, f64)]) -> Vec<Measured> {
        let block = |(i, &(weights, outliers)): (usize, &(u64, f64))| {
            let name = format!("block.{i}");
            let matrix = |(at, len, quantum)| Matrix { name: format!("{name}.{at}"), len, quantum };
            // Ragged on purpose: rows of 7, 11 and 1.
            let third = weights / 3;
            let parts = [(0, third / 7 * 7, 7), (1, third / 11 * 11, 11)];
            let rest = weights - parts[0].1 - parts[1].1;
            let matrices = parts.into_iter().chain([(2, rest, 1)]).map(matrix).collect();
            let (block, blocks) = (i as u32, of.len() as u32);
            let report = OutlierReport { block, blocks, name, outliers, weights };
            Measured { report, matrices }
        };
        of.iter().enumerate().map(block).collect()
    }

    #[test]
    fn the_mean_is_the_sparsity_and_the_farthest_block_is_the_range_away() {
        for (of, sparsity, range) in [
            (&[(1000, 0.01), (1000, 0.02), (1000, 0.06)][..], 0.5, 0.08),
            (&[(1000, 0.01), (5000, 0.02), (200, 0.3), (999, 0.0)], 0.7, 0.25),
            (&[(17, 0.5), (1_000_003, 0.1)], 0.6, 0.3),
        ] {
            let got = by_outliers(of, sparsity, range);
            let all: f64 = of.iter().map(|&(n, _)| n as f64).sum();
            let mean = of.iter().zip(&got).map(|(&(n, _), s)| n as f64 * s).sum::<f64>() / all;
            assert!((mean - sparsity).abs() < 1e-12, "{mean}, {sparsity}");
            let far = got.iter().map(|s| (s - sparsity).abs()).fold(0.0, f64::max);
            assert!((far - range).abs() < 1e-12, "{far}, {range}");
            for (a, x) in of.iter().zip(&got) {
                for (b, y) in of.iter().zip(&got) {
                    assert!(a.1 <= b.1 || x < y, "more outliers, less pruned: {got:?}");
                }
            }
        }
        // By hand: the mean is 0.03, so 0.02 and 0.01 below, 0.03 above it.
        let got = by_outliers(&[(1000, 0.01), (1000, 0.02), (1000, 0.06)], 0.5, 0.06);
        for (got, want) in got.iter().zip([0.54, 0.52, 0.44]) {
            assert!((got - want).abs() < 1e-12, "{got}, {want}");
        }
    }

    #[test]
    fn blocks_that_are_alike_are_pruned_alike() {
        assert_eq!(by_outliers(&[(10, 0.02), (30, 0.02)], 0.5, 0.08), [0.5, 0.5]);
        assert_eq!(by_outliers(&[(10, 0.0)], 0.5, 0.08), [0.5]);
        assert_eq!(by_outliers(&[(10, 0.0), (10, 0.0)], 0.5, 0.08), [0.5, 0.5]);
        // A third is no number of f64: its mean differs from it by a rounding.
        assert_eq!(by_outliers(&[(7, 1.0 / 3.0), (10, 1.0 / 3.0)], 0.5, 0.08), [0.5, 0.5]);
    }

    #[test]
    fn all_counts_together_are_what_was_asked() {
        for sparsity in [0.5, 0.6, 0.123, 0.875, 1.0 / 3.0] {
            let measured = blocks(&[(3001, 0.01), (7003, 0.05), (1009, 0.02), (10_007, 0.04)]);
            let of = Allocation::new(&measured, sparsity, 0.08);
            let (mut all, mut pruned) = (0, 0);
            for block in &measured {
                let (mut in_block, share) = (0, of.blocks[&block.report.name]);
                for matrix in &block.matrices {
                    let count = of.share(&matrix.name).unwrap() * matrix.len as f64;
                    // The share is a whole number of quanta, to the rounding that chooses by it.
                    let whole = pruned_count(matrix.len, of.share(&matrix.name).unwrap());
                    assert!((count - whole as f64).abs() < 1e-6, "{count}");
                    assert_eq!(whole % matrix.quantum, 0, "{}", matrix.name);
                    let quanta = matrix.len / matrix.quantum;
                    let one = pruned_count(quanta, of.share(&matrix.name).unwrap());
                    assert_eq!(one * matrix.quantum, whole, "{}", matrix.name);
                    in_block += whole;
                }
                let asked = block.report.weights as f64 * share.sparsity;
                assert!((in_block as f64 - asked).abs() <= 11.0, "{in_block}, {asked}");
                assert!((share.sparsity - sparsity).abs() <= 0.08 + 1e-12);
                all += block.report.weights;
                pruned += in_block;
            }
            // The last matrix goes weight by weight.
            assert_eq!(pruned, pruned_count(all, sparsity), "{sparsity}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        assert_eq!("owl".parse(), Ok(Allocate::OWL));
        assert_eq!("uniform".parse(), Ok(Allocate::Uniform));
        for of in [Allocate::Uniform, Allocate::OWL, Allocate::Owl { above: 7.5, range: 0.1 }] {
            assert_eq!(of.to_string().parse(), Ok(of));
            let json = serde_json::to_string(&of).unwrap();
            assert_eq!(serde_json::from_str::<Allocate>(&json).unwrap(), of);
        }
        for wrong in ["owl:", "owl:5", "owl:5,x", "owl:inf,0.1", "OWL", "", "outliers"] {
            let said = wrong.parse::<Allocate>().unwrap_err();
            assert!(said.contains("owl:M,LAMBDA"), "{said}");
        }
        let refused = |of: Allocate, sparsity| of.validate(sparsity).unwrap_err().to_string();
        let far = Allocate::Owl { above: 5.0, range: 0.3 };
        assert!(refused(far, 0.8).contains("below 0.2000"), "{}", refused(far, 0.8));
        assert!(refused(Allocate::Owl { above: 0.0, range: 0.1 }, 0.5).contains("M is 0"));
        far.validate(0.5).unwrap();
    }
}
