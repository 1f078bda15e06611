//! Networks of ours: their layers say what a pruning may mask.
use std::collections::HashMap;

use super::layout::{OUT_IN, in_out};
use super::{Role, Taken};
use crate::data::{Schema, Task};
use crate::graph::{Layout, Parameter};
use crate::nn::{Input, Model};
use crate::storage::TensorInfo;

/// The network that a file of ours says it is.
#[derive(Debug, Clone)]
pub struct OwnModel {
    name: String,
    /// By name; none for a network that was made by hand.
    parameters: HashMap<String, Parameter>,
}

impl OwnModel {
    /// The network `name` for rows as `schema` has them. `None` where the name is no model and
    /// there is no schema: then the file is somebody else's.
    pub fn of(name: &str, schema: Option<&Schema>) -> Option<Self> {
        let model: Option<Model> = name.parse().ok();
        if model.is_none() && schema.is_none() {
            return None;
        }
        let said = schema.map(Input::from).into_iter();
        let inputs: Vec<Input> = said.chain(likely_inputs()).collect();
        // A batch of one row: no shape of a weight depends on how many there are.
        let networks = inputs.iter().filter_map(|input| model.as_ref()?.network(1, input).ok());
        let parameters = networks.map(|network| network.graph.parameters().to_vec()).next();
        let by_name = |p: Parameter| (p.name.clone(), p);
        let parameters = parameters.unwrap_or_default().into_iter().map(by_name).collect();
        Some(Self { name: name.to_owned(), parameters })
    }

    /// What `tensor` is taken for.
    pub(super) fn role(&self, tensor: &TensorInfo) -> Taken {
        let rank = tensor.shape.len();
        if let Some(parameter) = self.parameters.get(&tensor.name) {
            return self.of_parameter(parameter, tensor);
        }
        if rank < 2 {
            return Taken::new(Role::Vector, 0, "one axis: a bias, a norm or a scale");
        }
        let name = short(&self.name);
        if self.parameters.is_empty() && tensor.name.ends_with(".weight") {
            let reason = format!("[..., in, out] by its name: {name} was made by hand");
            let taken = Taken::new(Role::Weight, in_out(tensor), reason);
            return Taken { certain: false, ..taken };
        }
        let taken = Taken::new(Role::Unknown, OUT_IN, format!("{name} has no such parameter"));
        Taken { certain: false, ..taken }
    }

    fn of_parameter(&self, parameter: &Parameter, tensor: &TensorInfo) -> Taken {
        let axis = match parameter.layout {
            Layout::InOut => in_out(tensor),
            Layout::OutIn => OUT_IN,
        };
        let name = short(&self.name);
        match (parameter.masked, parameter.trainable) {
            (true, _) => {
                let reason = format!("{name} masks it in training, [..., in, out]");
                Taken::new(Role::Weight, axis, reason)
            }
            (false, false) => {
                let reason = format!("running statistics of {name}, which no gradient moves");
                Taken::new(Role::Statistic, axis, reason)
            }
            (false, true) if tensor.shape.len() < 2 => {
                Taken::new(Role::Vector, 0, "one axis: a bias, a norm or a scale")
            }
            (false, true) => {
                Taken::new(Role::Dense, axis, format!("{name} leaves it dense in training"))
            }
        }
    }
}

/// A model of one's own layers is named by all of them: too long for a table.
fn short(name: &str) -> &str {
    if name.starts_with("layers:") { "its model" } else { name }
}

/// Rows of files that do not say theirs: which weights have masks does not depend on extents, but
/// layers fit only rows, images or texts.
fn likely_inputs() -> Vec<Input> {
    let of = |shape: &[usize], positions| Input {
        shape: shape.to_vec(),
        task: Task::Classification { classes: 10, positions },
    };
    vec![of(&[784], 1), of(&[28, 28], 1), of(&[32, 32, 3], 1), of(&[64], 64)]
}
