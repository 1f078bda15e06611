//! Floor 2: the device, kernels and replayable plans. Nothing here knows of training.
mod adapter;
mod cache;
mod choice;
mod cut;
mod device;
mod health;
mod host;
mod joined;
mod kernel;
mod listing;
mod macros;
mod plan;
mod planner;
mod program;
mod readback;
mod scopes;
mod staging;
mod target;
mod timestamps;
mod trusted;
mod tuning;
mod unused;

#[doc(hidden)]
pub use bytemuck;

pub use adapter::{AdapterKind, AdapterReport, GpuOptions, Limits, PowerPreference};
pub use choice::{Which, adapters};
pub use cut::Cut;
pub use device::Gpu;
pub(crate) use joined::joined_begins;
pub use joined::{JOINT, Joined};
pub use kernel::{
    Access, Bound, Kernel, Operand, Slot, Uniform, Variant, grid_1d, grid_groups, read, write,
};
pub use listing::{Listed, ListedOperand};
#[doc(hidden)]
pub use macros::{joined, joined_len};
pub(crate) use macros::{uniform, wgsl};
pub use plan::{Phase, PlanBuilder};
pub use planner::Memory;
pub use program::{Encoder, Program};
pub use readback::{ReadbackRing, Ticket};
pub(crate) use staging::{Aside, Staging, Words};
pub use target::{Choices, Precision, Target};
#[doc(hidden)]
pub use timestamps::unwrapped;
pub use timestamps::{GpuSpan, Timestamps};
pub use trusted::Trust;
pub use unused::unused_gpu;

/// Most loop iterations that one invocation may make. Some software adapters cut an invocation off
/// at 65,535 iterations in total without an error; half of that leaves room for nested loops.
pub const MAX_LOOP_ITERATIONS: u32 = 30_000;
