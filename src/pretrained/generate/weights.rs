//! The weights of a whole model on the device, each once, whoever reads it.
use std::collections::HashMap;

use crate::gpu::{Encoder, Gpu, PlanBuilder, Program, Target};
use crate::graph::{Graph, Parameter, Stored};
use crate::kernels::{PackedForm, PackedMatrix};
use crate::pretrained::layers::Source;
use crate::pretrained::model::{Pretrained, Read};
use crate::session::{PackedWeights, packed};
use crate::{Error, Result};

/// Bytes that wait on the host until the device has them.
const UNDER_WAY: usize = 64 << 20;

/// Where each weight is, by its name in the graphs, which is that of the file.
#[derive(Debug)]
pub(super) struct Weights<'m> {
    model: &'m Pretrained,
    target: Target,
    /// Which of them are packed.
    packs: PackedWeights,
    placed: Vec<Placed>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Placed {
    parameter: Parameter,
    stored: Stored,
    source: Source,
}

impl<'m> Weights<'m> {
    pub(super) fn new(model: &'m Pretrained, target: Target, packs: PackedWeights) -> Self {
        Self { model, target, packs, placed: Vec::new(), by_name: HashMap::new() }
    }

    /// Where the parameters of `graph` are, in their order; those that no graph before had get their
    /// places in `plan`.
    ///
    /// # Errors
    /// Of the files, where a weight may be packed.
    pub(super) fn place(
        &mut self,
        plan: &mut PlanBuilder,
        graph: &Graph,
        sources: Vec<Source>,
    ) -> Result<Vec<Stored>> {
        let mut stored = Vec::new();
        for (parameter, source) in graph.parameters().iter().zip(sources) {
            if let Some(&at) = self.by_name.get(&parameter.name) {
                stored.push(self.placed[at].stored);
                continue;
            }
            // How a weight is stored is decided here, and only here.
            let may_be_packed = match self.packs {
                PackedWeights::Never => false,
                PackedWeights::Always => true,
                PackedWeights::Auto => self.model.files().is_packed(&parameter.name),
            };
            let matrix = match may_be_packed && graph.packs(parameter.tensor).is_some() {
                true => self.packed(parameter, &source, &self.read())?,
                false => None,
            };
            let place = match matrix {
                Some(matrix) => matrix.declare(plan, &parameter.name).into(),
                None => {
                    let words = parameter.shape.elements().unwrap_or(0);
                    plan.persistent(parameter.name.as_str(), words).into()
                }
            };
            stored.push(place);
            self.by_name.insert(parameter.name.clone(), self.placed.len());
            self.placed.push(Placed { parameter: parameter.clone(), stored: place, source });
        }
        Ok(stored)
    }

    /// What reads the tensors of the files.
    fn read(&self) -> impl Fn(&str) -> Result<Vec<f32>> + use<'m> {
        let files = self.model.files();
        |name| files.read_f32(name)
    }

    /// A weight without its zeros; `None` where it takes fewer bytes with them.
    fn packed(
        &self,
        parameter: &Parameter,
        source: &Source,
        read: Read<'_>,
    ) -> Result<Option<PackedMatrix>> {
        let values = self.model.values(source, "", read)?;
        let of = parameter.units();
        let named = |e| Error::file(self.model.path(), format!("{}: {e}", parameter.name));
        let found = packed((None, false), of, &values, self.target).map_err(named)?;
        Ok(found.filter(|matrix| matrix.bytes() < 4 * of.len()))
    }

    /// Gives all of them what the files have. A packed one is packed once more, so that the host
    /// never has more than one of them.
    pub(super) fn upload(&self, gpu: &Gpu, program: &Program) -> Result<()> {
        let mut waiting = 0;
        for Placed { parameter, stored, source } in &self.placed {
            waiting += match (stored.values(), stored.packed()) {
                (Some(slot), _) => {
                    let values = self.model.values(source, "", &self.read())?;
                    program.upload(gpu, slot, &values);
                    4 * values.len()
                }
                (None, Some(place)) => match self.packed(parameter, source, &self.read())? {
                    Some(matrix) => {
                        place.upload(gpu, program, &matrix);
                        matrix.bytes() as usize
                    }
                    None => 0,
                },
                (None, None) => 0,
            };
            if waiting >= UNDER_WAY {
                Encoder::new(gpu).submit()?;
                gpu.wait()?;
                waiting = 0;
            }
        }
        Ok(())
    }

    /// Those that are packed, with their forms.
    pub(super) fn forms(&self) -> Vec<(String, PackedForm)> {
        let of = |p: &Placed| Some((p.parameter.name.clone(), p.stored.packed()?.form()));
        self.placed.iter().filter_map(of).collect()
    }
}
