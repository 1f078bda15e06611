//! `--score`: what ranks the weights.
use std::fmt;

use secateur::pretrained::Method;
use secateur::prune::Score;

/// What `--score` takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Ranking {
    /// A score of the library.
    Score(Score),
    /// What only pretrained models are pruned by.
    Method(Method),
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(score) => score.fmt(f),
            Self::Method(method) => f.write_str(method.name()),
        }
    }
}

/// Reads what `--score` is given.
pub fn ranking(text: &str) -> Result<Ranking, String> {
    match text {
        "sparsegpt" => Ok(Ranking::Method(Method::SparseGpt)),
        "admm" => Ok(Ranking::Method(Method::Admm)),
        _ => score(text).map(Ranking::Score),
    }
}

/// The scores that rank without training: by the weights, or by what batches leave.
fn score(text: &str) -> Result<Score, String> {
    let in_one_shot = |s: &Score| s.scoring().is_magnitude() || s.scoring().needs_batches();
    let fits = text.parse().ok().filter(in_one_shot);
    fits.ok_or_else(|| {
        let known: Vec<Score> = Score::built_in().filter(in_one_shot).collect();
        let names: Vec<&str> = known.iter().map(Score::name).collect();
        format!("must be one of {}, sparsegpt, admm", names.join(", "))
    })
}
