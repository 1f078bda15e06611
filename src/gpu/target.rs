//! What a plan is for.

/// What a plan may count on. Decided before the plan, so that a plan needs no device; the default runs on any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// Shaders run on the processor: loads cost more than arithmetic there, and barriers more than either.
    pub software: bool,
    /// Invocations of a subgroup, where every one has as many and shaders may broadcast within it.
    pub subgroup: Option<u32>,
}
