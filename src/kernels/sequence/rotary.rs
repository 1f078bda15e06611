//! `rotary`: pairs of channels turned by angles that depend on the position.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Extents of `x [rows, length, channels]`, and which of its channels turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    /// Sequences.
    pub rows: u32,
    /// Positions of a sequence.
    pub length: u32,
    /// Channels of a position.
    pub channels: u32,
    /// Of these, so many from the first have heads that turn.
    pub turned: u32,
    /// Channels of a head.
    pub width: u32,
    /// Pairs of a head that turn, of its first channels.
    pub pairs: u32,
    /// Whether a pair are neighbours, and not half of the turned channels apart.
    pub interleaved: bool,
}

/// `out` is `x` with each pair `(a, b)` turned by its angle: `(a cos - b sin, b cos + a sin)`.
#[derive(Debug, Clone, Copy)]
pub struct Rotary {
    /// Extents.
    pub shape: Turned,
    /// Operand.
    pub x: Slot,
    /// `[length, pairs, 2]`: cosine and sine of each angle.
    pub table: Slot,
    /// Result.
    pub out: Slot,
    /// Whether to turn by the negative angles, as the gradient does.
    pub back: bool,
}

crate::uniform! {
    /// Uniform of [`Rotary`].
    pub struct RotaryParams {
        /// Elements.
        len: u32,
        /// Positions of a sequence.
        length: u32,
        /// Channels of a position.
        channels: u32,
        /// Of these, so many from the first have heads that turn.
        turned: u32,
        /// Channels of a head.
        width: u32,
        /// Pairs of a head.
        pairs: u32,
    }
}

impl Turned {
    fn len(&self) -> u64 {
        [self.length, self.channels].iter().fold(self.rows.into(), |n: u64, &d| n.saturating_mul(d.into()))
    }
}

impl Kernel for Rotary {
    const NAME: &'static str = "rotary";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "rotary.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), read("table"), write("out")];
    type Params = RotaryParams;

    fn bind(&self) -> Vec<Bound> {
        let (shape, len) = (&self.shape, self.shape.len());
        let table = u64::from(shape.length) * u64::from(shape.pairs) * 2;
        vec![self.x.needs(len), self.table.needs(table), self.out.needs(len)]
    }

    fn params(&self) -> RotaryParams {
        let Turned { rows, length, channels, turned, width, pairs, .. } = self.shape;
        RotaryParams { len: rows * length * channels, length, channels, turned, width, pairs }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flags = [("INTERLEAVED", self.shape.interleaved), ("BACK", self.back)];
        flags.into_iter().filter(|&(_, on)| on).map(|(name, _)| (name, 1.0)).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(u32::try_from(self.shape.len()).unwrap_or(u32::MAX))
    }

    fn check(&self) -> Result<(), String> {
        let Turned { channels, turned, width, pairs, .. } = self.shape;
        // Partners then lie in the same head.
        let whole = width > 0 && turned.is_multiple_of(width) && turned <= channels;
        if !whole || u64::from(pairs) * 2 > width.into() {
            return Err(format!(
                "{turned} of {channels} channels turn in heads of {width} and {pairs} pairs: whole \
                 heads must, and no more than all their channels"
            ));
        }
        match self.shape.len() {
            len if len > u32::MAX.into() => Err(format!("{len} elements, at most {}", u32::MAX)),
            _ => Ok(()),
        }
    }
}

/// Host reference.
pub fn rotary_reference(shape: &Turned, x: &[f64], table: &[f64], back: bool) -> Vec<f64> {
    let Turned { length, channels, turned, width, pairs, interleaved, .. } = *shape;
    let [length, channels, turned, width, pairs] =
        [length, channels, turned, width, pairs].map(|n| n as usize);
    let mut out = x.to_vec();
    for (row, out) in out.chunks_mut(channels).enumerate() {
        for head in out[..turned].chunks_mut(width) {
            for p in 0..pairs {
                let [first, second] = if interleaved { [2 * p, 2 * p + 1] } else { [p, p + pairs] };
                let at = (row % length * pairs + p) * 2;
                let (cos, sin) = (table[at], if back { -table[at + 1] } else { table[at + 1] });
                let (a, b) = (head[first], head[second]);
                head[first] = a * cos - b * sin;
                head[second] = b * cos + a * sin;
            }
        }
    }
    out
}
