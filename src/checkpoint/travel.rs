//! A checkpoint as bytes, for ranks that have no logdir.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, MODEL_FILE, Manifest, OPTIMIZER_FILE};
use crate::storage::{Encoding, tensors_from};
use crate::{Error, Result};

/// What comes before the two files.
#[derive(Serialize, Deserialize)]
struct Head {
    path: PathBuf,
    manifest: Manifest,
    /// Bytes of the file of the model; the rest is the optimizer's.
    model: usize,
}

impl Checkpoint {
    /// All of it but what was skipped, as [`from_bytes`](Self::from_bytes) reads it.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let model = Encoding::new(MODEL_FILE, &self.model, None)?;
        let optimizer = Encoding::new(OPTIMIZER_FILE, &self.optimizer, None)?;
        let (path, manifest) = (self.path.clone(), self.manifest.clone());
        let head = Head { path, manifest, model: model.bytes() as usize };
        let head = serde_json::to_vec(&head).map_err(|e| Error::file(&self.path, e.to_string()))?;
        let room = 8 + head.len() + (model.bytes() + optimizer.bytes()) as usize;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend((head.len() as u64).to_le_bytes());
        bytes.extend(head);
        for file in [model, optimizer] {
            file.write(&mut bytes).map_err(Error::io("send", &self.path))?;
        }
        Ok(bytes)
    }

    /// A checkpoint that another rank has sent.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::file("the chief's checkpoint", "arrived damaged");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
        let (head, files) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let Head { path, manifest, model } = serde_json::from_slice(head).map_err(|_| damaged())?;
        let (model, optimizer) = files.split_at_checked(model).ok_or_else(damaged)?;
        let tensors = |bytes: &[u8], name| tensors_from(bytes.to_vec(), Path::new(name));
        let (model, optimizer) = (tensors(model, MODEL_FILE)?, tensors(optimizer, OPTIMIZER_FILE)?);
        Ok(Self { path, manifest, model, optimizer, skipped: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Tensor, TensorData};

    #[test]
    fn a_checkpoint_travels_whole() {
        let tensor = |name: &str, data| Tensor { name: name.to_owned(), shape: vec![2, 1], data };
        let sent = Checkpoint {
            path: "logs/ckpt-000000000007".into(),
            manifest: Manifest { global_step: 7, model: "mlp:3".to_owned(), ..Manifest::default() },
            model: vec![tensor("fc1.weight", TensorData::F32(vec![1.5, -0.0]))],
            optimizer: vec![tensor("fc1.weight/mask", TensorData::U32(vec![3, u32::MAX]))],
            skipped: Vec::new(),
        };
        let bytes = sent.to_bytes().expect("it has tensors");
        let came = Checkpoint::from_bytes(&bytes).expect("nothing happened to it");
        assert_eq!((came.path, came.manifest), (sent.path, sent.manifest));
        assert_eq!((came.model, came.optimizer), (sent.model, sent.optimizer));
        for end in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
