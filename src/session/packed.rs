//! Sessions that read weights as files have them packed: they evaluate and predict.
use super::plans::Plans;
use super::variable::Variable;
use super::{ModelFile, Session};
use crate::gpu::{Gpu, Target};
use crate::graph::Parameter;
use crate::kernels::{PackedForm, PackedMatrix, PackedValues};
use crate::nn::{Input, Network};
use crate::optim::{Optimizer, Training};
use crate::prune::MaskUpdateOp;
use crate::storage::TensorData;
use crate::{Error, Result};

/// Which weights that a file has packed are packed on the device, too: of those that fully connected
/// layers alone read. All others are made dense.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackedWeights {
    /// Those that products multiply with few rows, where packed ones are the faster.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// Rows of a product for which a packed matrix is taken unasked.
const FEW: u32 = 8;

impl PackedWeights {
    /// Whether a weight that is multiplied with so many rows is.
    fn takes(self, rows: u32) -> bool {
        match self {
            Self::Auto => rows <= FEW,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl ModelFile {
    /// As [`session_for`](Self::session_for) without masks, with the weights on the device that
    /// `weights` says packed. Such a session evaluates and predicts; a step of training is an error.
    ///
    /// # Errors
    /// As [`session_for`](Self::session_for).
    pub fn session_packed(
        &self,
        gpu: &Gpu,
        batch: usize,
        input: &Input,
        weights: PackedWeights,
    ) -> Result<Session> {
        let network = self.model()?.network(batch, input)?;
        let mut packed = Vec::new();
        for parameter in network.graph.parameters() {
            let rows = network.graph.packs(parameter.tensor).filter(|&rows| weights.takes(rows));
            if rows.is_none() || !self.packed.contains(&parameter.name) {
                continue;
            }
            if let Some(matrix) = self.pack(parameter, gpu.target())? {
                packed.push((parameter.name.clone(), matrix));
            }
        }
        if packed.is_empty() {
            return self.session_for(gpu, batch, input, &MaskUpdateOp::none());
        }
        let mut session = Session::packed(gpu, &network, &packed)?;
        session.load(self)?;
        Ok(session)
    }

    /// The weight `parameter` in the form that suits `target`; `None` where it takes fewer bytes
    /// dense, or is not as the network has it, which [`Session::load`] says.
    fn pack(&self, parameter: &Parameter, target: Target) -> Result<Option<PackedMatrix>> {
        let found = self.weights.iter().find(|w| w.name == parameter.name);
        let Some(TensorData::F32(values)) = found.map(|w| &w.data) else { return Ok(None) };
        let of = parameter.units();
        if of.len() != values.len() as u64 {
            return Ok(None);
        }
        // Values of a file of halves are halves here.
        let kind = PackedValues::exact(values);
        let pack = |&form: &PackedForm| {
            let packed = PackedMatrix::pack(form, of, values, kind, target);
            packed.map_err(|e| Error::file(&self.path, format!("{}: {e}", parameter.name)))
        };
        // A software adapter pays for each weight that it looks at, a GPU for bytes.
        let forms: &[PackedForm] =
            if target.software { &[PackedForm::Gaps] } else { &PackedForm::ALL };
        let all = forms.iter().map(pack).collect::<Result<Vec<_>>>()?;
        let fewest = all.into_iter().min_by_key(PackedMatrix::bytes);
        Ok(fewest.filter(|matrix| matrix.bytes() < 4 * of.len()))
    }
}

impl Session {
    /// A session of `network` that evaluates and predicts, with these weights packed on the device,
    /// by their names. All others are to be given values, by [`set_weights`](Self::set_weights) or
    /// [`load`](Self::load).
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have, [`Error::Shape`] for a matrix
    /// of another shape than its weight, and for one that not only fully connected layers read.
    pub fn packed(gpu: &Gpu, network: &Network, packed: &[(String, PackedMatrix)]) -> Result<Self> {
        let known = network.graph.parameters();
        if let Some((name, _)) = packed.iter().find(|(n, _)| known.iter().all(|p| p.name != *n)) {
            return Err(Error::argument(name, "no such parameter, and it is to be packed"));
        }
        let mut plans = Plans::forward(network, packed, gpu.target())?;
        plans.count_staging(false);
        let training = Training::from(Optimizer::sgd(1.0));
        let mut session = Self::build(gpu, network, training, plans, 0)?;
        for (name, matrix) in packed {
            let place = session.variable(name)?.weight.stored.packed();
            if let Some(place) = place {
                place.upload(gpu, &session.program, matrix);
            }
        }
        let given = |name: &String| packed.iter().any(|(other, _)| other == name);
        session.uninitialised.retain(|name| !given(name));
        Ok(session)
    }

    /// The weights that are packed on the device, with what they are packed as.
    pub fn packed_weights(&self) -> Vec<(&str, PackedForm)> {
        let of = |v: &Variable| v.weight.stored.packed().map(|matrix| matrix.form());
        self.variables.iter().filter_map(|v| Some((v.weight.name.as_str(), of(v)?))).collect()
    }
}
