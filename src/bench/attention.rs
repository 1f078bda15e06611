//! Causal attention as a workload: the result, or its gradients.
use super::Work;
use super::workload::fill;
use crate::Result;
use crate::gpu::{Phase, PlanBuilder};
use crate::kernels::{
    Attended, Attention, AttentionKeyGradient, AttentionQueryGradient, AttentionRows, Heads,
};

/// Causal attention of one sequence whose heads share keys and values.
#[derive(Debug, Clone, Copy)]
pub struct CausalAttention {
    /// Positions.
    pub length: u32,
    /// Heads of the queries, and of keys and values.
    pub heads: [u32; 2],
    /// Channels of a head.
    pub width: u32,
    /// Whether the gradients of queries, keys and values are made, or else the result.
    pub gradients: bool,
}

impl CausalAttention {
    /// In the heads of a small language model: 9 of queries, 3 of keys and values, 64 channels.
    pub fn small(length: u32, gradients: bool) -> Self {
        Self { length, heads: [9, 3], width: 64, gradients }
    }

    fn shape(&self) -> Heads {
        let [heads, kv_heads] = self.heads;
        Heads::new([1, heads, self.length, self.width]).kv_heads(kv_heads).causal(true)
    }

    /// Elements of the queries, and of the keys.
    fn elements(&self) -> [u32; 2] {
        self.heads.map(|heads| heads * self.length * self.width)
    }

    /// Two products for each pair of a query and a position that it sees; five where the gradients
    /// are made, which is two and a half times as much.
    pub(super) fn work(&self) -> Work {
        let [length, heads, width] = [self.length, self.heads[0], self.width].map(f64::from);
        let pairs = heads * length * (length + 1.0) / 2.0;
        let products = if self.gradients { 5.0 } else { 2.0 };
        let [queries, keys] = self.elements().map(f64::from);
        // Operands and result, or those, the result's gradient and three gradients.
        let once = 2.0 * queries + 2.0 * keys;
        let words = if self.gradients { 2.0 * once } else { once };
        Work { flops: products * 2.0 * width * pairs, bytes: 4.0 * words }
    }

    pub(super) fn largest_tensor(&self) -> u64 {
        4 * u64::from(self.elements()[0])
    }

    pub(super) fn push(&self, plan: &mut PlanBuilder) -> Result<Phase> {
        let (shape, [of_queries, of_keys]) = (self.shape(), self.elements());
        let queries = plan.persistent("queries", of_queries);
        let [keys, values] = ["keys", "values"].map(|name| plan.persistent(name, of_keys));
        let [out, gradient, to_queries] =
            ["out", "gradient", "to_queries"].map(|name| plan.persistent(name, of_queries));
        let (logs, to_keys) =
            (plan.persistent("logs", shape.queries()), plan.persistent("to_keys", 2 * of_keys));
        let of = Attended { shape, queries, keys, values, seen: None };
        let forward = Attention { of, logs, out };
        if !self.gradients {
            forward.push(plan)?;
            return fill(plan, &[queries, keys, values]);
        }
        let rows = plan.persistent("rows", shape.rows());
        plan.push(AttentionRows { shape, logs, result: out, gradient, rows })?;
        AttentionQueryGradient { of, gradient, rows, out: to_queries }.push(plan)?;
        AttentionKeyGradient { of, gradient, rows, out: to_keys, member: 0 }.push(plan)?;
        let phase = fill(plan, &[queries, keys, values, gradient])?;
        forward.push(plan)?;
        Ok(phase)
    }
}
