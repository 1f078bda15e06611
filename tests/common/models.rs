//! Copies of the golden models' folders, with other settings or tensors.
#![allow(dead_code, reason = "no test program needs all of them")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

use crate::paths::project;

/// The folder of a golden model.
pub fn model(name: &str) -> PathBuf {
    project().join("tests/goldens/models").join(name)
}

/// A tensor of a file.
pub struct Held {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Held {
    pub fn floats(shape: &[usize], values: &[f32]) -> Self {
        let bytes = bytemuck::cast_slice(values).to_vec();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    pub fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        bytemuck::pod_collect_to_vec(&self.bytes)
    }
}

/// A model's folder on its way to another one.
pub struct Copied {
    folder: TempDir,
    pub config: Value,
    pub tensors: BTreeMap<String, Held>,
}

impl Copied {
    pub fn of(name: &str) -> Self {
        let (from, folder) = (model(name), tempfile::tempdir().unwrap());
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let config = std::fs::read(from.join("config.json")).unwrap();
        let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter();
        let tensors = tensors.map(|(name, view)| {
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            (name, Held { dtype, shape, bytes: view.data().to_vec() })
        });
        let tensors = tensors.collect();
        Self { folder, config: serde_json::from_slice(&config).unwrap(), tensors }
    }

    /// With other names: what `name` makes of each.
    pub fn renamed(mut self, name: impl Fn(&str) -> String) -> Self {
        self.tensors = self.tensors.into_iter().map(|(old, held)| (name(&old), held)).collect();
        self
    }

    /// With a setting.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.config[name] = value.into();
        self
    }

    /// With a further tensor, or another one of the same name.
    pub fn put(mut self, name: &str, held: Held) -> Self {
        self.tensors.insert(name.to_owned(), held);
        self
    }

    /// Writes settings and tensors.
    pub fn write(&self) -> &Path {
        let path = self.folder.path();
        std::fs::write(path.join("config.json"), self.config.to_string()).unwrap();
        let view = |held: &'_ Held| held.shape.clone();
        let views: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, held)| {
                (name, TensorView::new(held.dtype, view(held), &held.bytes).unwrap())
            })
            .collect();
        let bytes = safetensors::serialize(views, None).unwrap();
        std::fs::write(path.join("model.safetensors"), bytes).unwrap();
        path
    }
}
