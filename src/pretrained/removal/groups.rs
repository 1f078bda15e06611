//! The units of a block that can be taken out, with what each has in the tensors of the file.
use super::options::Kind;
use crate::graph::{Spread, Tensor, Tied};
use crate::pretrained::cut::CutGraph;
use crate::pretrained::layers::{Arranged, Source};
use crate::pretrained::model::Pretrained;
use crate::{Error, Result};

/// Units of a block, which go with all that they have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) kind: Kind,
    /// Number of units: of channels, or of heads of keys.
    pub(crate) units: u32,
    /// Heads of queries in a unit; 1 of channels.
    pub(crate) each: u32,
    pub(crate) members: Vec<Member>,
}

/// A parameter that has something of the units.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// Its place in the graph of the block.
    pub(crate) parameter: usize,
    /// Where the units are in it.
    pub(crate) spread: Spread,
    /// What it is multiplied with, where that are the units.
    pub(crate) reads: Option<Tensor>,
    /// The tensors of the file.
    pub(crate) parts: Vec<Part>,
}

/// A tensor of the file with an axis that has units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) axis: usize,
    /// Neighbours on the axis that are of one unit.
    pub(crate) run: usize,
}

/// What can be taken out of a block, and the weights whose outputs cannot, each with the reason.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grouped {
    pub(crate) groups: Vec<Group>,
    pub(crate) left: Vec<(String, String)>,
}

/// The units of `block`, whose input and output stay as wide as they are.
pub(crate) fn groups(model: &Pretrained, block: &CutGraph) -> Result<Grouped> {
    let CutGraph { graph, sources, prefix, features, output } = block;
    let mut all = Grouped::default();
    for (at, p) in graph.parameters().iter().enumerate().filter(|(_, p)| p.masked) {
        let makes =
            |group: &Group| group.members.iter().any(|m| m.parameter == at && m.reads.is_none());
        if all.groups.iter().any(makes) {
            continue;
        }
        let Tied { units, members, heads } = match graph.tied(p.tensor, &[*features, *output]) {
            Ok(tied) => tied,
            Err(why) => {
                all.left.push((model.name(prefix, &p.name), why));
                continue;
            }
        };
        let member = |m: &crate::graph::Member| {
            let parts = parts(model, prefix, &sources[m.parameter], m.spread)?;
            Ok(Member { parameter: m.parameter, spread: m.spread, reads: m.reads, parts })
        };
        let members = members.iter().map(member).collect::<Result<Vec<_>>>()?;
        let kind = if heads.is_some() { Kind::Heads } else { Kind::Channels };
        all.groups.push(Group { kind, units, each: heads.unwrap_or(1), members });
    }
    Ok(all)
}

/// Where the units of a parameter are in the tensors that it is made of.
fn parts(model: &Pretrained, prefix: &str, source: &Source, spread: Spread) -> Result<Vec<Part>> {
    let part = |(name, extents): &(String, Vec<usize>)| {
        let name = model.name(prefix, name);
        let run = match (source.arranged, &extents[..]) {
            // The graph has a kernel as [height, width, inputs, outputs].
            (Arranged::Kernel, &[outputs, inputs, ref places @ ..]) => {
                let places: usize = places.iter().product();
                match spread.run as usize {
                    run if run < outputs => run * inputs * places,
                    run => run / outputs * places,
                }
            }
            _ => spread.run as usize,
        };
        let shape = &model.files().info(&name)?.shape;
        let Some((axis, run)) = axis(shape, run, spread.units as usize) else {
            let (units, what) = (spread.units, "units, which are on no axis of the file's tensor");
            return Err(Error::shape(name, format!("{shape:?} has {units} {what}")));
        };
        Ok(Part { name, axis, run })
    };
    source.tensors.iter().map(part).collect()
}

/// The axis of `shape` that has so many units, of which elements of one lie `run` in a row; and how
/// many of its places are one unit's.
fn axis(shape: &[usize], run: usize, units: usize) -> Option<(usize, usize)> {
    let mut behind = 1;
    for (axis, &extent) in shape.iter().enumerate().rev() {
        let whole = behind * extent;
        if run.is_multiple_of(behind) && whole.is_multiple_of(run * units) {
            return Some((axis, run / behind));
        }
        behind = whole;
    }
    None
}

impl Part {
    /// The extents of a tensor of `shape` of whose `of` units so many stay.
    pub(crate) fn shape(&self, shape: &[usize], [of, kept]: [u32; 2]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        shape[self.axis] = shape[self.axis] / of as usize * kept as usize;
        shape
    }

    /// The elements that stay of the `values` of a tensor of `shape`, by which units do.
    pub(crate) fn kept(&self, values: &[f32], shape: &[usize], stays: &[bool]) -> Vec<f32> {
        let runs = self.runs(values, shape).enumerate();
        let kept = runs.filter(|(i, _)| stays[i % stays.len()]);
        kept.flat_map(|(_, run)| run.iter().copied()).collect()
    }

    /// The `values` of a tensor of `shape` in pieces, each of one unit: the first, the second, and
    /// so on, and the first again.
    pub(crate) fn runs<'a>(
        &self,
        values: &'a [f32],
        shape: &[usize],
    ) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let run = self.run * shape[self.axis + 1..].iter().product::<usize>();
        values.chunks(run.max(1))
    }
}
