//! What a kernel is: one WGSL file and one struct that names its operands.
use bytemuck::Pod;

use super::cut::Cut;
use super::trusted::Trust;

/// How a kernel touches an operand. Mirrors the WGSL access mode, nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// One storage binding, by the name it has in the WGSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// Name of the WGSL variable.
    pub name: &'static str,
    /// Its access mode.
    pub access: Access,
}

/// A `var<storage, read>` operand.
pub const fn read(name: &'static str) -> Operand {
    Operand { name, access: Access::Read }
}

/// A `var<storage, read_write>` operand.
pub const fn write(name: &'static str) -> Operand {
    Operand { name, access: Access::Write }
}

/// A handle to `words` 32-bit words; memory is assigned when the plan is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    pub(super) id: u32,
    /// Length in 32-bit words.
    pub words: u32,
}

impl Slot {
    /// Binds this slot to an operand of which the launch touches the first `words` words.
    pub fn needs(self, words: u64) -> Bound {
        Bound { slot: Some(self), words }
    }
}

/// What a launch binds to one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    pub(super) slot: Option<Slot>,
    pub(super) words: u64,
}

impl Bound {
    /// Nothing: the launch's constants make the kernel leave this read operand alone.
    pub const NONE: Self = Self { slot: None, words: 0 };
}

/// Another WGSL text of a kernel, with the same bindings and uniform, for adapters that it suits
/// better.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What it is called in a plan's text.
    pub name: &'static str,
    /// Whole WGSL text.
    pub wgsl: &'static str,
}

/// The uniform of the kernel `K`, and with it what is known of `K`: see [`Trust`].
///
/// [`raw::uniform!`](crate::raw::uniform) implements it for every `K`, as do numbers and arrays; a
/// `Pod` type that was written by hand needs `impl<K> Uniform<K> for X {}`.
pub trait Uniform<K: ?Sized>: Pod {
    /// How the WGSL of `K` is compiled. Only this crate can say anything but the default.
    const TRUST: Trust<K> = Trust::CHECKED;
}

macro_rules! plain {
    ($($ty:ty),+) => {$( impl<K: ?Sized> Uniform<K> for $ty {} )+};
}
plain!((), f32, i32, u32);

impl<K: ?Sized, T, const N: usize> Uniform<K> for [T; N] where Self: Pod {}

/// A compute kernel. The struct's fields are its operands, and the WGSL is the truth.
///
/// Anybody may write one. Those of this crate are compiled as they stand, and
/// `tests/host/shaders.rs` proves that declaration and WGSL agree; those of other crates get wgpu's
/// run-time checks ([`Trust`]), and what does not fit is an error of
/// [`PlanBuilder::push`](super::PlanBuilder::push) or [`build`](super::PlanBuilder::build).
pub trait Kernel {
    /// Stable name: the WGSL file, wgpu label, error prefix and timeline row.
    const NAME: &'static str;
    /// Whole WGSL text, with the entry point `main`; [`raw::wgsl!`](crate::raw::wgsl) puts one
    /// together.
    const WGSL: &'static str;
    /// What else may be launched.
    const VARIANTS: &'static [Variant] = &[];
    /// Storage bindings `0..n`, in order. The uniform is binding `n`.
    const OPERANDS: &'static [Operand];
    /// The uniform, 256 bytes at most; declare it with [`raw::uniform!`](crate::raw::uniform).
    type Params: Uniform<Self>;

    /// What is bound, in the order of [`OPERANDS`](Self::OPERANDS).
    fn bind(&self) -> Vec<Bound>;
    /// Uniform contents, baked into the plan.
    fn params(&self) -> Self::Params;
    /// Values of the WGSL's `override` constants; each combination is a pipeline of its own.
    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
    /// The one of [`VARIANTS`](Self::VARIANTS) that is launched instead of [`WGSL`](Self::WGSL).
    fn variant(&self) -> Option<&'static Variant> {
        None
    }
    /// Workgroups to launch: at most 65,535 in each dimension, but where a plan may
    /// [`cut`](Self::cut) the launch.
    fn grid(&self) -> [u32; 3];
    /// What a plan needs to cut the launch in several where it would take too long, or where the
    /// grid is too large; `None` leaves it whole.
    fn cut(&self) -> Option<Cut> {
        None
    }
    /// Limits that the kernel itself sets, with both numbers in the message.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Workgroups of 256 covering `len` items, folded into two dimensions because WebGPU caps each at
/// 65,535. Ungrouped tails are guarded in the shader by `flat_index` and the length.
pub fn grid_1d(len: u32) -> [u32; 3] {
    grid_groups(len.div_ceil(256))
}

/// `groups` workgroups or more, folded likewise: those past the end are guarded in the shader.
pub fn grid_groups(groups: u32) -> [u32; 3] {
    const MAX: u32 = 65_535;
    let rows = groups.div_ceil(MAX).max(1);
    // Even rows: hardly a workgroup has nothing to do.
    [groups.div_ceil(rows).max(1), rows, 1]
}
