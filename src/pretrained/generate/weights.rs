//! The weights of a whole model on the device, each once, whoever reads it.
use std::collections::HashMap;

use crate::Result;
use crate::gpu::{Encoder, Gpu, PlanBuilder, Program};
use crate::graph::{Graph, Stored};
use crate::pretrained::layers::Source;
use crate::pretrained::model::{Pretrained, Read};

/// Bytes that wait on the host until the device has them.
const UNDER_WAY: usize = 64 << 20;

/// Where each weight is, by its name in the graphs, which is that of the file.
#[derive(Debug, Default)]
pub(super) struct Weights {
    placed: Vec<(Stored, Source)>,
    by_name: HashMap<String, usize>,
}

impl Weights {
    /// Where the parameters of `graph` are, in their order; those that no graph before had get their
    /// places in `plan`.
    pub(super) fn place(
        &mut self,
        plan: &mut PlanBuilder,
        graph: &Graph,
        sources: Vec<Source>,
    ) -> Vec<Stored> {
        let mut stored = Vec::new();
        for (parameter, source) in graph.parameters().iter().zip(sources) {
            let at = *self.by_name.entry(parameter.name.clone()).or_insert_with(|| {
                // How a weight is stored is decided here, and only here.
                let words = parameter.shape.elements().unwrap_or(0);
                let slot = plan.persistent(parameter.name.as_str(), words);
                self.placed.push((slot.into(), source));
                self.placed.len() - 1
            });
            stored.push(self.placed[at].0);
        }
        stored
    }

    /// Gives all of them what `read` has by their names in the file.
    pub(super) fn upload(
        &self,
        (gpu, program): (&Gpu, &Program),
        model: &Pretrained,
        read: Read<'_>,
    ) -> Result<()> {
        let mut waiting = 0;
        for (stored, source) in &self.placed {
            let values = model.values(source, "", read)?;
            if let Some(slot) = stored.values() {
                program.upload(gpu, slot, &values);
            }
            waiting += 4 * values.len();
            if waiting >= UNDER_WAY {
                Encoder::new(gpu).submit()?;
                gpu.wait()?;
                waiting = 0;
            }
        }
        Ok(())
    }
}
