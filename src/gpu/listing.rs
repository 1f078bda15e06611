//! What a plan launches, for those who look at it instead of running it.
use super::kernel::Access;
use super::plan::{Launch, Phase, PlanBuilder};

/// An operand of a launch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ListedOperand {
    /// Name in the WGSL.
    pub name: &'static str,
    /// How the kernel touches it.
    pub access: Access,
    /// Number of its slot in the plan and the slot's words; `None` where it is left alone.
    pub slot: Option<(u32, u32)>,
}

/// A launch of a plan.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed<'a> {
    /// The kernel.
    pub kernel: &'static str,
    /// Its variant, where it is one.
    pub variant: Option<&'static str>,
    /// Whole WGSL text that is compiled.
    pub wgsl: &'static str,
    /// Values of `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// In the order of the bindings.
    pub operands: Vec<ListedOperand>,
    /// Contents of the uniform.
    pub params: &'a [u8],
    /// Workgroups in each dimension.
    pub grid: [u32; 3],
}

impl PlanBuilder {
    /// The launches of `phase`, in order.
    pub fn listed(&self, phase: Phase) -> impl Iterator<Item = Listed<'_>> {
        self.launches[self.launches_of(phase)].iter().map(listed)
    }

    /// The first phase of this name.
    pub fn phase_named(&self, name: &str) -> Option<Phase> {
        self.phases.iter().position(|phase| phase.name == name).map(Phase)
    }
}

fn listed(launch: &Launch) -> Listed<'_> {
    let operand = |&(name, access, slot): &(&'static str, Access, Option<super::Slot>)| {
        ListedOperand { name, access, slot: slot.map(|slot| (slot.id, slot.words)) }
    };
    let constant = |&(name, bits): &(&'static str, u64)| (name, f64::from_bits(bits));
    Listed {
        kernel: launch.name,
        variant: launch.variant,
        wgsl: launch.source.wgsl(),
        constants: launch.constants.iter().map(constant).collect(),
        operands: launch.operands.iter().map(operand).collect(),
        params: &launch.params,
        grid: launch.grid,
    }
}
