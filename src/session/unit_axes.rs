//! Where the output units of a file's tensors are.
use std::collections::HashMap;

use super::model_file::{MODEL, SCHEMA};
use crate::Result;
use crate::prune::{OwnModel, Role, Taken, roles};
use crate::storage::{Contents, Header, TensorInfo};

/// The axis of the output units of each tensor of `file` by its name: a network of ours says it of
/// itself, of others the names and shapes do. Of a table that tokens are looked up in it is that of
/// the tokens.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for packed tensors that are damaged.
pub fn unit_axes(file: &Header) -> Result<HashMap<String, usize>> {
    let schema = file.metadata.get(SCHEMA).and_then(|json| serde_json::from_str(json).ok());
    let own = file.metadata.get(MODEL).and_then(|name| OwnModel::of(name, schema.as_ref()));
    let infos: Vec<_> = Contents::of(file)?.tensors.iter().map(|t| t.info(file)).collect();
    let taken = roles(&infos.iter().collect::<Vec<_>>(), own.as_ref());
    let axis = |rank: usize, role: Role, inputs: usize| match (role, rank, inputs) {
        (Role::Embedding | Role::Position | Role::Token, ..) | (_, 0 | 1, _) => 0,
        // `[..., in, out]`
        _ if own.is_some() && inputs + 2 == rank => rank - 1,
        (_, 2, inputs) => usize::from(inputs == 0),
        // `[in, out, ...]` of transposed convolutions, `[experts, out, in]`
        (_, _, 0) | (_, 3, 2) => 1,
        // `[out, in, ...]`
        _ => 0,
    };
    let all = infos.into_iter().zip(taken);
    let named = |(t, taken): (TensorInfo, Taken)| {
        let axis = axis(t.shape.len(), taken.role, taken.axis);
        (t.name, axis)
    };
    Ok(all.map(named).collect())
}
