//! Models whose weights are codes.
use serde_json::Value;

use super::{Role, roles};
use crate::storage::{Folder, TensorInfo};
use crate::{Error, Result};

/// What to do about weights that are stored as codes.
pub(crate) const UNQUANTISED: &str = "zeros among codes prune nothing: take the model in 16 or 32 \
                                      bits that it was made of, prune that and quantise it then";
/// Where configurations say how weights were quantised.
const KEYS: [&str; 2] = ["quantization_config", "compression_config"];

/// That the weights in `folder` are numbers, as is said by their names and dtypes, and by the
/// content of `config.json`.
///
/// # Errors
/// [`Error::File`] names the tensor and its scheme, or what the configuration says.
pub fn refuse_quantised(folder: &Folder, config: &Value) -> Result<()> {
    for key in KEYS {
        let Some(found) = config.get(key).filter(|found| !found.is_null()) else { continue };
        let method = found.get("quant_method").and_then(Value::as_str).unwrap_or("quantised");
        let message = format!("its `{key}` says that the weights are {method}; {UNQUANTISED}");
        return Err(Error::file(folder.path().join("config.json"), message));
    }
    let tensors: Vec<&TensorInfo> = folder.tensors().collect();
    let taken = roles(&tensors, None);
    match tensors.iter().zip(&taken).find(|(_, taken)| taken.role == Role::Quantised) {
        None => Ok(()),
        Some((tensor, taken)) => {
            let (name, dtype, why) = (&tensor.name, &tensor.dtype, &taken.reason);
            let message = format!("{name} ({dtype}) holds {why}; {UNQUANTISED}");
            Err(Error::file(folder.path(), message))
        }
    }
}
