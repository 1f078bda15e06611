//! `attention` and its gradients: scaled dot-product attention whose matrix of weights is never in
//! memory.
use super::heads::{Attended, AttendedValues, HeadsParams};
use crate::Result;
use crate::gpu::{Bound, Cut, Kernel, Operand, PlanBuilder, Slot, read, write};

macro_rules! text {
    ($file:literal) => {
        crate::wgsl!("common/row_sum.wgsl", "common/cut.wgsl", "common/attention.wgsl", $file)
    };
}

/// `out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j` in each head (Vaswani et al. 2017).
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// What it reads.
    pub of: Attended,
    /// `[batch, length, heads, width]`
    pub out: Slot,
}

/// The queries' part of the gradient, and what that of the keys needs to know of each query.
#[derive(Debug, Clone, Copy)]
pub struct AttentionQueryGradient {
    /// What attention reads.
    pub of: Attended,
    /// Of the result.
    pub gradient: Slot,
    /// Written: [`Heads::rows`](super::Heads::rows) words.
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
    /// What [`AttentionQueryGradient`] left.
    pub rows: Slot,
    /// `[2, batch, length, kv_heads, width]`, the keys' and the values'; where packed the other
    /// parts of the one operand, beside that of the queries.
    pub out: Slot,
    /// Which of the heads that share one of keys and values: the first overwrites `out`, each
    /// other adds to it.
    pub member: u32,
}

impl AttentionKeyGradient {
    /// Appends it to `plan` for all heads that share one of keys and values, a launch each, so that
    /// their number lengthens no loop.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        (0..self.of.shape.group().max(1)).try_for_each(|member| plan.push(Self { member, ..self }))
    }
}

impl Kernel for Attention {
    const NAME: &'static str = "attention";
    const WGSL: &'static str = text!("attention.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("queries"), read("keys"), read("values"), read("seen"), write("out")];
    type Params = HeadsParams;

    fn bind(&self) -> Vec<Bound> {
        let out = self.out.needs(self.of.shape.query_len());
        [self.of.bind().as_slice(), &[out]].concat()
    }

    fn params(&self) -> HeadsParams {
        self.of.shape.params(0)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.of.shape.constants()
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.shape.length, self.of.shape.heads, self.of.shape.batch]
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.of.shape.cut(self.of.shape.heads, 2))
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()
    }
}

impl Kernel for AttentionQueryGradient {
    const NAME: &'static str = "attention_query_gradient";
    const WGSL: &'static str = text!("attention_query_gradient.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("queries"),
        read("keys"),
        read("values"),
        read("seen"),
        read("gradient"),
        write("rows"),
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
        self.of.shape.constants()
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.shape.length, self.of.shape.heads, self.of.shape.batch]
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.of.shape.cut(self.of.shape.heads, 5))
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()
    }
}

impl Kernel for AttentionKeyGradient {
    const NAME: &'static str = "attention_key_gradient";
    const WGSL: &'static str = text!("attention_key_gradient.wgsl");
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
        let mut constants = self.of.shape.constants();
        if self.member > 0 {
            constants.push(("ACCUMULATE", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.shape.length, self.of.shape.kv_heads, self.of.shape.batch]
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.of.shape.cut(self.of.shape.kv_heads, 4))
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()?;
        let (member, group) = (self.member, self.of.shape.group());
        if member >= group {
            return Err(format!("member {member} of {group} heads that share one"));
        }
        Ok(())
    }
}

/// Host reference.
pub fn attention_reference(shape: &super::Heads, of: &AttendedValues<'_>) -> Vec<f64> {
    let mut out = vec![0.0; shape.query_len() as usize];
    shape.each(of, |p, i, weights| {
        let to = p.result(i);
        for (j, weight) in weights.iter().enumerate() {
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
        let along = |j| {
            let v = p.value(j);
            (0..p.width).map(|c| gradient[g + c] * of.values[v + c]).sum::<f64>()
        };
        let along: Vec<f64> = (0..weights.len()).map(along).collect();
        let mean: f64 = weights.iter().zip(&along).map(|(w, d)| w * d).sum();
        for (j, (weight, d)) in weights.iter().zip(&along).enumerate() {
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
