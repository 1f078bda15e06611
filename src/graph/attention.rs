//! Attention among the positions of sequences.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Place, Reach, Spread};
use super::{Graph, Op, Shape, Tensor, ops};
use crate::gpu::Slot;
use crate::kernels::{self, Attended, Heads, Section};
use crate::settings::steps;
use crate::{Error, Result};

/// Inputs `queries`, `keys`, `values`, or `x` that has all three side by side, and perhaps `seen`:
/// attention among the positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Extents.
    pub shape: Heads,
}

/// Inputs `x`, perhaps `seen`, `gradient` and the result: gradient of that by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionGradient {
    /// Extents.
    pub shape: Heads,
}

/// Inputs `queries`, `keys`, `values`, perhaps `seen`, `gradient` and the result: gradient of that
/// by the queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionQueryGradient {
    /// Extents.
    pub shape: Heads,
}

/// Inputs `queries`, `keys`, `values`, perhaps `seen`, `gradient`, and the gradient of the queries:
/// gradients of that by the keys and by the values, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionKeyGradient {
    /// Extents.
    pub shape: Heads,
}

steps! {
    /// Settings of [`Graph::attend`].
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct AttentionOptions {
        /// Heads of the queries.
        pub heads: u32,
        /// Heads of keys and values, each of which several heads of queries share (Ainslie et al.
        /// 2023); as many as there are of queries where left out.
        pub kv_heads: Option<u32>,
        /// Whether a position sees only itself and those before it.
        pub causal: bool,
        /// A position sees those that are fewer than this many places away: `sliding_window`.
        pub window: Option<u32>,
        /// What scores are multiplied with; 1 over the root of a head's channels where left out.
        pub scale: Option<f32>,
        /// `[batch, length]`: positions where it is 0 are seen by nobody, as padding is. What sees
        /// no position at all has the result 0.
        pub seen: Option<Tensor>,
    }
}

impl AttentionOptions {
    /// Every position sees all.
    pub fn new(heads: u32) -> Self {
        Self { heads, kv_heads: None, causal: false, window: None, scale: None, seen: None }
    }
}

impl Graph {
    /// Scaled dot-product attention (Vaswani et al. 2017) of `x [batch, length, 3 * channels]`,
    /// queries, keys and values side by side, each with `heads` heads: `[batch, length, channels]`.
    /// Where `causal` a position sees only itself and those before it.
    ///
    /// # Errors
    /// [`Error::Shape`] when the last axis is no multiple of `3 * heads`.
    pub fn attention(&mut self, x: Tensor, heads: u32, causal: bool) -> Result<Tensor> {
        self.attend(&[x], &AttentionOptions::new(heads).causal(causal))
    }

    /// The same with settings of one's choice, of `queries [batch, length, heads * width]`, `keys`
    /// and `values [batch, length, kv_heads * width]`, or of one tensor that has the three side by
    /// side in each position: `[batch, length, heads * width]`. Keys and values are read where they
    /// are, however many queries share them.
    ///
    /// # Errors
    /// [`Error::Shape`] names the shapes that do not fit, [`Error::Argument`] settings out of their
    /// range.
    pub fn attend(&mut self, x: &[Tensor], options: &AttentionOptions) -> Result<Tensor> {
        let shape = self.heads(x, options)?;
        let inputs = x.iter().copied().chain(options.seen).collect();
        let name = format!("{}.attention", self.nodes[x[0].0].name);
        let out = Shape::new([shape.batch, shape.length, shape.heads.saturating_mul(shape.width)]);
        Ok(self.push(Attention { shape }, inputs, out, &name))
    }

    /// Extents of attention of `x`.
    pub(super) fn heads(&self, x: &[Tensor], options: &AttentionOptions) -> Result<Heads> {
        let AttentionOptions { heads, causal, window, scale, seen, .. } = *options;
        let kv_heads = options.kv_heads.unwrap_or(heads);
        let refuse = |message: String| Err(Error::shape("attention", message));
        let axes = |tensor: Tensor| {
            let shape = self.shape(tensor);
            <[u32; 3]>::try_from(shape.dims()).map_err(|_| {
                let message = format!("x {shape} has rank {}, not 3", shape.rank());
                Error::shape("attention", message)
            })
        };
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(Error::argument(
                "kv_heads",
                format!("{kv_heads}: {heads} heads of queries must be a multiple of it"),
            ));
        }
        if window == Some(0) {
            let message = "0: a position sees itself at least; use 1 or more, or leave it out";
            return Err(Error::argument("window", message));
        }
        if let Some(scale) = scale.filter(|scale| !scale.is_finite()) {
            return Err(Error::argument("scale", format!("{scale} must be finite")));
        }
        let (batch, length, width) = match *x {
            [x] => {
                let [batch, length, channels] = axes(x)?;
                let parts = kv_heads.saturating_mul(2).saturating_add(heads);
                if channels == 0 || !channels.is_multiple_of(parts) {
                    let of = match heads == kv_heads {
                        true => format!("3 * {heads} heads"),
                        false => format!("{heads} + 2 * {kv_heads} heads"),
                    };
                    let x = self.shape(x);
                    return refuse(format!("x {x}: {channels} channels are no multiple of {of}"));
                }
                (batch, length, channels / parts)
            }
            [queries, keys, values] => {
                let [batch, length, channels] = axes(queries)?;
                if channels == 0 || !channels.is_multiple_of(heads) {
                    let x = self.shape(queries);
                    return refuse(format!(
                        "queries {x}: {channels} channels are no multiple of {heads} heads"
                    ));
                }
                let width = channels / heads;
                let want = Shape::new([batch, length, kv_heads.saturating_mul(width)]);
                for (name, tensor) in [("keys", keys), ("values", values)] {
                    let have = self.shape(tensor);
                    if *have != want {
                        return refuse(format!("{name} {have} must be {want}"));
                    }
                }
                (batch, length, width)
            }
            ref other => {
                let n = other.len();
                return refuse(format!(
                    "{n} tensors; it takes queries, keys and values, or one with all three"
                ));
            }
        };
        if let Some(seen) = seen.map(|seen| self.shape(seen))
            && seen.dims() != [batch, length]
        {
            return refuse(format!("seen {seen} must be [{batch}, {length}]"));
        }
        let shape = Heads::new([batch, heads, length, width]).kv_heads(kv_heads).causal(causal);
        let shape = shape.window(window).packed(x.len() == 1).masked(seen.is_some());
        Ok(shape.scale(scale.unwrap_or(shape.scale)))
    }
}

/// Where the inputs of a node are that begin with queries, keys and values, or with all three in
/// one, and behind them and `seen` the last `N`.
fn operands<const N: usize>(
    lowering: &Lowering<'_>,
    tensor: Tensor,
    shape: Heads,
) -> Result<(Attended, [Slot; N])> {
    let mut slots = lowering.slots_of(&lowering.graph.nodes[tensor.0].inputs)?.into_iter();
    let mut next = || slots.next().ok_or_else(|| lowering.lacks(tensor));
    let queries = next()?;
    let (keys, values) = if shape.packed { (queries, queries) } else { (next()?, next()?) };
    let seen = if shape.masked { Some(next()?) } else { None };
    let rest = slots.collect::<Vec<_>>().try_into().map_err(|_| lowering.lacks(tensor))?;
    Ok((Attended { shape, queries, keys, values, seen }, rest))
}

/// Appends the launches that make the queries' part of the gradient of `tensor`, whose last input
/// is the result, and returns what that of the keys reads.
fn query_gradient(
    lowering: &mut Lowering<'_>,
    tensor: Tensor,
    of: Attended,
    [gradient, result]: [Slot; 2],
) -> Result<Slot> {
    let shape = of.shape;
    let forward = lowering.graph.nodes[tensor.0].inputs.last().copied();
    let logs = forward.and_then(|t| lowering.seconds[t.0]);
    let logs = logs.ok_or_else(|| lowering.lacks(tensor))?;
    let name = format!("{}.rows", lowering.graph.nodes[tensor.0].name);
    let rows = lowering.plan.scratch(name, shape.rows());
    lowering.plan.push(kernels::AttentionRows { shape, logs, result, gradient, rows })?;
    let out = lowering.output(tensor)?;
    kernels::AttentionQueryGradient { of, gradient, rows, out }.push(lowering.plan)?;
    Ok(rows)
}

impl Operation for Attention {
    fn facts(&self) -> Facts {
        Facts { name: "attention", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        let Heads { heads, kv_heads, width, packed, .. } = self.shape;
        let shared = heads / kv_heads;
        // Queries and results; keys and values. Side by side there are as many of each.
        let [many, few] = [shared.saturating_mul(width), width];
        let inputs = if packed { 1 } else { 3 };
        let own = |place: Place| match place {
            Place::Output | Place::Input(0) => many,
            Place::Input(_) => few,
        };
        let whole = own(of.at);
        let Spread { run, units } = of.spread;
        if matches!(of.at, Place::Input(i) if i >= inputs) || (packed && shared > 1) {
            return Reach::Fixed;
        }
        match () {
            () if run.is_multiple_of(whole) && (run / whole).checked_mul(units) == Some(kv_heads) => {
                let places = (0..inputs).map(Place::Input).chain([Place::Output]);
                let others = places.filter(|&place| place != of.at);
                let spread = |place| Spread { run: run / whole * own(place), units };
                Reach::To(others.map(|place| (place, spread(place))).collect())
            }
            () if run < whole && whole.is_multiple_of(run) => Reach::Together(whole / run),
            () if packed && run == whole && units == kv_heads.saturating_mul(3) => Reach::Parts(3),
            () => Reach::Fixed,
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (of, []) = operands(lowering, tensor, self.shape)?;
        let name = format!("{}.logs", lowering.graph.nodes[tensor.0].name);
        let logs = lowering.plan.scratch(name, self.shape.queries());
        lowering.seconds[tensor.0] = Some(logs);
        let out = lowering.output(tensor)?;
        kernels::Attention { of, logs, out }.push(lowering.plan)
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let &Self { shape } = self;
        let inputs = backward.graph.nodes[tensor.0].inputs.clone();
        let with = |more: &[Tensor]| [inputs.as_slice(), more].concat();
        if shape.packed {
            backward.send(inputs[0], AttentionGradient { shape }, with(&[gradient, tensor]));
            return Ok(());
        }
        let &[queries, keys, values, ..] = inputs.as_slice() else {
            return Err(backward.lacks(tensor, "lacks inputs"));
        };
        let of_queries = AttentionQueryGradient { shape };
        let of_queries = backward.like(of_queries, with(&[gradient, tensor]), queries);
        backward.pass(queries, of_queries);
        if backward.needs(keys) || backward.needs(values) {
            let part = backward.graph.shape(keys).elements().unwrap_or(0);
            let both = Shape::new([&[2], backward.graph.shape(keys).dims()].concat());
            let op: Op = AttentionKeyGradient { shape }.into();
            let both = backward.push(op, with(&[gradient, of_queries]), both, keys);
            let of = |at| Section { outer: 1, extent: 2, inner: part, begin: at, part: 1 };
            backward.send(keys, ops::Slice { section: of(0) }, vec![both]);
            backward.send(values, ops::Slice { section: of(1) }, vec![both]);
        }
        Ok(())
    }
}

impl Operation for AttentionGradient {
    fn facts(&self) -> Facts {
        Facts { name: "attention_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (of, [gradient, result]) = operands(lowering, tensor, self.shape)?;
        let rows = query_gradient(lowering, tensor, of, [gradient, result])?;
        let out = lowering.output(tensor)?;
        kernels::AttentionKeyGradient { of, gradient, rows, out, member: 0 }.push(lowering.plan)
    }
}

impl Operation for AttentionQueryGradient {
    fn facts(&self) -> Facts {
        Facts { name: "attention_query_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (of, [gradient, result]) = operands(lowering, tensor, self.shape)?;
        let rows = query_gradient(lowering, tensor, of, [gradient, result])?;
        lowering.seconds[tensor.0] = Some(rows);
        Ok(())
    }
}

impl Operation for AttentionKeyGradient {
    fn facts(&self) -> Facts {
        Facts { name: "attention_key_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (of, [gradient, _]) = operands(lowering, tensor, self.shape)?;
        let of_queries = lowering.graph.nodes[tensor.0].inputs.last().copied();
        let rows = of_queries.and_then(|t| lowering.seconds[t.0]);
        let rows = rows.ok_or_else(|| lowering.lacks(tensor))?;
        let out = lowering.output(tensor)?;
        kernels::AttentionKeyGradient { of, gradient, rows, out, member: 0 }.push(lowering.plan)
    }
}
