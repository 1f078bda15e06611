//! The crate's only `unsafe`: three wgpu calls, each with the invariant that makes it sound.
#![expect(unsafe_code, reason = "the one audited room for unsafe calls")]
use std::marker::PhantomData;

use super::kernel::{Kernel, Uniform};

/// How the WGSL of the kernel `K` is compiled: as it stands, or with wgpu's run-time checks.
///
/// Without checks an access past the end of a binding is an access to whatever lies there, so it is
/// for WGSL that is known to make none: that of this crate's kernels. No safe code of another crate
/// comes to it, since
///
/// - what is compiled is the text of `K`, and how is said by `Uniform<K>` of its `Params`, so each
///   question is put to the kernel that is launched;
/// - a value that leaves checks out is `Trust::OWN`, which only this crate can name;
/// - it is one kernel's: the types keep another's from being passed on as one's own;
/// - whoever can name `OWN` for a `K` of this crate has `K`'s text, operands, bounds and grid
///   before their eyes: no other crate can implement [`Kernel`] for such a `K`.
///
/// So text is free to be copied:
///
/// ```
/// use secateur::kernels::Add;
/// use secateur::raw::{Bound, Kernel, Operand, Slot, Trust, Uniform};
///
/// secateur::raw::uniform! { struct Params { len: u32, period: u32 } }
/// struct Mine(Slot);
/// impl Kernel for Mine {
///     const NAME: &'static str = Add::NAME;
///     const WGSL: &'static str = Add::WGSL;
///     const OPERANDS: &'static [Operand] = Add::OPERANDS;
///     type Params = Params;
///     fn bind(&self) -> Vec<Bound> { vec![self.0.needs(1); 3] }
///     fn params(&self) -> Params { Params { len: 1 << 30, period: 1 } }
///     fn grid(&self) -> [u32; 3] { [1, 1, 1] }
/// }
/// let checked: Trust<Mine> = <Params as Uniform<Mine>>::TRUST;
/// assert!(!checked.is_own());
/// ```
///
/// The trust is not to be named,
///
/// ```compile_fail
/// # use secateur::raw::{Trust, Uniform};
/// # struct Mine;
/// # #[derive(Clone, Copy)] #[repr(transparent)] struct Params(u32);
/// let own: Trust<Mine> = Trust::OWN; // private; `Trust::CHECKED` compiles
/// ```
///
/// nor copied from a kernel that has it,
///
/// ```compile_fail
/// # use secateur::kernels::{Add, AddParams};
/// # use secateur::raw::{Trust, Uniform};
/// # struct Mine;
/// let own: Trust<Mine> = <AddParams as Uniform<Add>>::TRUST; // a `Trust<Add>`; for `Trust<Add>`
/// it compiles
/// ```
///
/// nor had through the uniform of such a kernel:
///
/// ```compile_fail
/// # use secateur::kernels::{Add, AddParams};
/// # use secateur::raw::{Bound, Kernel, Operand};
/// struct Mine;
/// impl Kernel for Mine {
/// type Params = AddParams; // `AddParams` is no `Uniform<Mine>`; with a uniform of one's own it
/// compiles fn params(&self) -> AddParams { AddParams { len: 1, period: 1 } }
/// #   const NAME: &'static str = Add::NAME;
/// #   const WGSL: &'static str = Add::WGSL;
/// #   const OPERANDS: &'static [Operand] = Add::OPERANDS;
/// #   fn bind(&self) -> Vec<Bound> { Vec::new() }
/// #   fn grid(&self) -> [u32; 3] { [1, 1, 1] }
/// }
/// ```
pub struct Trust<K: ?Sized> {
    own: bool,
    kernel: PhantomData<fn(&K)>,
}

impl<K: ?Sized> Trust<K> {
    /// Compiled with run-time checks: what is said of every kernel of another crate.
    pub const CHECKED: Self = Self { own: false, kernel: PhantomData };
    /// Compiled as it stands.
    ///
    /// To name it for a kernel says of all its texts and of whatever its fields hold: each access
    /// is guarded by lengths that `bind` has told [`PlanBuilder::push`](super::PlanBuilder::push),
    /// workgroup arrays are indexed by `local_invocation_*`, constants and counters below those,
    /// workgroup memory is written before it is read, and loops are bounded by uniforms.
    pub(crate) const OWN: Self = Self { own: true, kernel: PhantomData };

    /// Whether it is this crate's.
    pub fn is_own(&self) -> bool {
        self.own
    }
}

/// A text and how it is compiled. Made of a kernel only, in [`Source::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source {
    wgsl: &'static str,
    own: bool,
}

impl Source {
    /// What `kernel` launches.
    pub(super) fn of<K: Kernel>(kernel: &K) -> Self {
        let wgsl = kernel.variant().map_or(K::WGSL, |variant| variant.wgsl);
        Self { wgsl, own: <K::Params as Uniform<K>>::TRUST.own }
    }

    /// Its text.
    pub(super) fn wgsl(self) -> &'static str {
        self.wgsl
    }

    /// Whether it is this crate's, compiled as it stands.
    pub(super) fn is_own(self) -> bool {
        self.own
    }
}

/// A shader module; without wgpu's run-time loop and bounds checks where the source is this
/// crate's.
///
/// Soundness: what is not checked comes from a kernel for which this crate says `Trust::OWN`, and
/// only `kernels/list.rs` does: for the kernels that the tests walk, and for their parts. `push`
/// has compared the lengths with the bound slots. `tests/gpu` runs every one at ragged sizes with
/// guard words after each output, and `tests/host/shaders.rs` validates the WGSL with naga.
pub(super) fn shader_module(
    device: &wgpu::Device,
    label: &str,
    source: Source,
) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.wgsl.into()),
    };
    if !source.own {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: see above.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}

/// Leave to use what wgpu calls experimental: cooperative matrices.
///
/// Soundness: what wgpu leaves unchecked there are the shaders' loads and stores of matrices. Those
/// of `product_coop.wgsl` are within workgroup memory whose length `kernels/product/coop.rs`
/// reckons from the same constants: whole matrices of tiles, and a matrix of sums for each subgroup
/// that has any. Operands are loaded in vectors and results stored one by one, both guarded.
/// `tests/gpu/kernels/f16.rs` runs it at ragged sizes with guard words. The same holds for
/// `attention_coop*.wgsl`, whose lengths are in `kernels/sequence/matrices.rs`, and which
/// `tests/gpu/kernels/attention_matrices.rs` runs.
pub(super) fn experimental_features() -> wgpu::ExperimentalFeatures {
    // SAFETY: see above.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// A pipeline cache filled with `data`, or an empty one where the driver refuses `data`.
///
/// Soundness: `data` comes from a file that `cache.rs` wrote from `PipelineCache::get_data`, for
/// the same adapter and driver, and whose checksum it has verified. `fallback` makes a driver's
/// refusal harmless.
pub(super) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor =
        wgpu::PipelineCacheDescriptor { label: Some("secateur"), data, fallback: true };
    // SAFETY: see above.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
