//! The floor below layers and graphs: kernels of one's own, plans, devices.
//!
//! **Nothing here is under semantic versioning**: any version may change it. What is at the crate's
//! root and in the modules that its documentation leads to is.
//!
//! A kernel is a WGSL text and a struct that names its operands ([`Kernel`]); a [`PlanBuilder`]
//! checks and collects launches, [`build`](PlanBuilder::build) makes a [`Program`] of them, an
//! [`Encoder`] sends its phases. `examples/extension` in the repository is a crate with a kernel of
//! its own.
//!
//! # What a kernel of another crate may not do
//!
//! This crate's own kernels run without run-time checks of their accesses. Yours are compiled with
//! them, and the types see to it ([`Trust`]): what one reads past the end of an operand is no
//! neighbour's memory, and what it writes there is lost.
pub use bytemuck;
/// Version 30: a device of another version of wgpu has other types. With what this module
/// re-exports they are the same.
pub use wgpu;

pub use crate::gpu::{
    Access, Bound, Cut, Encoder, Kernel, MAX_LOOP_ITERATIONS, Memory, Operand, Phase, PlanBuilder,
    Precision, Program, ReadbackRing, Slot, Target, Ticket, Trust, Uniform, Variant, grid_1d,
    grid_groups, read, write,
};
#[doc(inline)]
pub use crate::{__uniform as uniform, __wgsl as wgsl};

/// WGSL that kernels share, for [`wgsl!`](crate::raw::wgsl); none of it declares a binding.
pub mod common {
    /// Activations and their slopes: `activate(kind, x)`, `slope(kind, at)`, with `kind` of
    /// [`Activation::code`](crate::kernels::Activation::code).
    pub const ACTIVATION: &str = include_str!("../shaders/common/activation.wgsl");
    /// `bit(word, i)`: bit `i` of a mask packed 32 to a word.
    pub const BITS: &str = include_str!("../shaders/common/bits.wgsl");
    /// `flat_index(id, groups)`: the index of an invocation in the grid of
    /// [`grid_1d`](super::grid_1d), in workgroups of 256.
    pub const GRID: &str = include_str!("../shaders/common/grid.wgsl");
    /// `random_bits(seed, i)`: random words as functions of a seed and a place.
    pub const RANDOM: &str = include_str!("../shaders/common/random.wgsl");
    /// `struct Step`: what changes from step to step ([`Step`](crate::kernels::Step)).
    pub const STEP: &str = include_str!("../shaders/common/step.wgsl");
}
