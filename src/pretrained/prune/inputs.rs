//! What a weight is multiplied with, as rows that its statistics are taken of.
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::{Graph, Parameter, Tensor};
use crate::kernels::{Convolution, Patches};
use crate::{Error, Result};

/// What is done with a weight whose inputs are not known.
pub(super) const WAY: &str = "leave it out with --exclude, or take magnitude";

/// Rows of a tensor; or of images the patches that kernels go over, in the order of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pretrained) struct Inputs {
    pub(in crate::pretrained) tensor: Tensor,
    patches: Option<Convolution>,
}

impl Inputs {
    /// Those of the weight `p`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a weight that several tensors go through, or none; and for kernels
    /// with groups of channels, whose units have different inputs. `way` is the way out.
    pub(in crate::pretrained) fn of(graph: &Graph, p: &Parameter, way: &str) -> Result<Self> {
        let wrong = |message: String| Err(Error::argument(&p.name, format!("{message}; {way}")));
        if let [tensor] = graph.inputs_of(p.tensor)[..] {
            return Ok(Self { tensor, patches: None });
        }
        let [(tensor, shape)] = graph.convolved_with(p.tensor)[..] else {
            return wrong("its inputs are not known".to_owned());
        };
        if shape.groups != 1 {
            return wrong(format!(
                "its {} groups of channels have inputs of their own, which no score by data knows",
                shape.groups
            ));
        }
        // There a patch is a pixel.
        let pixels = shape.kernel == [1; 2] && shape.stride == [1; 2] && shape.pad == [0; 2];
        Ok(Self { tensor, patches: (!pixels).then_some(shape) })
    }

    /// The same of the positions of a text that `seen [batch, length]` has: the rows of the others
    /// are zeros, which add nothing to a statistic.
    pub(in crate::pretrained) fn counted(
        self,
        graph: &mut Graph,
        seen: Option<Tensor>,
    ) -> Result<Self> {
        let Some(seen) = seen else { return Ok(self) };
        let width = graph.shape(self.tensor).dims().last().copied().unwrap_or(1);
        let values = [vec![0.0; width as usize], vec![1.0; width as usize]].concat();
        let table = graph.constant("counts", [2, width], values)?;
        let counts = graph.embedding(seen, table)?;
        Ok(Self { tensor: graph.mul(self.tensor, counts)?, ..self })
    }

    /// Rows of the tensor that lies at `x`, their number, and that of their columns.
    pub(in crate::pretrained) fn rows(
        &self,
        plan: &mut PlanBuilder,
        graph: &Graph,
        x: Slot,
    ) -> Result<(Slot, [u32; 2])> {
        let Some(shape) = self.patches else {
            let columns = graph.shape(self.tensor).dims().last().copied().unwrap_or(1);
            return Ok((x, [x.words / columns.max(1), columns]));
        };
        let [rows, columns] = [Patches::rows(&shape), Patches::columns(&shape)]
            .map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let patches = plan.scratch("patches", rows.saturating_mul(columns));
        plan.push(Patches { shape, x, begin: 0, patches })?;
        Ok((patches, [rows, columns]))
    }
}
