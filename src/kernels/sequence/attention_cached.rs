//! `attention_cached`: attention of new positions to those of a sequence so far, whose keys and
//! values are in caches; `cache_rows` puts them there.
use super::heads::Heads;
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_1d, read, write,
};

/// Channels of a head that a workgroup has room for.
const MOST_CHANNELS: u32 = 256;
/// Positions of the caches that a workgroup goes through at a time, and its invocations, as in the
/// WGSL.
const BLOCK: u32 = 64;
/// Channels of a head in the caches are a multiple of this: what an invocation loads at once.
const FOUR: u32 = 4;
/// Rows of a workgroup.
const ROWS: u32 = 4;

/// Extents of attention to caches: those of the new positions, and how many the caches have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachedHeads {
    /// Of the new positions. Each sees those before it, as in
    /// [`Heads::causal`](super::Heads::causal); [`Heads::masked`](super::Heads::masked) is not known.
    pub heads: Heads,
    /// Positions of the caches.
    pub capacity: u32,
}

/// Puts keys and values of new positions into the caches.
#[derive(Debug, Clone, Copy)]
pub struct CacheRows {
    /// Extents.
    pub shape: CachedHeads,
    /// Keys of the new positions; where packed their queries, keys and values.
    pub keys: Slot,
    /// Values; the same slot where packed.
    pub values: Slot,
    /// `[length]`, of each new position its number, whole numbers as f32. One past the caches' end
    /// is left out.
    pub positions: Slot,
    /// `[batch, capacity, kv_heads, padded]`, as [`CachedHeads::padded`] says: these rows of it are
    /// written.
    pub to_keys: Slot,
    /// The same of the values.
    pub to_values: Slot,
}

/// `out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j` in each head, over the positions `j` of
/// the caches up to that of `i`.
#[derive(Debug, Clone, Copy)]
pub struct AttentionCached {
    /// Extents.
    pub shape: CachedHeads,
    /// `[batch, length, heads, width]`, or where packed with keys and values beside them.
    pub queries: Slot,
    /// `[batch, capacity, kv_heads, padded]`, as [`CacheRows`] leaves them.
    pub keys: Slot,
    /// The same of the values.
    pub values: Slot,
    /// `[length]`, of each query its position, whole numbers as f32. One past the caches' end is
    /// taken for the last.
    pub positions: Slot,
    /// `[batch, length, heads, width]`
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`CacheRows`].
    pub struct CacheRowsParams {
        /// Elements that are new.
        len: u32,
        /// New positions of a sequence.
        length: u32,
        /// Channels of a position in the caches, of all heads.
        width: u32,
        /// Channels of a head.
        head: u32,
        /// Channels of a head in the caches.
        padded: u32,
        /// From one position's keys, or values, to the next.
        stride: u32,
        /// Of the first key.
        keys_begin: u32,
        /// Of the first value.
        values_begin: u32,
        /// Positions of the caches.
        capacity: u32,
    }
}

crate::uniform! {
    /// Uniform of [`AttentionCached`].
    pub struct AttentionCachedParams {
        /// Heads of the queries.
        heads: u32,
        /// Of these, how many share a head of keys and values.
        group: u32,
        /// New positions of a sequence.
        length: u32,
        /// Channels of a head.
        width: u32,
        /// Positions of the caches.
        capacity: u32,
        /// Places that a position sees backwards, itself included.
        window: u32,
        /// What scores are multiplied with.
        scale: f32,
        /// From one position's queries to the next.
        query_stride: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl CachedHeads {
    /// Channels of a head in the caches: whole fours, which zeros fill up.
    pub fn padded(&self) -> u32 {
        self.heads.width.saturating_add(FOUR - 1) / FOUR * FOUR
    }

    /// Elements of one of the caches.
    pub fn cache_len(&self) -> u64 {
        let of = Heads { length: self.capacity, width: self.padded(), ..self.heads };
        of.elements(self.heads.kv_heads.into())
    }

    /// Invocations that have the channels of a head while values are added up.
    fn team(&self) -> u32 {
        (self.padded() / FOUR).max(1).next_power_of_two()
    }

    /// Most iterations of an invocation: of each block the products, the sums, and its own; and
    /// what puts the sums of teams together.
    fn iterations(&self) -> u64 {
        let block = self.padded() / FOUR + self.team() + 1;
        u64::from(self.capacity.div_ceil(BLOCK)) * u64::from(block) + 4 * u64::from(BLOCK) + 4
    }

    fn check(&self) -> Result<(), String> {
        let Self { heads: Heads { length, width, masked, .. }, capacity } = *self;
        self.heads.check()?;
        if masked {
            return Err("positions of a cache are all seen: `masked` is not known".to_owned());
        }
        if width > MOST_CHANNELS {
            return Err(format!("heads of {width} channels, at most {MOST_CHANNELS}"));
        }
        if capacity < length {
            return Err(format!("{length} new positions, and caches of {capacity}"));
        }
        // Larger whole numbers are not all numbers in f32.
        if self.cache_len() > u64::from(u32::MAX) || capacity > 1 << 24 {
            return Err(format!("caches of {capacity} positions have 2^32 elements or more"));
        }
        let iterations = self.iterations();
        if iterations > MAX_LOOP_ITERATIONS.into() {
            return Err(format!(
                "caches of {capacity} positions and heads of {width} channels take {iterations} \
                 iterations of one invocation, at most {MAX_LOOP_ITERATIONS}; take fewer positions"
            ));
        }
        Ok(())
    }
}

impl Kernel for CacheRows {
    const NAME: &'static str = "cache_rows";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "cache_rows.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("keys"),
        read("values"),
        read("positions"),
        write("to_keys"),
        write("to_values"),
    ];
    type Params = CacheRowsParams;

    fn bind(&self) -> Vec<Bound> {
        let CachedHeads { heads, .. } = self.shape;
        let cache = self.shape.cache_len();
        vec![
            self.keys.needs(heads.keys_len()),
            self.values.needs(heads.keys_len()),
            self.positions.needs(heads.length.into()),
            self.to_keys.needs(cache),
            self.to_values.needs(cache),
        ]
    }

    fn params(&self) -> CacheRowsParams {
        let CachedHeads { heads, capacity } = self.shape;
        let Heads { batch, length, .. } = heads;
        let (head, padded) = (heads.width, self.shape.padded());
        let width = heads.kv_heads * padded;
        let of = heads.params(0);
        CacheRowsParams {
            len: batch * length * width,
            length,
            width,
            head,
            padded,
            stride: of.key_stride,
            keys_begin: of.keys_begin,
            values_begin: of.values_begin,
            capacity,
        }
    }

    fn grid(&self) -> [u32; 3] {
        let Heads { batch, length, kv_heads, .. } = self.shape.heads;
        let all = [length, kv_heads, self.shape.padded()];
        grid_1d(all.iter().fold(batch, |n: u32, &d| n.saturating_mul(d)))
    }

    fn check(&self) -> Result<(), String> {
        self.shape.check()
    }
}

impl Kernel for AttentionCached {
    const NAME: &'static str = "attention_cached";
    const WGSL: &'static str = crate::wgsl!("common/cut.wgsl", "attention_cached.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("queries"), read("keys"), read("values"), read("positions"), write("out")];
    type Params = AttentionCachedParams;

    fn bind(&self) -> Vec<Bound> {
        let CachedHeads { heads, .. } = self.shape;
        let cache = self.shape.cache_len();
        vec![
            self.queries.needs(heads.queries_len()),
            self.keys.needs(cache),
            self.values.needs(cache),
            self.positions.needs(heads.length.into()),
            self.out.needs(heads.query_len()),
        ]
    }

    fn params(&self) -> AttentionCachedParams {
        let CachedHeads { heads: of, capacity } = self.shape;
        let Heads { heads, length, width, scale, .. } = of;
        AttentionCachedParams {
            heads,
            group: of.group(),
            length,
            width,
            capacity,
            window: of.window.unwrap_or(capacity).min(capacity),
            scale,
            query_stride: of.params(0).query_stride,
            ..AttentionCachedParams::default()
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let (windowed, team) = (self.shape.heads.window.is_some(), self.shape.team());
        let windowed = windowed.then_some(("WINDOWED", 1.0));
        windowed.into_iter().chain((team != 16).then(|| ("TEAM", team.into()))).collect()
    }

    fn grid(&self) -> [u32; 3] {
        let of = &self.shape.heads;
        let rows = of.length.saturating_mul(of.group());
        [rows.div_ceil(ROWS), of.kv_heads, of.batch]
    }

    fn cut(&self) -> Option<Cut> {
        let pairs = self.shape.heads.query_len().saturating_mul(self.shape.capacity.into());
        let first = std::mem::offset_of!(AttentionCachedParams, first_x);
        Some(Cut { operations: pairs.saturating_mul(2), first })
    }

    fn check(&self) -> Result<(), String> {
        self.shape.check()
    }
}

/// Host reference of both: the caches with the rows of `new`, `[keys, values]`, put in at
/// `positions`.
pub fn cache_rows_reference(
    shape: &CachedHeads,
    new: [&[f64]; 2],
    positions: &[f64],
    caches: [&[f64]; 2],
) -> [Vec<f64>; 2] {
    let (of, capacity) = (shape.heads.params(0), shape.capacity as usize);
    let [length, heads, width, padded] =
        [of.length, shape.heads.kv_heads, of.width, shape.padded()].map(|n| n as usize);
    let begins = [of.keys_begin, of.values_begin].map(|n| n as usize);
    let mut out = caches.map(<[f64]>::to_vec);
    for ((out, new), begin) in out.iter_mut().zip(new).zip(begins) {
        for batch in 0..of.batch as usize {
            for (i, &at) in positions.iter().enumerate().filter(|(_, at)| (**at as usize) < capacity)
            {
                let source = begin + (batch * length + i) * of.key_stride as usize;
                let to = (batch * capacity + at as usize) * heads * padded;
                for head in 0..heads {
                    let row = &mut out[to + head * padded..][..padded];
                    row[..width].copy_from_slice(&new[source + head * width..][..width]);
                    row[width..].fill(0.0);
                }
            }
        }
    }
    out
}

/// Host reference.
pub fn attention_cached_reference(
    shape: &CachedHeads,
    queries: &[f64],
    [keys, values]: [&[f64]; 2],
    positions: &[f64],
) -> Vec<f64> {
    let CachedHeads { heads: of, capacity } = *shape;
    let [batch, heads, length, width] =
        [of.batch, of.heads, of.length, of.width].map(|n| n as usize);
    let (stride, group) = (of.params(0).query_stride as usize, of.group() as usize);
    let window = of.window.unwrap_or(capacity) as usize;
    let mut out = Vec::with_capacity(batch * length * heads * width);
    for row in 0..batch * length {
        let at = (positions[row % length] as usize).min(capacity as usize - 1);
        let seen = (at + 1).saturating_sub(window)..at + 1;
        for head in 0..heads {
            let q = &queries[row * stride + head * width..][..width];
            let begin = |j: usize| {
                let position = row / length * capacity as usize + j;
                (position * of.kv_heads as usize + head / group) * shape.padded() as usize
            };
            let score = |j: usize| {
                let k = &keys[begin(j)..][..width];
                q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * f64::from(of.scale)
            };
            let scores: Vec<f64> = seen.clone().map(score).collect();
            let high = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
            let exps: Vec<f64> = scores.iter().map(|s| (s - high).exp()).collect();
            let sum: f64 = exps.iter().sum();
            let channel = |c: usize| {
                let terms = exps.iter().zip(seen.clone());
                terms.map(|(e, j)| e / sum * values[begin(j) + c]).sum::<f64>()
            };
            out.extend((0..width).map(channel));
        }
    }
    out
}
