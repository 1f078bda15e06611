//! `admm_step`, `admm_score` and `admm_end`: the best weights for a mask, by the method of
//! multipliers (Boža 2024, "Fast and Effective Weight Update for Pruned Large Language Models").
use crate::kernels::Units;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// What the kernels share. All but the mask are `[inputs, units]`, whatever the layout of `of`.
#[derive(Debug, Clone, Copy)]
pub struct AdmmOperands {
    /// The weights as they were.
    pub weights: Slot,
    /// `[inputs]`: the length of each input over all rows; 0 of one that was never seen.
    pub scale: Slot,
    /// What the last step's product gave; not read by a first one.
    pub product: Slot,
    /// What the mask has taken so far, summed up; not read by a first one.
    pub dual: Slot,
    /// The matrix.
    pub of: Units,
    /// Whether nothing went before.
    pub first: bool,
}

/// With `W0 = scale weights` and `V = W0 + product + dual`: `Z = V` where the mask keeps, else 0;
/// `dual = V - Z`; `difference = Z - dual - W0`.
#[derive(Debug, Clone, Copy)]
pub struct AdmmStep {
    /// What it works on; the dual is updated.
    pub on: AdmmOperands,
    /// One bit a weight, as they lie in the layout.
    pub mask: Slot,
    /// `[inputs, units]`, for the next product.
    pub difference: Slot,
}

/// `|V|` of each weight, by which a mask may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct AdmmScore {
    /// What it works on.
    pub on: AdmmOperands,
    /// One a weight, as they lie in the layout.
    pub score: Slot,
}

/// `weights = V / scale` where the mask keeps, else 0; in place.
#[derive(Debug, Clone, Copy)]
pub struct AdmmEnd {
    /// What it works on; the weights are updated.
    pub on: AdmmOperands,
    /// One bit a weight, as they lie in the layout.
    pub mask: Slot,
}

crate::uniform! {
    /// Uniform of the three.
    pub struct AdmmParams {
        /// Inputs of the matrix.
        inputs: u32,
        /// Units.
        units: u32,
    }
}

impl AdmmOperands {
    fn len(&self) -> u64 {
        self.of.len()
    }

    /// The operands `[product, dual]`.
    fn before(&self) -> [Bound; 2] {
        match self.first {
            true => [Bound::NONE; 2],
            false => [self.product, self.dual].map(|slot| slot.needs(self.len())),
        }
    }

    fn params(&self) -> AdmmParams {
        AdmmParams { inputs: self.of.inputs, units: self.of.units }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.of.constants();
        if self.first {
            constants.push(("FIRST", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.units.div_ceil(64), self.of.inputs, 1]
    }
}

impl Kernel for AdmmStep {
    const NAME: &'static str = "admm_step";
    const WGSL: &'static str =
        crate::wgsl!("common/bits.wgsl", "common/units.wgsl", "admm_step.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("weights"),
        read("scale"),
        read("product"),
        read("mask"),
        write("dual"),
        write("difference"),
    ];
    type Params = AdmmParams;

    fn bind(&self) -> Vec<Bound> {
        let (on, len) = (self.on, self.on.len());
        vec![
            on.weights.needs(len),
            on.scale.needs(on.of.inputs.into()),
            on.before()[0],
            self.mask.needs(len.div_ceil(32)),
            on.dual.needs(len),
            self.difference.needs(len),
        ]
    }

    fn params(&self) -> AdmmParams {
        self.on.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }

    fn check(&self) -> Result<(), String> {
        self.on.of.check()
    }
}

impl Kernel for AdmmScore {
    const NAME: &'static str = "admm_score";
    const WGSL: &'static str = crate::wgsl!("common/units.wgsl", "admm_score.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("weights"), read("scale"), read("product"), read("dual"), write("score")];
    type Params = AdmmParams;

    fn bind(&self) -> Vec<Bound> {
        let (on, len) = (self.on, self.on.len());
        let [product, dual] = on.before();
        let scale = on.scale.needs(on.of.inputs.into());
        vec![on.weights.needs(len), scale, product, dual, self.score.needs(len)]
    }

    fn params(&self) -> AdmmParams {
        self.on.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }

    fn check(&self) -> Result<(), String> {
        self.on.of.check()
    }
}

impl Kernel for AdmmEnd {
    const NAME: &'static str = "admm_end";
    const WGSL: &'static str =
        crate::wgsl!("common/bits.wgsl", "common/units.wgsl", "admm_end.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("scale"), read("product"), read("dual"), read("mask"), write("weights")];
    type Params = AdmmParams;

    fn bind(&self) -> Vec<Bound> {
        let (on, len) = (self.on, self.on.len());
        let [product, dual] = on.before();
        let mask = self.mask.needs(len.div_ceil(32));
        vec![on.scale.needs(on.of.inputs.into()), product, dual, mask, on.weights.needs(len)]
    }

    fn params(&self) -> AdmmParams {
        self.on.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.on.of.constants()
    }

    fn grid(&self) -> [u32; 3] {
        self.on.grid()
    }

    fn check(&self) -> Result<(), String> {
        match self.on.first {
            true => Err("no step went before".to_owned()),
            false => self.on.of.check(),
        }
    }
}

/// Host reference of a step: changes `dual`, gives `[Z, difference]`. `product` and `dual` are 0 at
/// first; `keeps` and all else are `[inputs, units]`.
pub fn admm_step_reference(
    target: &[f64],
    product: &[f64],
    dual: &mut [f64],
    keeps: impl Fn(usize) -> bool,
) -> [Vec<f64>; 2] {
    let v: Vec<f64> = (0..target.len()).map(|i| target[i] + product[i] + dual[i]).collect();
    let z: Vec<f64> = (0..v.len()).map(|i| if keeps(i) { v[i] } else { 0.0 }).collect();
    (0..v.len()).for_each(|i| dual[i] = v[i] - z[i]);
    let difference = (0..v.len()).map(|i| z[i] - dual[i] - target[i]).collect();
    [z, difference]
}
