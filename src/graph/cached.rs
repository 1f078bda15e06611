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
    /// Room for keys or values of `capacity` positions, `[batch, capacity, channels]`, that are kept
    /// from one submission to the next. Whoever lowers the graph says where, as for features.
    pub fn cache(&mut self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.push(Cache, vec![], shape.into(), name)
    }

    /// As [`attend`](Self::attend), of the next `length` positions of a sequence, which see
    /// themselves and all before them: their keys and values go into `caches`, [`cache`](Self::cache)s
    /// `[batch, capacity, kv_heads * width]` of keys and of values, at `positions [length]`, whole
    /// numbers as f32 that count up. There is no gradient.
    ///
    /// # Errors
    /// As [`attend`](Self::attend); [`Error::Argument`] unless it is causal and all positions are
    /// seen.
    pub fn attend_cached(
        &mut self,
        x: &[Tensor],
        positions: Tensor,
        caches: [Tensor; 2],
        options: &AttentionOptions,
    ) -> Result<Tensor> {
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
        let capacity = self.shape(caches[0]).dims().get(1).copied().unwrap_or(0);
        let width = heads.kv_heads.saturating_mul(heads.width);
        let want = Shape::new([heads.batch, capacity, width]);
        for cache in caches {
            let have = self.shape(cache);
            if *have != want {
                let message = format!("cache {have} must be {want}");
                return Err(Error::shape("attention", message));
            }
        }
        let shape = CachedHeads { heads, capacity };
        let inputs = x.iter().copied().chain([positions]).chain(caches).collect();
        let name = format!("{}.attention", self.nodes[x[0].0].name);
        let out = Shape::new([heads.batch, heads.length, heads.heads.saturating_mul(heads.width)]);
        Ok(self.push(CachedAttention { shape }, inputs, out, &name))
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
