//! Attention of new positions to a sequence so far, which is in caches.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::{AttentionOptions, Graph, Shape, Tensor};
use crate::kernels::{self, CachedHeads};
use crate::{Error, Result};

/// Keys or values of a sequence so far, which launches write and keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cache;

/// Inputs `queries`, `keys`, `values`, or `x` that has all three side by side, `positions`, and the
/// caches of keys and values, into which the new ones go: attention to what is in them then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachedAttention {
    /// Extents.
    pub shape: CachedHeads,
}

impl Graph {
    /// As [`attend`](Self::attend), of the next `length` positions of a sequence, which see
    /// themselves and all before them; and the caches of its keys and values, of `capacity`
    /// positions, into which theirs go at `positions [length]`, whole numbers as f32 that count up.
    /// Whoever lowers the graph says where the caches are, as for features, and keeps them from one
    /// submission to the next. There is no gradient.
    ///
    /// # Errors
    /// As [`attend`](Self::attend); [`Error::Argument`] unless it is causal and all positions are
    /// seen.
    pub fn attend_cached(
        &mut self,
        x: &[Tensor],
        positions: Tensor,
        capacity: u32,
        options: &AttentionOptions,
    ) -> Result<(Tensor, [Tensor; 2])> {
        let heads = self.heads(x, options)?;
        if !heads.causal || heads.masked {
            let message = "new positions see those before them, and all of these";
            return Err(Error::argument("causal", message));
        }
        let rows = self.shape(positions);
        if rows.elements() != Some(heads.length) {
            let message = format!("positions {rows} must be [{}]", heads.length);
            return Err(Error::shape("attention", message));
        }
        let shape = CachedHeads { heads, capacity };
        let cache = Shape::new([heads.batch, capacity, heads.kv_heads, shape.padded()]);
        let last = self.nodes[x[x.len() - 1].0].name.clone();
        let caches = ["keys", "values"]
            .map(|of| self.push(Cache, vec![], cache.clone(), &format!("{last}.{of}")));
        let inputs = x.iter().copied().chain([positions]).chain(caches).collect();
        let name = format!("{}.attention", self.nodes[x[0].0].name);
        let out = Shape::new([heads.batch, heads.length, heads.heads.saturating_mul(heads.width)]);
        Ok((self.push(CachedAttention { shape }, inputs, out, &name), caches))
    }
}

impl Operation for Cache {
    fn facts(&self) -> Facts {
        Facts { name: "cache", home: Home::Bound, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.slot(tensor).map(|_| ())
    }

    fn gradient(&self, _: &mut Backward<'_>, _: Tensor, _: Tensor) -> Result<()> {
        Ok(())
    }
}

impl Operation for CachedAttention {
    fn facts(&self) -> Facts {
        Facts { name: "attention_cached", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape } = self;
        let slots = lowering.slots_of(&lowering.graph.nodes[tensor.0].inputs)?;
        let (queries, keys, values, positions, to_keys, to_values) = match *slots {
            [x, positions, to_keys, to_values] => (x, x, x, positions, to_keys, to_values),
            [queries, keys, values, positions, to_keys, to_values] => {
                (queries, keys, values, positions, to_keys, to_values)
            }
            _ => return Err(lowering.lacks(tensor)),
        };
        let rows = kernels::CacheRows { shape, keys, values, positions, to_keys, to_values };
        lowering.plan.push(rows)?;
        let out = lowering.output(tensor)?;
        let (keys, values) = (to_keys, to_values);
        lowering.plan.push(kernels::AttentionCached { shape, queries, keys, values, positions, out })
    }
}
