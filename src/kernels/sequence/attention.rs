//! `attention` and its gradients: scaled dot-product attention whose matrix of weights is never in
//! memory.
use crate::gpu::{Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, read, write};

/// A multiply-add of these kernels takes two loads, and so as long as several of a product.
const COST: u64 = 4;

/// Positions whose weights a workgroup has in its memory at a time, as in the WGSL.
const TILE: u64 = 1024;

/// Extents of `x [batch, length, 3, heads, width]`: the queries, keys and values of each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Sequences.
    pub batch: u32,
    /// Heads.
    pub heads: u32,
    /// Positions of a sequence; an invocation's loops bound them, at 9,000 and more for heads of 64
    /// channels.
    pub length: u32,
    /// Channels of a head.
    pub width: u32,
    /// Whether a position sees only itself and those before it.
    pub causal: bool,
}

crate::uniform! {
    /// Uniform of [`Attention`] and its gradients.
    pub struct HeadsParams {
        /// Sequences.
        batch: u32,
        /// Heads.
        heads: u32,
        /// Positions of a sequence.
        length: u32,
        /// Channels of a head.
        width: u32,
        /// `1 / sqrt(width)`
        scale: f32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Heads {
    fn len(&self) -> u64 {
        [self.batch, self.heads, self.length, self.width]
            .iter()
            .fold(1, |n: u64, &extent| n.saturating_mul(extent.into()))
    }

    /// Words that the gradient of the queries leaves to that of the keys.
    pub fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.heads).saturating_mul(self.length).saturating_mul(2)
    }

    fn params(&self) -> HeadsParams {
        let &Self { batch, heads, length, width, .. } = self;
        let scale = self.scale() as f32;
        HeadsParams { batch, heads, length, width, scale, ..HeadsParams::default() }
    }

    fn scale(&self) -> f64 {
        1.0 / f64::from(self.width).sqrt()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("CAUSAL", f64::from(u8::from(self.causal)))]
    }

    fn grid(&self) -> [u32; 3] {
        [self.length, self.heads, self.batch]
    }

    /// For kernels that take `products` of every pair of positions.
    fn cut(&self, products: u64) -> Cut {
        let operations = self.len().saturating_mul(self.length.into());
        let first = std::mem::offset_of!(HeadsParams, first_x);
        Cut { operations: operations.saturating_mul(products * COST), first }
    }

    /// Most iterations of one invocation's loops.
    fn iterations(&self) -> u64 {
        let [length, width] = [self.length, self.width].map(u64::from);
        // The gradient of the queries walks the keys twice, and the tiles' trees beside them.
        let tiles = length.div_ceil(TILE);
        let scores = length.div_ceil(64) * (width + 2);
        2 * scores + width.div_ceil(64) * length + tiles * 64
    }

    fn check(&self) -> Result<(), String> {
        let (length, width) = (self.length, self.width);
        let iterations = self.iterations();
        if iterations > MAX_LOOP_ITERATIONS.into() {
            return Err(format!(
                "sequences of {length} positions and heads of {width} channels take {iterations} \
                 iterations of one invocation, at most {MAX_LOOP_ITERATIONS}; take fewer positions"
            ));
        }
        if self.len().saturating_mul(3) > u64::from(u32::MAX) {
            return Err(format!("{self:?} has 2^32 elements or more"));
        }
        Ok(())
    }

    /// Position in `x` of channel 0 of the query (0), key (1) or value (2).
    fn part(&self, batch: usize, head: usize, at: usize, which: usize) -> usize {
        (((batch * self.length as usize + at) * 3 + which) * self.heads as usize + head)
            * self.width as usize
    }

    fn result(&self, batch: usize, head: usize, at: usize) -> usize {
        ((batch * self.length as usize + at) * self.heads as usize + head) * self.width as usize
    }

    /// Calls `each` with batch, head, query and the weights that it gives the positions that it
    /// sees.
    fn each(&self, x: &[f64], mut each: impl FnMut(usize, usize, usize, &[f64])) {
        let [batch, heads, length, width] =
            [self.batch, self.heads, self.length, self.width].map(|n| n as usize);
        for (b, h) in (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            for i in 0..length {
                let sees = if self.causal { i + 1 } else { length };
                let q = self.part(b, h, i, 0);
                let dot = |j| {
                    let k = self.part(b, h, j, 1);
                    (0..width).map(|c| x[q + c] * x[k + c]).sum::<f64>() * self.scale()
                };
                let scores: Vec<f64> = (0..sees).map(dot).collect();
                let highest = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
                let exp: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
                let sum: f64 = exp.iter().sum();
                each(b, h, i, &exp.iter().map(|e| e / sum).collect::<Vec<_>>());
            }
        }
    }
}

macro_rules! attention_kernel {
    ($(#[$meta:meta])* $name:ident, $label:literal, $file:literal, $products:literal:
        $($read:ident[$needs:ident])+ -> $($write:ident[$makes:ident])+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// Extents.
            pub shape: Heads,
            $(#[doc = concat!("Operand `", stringify!($read), "`.")] pub $read: Slot,)+
            $(#[doc = concat!("Result `", stringify!($write), "`.")] pub $write: Slot,)+
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str =
                crate::wgsl!(
                "common/row_sum.wgsl",
                "common/cut.wgsl",
                "common/attention.wgsl",
                $file
            );
            const OPERANDS: &'static [Operand] =
                &[$(read(stringify!($read)),)+ $(write(stringify!($write))),+];
            type Params = HeadsParams;

            fn bind(&self) -> Vec<Bound> {
                let one = self.shape.len();
                let (three, rows) = (one.saturating_mul(3), u64::from(self.shape.rows()));
                let words = |of: &str| match of {
                    "three" => three,
                    "rows" => rows,
                    _ => one,
                };
                vec![
                    $(self.$read.needs(words(stringify!($needs))),)+
                    $(self.$write.needs(words(stringify!($makes)))),+
                ]
            }

            fn params(&self) -> HeadsParams {
                self.shape.params()
            }

            fn constants(&self) -> Vec<(&'static str, f64)> {
                self.shape.constants()
            }

            fn grid(&self) -> [u32; 3] {
                self.shape.grid()
            }

            fn cut(&self) -> Option<Cut> {
                Some(self.shape.cut($products))
            }

            fn check(&self) -> Result<(), String> {
                self.shape.check()
            }
        }
    };
}

attention_kernel! {
    /// `out[i] = sum over j of softmax_j(q_i . k_j / sqrt(width)) v_j` in each head (Vaswani et al.
    /// 2017).
    Attention, "attention", "attention.wgsl", 2: x[three] -> out[one]
}

attention_kernel! {
    /// The queries' part of the gradient by `x`, and what that of the keys needs to know of each
    /// query.
    AttentionQueryGradient, "attention_query_gradient", "attention_query_gradient.wgsl", 5:
        x[three] gradient[one] -> rows[rows] out[three]
}

attention_kernel! {
    /// The keys' and values' part of the gradient by `x`.
    AttentionKeyGradient, "attention_key_gradient", "attention_key_gradient.wgsl", 4:
        x[three] gradient[one] rows[rows] -> out[three]
}

/// Host reference.
pub fn attention_reference(shape: &Heads, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len() / 3];
    shape.each(x, |b, h, i, weights| {
        let to = shape.result(b, h, i);
        for (j, weight) in weights.iter().enumerate() {
            let v = shape.part(b, h, j, 2);
            (0..shape.width as usize).for_each(|c| out[to + c] += weight * x[v + c]);
        }
    });
    out
}

/// Host reference of the whole gradient by `x`.
pub fn attention_gradient_reference(shape: &Heads, gradient: &[f64], x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let width = shape.width as usize;
    shape.each(x, |b, h, i, weights| {
        let (g, q) = (shape.result(b, h, i), shape.part(b, h, i, 0));
        let along = |j| {
            let v = shape.part(b, h, j, 2);
            (0..width).map(|c| gradient[g + c] * x[v + c]).sum::<f64>()
        };
        let along: Vec<f64> = (0..weights.len()).map(along).collect();
        let mean: f64 = weights.iter().zip(&along).map(|(w, d)| w * d).sum();
        for (j, (weight, d)) in weights.iter().zip(&along).enumerate() {
            let (k, v) = (shape.part(b, h, j, 1), shape.part(b, h, j, 2));
            let slope = weight * (d - mean) * shape.scale();
            for c in 0..width {
                out[q + c] += slope * x[k + c];
                out[k + c] += slope * x[q + c];
                out[v + c] += weight * gradient[g + c];
            }
        }
    });
    out
}
