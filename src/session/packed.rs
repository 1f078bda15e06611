//! Sessions that read weights as files have them packed: they evaluate and predict.
use serde::Serialize;

use super::plans::Plans;
use super::variable::Variable;
use super::{FastestWeight, ModelFile, Session};
use crate::gpu::{Gpu, Target};
use crate::graph::{PackedUse, Parameter};
use crate::kernels::{PackedForm, PackedMatrix, PackedValues, Units};
use crate::nn::{Input, Network};
use crate::optim::{Optimizer, Training};
use crate::prune::MaskUpdateOp;
use crate::storage::TensorData;
use crate::{Error, Result};

/// Which weights that a file has packed are packed on the device, too: of those that only products
/// read which can do without zeros ([`Graph::packs`](crate::graph::Graph::packs)). All others are
/// made dense.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PackedWeights {
    /// Those that the file says were the faster packed, with as many rows; where it does not say,
    /// those that it has packed and that should be faster so
    /// ([`PackedMatrix::pays`](crate::kernels::PackedMatrix::pays)).
    #[default]
    Auto,
    /// All that the file has packed, or says were the faster so.
    Always,
    /// None.
    Never,
}

impl PackedWeights {
    /// Whether a weight that is multiplied with so many rows is packed on the device, and in which
    /// form where there is a `hint`. `is_packed` says that its file has it packed.
    pub(crate) fn form_of(
        self,
        hint: Option<&FastestWeight>,
        is_packed: bool,
        rows: u32,
    ) -> Option<Option<PackedForm>> {
        let hinted = hint.and_then(|hint| hint.form);
        match self {
            Self::Never => None,
            Self::Always => (is_packed || hinted.is_some()).then_some(hinted),
            Self::Auto => match hint {
                Some(hint) => (rows <= hint.rows).then_some(hinted).filter(Option::is_some),
                None => is_packed.then_some(None),
            },
        }
    }
}

/// Rows of a product for which a packed matrix is taken unasked.
const FEW: u32 = 8;

impl ModelFile {
    /// As [`session_for`](Self::session_for) without masks, with the weights on the device that
    /// `weights` says packed. Such a session evaluates and predicts; a step of training is an
    /// error.
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
            let Ok(used) = network.graph.packs(parameter.tensor) else { continue };
            let rows = used.rows;
            let Some(form) = self.form_of(&parameter.name, rows, weights) else { continue };
            let many = rows > FEW && weights == PackedWeights::Auto;
            let Some(matrix) = self.pack(parameter, (form, many), gpu.target())? else { continue };
            // Unasked only what is smaller, and should be faster, too.
            let smaller = matrix.bytes() < 4 * parameter.units().len();
            let suits = smaller && suits(&matrix, &used, gpu.target());
            if suits || form.is_some() || weights == PackedWeights::Always {
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

    /// The weights that the file has packed and that no product on the device reads so, with what
    /// reads them: such are made dense, whatever one asks.
    ///
    /// # Errors
    /// As [`session_for`](Self::session_for), of the network.
    pub fn unpackable(&self, batch: usize, input: &Input) -> Result<Vec<(String, String)>> {
        let network = self.model()?.network(batch, input)?;
        let is_packed = |p: &&Parameter| self.packed.contains(&p.name);
        let packed = network.graph.parameters().iter().filter(is_packed);
        let why = |p: &Parameter| Some((p.name.clone(), network.graph.packs(p.tensor).err()?));
        Ok(packed.filter_map(why).collect())
    }

    /// Whether the weight `name`, which is multiplied with so many rows, is packed on the device,
    /// and in which form where the file has a hint.
    fn form_of(&self, name: &str, rows: u32, weights: PackedWeights) -> Option<Option<PackedForm>> {
        let hint = self.fastest.as_ref().and_then(|fastest| fastest.weight(name));
        let is_packed = self.packed.iter().any(|packed| packed == name);
        weights.form_of(hint, is_packed, rows)
    }

    /// The weight `parameter` in `form`, or in the one that suits `target` and, if they are, `many`
    /// rows; `None` where it is not as the network has it, which [`Session::load`] says.
    fn pack(
        &self,
        parameter: &Parameter,
        (form, many): (Option<PackedForm>, bool),
        target: Target,
    ) -> Result<Option<PackedMatrix>> {
        let found = self.weights.iter().find(|w| w.name == parameter.name);
        let Some(TensorData::F32(values)) = found.map(|w| &w.data) else { return Ok(None) };
        let of = parameter.units();
        if of.len() != values.len() as u64 {
            return Ok(None);
        }
        let packed = packed((form, many), of, values, target);
        packed.map_err(|e| Error::file(&self.path, format!("{}: {e}", parameter.name)))
    }
}

/// Whether `matrix` should be faster than the dense weight that is `used` so.
fn suits(matrix: &PackedMatrix, used: &PackedUse, target: Target) -> bool {
    let patches = if used.patches { matrix.shape().inputs } else { 0 };
    matrix.pays_for([used.rows, used.inputs], patches, target)
}

/// The weights `values` in `form`, or in the one that suits `target` and, if they are, `many` rows.
///
/// # Errors
/// As [`PackedMatrix::pack`].
pub(crate) fn packed(
    (form, many): (Option<PackedForm>, bool),
    of: Units,
    values: &[f32],
    target: Target,
) -> Result<Option<PackedMatrix>, String> {
    // Values of a file of halves are halves here.
    let kind = PackedValues::exact(values);
    // A software adapter pays for each weight that it looks at, a GPU for bytes.
    let forms: &[PackedForm] = match &form {
        Some(form) => std::slice::from_ref(form),
        None if many => &[PackedForm::Blocks],
        None if target.software => &[PackedForm::Gaps, PackedForm::Blocks],
        None => &PackedForm::ALL,
    };
    let pack = |&form: &PackedForm| PackedMatrix::pack(form, of, values, kind, target);
    let all = forms.iter().map(pack).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().min_by_key(PackedMatrix::bytes))
}

impl Session {
    /// A session of `network` that evaluates and predicts, with these weights packed on the device,
    /// by their names. All others are to be given values, by [`set_weights`](Self::set_weights) or
    /// [`load`](Self::load).
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have, [`Error::Shape`] for a matrix
    /// of another shape than its weight, and for one that something reads which needs all of it.
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
