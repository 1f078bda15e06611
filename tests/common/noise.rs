//! Deterministic noise.

/// A stream of pseudo-random numbers (xorshift64*), the same on every machine.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// The stream of `seed`; nearby seeds give unrelated streams.
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// `len` random words: masks.
    pub fn words(&mut self, len: usize) -> Vec<u32> {
        (0..len).map(|_| self.next()).collect()
    }

    /// `len` numbers below `end`: labels.
    pub fn below(&mut self, len: usize, end: u32) -> Vec<u32> {
        (0..len).map(|_| self.next() % end).collect()
    }

    /// `len` floats in `-scale..scale`.
    pub fn floats(&mut self, len: usize, scale: f32) -> Vec<f32> {
        let one = |word: u32| ((word >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale;
        (0..len).map(|_| one(self.next())).collect()
    }

    /// `len` whole numbers in `-most..=most`, whose sums of products are exact in any order.
    pub fn integers(&mut self, len: usize, most: u32) -> Vec<f32> {
        (0..len).map(|_| (self.next() % (2 * most + 1)) as f32 - most as f32).collect()
    }
}
