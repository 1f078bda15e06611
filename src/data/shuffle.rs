//! Seeded permutations that are the same on every machine and in every version.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The numbers `0..n` in an order that depends on `n`, `seed` and `stream` alone.
///
/// Every order is equally likely. Numbers beyond `u32::MAX` are left out.
pub fn permutation(n: usize, seed: u64, stream: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut order: Vec<u32> = (0..=u32::MAX).take(n).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, draw(&mut rng, last as u64) as usize);
    }
    order
}

/// A number in `0..=max`, each equally likely: draws from the uneven end of the range are rejected.
pub(super) fn draw(rng: &mut ChaCha8Rng, max: u64) -> u64 {
    let bound = max + 1;
    let uneven = bound.wrapping_neg() % bound;
    loop {
        let x = rng.next_u64();
        if x <= u64::MAX - uneven {
            return x % bound;
        }
    }
}
