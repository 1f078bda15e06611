//! Extents of attention, and what each position sees: what its kernels and their references share.
use crate::gpu::{Bound, MAX_LOOP_ITERATIONS, Slot};
use crate::settings::steps;

steps! {
    /// Extents of attention: queries `[batch, length, heads, width]`, keys and values `[batch,
    /// length, kv_heads, width]`, of which each head is that of `heads / kv_heads` of the queries.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Heads {
        /// Sequences.
        pub batch: u32,
        /// Heads of the queries.
        pub heads: u32,
        /// Heads of keys and values.
        pub kv_heads: u32,
        /// Positions of a sequence.
        pub length: u32,
        /// Channels of a head.
        pub width: u32,
        /// Whether a position sees only itself and those before it.
        pub causal: bool,
        /// A position sees those that are fewer than this many places away; all where left out.
        pub window: Option<u32>,
        /// What scores are multiplied with.
        pub scale: f32,
        /// Whether there is one operand, `[batch, length, heads + 2 * kv_heads, width]`: queries,
        /// keys and values of a position side by side.
        pub packed: bool,
        /// Whether an operand `seen` says which positions are seen.
        pub masked: bool,
    }
}

/// What attention reads.
#[derive(Debug, Clone, Copy)]
pub struct Attended {
    /// Extents.
    pub shape: Heads,
    /// Queries, or where packed all three.
    pub queries: Slot,
    /// Keys; the same slot where packed.
    pub keys: Slot,
    /// Values; the same slot where packed.
    pub values: Slot,
    /// `[batch, length]`: positions where it is 0 are seen by nobody.
    pub seen: Option<Slot>,
}

crate::uniform! {
    /// Uniform of [`Attention`](super::Attention) and its gradients.
    pub struct HeadsParams {
        /// Sequences.
        batch: u32,
        /// Heads of the queries.
        heads: u32,
        /// Of these, how many share a head of keys and values.
        group: u32,
        /// Which of them the launch is for, where it is for one.
        member: u32,
        /// Positions of a sequence.
        length: u32,
        /// Channels of a head.
        width: u32,
        /// Places that a position sees in either direction, itself included.
        window: u32,
        /// What scores are multiplied with.
        scale: f32,
        /// From one position's queries to the next.
        query_stride: u32,
        /// From one position's keys, or values, to the next.
        key_stride: u32,
        /// Of the first key.
        keys_begin: u32,
        /// Of the first value.
        values_begin: u32,
        /// Of the gradient of the first key.
        to_keys: u32,
        /// Of the gradient of the first value.
        to_values: u32,
        /// First position of those that rows of this launch meet.
        met_begin: u32,
        /// One past the last.
        met_end: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Heads {
    /// As many heads of keys and values, over all positions, of `[batch, heads, length, width]`.
    pub fn new([batch, heads, length, width]: [u32; 4]) -> Self {
        let scale = (1.0 / f64::from(width).sqrt()) as f32;
        let (causal, window, packed, masked) = (false, None, false, false);
        let kv_heads = heads;
        Self { batch, heads, kv_heads, length, width, causal, window, scale, packed, masked }
    }

    pub(super) fn elements(&self, heads: u64) -> u64 {
        let positions = u64::from(self.batch).saturating_mul(self.length.into());
        positions.saturating_mul(heads).saturating_mul(self.width.into())
    }

    /// Elements of the queries, which are those of the result.
    pub(super) fn query_len(&self) -> u64 {
        self.elements(self.heads.into())
    }

    /// Elements of the operand that has the queries.
    pub(super) fn queries_len(&self) -> u64 {
        self.elements(u64::from(self.heads) + if self.packed { self.both() } else { 0 })
    }

    /// Elements of the operand that has the keys, and of the one that has the values.
    pub(super) fn keys_len(&self) -> u64 {
        if self.packed { self.queries_len() } else { self.elements(self.kv_heads.into()) }
    }

    /// Elements of the result that has the gradients of keys and values.
    pub(super) fn key_gradient_len(&self) -> u64 {
        if self.packed { self.queries_len() } else { self.elements(self.both()) }
    }

    fn both(&self) -> u64 {
        2 * u64::from(self.kv_heads)
    }

    /// Heads of queries that share one of keys and values.
    pub fn group(&self) -> u32 {
        self.heads / self.kv_heads.max(1)
    }

    /// Queries of all heads and sequences.
    pub fn queries(&self) -> u32 {
        self.batch.saturating_mul(self.heads).saturating_mul(self.length)
    }

    /// Words of what the gradients need to know of the queries.
    pub fn rows(&self) -> u32 {
        self.queries().saturating_mul(2)
    }

    pub(super) fn params(&self, member: u32) -> HeadsParams {
        let &Self { batch, heads, kv_heads, length, width, scale, .. } = self;
        let [of_queries, of_keys] = [heads, kv_heads].map(|heads| heads * width);
        let all = of_queries + 2 * of_keys;
        let [query_stride, key_stride] =
            if self.packed { [all; 2] } else { [of_queries, of_keys] };
        let [keys_begin, values_begin] =
            if self.packed { [of_queries, of_queries + of_keys] } else { [0; 2] };
        let [to_keys, to_values] = match self.packed {
            true => [keys_begin, values_begin],
            false => [0, batch * length * of_keys],
        };
        HeadsParams {
            batch,
            heads,
            group: self.group(),
            member,
            length,
            width,
            window: self.window.unwrap_or(length).min(length),
            scale,
            query_stride,
            key_stride,
            keys_begin,
            values_begin,
            to_keys,
            to_values,
            met_begin: 0,
            met_end: length,
            ..HeadsParams::default()
        }
    }

    /// Only what differs from the WGSL's defaults.
    pub(super) fn constants(&self) -> Vec<(&'static str, f64)> {
        let flags = [
            ("CAUSAL", self.causal),
            ("WINDOWED", self.window.is_some()),
            ("MASKED", self.masked),
        ];
        flags.into_iter().filter(|&(_, on)| on).map(|(name, _)| (name, 1.0)).collect()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (width, heads, kv_heads) = (self.width, self.heads, self.kv_heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) || self.window == Some(0) {
            return Err(format!("{self:?}: kv_heads must divide heads, and a window be 1 or more"));
        }
        if width > MAX_LOOP_ITERATIONS {
            return Err(format!("heads of {width} channels, at most {MAX_LOOP_ITERATIONS}"));
        }
        if self.elements(u64::from(heads) + self.both()) > u64::from(u32::MAX) {
            return Err(format!("{self:?} has 2^32 elements or more"));
        }
        Ok(())
    }
}

impl Attended {
    /// Queries, keys and values, each with its elements, and what is seen.
    pub(super) fn bind(&self) -> [Bound; 4] {
        let (shape, positions) = (&self.shape, u64::from(self.shape.batch) * u64::from(self.shape.length));
        [
            self.queries.needs(shape.queries_len()),
            self.keys.needs(shape.keys_len()),
            self.values.needs(shape.keys_len()),
            self.seen.filter(|_| shape.masked).map_or(Bound::NONE, |seen| seen.needs(positions)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.seen.is_some() != self.shape.masked {
            return Err("`seen` goes with `masked`".to_owned());
        }
        self.shape.check()
    }
}

/// Queries, keys, values and what is seen on the host, as [`Attended`] has them.
#[derive(Debug, Clone, Copy)]
pub struct AttendedValues<'a> {
    /// Queries, or where packed all three.
    pub queries: &'a [f64],
    /// Keys; the same where packed.
    pub keys: &'a [f64],
    /// Values; the same where packed.
    pub values: &'a [f64],
    /// What is seen.
    pub seen: Option<&'a [f64]>,
}

/// One head's places in what the references read.
pub(super) struct Places {
    batch: usize,
    head: usize,
    pub(super) width: usize,
    params: HeadsParams,
}

impl Places {
    fn position(&self, at: usize) -> usize {
        self.batch * self.params.length as usize + at
    }

    pub(super) fn query(&self, at: usize) -> usize {
        self.position(at) * self.params.query_stride as usize + self.head * self.width
    }

    pub(super) fn result(&self, at: usize) -> usize {
        (self.position(at) * self.params.heads as usize + self.head) * self.width
    }

    fn shared(&self, begin: u32, at: usize) -> usize {
        let head = self.head / self.params.group as usize;
        begin as usize + self.position(at) * self.params.key_stride as usize + head * self.width
    }

    pub(super) fn key(&self, at: usize) -> usize {
        self.shared(self.params.keys_begin, at)
    }

    pub(super) fn value(&self, at: usize) -> usize {
        self.shared(self.params.values_begin, at)
    }

    pub(super) fn to_key(&self, at: usize) -> usize {
        self.shared(self.params.to_keys, at)
    }

    pub(super) fn to_value(&self, at: usize) -> usize {
        self.shared(self.params.to_values, at)
    }
}

impl Heads {
    /// Calls `each` with the places of a head, a query, and the weights that it gives all
    /// positions.
    pub(super) fn each(&self, of: &AttendedValues<'_>, mut each: impl FnMut(&Places, usize, &[f64])) {
        let [length, width] = [self.length, self.width].map(|n| n as usize);
        let window = self.window.map_or(length, |window| window as usize);
        let scale = f64::from(self.scale);
        for (batch, head) in
            (0..self.batch as usize).flat_map(|b| (0..self.heads as usize).map(move |h| (b, h)))
        {
            let p = Places { batch, head, width, params: self.params(0) };
            for i in 0..length {
                let is_seen = |j: usize| {
                    let near = i.abs_diff(j) < window && !(self.causal && j > i);
                    near && of.seen.is_none_or(|seen| seen[batch * length + j] != 0.0)
                };
                let score = |j: usize| {
                    if !is_seen(j) {
                        return f64::NEG_INFINITY;
                    }
                    let (q, k) = (p.query(i), p.key(j));
                    let dot = (0..width).map(|c| of.queries[q + c] * of.keys[k + c]).sum::<f64>();
                    dot * scale
                };
                let scores: Vec<f64> = (0..length).map(score).collect();
                let highest = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
                let exp = |s: &f64| if s.is_finite() { (s - highest).exp() } else { 0.0 };
                let exp: Vec<f64> = scores.iter().map(exp).collect();
                let sum: f64 = exp.iter().sum();
                let share = |e: &f64| if sum == 0.0 { 0.0 } else { e / sum };
                each(&p, i, &exp.iter().map(share).collect::<Vec<_>>());
            }
        }
    }
}
