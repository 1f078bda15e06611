//! Products with weights whose masks have whole groups without a weight: which are lowered to
//! [`LiveMatmul`], and what these read.
use super::lower::Lowering;
use super::{Bindings, Tensor};
use crate::Result;
use crate::kernels::{Layout, Live, LiveInputs, LiveTerms, Units};

/// Which products with a weight leave out what is pruned together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skips {
    /// Forward products: inputs that 32 neighbouring units have pruned.
    pub forward: bool,
    /// The gradient of what the weight is multiplied with: 32 units that have pruned the inputs of a
    /// workgroup.
    pub backward: bool,
    /// The gradient of the weight itself is 0 where all weights of a workgroup are pruned, in place
    /// of what it is: only for gradients that nobody reads of pruned weights
    /// ([`Bindings::set_gradient`]).
    pub gradient: bool,
}

/// The share of the terms that must go in the end, for products to look for them.
const LEAST: f64 = 0.25;
/// Neighbouring units that are asked together, and inputs of a workgroup.
const GROUP: u32 = 32;

impl Skips {
    /// What should be left out of products with `matrix`, of which the share `sparsity` will be
    /// pruned, in rectangles of so many neighbouring `[inputs, units]` on a grid from the first
    /// weight: where by chance a quarter of the terms go.
    pub fn of(matrix: Units, [inputs, units]: [u32; 2], sparsity: f64) -> Self {
        let units = spans(units, matrix.units);
        let inputs = spans(inputs, matrix.inputs);
        let pays = |rectangles: u32| sparsity.powf(f64::from(rectangles)) >= LEAST;
        let both = pays(units * inputs);
        Self { forward: pays(units), backward: both, gradient: both }
    }
}

/// How many rectangles that are `size` long lie in a group, at most.
fn spans(size: u32, extent: u32) -> u32 {
    let size = size.max(1);
    match () {
        () if size >= extent || size.is_multiple_of(GROUP) => 1,
        () if GROUP.is_multiple_of(size) => GROUP / size,
        () => (GROUP - 1) / size + 2,
    }
}

impl Bindings {
    /// Products with the weight `tensor` leave out what `skips` says, wherever it has a mask.
    pub fn skip(&mut self, tensor: Tensor, skips: Skips) {
        self.skips[tensor.0] = skips;
    }

    /// `gradient` is that of `weight`, and of pruned weights nobody reads it: see
    /// [`Skips::gradient`].
    pub fn set_gradient(&mut self, gradient: Tensor, weight: Tensor) {
        self.gradients.push((gradient, weight));
    }
}

impl Lowering<'_> {
    /// What a product with `weight` whose terms are such reads to leave some out, if it is to. The
    /// table is made where the first product of a phase needs it, so whatever writes a mask (an
    /// update, a checkpoint, an application) need not know of it.
    pub(super) fn live(&mut self, weight: Tensor, terms: LiveTerms) -> Result<Option<Live>> {
        let Skips { forward, backward, gradient } = self.bindings.skips[weight.0];
        let skips = match terms {
            LiveTerms::Inputs => forward,
            LiveTerms::Units => backward,
            LiveTerms::RowsOfInputs | LiveTerms::RowsOfUnits => gradient,
        };
        let mask = self.bindings.stored[weight.0].and_then(|stored| stored.mask());
        let parameter = self.graph.parameters.iter().find(|p| p.tensor == weight);
        let (true, Some(mask), Some(parameter)) = (skips, mask, parameter) else {
            return Ok(None);
        };
        if let Some(slot) = self.live[weight.0] {
            return Ok(Some(Live { slot, terms }));
        }
        let of = parameter.units();
        // At most a word a weight.
        let words = LiveInputs::words(of) as u32;
        let slot = self.plan.scratch(format!("{}.live", parameter.name), words);
        self.plan.push(LiveInputs { mask, live: slot, of })?;
        self.live[weight.0] = Some(slot);
        Ok(Some(Live { slot, terms }))
    }

    /// The same of the product `tensor`, if it is the gradient of a weight.
    pub(super) fn live_gradient(&mut self, tensor: Tensor) -> Result<Option<Live>> {
        let of = self.bindings.gradients.iter().find(|(gradient, _)| *gradient == tensor);
        let Some(&(_, weight)) = of else { return Ok(None) };
        let layout = self.graph.parameters.iter().find(|p| p.tensor == weight).map(|p| p.layout);
        match layout {
            Some(Layout::InOut) => self.live(weight, LiveTerms::RowsOfInputs),
            Some(Layout::OutIn) => self.live(weight, LiveTerms::RowsOfUnits),
            None => Ok(None),
        }
    }
}
