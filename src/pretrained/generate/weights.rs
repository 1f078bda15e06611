//! The weights of a whole model on the device, each once, whoever reads it.
use std::collections::HashMap;

use crate::gpu::{Encoder, Gpu, PlanBuilder, Program, Target};
use crate::graph::{Graph, Parameter, Stored};
use crate::kernels::{PackedForm, PackedMatrix};
use crate::pretrained::layers::Source;
use crate::pretrained::model::{Pretrained, Read};
use crate::session::{Fastest, PackedWeights, packed};
use crate::storage::Header;
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
    /// What the files say was fastest.
    hints: Vec<Fastest>,
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
    /// # Errors
    /// [`Error::File`] for a hint in the files' metadata that cannot be read.
    pub(super) fn new(model: &'m Pretrained, target: Target, packs: PackedWeights) -> Result<Self> {
        let hint = |file: &Header| {
            Fastest::of(&file.metadata).map_err(|message| Error::file(&file.path, message))
        };
        let hints = model.files().files().iter().map(hint).collect::<Result<Vec<_>>>()?;
        let hints = hints.into_iter().flatten().collect();
        Ok(Self { model, target, packs, hints, placed: Vec::new(), by_name: HashMap::new() })
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
            let matrix = match graph.packs(parameter.tensor) {
                Ok(_) => self.packed(parameter, &source, &self.read())?,
                Err(_) => None,
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

    /// A weight without its zeros; `None` where that does not suit.
    fn packed(
        &self,
        parameter: &Parameter,
        source: &Source,
        read: Read<'_>,
    ) -> Result<Option<PackedMatrix>> {
        let name = &parameter.name;
        let hint = self.hints.iter().find_map(|hint| hint.weight(name));
        // Where all are asked for, those of a dense folder are packed, too. A token is one row.
        let always = self.packs == PackedWeights::Always;
        let is_packed = always || self.model.files().is_packed(name);
        let Some(form) = self.packs.form_of(hint, is_packed, 1) else { return Ok(None) };
        let values = self.model.values(source, "", read)?;
        let of = parameter.units();
        let named = |e| Error::file(self.model.path(), format!("{name}: {e}"));
        let found = packed((form, false), of, &values, self.target).map_err(named)?;
        let suits = |matrix: &PackedMatrix| match always {
            true => matrix.bytes() < 4 * of.len(),
            false => form.is_some() || matrix.pays(1, self.target),
        };
        Ok(found.filter(suits))
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
