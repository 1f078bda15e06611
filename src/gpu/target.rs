//! What a plan is for.

/// What a plan may count on. Decided before the plan, so that a plan needs no device; the default runs on any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// Shaders run on the processor: loads cost more than arithmetic there, and barriers more than either.
    pub software: bool,
    /// Invocations of a subgroup, where every one has as many and shaders may broadcast within it.
    pub subgroup: Option<u32>,
    /// What a tuner chose; whatever it is, the results are the same.
    pub products: Products,
}

/// The fastest variant of the products for each form (NN, NT, TN) and class of size, by the number that
/// `kernels::tune` gives it; `None` where nothing was measured.
pub type Products = [[Option<u8>; 3]; 3];
