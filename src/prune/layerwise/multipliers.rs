//! What ADMM needs of second moments, on the host in f64.
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::inverse::{inverse, inverse_scratch};
use faer::{Mat, Par};

use super::factor::{Diagonal, decomposed};
use crate::{Error, Result};

/// The matrix that a step of [`Admm`](super::Admm) multiplies by, for inputs that are scaled to a
/// length of one each. Takes 24 bytes of host memory for each of its elements while it is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Multipliers {
    /// `(H + 1)^-1 [inputs, inputs]`, where `H` is `G` scaled, with damping on its diagonal.
    pub inverse: Vec<f32>,
    /// `[inputs]`: the length of each input, or a tenth of the middle one where that is more; 0 of
    /// those that were never seen.
    pub scale: Vec<f32>,
}

impl Multipliers {
    /// What the paper adds to the diagonal of `H`, which is 1.
    pub const DAMPING: f64 = 0.1;
    /// The penalty on what a mask takes, the paper's, too.
    const PENALTY: f64 = 1.0;

    /// Of `gram [inputs, inputs]`, of which the upper triangle is read, for the weights `name`.
    /// `damping` holds the weights to what they were: the less of it, the less the outputs change on
    /// the rows of `gram`.
    ///
    /// # Errors
    /// [`Error::Argument`] names the weights where `gram` is not finite, is of another size, or is
    /// not positive definite.
    pub fn new(name: &str, gram: &[f32], inputs: u32, damping: f64) -> Result<Self> {
        let n = inputs as usize;
        let diagonal = Diagonal::of(name, gram, n)?;
        let inverse = inverted(name, gram, &diagonal, damping + Self::PENALTY)?;
        let inverse = inverse.into_iter().map(|x| (Self::PENALTY * x) as f32).collect();
        let length: Vec<f64> = diagonal.lengths();
        let scale = |i: usize| if diagonal.seen(i) { length[i] as f32 } else { 0.0 };
        Ok(Self { inverse, scale: (0..n).map(scale).collect() })
    }
    /// `(G + damping * diag(G))^-1 [inputs, inputs]`, with [`scale`](Self::scale)'s squares for the
    /// diagonals of both, by which weights that solve for other outputs
    /// are found: what is missing in these, as the inputs see it, times this.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn solver(name: &str, gram: &[f32], inputs: u32, damping: f64) -> Result<Vec<f32>> {
        let n = inputs as usize;
        let diagonal = Diagonal::of(name, gram, n)?;
        let (inverse, length) = (inverted(name, gram, &diagonal, damping)?, diagonal.lengths());
        let one = |(i, x): (usize, f64)| match [i / n, i % n] {
            pair if pair.iter().all(|&i| diagonal.seen(i)) => x / (length[i / n] * length[i % n]),
            // Nothing is known of it, so nothing moves.
            _ => 0.0,
        };
        Ok(inverse.into_iter().enumerate().map(|x| one(x) as f32).collect())
    }
}

/// `(H + added)^-1`, where `H` is `gram` of inputs that are scaled to a length of one each.
fn inverted(name: &str, gram: &[f32], diagonal: &Diagonal, added: f64) -> Result<Vec<f64>> {
    let length = diagonal.lengths();
    let n = length.len();
    let at = |row: usize, column: usize| match row == column {
        true => 1.0 + added,
        false => f64::from(gram[column * n + row]) / (length[row] * length[column]),
    };
    let Some(lower) = decomposed(n, at) else {
        let message = format!("the second moments of its {n} inputs are not those of any rows");
        return Err(Error::argument(name, message));
    };
    let mut whole = Mat::<f64>::zeros(n, n);
    let mut memory = MemBuffer::new(inverse_scratch::<f64>(n, Par::Seq));
    let stack = MemStack::new(&mut memory);
    inverse(whole.as_mut(), lower.as_ref(), Par::Seq, stack);
    let one = |i: usize| whole[((i / n).max(i % n), (i / n).min(i % n))];
    Ok((0..n * n).map(one).collect())
}
