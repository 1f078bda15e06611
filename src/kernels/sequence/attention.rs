//! `attention` and its gradients: scaled dot-product attention whose matrix of weights is never in
//! memory.
use super::heads::{Attended, AttendedValues, Heads, HeadsParams};
use super::teams::{self, Attends, texts};
use crate::Result;
use crate::gpu::{Bound, Cut, Kernel, Operand, PlanBuilder, Slot, Variant, grid_1d, read, write};

/// `out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j` in each head (Vaswani et al. 2017).
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// What it reads.
    pub of: Attended,
    /// Written: `[batch, heads, length]`, the logarithm of each query's sum of exponentials, for
    /// the gradients; -3.4e38 of a query that sees nothing.
    pub logs: Slot,
    /// `[batch, length, heads, width]`
    pub out: Slot,
}

/// What the gradients need to know of each query: the logarithm that [`Attention`] left, and the
/// mean of the products of the result's gradient with the values, which is its product with the
/// result.
#[derive(Debug, Clone, Copy)]
pub struct AttentionRows {
    /// Extents.
    pub shape: Heads,
    /// What [`Attention`] left.
    pub logs: Slot,
    /// The result.
    pub result: Slot,
    /// Of the result.
    pub gradient: Slot,
    /// Written: [`Heads::rows`](super::Heads::rows) words.
    pub rows: Slot,
}

/// The queries' part of the gradient.
#[derive(Debug, Clone, Copy)]
pub struct AttentionQueryGradient {
    /// What attention reads.
    pub of: Attended,
    /// Of the result.
    pub gradient: Slot,
    /// What [`AttentionRows`] left.
    pub rows: Slot,
    /// As the queries are; where packed the other parts are left alone.
    pub out: Slot,
}

/// The keys' and values' part of the gradient.
#[derive(Debug, Clone, Copy)]
pub struct AttentionKeyGradient {
    /// What attention reads.
    pub of: Attended,
    /// Of the result.
    pub gradient: Slot,
    /// What [`AttentionRows`] left.
    pub rows: Slot,
    /// `[2, batch, length, kv_heads, width]`, the keys' and the values'; where packed the other
    /// parts of the one operand, beside that of the queries.
    pub out: Slot,
    /// Which of the heads that share one of keys and values: the first overwrites `out`, each
    /// other adds to it.
    pub member: u32,
}

impl Attention {
    /// Appends it to `plan`, in the variant that suits the plan's target; goes through very many
    /// positions part by part.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        teams::push_forward(self, plan, u32::MAX)
    }

    /// The same with at most so many positions a launch, rounded up to blocks of them.
    #[doc(hidden)]
    pub fn push_in_parts(self, plan: &mut PlanBuilder, positions: u32) -> Result<()> {
        teams::push_forward(self, plan, positions)
    }
}

impl AttentionQueryGradient {
    /// Appends it to `plan`, in the variant that suits the plan's target; sums over very many
    /// positions part by part.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        teams::push(self, plan)
    }
}

impl AttentionKeyGradient {
    /// The same for all heads that share one of keys and values, a launch each, so that their
    /// number lengthens no loop.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        (0..self.of.shape.group().max(1))
            .try_for_each(|member| teams::push(Self { member, ..self }, plan))
    }

    fn check_member(&self) -> Result<(), String> {
        self.of.check()?;
        let (member, group) = (self.member, self.of.shape.group());
        if member >= group {
            return Err(format!("member {member} of {group} heads that share one"));
        }
        Ok(())
    }
}

macro_rules! attends {
    ($kernel:ident: $work:expr, $of:expr, $adds:expr, $($check:tt)+) => {
        impl Attends for $kernel {
            const WORK: [u64; 2] = $work;

            fn shape(&self) -> &Heads {
                &self.of.shape
            }

            fn heads(&self) -> u32 {
                let of: fn(&Heads) -> u32 = $of;
                of(&self.of.shape)
            }

            fn adds(&self) -> bool {
                let adds: fn(&Self) -> bool = $adds;
                adds(self)
            }

            fn check_operands(&self) -> Result<(), String> {
                ($($check)+)(self)
            }
        }
    };
}

attends!(Attention: [1, 1], |of| of.heads, |_| false, |k: &Self| k.of.check());
attends!(AttentionQueryGradient: [2, 1], |of| of.heads, |_| false, |k: &Self| k.of.check());
attends!(AttentionKeyGradient: [2, 2], |of| of.kv_heads, |k| k.member > 0, Self::check_member);

impl Kernel for Attention {
    const NAME: &'static str = "attention";
    const WGSL: &'static str = texts!("forward", "attention.wgsl");
    const VARIANTS: &'static [Variant] = texts!(variants "forward", "attention.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("queries"),
        read("keys"),
        read("values"),
        read("seen"),
        read("before"),
        write("logs"),
        write("out"),
    ];
    type Params = HeadsParams;

    fn bind(&self) -> Vec<Bound> {
        let shape = &self.of.shape;
        let logs = self.logs.needs(shape.queries().into());
        let own = [Bound::NONE, logs, self.out.needs(shape.query_len())];
        [self.of.bind().as_slice(), &own].concat()
    }

    fn params(&self) -> HeadsParams {
        self.of.shape.params(0)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        teams::constants(self)
    }

    fn grid(&self) -> [u32; 3] {
        teams::grid(self)
    }

    fn cut(&self) -> Option<Cut> {
        Some(teams::cut(self))
    }

    fn check(&self) -> Result<(), String> {
        teams::check(self)
    }
}

impl Kernel for AttentionQueryGradient {
    const NAME: &'static str = "attention_query_gradient";
    const WGSL: &'static str = texts!("backward", "attention_query_gradient.wgsl");
    const VARIANTS: &'static [Variant] =
        texts!(variants "backward", "attention_query_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("queries"),
        read("keys"),
        read("values"),
        read("seen"),
        read("gradient"),
        read("rows"),
        write("out"),
    ];
    type Params = HeadsParams;

    fn bind(&self) -> Vec<Bound> {
        let shape = &self.of.shape;
        let own = [
            self.gradient.needs(shape.query_len()),
            self.rows.needs(shape.rows().into()),
            self.out.needs(shape.queries_len()),
        ];
        [self.of.bind().as_slice(), &own].concat()
    }

    fn params(&self) -> HeadsParams {
        self.of.shape.params(0)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        teams::constants(self)
    }

    fn grid(&self) -> [u32; 3] {
        teams::grid(self)
    }

    fn cut(&self) -> Option<Cut> {
        Some(teams::cut(self))
    }

    fn check(&self) -> Result<(), String> {
        teams::check(self)
    }
}

impl Kernel for AttentionKeyGradient {
    const NAME: &'static str = "attention_key_gradient";
    const WGSL: &'static str = texts!("backward", "attention_key_gradient.wgsl");
    const VARIANTS: &'static [Variant] =
        texts!(variants "backward", "attention_key_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("queries"),
        read("keys"),
        read("values"),
        read("seen"),
        read("gradient"),
        read("rows"),
        write("out"),
    ];
    type Params = HeadsParams;

    fn bind(&self) -> Vec<Bound> {
        let shape = &self.of.shape;
        let own = [
            self.gradient.needs(shape.query_len()),
            self.rows.needs(shape.rows().into()),
            self.out.needs(shape.key_gradient_len()),
        ];
        [self.of.bind().as_slice(), &own].concat()
    }

    fn params(&self) -> HeadsParams {
        self.of.shape.params(self.member)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        teams::constants(self)
    }

    fn grid(&self) -> [u32; 3] {
        teams::grid(self)
    }

    fn cut(&self) -> Option<Cut> {
        Some(teams::cut(self))
    }

    fn check(&self) -> Result<(), String> {
        teams::check(self)
    }
}

crate::uniform! {
    /// Uniform of [`AttentionRows`].
    pub struct AttentionRowsParams {
        /// Queries of all heads and sequences.
        rows: u32,
        /// Heads of the queries.
        heads: u32,
        /// Positions of a sequence.
        length: u32,
        /// Channels of a head.
        width: u32,
    }
}

impl Kernel for AttentionRows {
    const NAME: &'static str = "attention_rows";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "attention_rows.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("logs"), read("result"), read("gradient"), write("rows")];
    type Params = AttentionRowsParams;

    fn bind(&self) -> Vec<Bound> {
        let shape = &self.shape;
        vec![
            self.logs.needs(shape.queries().into()),
            self.result.needs(shape.query_len()),
            self.gradient.needs(shape.query_len()),
            self.rows.needs(shape.rows().into()),
        ]
    }

    fn params(&self) -> AttentionRowsParams {
        let Heads { heads, length, width, .. } = self.shape;
        AttentionRowsParams { rows: self.shape.queries(), heads, length, width }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.shape.queries())
    }

    fn check(&self) -> Result<(), String> {
        self.shape.check()
    }
}

/// Host reference.
pub fn attention_reference(shape: &super::Heads, of: &AttendedValues<'_>) -> Vec<f64> {
    let mut out = vec![0.0; shape.query_len() as usize];
    shape.each(of, |p, i, weights| {
        let to = p.result(i);
        for (j, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let v = p.value(j);
            (0..p.width).for_each(|c| out[to + c] += weight * of.values[v + c]);
        }
    });
    out
}

/// Host reference of the whole gradient: that of the queries, and those of keys and values, as the
/// kernels write them. Where packed the first has the queries' part only, and the second the other
/// two.
pub fn attention_gradient_reference(
    shape: &super::Heads,
    gradient: &[f64],
    of: &AttendedValues<'_>,
) -> [Vec<f64>; 2] {
    let mut to_queries = vec![0.0; shape.queries_len() as usize];
    let mut to_both = vec![0.0; shape.key_gradient_len() as usize];
    let scale = f64::from(shape.scale);
    shape.each(of, |p, i, weights| {
        let (g, q) = (p.result(i), p.query(i));
        let along = |(j, &weight): (usize, &f64)| match weight == 0.0 {
            true => 0.0,
            false => {
                let v = p.value(j);
                (0..p.width).map(|c| gradient[g + c] * of.values[v + c]).sum::<f64>()
            }
        };
        let along: Vec<f64> = weights.iter().enumerate().map(along).collect();
        let mean: f64 = weights.iter().zip(&along).map(|(w, d)| w * d).sum();
        for (j, (weight, d)) in weights.iter().zip(&along).enumerate() {
            if *weight == 0.0 {
                continue;
            }
            let (k, to_key, to_value) = (p.key(j), p.to_key(j), p.to_value(j));
            let slope = weight * (d - mean) * scale;
            for c in 0..p.width {
                to_queries[q + c] += slope * of.keys[k + c];
                to_both[to_key + c] += slope * of.queries[q + c];
                to_both[to_value + c] += weight * gradient[g + c];
            }
        }
    });
    [to_queries, to_both]
}
