//! Whole heads and channels taken out of a pretrained model: a folder of smaller tensors, with the
//! settings of their sizes, that computes what the whole one does where those units are zero.
mod choose;
mod groups;
mod options;
mod part;
mod report;
mod sizes;

pub use choose::Told as ToldRemoved;
pub use options::{Amount, Kind, RemoveOptions};
pub use report::{BlockRemoved, RemoveReport, UnitsKept};
pub use sizes::Size;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use self::groups::{Group, Grouped, Part, groups};
use super::architectures::{Input, Settings};
use super::cut::Cut;
use super::model::Pretrained;
use crate::Result;
use crate::storage::Rewrite;

/// A weight whose outputs stay as wide as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// Its name in the file.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What is to be taken out of a model, and the sizes that it has then; which units these are is
/// not chosen yet.
#[derive(Debug)]
pub struct Removal<'a> {
    model: &'a Pretrained,
    /// Of each block what is taken out.
    blocks: Vec<Vec<Group>>,
    left: Vec<Left>,
    sizes: Vec<Size>,
    settings: Settings,
}

impl Pretrained {
    /// Plans to take out of every block what `options` say. No values are read, and no device is
    /// asked.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for what the architecture does not have, cannot do
    /// without, or whose settings cannot say the new sizes.
    pub fn removal(&self, options: &RemoveOptions) -> Result<Removal<'_>> {
        options.validate()?;
        let (mut blocks, mut left) = (Vec::new(), Vec::new());
        let mut shape = match self.architecture().input() {
            Input::Tokens { positions, width, .. } => vec![positions.min(2), width],
            Input::Images { side, channels } => vec![side, side, channels],
        };
        for cut in self.cuts() {
            let of = self.cut(cut, 1, &shape)?;
            shape = of.graph.shape(of.output).dims()[1..].to_vec();
            if let Cut::Block(_) = cut {
                let Grouped { groups, left: of_block } = groups(self, &of)?;
                blocks.push(groups);
                left.extend(of_block.into_iter().map(|(name, why)| Left { name, why }));
            }
        }
        let all: Vec<&Group> = blocks.iter().flatten().collect();
        let sizes = sizes::sizes(self, options, &all)?;
        let settings = sizes::settings(self, &sizes)?;
        let asked = |group: &Group| sizes.iter().any(|size| size.kind == group.kind);
        blocks.iter_mut().for_each(|groups| groups.retain(asked));
        Ok(Removal { model: self, blocks, left, sizes, settings })
    }
}

impl Removal<'_> {
    /// What becomes of heads and channels.
    pub fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// Weights of blocks whose outputs stay as wide as they are, each with the reason.
    pub fn left(&self) -> &[Left] {
        &self.left
    }

    /// The settings of the smaller model, as its `config.json` has them.
    pub fn config(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.settings).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The tensors that become smaller, with their extents.
    ///
    /// # Errors
    /// None, unless the files have changed.
    pub fn shapes(&self) -> Result<HashMap<String, Vec<usize>>> {
        let mut shapes = HashMap::new();
        for groups in &self.blocks {
            for (name, cuts) in cuts(groups) {
                let mut shape = self.model.files().info(name)?.shape.clone();
                for (part, at) in cuts {
                    let group = &groups[at];
                    shape = part.shape(&shape, [group.units, self.kept(group)]);
                }
                shapes.insert(name.to_owned(), shape);
            }
        }
        Ok(shapes)
    }

    /// Bytes of the tensors, and what they are without what is taken out.
    ///
    /// # Errors
    /// None, unless the files have changed.
    pub fn bytes(&self) -> Result<[u64; 2]> {
        let shapes = self.shapes()?;
        let (mut before, mut after) = (0, 0);
        for tensor in self.model.files().tensors() {
            before += tensor.bytes;
            after += match shapes.get(&tensor.name) {
                Some(shape) => {
                    let elements: u64 = shape.iter().map(|&d| d as u64).product();
                    tensor.bytes / tensor.len().max(1) * elements
                }
                None => tensor.bytes,
            };
        }
        Ok([before, after])
    }

    /// Writes the tensors of a block without the units that go; those in `moved` have other values
    /// than the model's.
    fn put(
        &self,
        block: usize,
        stays: &[Vec<bool>],
        moved: &BTreeMap<String, Vec<f32>>,
        out: &mut Rewrite<'_>,
    ) -> Result<()> {
        for (name, cuts) in cuts(&self.blocks[block]) {
            let mut shape = self.model.files().info(name)?.shape.clone();
            let mut values = match moved.get(name) {
                Some(values) => values.clone(),
                None => self.model.files().read_f32(name)?,
            };
            for (part, at) in cuts {
                let group = &self.blocks[block][at];
                values = part.kept(&values, &shape, &stays[at]);
                shape = part.shape(&shape, [group.units, self.kept(group)]);
            }
            out.put(name, &values)?;
        }
        Ok(())
    }

    /// How many units of a group stay.
    fn kept(&self, group: &Group) -> u32 {
        let size = self.sizes.iter().find(|size| size.kind == group.kind);
        size.map_or(group.units, |size| size.kept_of(group.units))
    }
}

/// Of each tensor of a block that becomes smaller where, the first axis first, and by which of the
/// block's groups.
fn cuts(groups: &[Group]) -> BTreeMap<&str, Vec<(&Part, usize)>> {
    let mut cuts: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        for part in group.members.iter().flat_map(|member| &member.parts) {
            cuts.entry(&part.name).or_default().push((part, at));
        }
    }
    cuts.values_mut().for_each(|cuts| cuts.sort_by_key(|(part, _)| part.axis));
    cuts
}
