//! The list of the kernels, made of the groups' lists.
use crate::gpu::{Kernel, Operand, Variant};

/// What a kernel declares, without an instance of it: what tests and tools walk.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct KernelInfo {
    /// [`Kernel::NAME`]
    pub name: &'static str,
    /// [`Kernel::WGSL`]
    pub wgsl: &'static str,
    /// [`Kernel::VARIANTS`]
    pub variants: &'static [Variant],
    /// [`Kernel::OPERANDS`]
    pub operands: &'static [Operand],
    /// Fields of the uniform, each with its offset in bytes.
    pub layout: &'static [(&'static str, usize)],
    /// Bytes of the uniform.
    pub uniform_bytes: usize,
}

impl KernelInfo {
    /// What `K` declares; `layout` is that of its uniform.
    pub const fn of<K: Kernel>(layout: &'static [(&'static str, usize)]) -> Self {
        Self {
            name: K::NAME,
            wgsl: K::WGSL,
            variants: K::VARIANTS,
            operands: K::OPERANDS,
            layout,
            uniform_bytes: size_of::<K::Params>(),
        }
    }
}

/// Declares the files of a group as modules, re-exports what is in them, and lists the kernels,
/// each with its uniform. A kernel of the crate that is in no list does not compile, as its uniform
/// does not know it.
macro_rules! kernels {
    ($($file:ident $(: $($kernel:ident($params:ident)),+)?;)+) => {
        $(
            pub(in crate::kernels) mod $file;
            pub use $file::*;
        )+

        $($($(
            impl crate::gpu::Uniform<$kernel> for $params {
                // For being in the list, which the tests walk.
                const TRUST: crate::gpu::Trust<$kernel> = crate::gpu::Trust::OWN;
            }
        )+)?)+

        /// The kernels of this group.
        pub(super) const KERNELS: &[crate::kernels::KernelInfo] = &[
            $($($(crate::kernels::KernelInfo::of::<$kernel>($params::LAYOUT),)+)?)+
        ];
    };
}
pub(super) use kernels;

/// Says of parts of a listed kernel that they have its text and touch no more than it does.
macro_rules! parts {
    ($($part:ty: $params:ident),+ $(,)?) => {$(
        impl crate::gpu::Uniform<$part> for $params {
            const TRUST: crate::gpu::Trust<$part> = crate::gpu::Trust::OWN;
        }
    )+};
}
pub(in crate::kernels) use parts;

/// Every kernel of the crate.
pub fn all() -> impl Iterator<Item = &'static KernelInfo> {
    let groups = [
        super::elementwise::KERNELS,
        super::product::KERNELS,
        super::pooling::KERNELS,
        super::norm::KERNELS,
        super::sequence::KERNELS,
        super::recurrent::KERNELS,
        super::loss::KERNELS,
        super::optimizer::KERNELS,
        super::update::KERNELS,
        super::mask::KERNELS,
        super::score::KERNELS,
        super::layerwise::KERNELS,
        super::select::KERNELS,
        super::probe::KERNELS,
    ];
    groups.into_iter().flatten()
}
