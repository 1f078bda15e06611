//! The factor of an inverse of second moments, on the host in f64.
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Mat, Par};

use super::FactorLayout;
use crate::{Error, Result};

/// The upper triangle `U` of `(G + damping)^-1 = U^T U`, as [`SparseGpt`](super::SparseGpt) reads
/// it. Takes 16 bytes of host memory for each element of `G` while it is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Factor {
    /// In the order of its [`FactorLayout`].
    pub words: Vec<f32>,
    /// Inputs that were 0 in all rows: their weights become 0.
    pub unseen: usize,
    /// What was added to the diagonal, as a share of its mean.
    pub damping: f64,
}

impl Factor {
    /// Shares of the diagonal's mean that are added to it, until the sum is positive definite.
    pub const DAMPING: [f64; 3] = [0.01, 0.1, 1.0];

    /// Of `gram [columns, columns]`, of which the upper triangle is read, for the weights `name`.
    ///
    /// # Errors
    /// [`Error::Argument`] names the weights where `gram` is not finite, is of another size, or is
    /// not positive definite with all of [`DAMPING`](Self::DAMPING).
    pub fn new(name: &str, gram: &[f32], layout: FactorLayout) -> Result<Self> {
        let n = layout.inputs as usize;
        let diagonal = Diagonal::of(name, gram, n)?;
        for damping in Self::DAMPING {
            let Some(lower) = reversed(gram, &diagonal, damping) else { continue };
            let mut inverse = Mat::<f64>::zeros(n, n);
            invert_lower_triangular(inverse.as_mut(), lower.as_ref(), Par::Seq);
            drop(lower);
            let upper = |i: usize, j: usize| match diagonal.seen(i) {
                true => inverse[(n - 1 - i, n - 1 - j)] as f32,
                false => 0.0,
            };
            let words = layout.pack(upper);
            if words.iter().all(|w| w.is_finite()) {
                let unseen = (0..n).filter(|&i| !diagonal.seen(i)).count();
                return Ok(Self { words, unseen, damping });
            }
        }
        let most = Self::DAMPING[Self::DAMPING.len() - 1];
        Err(Error::argument(
            name,
            format!(
                "the second moments of its {n} inputs are not positive definite, nor with {most} \
                 times the mean of their diagonal added to it; look at the rows that it was given"
            ),
        ))
    }
}

/// Sums of squares of the inputs.
pub(super) struct Diagonal {
    squares: Vec<f64>,
    /// Of those that were seen; 1 where none was.
    pub(super) mean: f64,
}

impl Diagonal {
    /// Least square that counts, of the middle one.
    const LEAST: f64 = 0.01;

    /// Of `gram [n, n]`, all of whose upper triangle must be finite.
    pub(super) fn of(name: &str, gram: &[f32], n: usize) -> Result<Self> {
        if n == 0 || gram.len() != n * n {
            let have = gram.len();
            return Err(Error::argument(name, format!("{have} second moments of {n} inputs")));
        }
        for i in 0..n {
            if let Some(j) = (i..n).find(|&j| !gram[i * n + j].is_finite()) {
                let (value, way_out) = (gram[i * n + j], "look for values that are not finite");
                let message = format!("the second moment of its inputs {i} and {j} is {value}");
                return Err(Error::argument(name, format!("{message}; {way_out} before it")));
            }
        }
        let squares: Vec<f64> = (0..n).map(|i| gram[i * n + i].into()).collect();
        let seen = squares.iter().filter(|&&s| s > 0.0);
        let (sum, count) = seen.fold((0.0, 0.0), |(sum, count), s| (sum + s, count + 1.0));
        let mean = if count > 0.0 { sum / count } else { 1.0 };
        Ok(Self { squares, mean })
    }

    /// The length of each input; that of the mean for one that was never seen, and a tenth of the
    /// middle one for those that are shorter: what all but vanishes, as behind a ReLU, is to make up
    /// for nothing, or its weights become huge.
    pub(super) fn lengths(&self) -> Vec<f64> {
        let mut seen: Vec<f64> = self.squares.iter().copied().filter(|&s| s > 0.0).collect();
        seen.sort_by(f64::total_cmp);
        let least = seen.get(seen.len() / 2).map_or(0.0, |middle| Self::LEAST * middle);
        (0..self.squares.len()).map(|i| self.square(i).max(least).sqrt()).collect()
    }

    /// Whether input `i` was other than 0 anywhere.
    pub(super) fn seen(&self, i: usize) -> bool {
        self.squares[i] != 0.0
    }

    /// Its sum of squares; the mean for one that was never seen, which is nothing to the others.
    pub(super) fn square(&self, i: usize) -> f64 {
        if self.seen(i) { self.squares[i] } else { self.mean }
    }
}

/// `L` of `G + damping = V V^T`, where `V` is upper and `L` is `V` with rows and columns in reverse
/// order: then `U = V^-1`, and nothing is inverted but a triangle.
fn reversed(gram: &[f32], diagonal: &Diagonal, damping: f64) -> Option<Mat<f64>> {
    let n = diagonal.squares.len();
    decomposed(n, |i, j| {
        let (row, column) = (n - 1 - i, n - 1 - j);
        match row == column {
            true => diagonal.square(row) + damping * diagonal.mean,
            false => gram[row * n + column].into(),
        }
    })
}

/// `L` of the `n x n` matrix `L L^T` whose elements in the lower triangle are `at(row, column)`;
/// `None` where it is not positive definite.
pub(super) fn decomposed(n: usize, at: impl Fn(usize, usize) -> f64) -> Option<Mat<f64>> {
    let mut lower = Mat::<f64>::from_fn(n, n, |i, j| if i < j { 0.0 } else { at(i, j) });
    let need = cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(need);
    let stack = MemStack::new(&mut memory);
    let (defaults, parameters) = (Default::default(), Default::default());
    cholesky_in_place(lower.as_mut(), defaults, Par::Seq, stack, parameters).ok()?;
    Some(lower)
}
