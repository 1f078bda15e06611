//! How far a result may be from its reference, and why.

/// Unit roundoff of f32: the relative error of one rounding.
pub const U: f64 = 1.0 / (1 << 24) as f64;
/// Results below this may be flushed to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;
/// Mismatches printed at most.
const SHOWN: usize = 5;

/// A tolerance whose reason is in its name.
pub enum Tol<'a> {
    /// The same value: whole numbers, masks, counts, copies.
    Exact,
    /// So many units in the last place of the reference.
    Ulp(u32),
    /// A sum of so many products, in any order, fused or not: `4 sqrt(terms) u sum|a b|`.
    Sum { terms: usize, magnitude: &'a [f64] },
    /// An absolute bound per element, derived where it is made.
    Within(&'a [f64]),
}

impl Tol<'_> {
    /// `Err` with at most five mismatches: index, both values and the bound. NaN agrees with NaN
    /// only, an infinity with the same infinity only.
    pub fn check<G, W>(&self, got: &[G], want: &[W]) -> Result<(), String>
    where
        G: Copy + Into<f64>,
        W: Copy + Into<f64>,
    {
        if got.len() != want.len() {
            return Err(format!("{} values, the reference has {}", got.len(), want.len()));
        }
        let (mut wrong, mut shown) = (0, String::new());
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let (got, want): (f64, f64) = ((*got).into(), (*want).into());
            let bound = self.bound(i, want);
            if agree(got, want, bound) {
                continue;
            }
            wrong += 1;
            if wrong <= SHOWN {
                shown += &format!("\n  [{i}] got {got:e}, want {want:e} within {bound:e}");
            }
        }
        if wrong == 0 {
            return Ok(());
        }
        Err(format!("{wrong} of {} values differ:{shown}", got.len()))
    }

    fn bound(&self, i: usize, want: f64) -> f64 {
        match self {
            Self::Exact => 0.0,
            Self::Ulp(n) => f64::from(*n) * 2.0 * U * 2f64.powi(exponent(want)),
            Self::Sum { terms, magnitude } => {
                4.0 * (*terms as f64).sqrt() * U * magnitude[i] + TINY
            }
            Self::Within(bounds) => bounds[i] + TINY,
        }
    }
}

/// Exponent of the f32 nearest to `x`; that of the smallest normal number below it.
fn exponent(x: f64) -> i32 {
    ((x as f32).to_bits() >> 23 & 0xff).max(1) as i32 - 127
}

fn agree(got: f64, want: f64, bound: f64) -> bool {
    match (got.is_finite(), want.is_finite()) {
        (true, true) => (got - want).abs() <= bound,
        _ => got == want || got.is_nan() && want.is_nan(),
    }
}

#[test]
fn a_tolerance_can_fail() {
    let next = f32::from_bits(1f32.to_bits() + 1);
    assert!(Tol::Exact.check(&[1f32], &[1f32]).is_ok());
    assert!(Tol::Exact.check(&[next], &[1f32]).is_err());
    assert!(Tol::Ulp(1).check(&[next], &[1f32]).is_ok());
    assert!(Tol::Ulp(1).check(&[f32::from_bits(next.to_bits() + 1)], &[1f32]).is_err());
    let sum = Tol::Sum { terms: 4, magnitude: &[1.0] };
    assert!(sum.check(&[8.0 * U], &[0.0]).is_ok());
    assert!(sum.check(&[9.0 * U], &[0.0]).is_err());
    assert!(Tol::Within(&[0.5]).check(&[0.5], &[0.0]).is_ok());
    assert!(Tol::Within(&[0.5]).check(&[0.75], &[0.0]).is_err());
    assert!(Tol::Exact.check(&[1f32], &[1f32, 2.0]).is_err(), "lengths differ");
}

#[test]
fn nan_and_infinity_agree_in_kind_only() {
    let kinds = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    for (i, got) in kinds.iter().enumerate() {
        for (j, want) in kinds.iter().enumerate() {
            let wide = Tol::Within(&[f64::INFINITY]);
            assert_eq!(wide.check(&[*got], &[*want]).is_ok(), i == j, "{got} for {want}");
        }
    }
}

#[test]
fn five_mismatches_are_shown() {
    let message = Tol::Exact.check(&[1f32; 9], &[2f32; 9]).unwrap_err();
    assert!(message.starts_with("9 of 9 values differ:\n  [0] got 1e0, want 2e0"), "{message}");
    assert_eq!(message.lines().count(), 6, "{message}");
}
