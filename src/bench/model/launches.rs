//! The launches of a plan, each modelled by a few of its workgroups.
use serde::Serialize;

use super::machine::{Asked, Contents, Counts, Launch, Machine, Operand, Text};
use crate::gpu::{Access, Listed, Phase, PlanBuilder};
use crate::{Error, Result};

/// Launches of a kernel that are alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Modelled {
    /// The kernel.
    pub kernel: &'static str,
    /// Its variant, where it is one.
    pub variant: Option<&'static str>,
    /// How many there are.
    pub launches: usize,
    /// Workgroups of each.
    pub workgroups: f64,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// What a workgroup does: the mean of those that were looked at.
    pub of_workgroup: Counts,
    /// Bytes that a launch reads and writes, each once.
    pub bytes: f64,
}

/// The launches of a phase of `plan`, with what its operands hold.
///
/// # Errors
/// [`Error::Plan`] names a kernel whose text has something that the model does not know.
pub fn modelled(plan: &PlanBuilder, phase: Phase, contents: Contents) -> Result<Vec<Modelled>> {
    let mut all: Vec<Modelled> = Vec::new();
    let mut known: Vec<(Listed<'_>, Modelled)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for listed in plan.listed(phase) {
        let nth = seen.iter().filter(|kernel| **kernel == listed.kernel).count();
        seen.push(listed.kernel);
        // Launches that differ in where their operands begin do the same, where what they hold
        // does not say otherwise.
        let alike = |(other, _): &&(Listed<'_>, Modelled)| {
            (other.wgsl, &other.constants, other.grid)
                == (listed.wgsl, &listed.constants, listed.grid)
                && other.params.len() == listed.params.len()
                && slots(other) == slots(&listed)
                && contents(asked(&listed, nth)).is_none()
        };
        let one = match known.iter().find(alike) {
            Some((_, one)) => one.clone(),
            None => one(&listed, nth, contents).map_err(|message| Error::Plan {
                kernel: listed.kernel.to_owned(),
                message: format!("the model does not know {message}"),
            })?,
        };
        let same = |m: &&mut Modelled| Modelled { launches: 1, ..(*m).clone() } == one;
        match all.iter_mut().find(same) {
            Some(same) => same.launches += 1,
            None => all.push(one.clone()),
        }
        known.push((listed, one));
    }
    Ok(all)
}

/// Whether the contents differ from launch to launch: asked of a word that no operand has.
fn asked<'a>(listed: &Listed<'a>, nth: usize) -> Asked<'a> {
    Asked { kernel: listed.kernel, nth, operand: "", word: 0 }
}

/// Words of each operand.
fn slots(listed: &Listed<'_>) -> Vec<Option<u32>> {
    listed.operands.iter().map(|operand| operand.slot.map(|(_, words)| words)).collect()
}

fn one(listed: &Listed<'_>, nth: usize, contents: Contents) -> Result<Modelled, String> {
    let constants = listed.constants.iter().map(|&(name, value)| (name.to_owned(), value));
    let text = Text::new(listed.wgsl, constants)?;
    // What is left alone is a memory of its own, of no words.
    let operand = |(i, o): (usize, &crate::gpu::ListedOperand)| {
        let (slot, words) = o.slot.unwrap_or((u32::MAX - i as u32, 0));
        Operand { name: o.name, slot, words }
    };
    let operands: Vec<_> = listed.operands.iter().enumerate().map(operand).collect();
    let &Listed { kernel, params, grid, .. } = listed;
    let launch = Launch { kernel, nth, operands: &operands, params, grid, contents };
    let workgroups: f64 = grid.iter().map(|&extent| f64::from(extent)).product();
    let done = sampled(grid).into_iter().map(|id| Machine::run(&text, &launch, id));
    let done = done.collect::<Result<Vec<_>, String>>()?;
    let counts: Vec<Counts> = done.iter().map(|done| done.counts).collect();
    let bytes = |(i, o): (usize, &crate::gpu::ListedOperand)| {
        let Some((_, words)) = o.slot else { return 0.0 };
        let both = [0, 1].map(|way| {
            let sectors: f64 = done.iter().map(|done| done.sectors[i][way]).sum();
            (sectors / done.len() as f64 * 32.0 * workgroups).min(4.0 * f64::from(words))
        });
        // A slot that is bound twice is read once.
        let earlier = listed.operands[..i].iter().any(|other| other.slot == o.slot);
        let written = if o.access == Access::Write { both[1] } else { 0.0 };
        if earlier { 0.0 } else { both[0] + written }
    };
    Ok(Modelled {
        kernel,
        variant: listed.variant,
        launches: 1,
        workgroups,
        invocations: text.workgroup()?.iter().product(),
        workgroup_bytes: text.workgroup_bytes()?,
        of_workgroup: Counts::mean(&counts),
        bytes: listed.operands.iter().enumerate().map(bytes).sum(),
    })
}

/// All workgroups where they are few; else two that stand for halves of them, which is right where
/// work grows evenly along each axis of the grid.
fn sampled(grid: [u32; 3]) -> Vec<[u32; 3]> {
    let all: u64 = grid.iter().map(|&extent| u64::from(extent)).product();
    let at = |quarters: u64| grid.map(|extent| (u64::from(extent) * quarters / 4) as u32);
    match all {
        0 => vec![],
        1 => vec![[0; 3]],
        _ => vec![at(1), at(3)],
    }
}
