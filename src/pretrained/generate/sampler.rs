//! Tokens by their logits.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::options::Sampling;
use crate::Result;

/// Chooses tokens, one after the other.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// As `sampling` says.
    ///
    /// # Errors
    /// As [`Sampling::validate`].
    pub fn new(sampling: Sampling) -> Result<Self> {
        sampling.validate()?;
        Ok(Self { sampling, rng: ChaCha8Rng::seed_from_u64(sampling.seed) })
    }

    /// The next token, by `logits`, none of which is NaN; one that is -infinity is never drawn. Of
    /// no logits it is 0.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        if !self.sampling.draws() {
            return highest(logits);
        }
        let kept = kept(&self.sampling, logits);
        // 53 bits: what f64 has between 0 and 1.
        let drawn = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = drawn * kept.iter().map(|(_, p)| p).sum::<f64>();
        for &(token, p) in &kept {
            if left < p {
                return token;
            }
            left -= p;
        }
        // Roundings may leave a little of the last one's.
        kept.last().map_or(0, |&(token, _)| token)
    }
}

/// The token of the highest logit, of equal ones the first.
fn highest(logits: &[f32]) -> u32 {
    let better =
        |best: usize, token: usize| if logits[token] > logits[best] { token } else { best };
    (0..logits.len()).reduce(better).unwrap_or(0) as u32
}

/// The tokens that are drawn from, most probable first, of equal ones the lower numbers, each with
/// what its probability is a multiple of.
fn kept(sampling: &Sampling, logits: &[f32]) -> Vec<(u32, f64)> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let logit = |token: u32| logits[token as usize];
    let ranked = |a: &u32, b: &u32| logit(*b).total_cmp(&logit(*a)).then(a.cmp(b));
    let most = sampling.top_k.map_or(order.len(), |k| (k as usize).min(order.len()));
    if (1..order.len()).contains(&most) {
        order.select_nth_unstable_by(most - 1, ranked);
        order.truncate(most);
    }
    order.sort_unstable_by(ranked);
    let temperature = sampling.temperature.unwrap_or(1.0);
    let high = order.first().map_or(0.0, |&token| f64::from(logit(token)));
    let weight = |&token: &u32| ((f64::from(logit(token)) - high) / temperature).exp();
    let mut kept: Vec<(u32, f64)> = order.iter().map(|token| (*token, weight(token))).collect();
    if let Some(share) = sampling.top_p {
        let enough = share * kept.iter().map(|(_, p)| p).sum::<f64>();
        let mut sum = 0.0;
        let needed = kept.iter().take_while(|(_, p)| {
            let before = sum;
            sum += p;
            before < enough
        });
        let needed = needed.count().max(1);
        kept.truncate(needed);
    }
    kept
}
