//! Which units go: those that count least, block after block.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::Removal;
use super::groups::Group;
use super::part::PartPlan;
use super::report::{BlockRemoved, RemoveReport, UnitsKept};
use crate::gpu::{Gpu, Memory, Target};
use crate::pretrained::Pretrained;
use crate::pretrained::cut::{Cut, CutGraph};
use crate::pretrained::model::Read;
use crate::pretrained::prune::apart;
use crate::pretrained::rows::Rows;
use crate::storage::Rewrite;
use crate::{Error, Result};

/// What is told of a block that is done.
pub type Told<'a> = &'a mut dyn FnMut(&BlockRemoved);

impl Removal<'_> {
    /// Writes the tensors that become smaller to `out`. The weights alone say what goes: the units
    /// with the lowest sum of the squares of all their weights in products; of equal ones the later.
    /// No device is asked.
    ///
    /// # Errors
    /// Of the files; [`Error::File`] for a weight that is not finite.
    pub fn by_weights(&self, out: &mut Rewrite<'_>, told: Told<'_>) -> Result<RemoveReport> {
        let mut report = RemoveReport::default();
        for (block, groups) in self.blocks.iter().enumerate() {
            let begun = Instant::now();
            let chosen = |group| Ok(highest(&magnitudes(self.model, group)?, self.kept(group)));
            let stays = groups.iter().map(chosen).collect::<Result<Vec<_>>>()?;
            self.put(block, &stays, &BTreeMap::new(), out)?;
            let of = self.reported(block, &stays, None, begun);
            told(&of);
            report.blocks.push(of);
        }
        Ok(report)
    }

    /// The same by what `rows` come to on their way through the model: those go whose weights in
    /// the products that read them have the lowest sum of `(|w| |x|)^2`, Wanda's score (Sun et al.
    /// 2024). What these products make is then brought back by the weights that stay, to what it is
    /// with all units, on the inputs that the smaller blocks before give. Of texts with padding the
    /// positions that are none count; of a convolution the inputs are patches.
    ///
    /// Between two blocks rows are in a file in `folder`, if there is one, in place of host memory.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows that do not fit the model, and for a convolution with groups of
    /// channels; of the device and the files.
    pub fn by_data(
        &self,
        gpu: &Gpu,
        rows: Rows<'_>,
        folder: Option<&Path>,
        out: &mut Rewrite<'_>,
        told: Told<'_>,
    ) -> Result<RemoveReport> {
        let model = self.model;
        let windows = model.windows_of(rows)?;
        let read: Read<'_> = &|name| model.files().read_f32(name);
        let (mut stream, embed_bytes) = model.embedded_by(gpu, rows, 1, folder)?;
        let mut report = RemoveReport { device_bytes: embed_bytes, ..RemoveReport::default() };
        for (i, groups) in self.blocks.iter().enumerate() {
            let begun = Instant::now();
            // The first row, on its way through the whole block.
            let mut whole = stream.only(0)?;
            let (mut stays, mut moved) = (Vec::new(), BTreeMap::new());
            for cut in self.parts(i) {
                let (of, seen) = self.looked_at(cut, stream.shape())?;
                let plan = PartPlan::new(of, &seen, gpu.target())?;
                report.device_bytes = report.device_bytes.max(plan.memory().peak());
                let part = plan.build(gpu, model, read)?;
                part.advance(&mut whole)?;
                for at in 0..seen.len() {
                    let group = &groups[stays.len()];
                    let scores = part.scores(at, group.units, &stream)?;
                    let stay = highest(&scores, self.kept(group));
                    moved.extend(part.remove(at, &stay, model)?);
                    stays.push(stay);
                }
                part.advance(&mut stream)?;
            }
            self.put(i, &stays, &moved, out)?;
            let error = apart(&whole.row(0)?, &stream.row(0)?, stream.beside(0));
            let of = self.reported(i, &stays, Some(error), begun);
            told(&of);
            report.blocks.push(of);
        }
        if let Some(windows) = windows {
            let (evaluated, bytes) = model.scored(gpu, &stream, windows, read)?;
            report.calibration_perplexity = Some(evaluated.perplexity);
            report.device_bytes = report.device_bytes.max(bytes);
        }
        Ok(report)
    }

    /// Bytes on the device that [`by_data`](Self::by_data) takes at most with windows or texts of
    /// `length`, which says nothing of images; without a device.
    ///
    /// # Errors
    /// As [`by_data`](Self::by_data), as far as no values are read.
    pub fn memory(&self, length: u32, target: Target) -> Result<Memory> {
        let shapes = self.model.shapes(length)?;
        let mut all = self.model.ends_memory(&shapes[0], target)?;
        for (block, shape) in (0..self.blocks.len()).zip(&shapes[1..]) {
            let mut shape = shape.clone();
            for cut in self.parts(block) {
                let (of, seen) = self.looked_at(cut, &shape)?;
                shape = of.graph.shape(of.output).dims()[1..].to_vec();
                all.push(PartPlan::new(of, &seen, target)?.memory());
            }
        }
        Ok(all.into_iter().max_by_key(Memory::peak).unwrap_or_default())
    }

    /// The parts of a block, none of whose groups is in two of them: what goes from one to the other
    /// stays as wide as it is. So what is behind a part does not compute it again.
    fn parts(&self, block: usize) -> impl Iterator<Item = Cut> + use<> {
        let block = block as u32;
        (0..self.model.architecture().parts(block)).map(move |part| Cut::Part(block, part))
    }

    /// A part for rows of `shape`, and its groups by the tensors of that graph.
    fn looked_at(&self, cut: Cut, shape: &[u32]) -> Result<(CutGraph, Vec<Group>)> {
        let of = self.model.cut(cut, 1, shape)?;
        let asked = |group: &Group| self.sizes.iter().any(|size| size.kind == group.kind);
        let mut groups = super::groups::groups(self.model, &of)?.groups;
        groups.retain(asked);
        Ok((of, groups))
    }

    fn reported(
        &self,
        block: usize,
        stays: &[Vec<bool>],
        error: Option<f64>,
        begun: Instant,
    ) -> BlockRemoved {
        let groups = self.blocks[block].iter().zip(stays);
        let kept = groups.map(|(group, stays)| UnitsKept::new(group, stays)).collect();
        let block = block as u32;
        let name = self.model.architecture().prefix(block).trim_end_matches('.').to_owned();
        let (blocks, seconds) = (self.blocks.len() as u32, begun.elapsed().as_secs_f64());
        BlockRemoved { block, blocks, name, kept, error, seconds }
    }
}

/// Of each unit the sum of the squares of its weights in products.
fn magnitudes(model: &Pretrained, group: &Group) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; group.units as usize];
    for part in group.members.iter().flat_map(|member| &member.parts) {
        let shape = &model.files().info(&part.name)?.shape;
        if shape.iter().filter(|&&extent| extent != 1).count() < 2 {
            continue;
        }
        let values = model.files().read_f32(&part.name)?;
        for (at, run) in part.runs(&values, shape).enumerate() {
            let sum: f64 = run.iter().map(|&w| f64::from(w).powi(2)).sum();
            if !sum.is_finite() {
                let message = format!("{} has a value that is not finite", part.name);
                return Err(Error::file(model.path(), message));
            }
            sums[at % group.units as usize] += sum;
        }
    }
    Ok(sums)
}

/// Whether each is one of the `kept` highest, of equal ones the first.
fn highest(scores: &[f64], kept: u32) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut stays = vec![false; scores.len()];
    order.iter().take(kept as usize).for_each(|&unit| stays[unit] = true);
    stays
}
