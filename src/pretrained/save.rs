//! A model with the weights of a training in it, in memory or as a folder.
use std::collections::HashMap;
use std::path::Path;

use super::layers::Arranged;
use super::model::Pretrained;
use crate::Result;
use crate::storage::{Companions, Patch};

impl Pretrained {
    /// The same model with other values, which it reads as [`save`](Self::save) would write them:
    /// rounded to the dtypes of the folder. Nothing is written; they stay in memory.
    ///
    /// # Errors
    /// As [`save`](Self::save), as far as nothing is written.
    pub fn with_values(
        mut self,
        values: &mut dyn FnMut(&str) -> Result<Option<Vec<f32>>>,
    ) -> Result<Self> {
        let mut all = HashMap::new();
        self.as_tensors(values, &mut |name, values| {
            all.insert(name.to_owned(), values.to_vec());
            Ok(())
        })?;
        self.files = self.files.with_values(all)?;
        Ok(self)
    }

    /// Whether [`save`](Self::save) could write to `output`, as far as that can be told before.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for an output that is the input or that is there.
    pub fn check_save(&self, output: &Path, force: bool) -> Result<()> {
        Patch::check(self.files(), output, force)
    }

    /// Writes the folder `output`, whole or not at all: names, shapes, dtypes and what lies beside
    /// the weights are this folder's; values are those that `values` has of a parameter of
    /// [`whole`](Self::whole) by its name, and this folder's where it has none. `job` tells these
    /// values from others, for a write that is interrupted and begun again.
    ///
    /// # Errors
    /// Of `values`; [`Error::File`](crate::Error::File) for a value that is not finite, or too large
    /// for its dtype; of [`Patch`].
    pub fn save(
        &self,
        output: &Path,
        force: bool,
        job: &str,
        values: &mut dyn FnMut(&str) -> Result<Option<Vec<f32>>>,
    ) -> Result<Companions> {
        let mut patch = Patch::begin(self.files(), output, force, job)?;
        self.as_tensors(values, &mut |name, values| patch.put(name, values).map(drop))?;
        patch.finish(None)
    }

    /// Gives `put` what `values` has, as the tensors of the files that it is.
    fn as_tensors(
        &self,
        values: &mut dyn FnMut(&str) -> Result<Option<Vec<f32>>>,
        put: &mut dyn FnMut(&str, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let table = self.architecture().table();
        for source in self.sources()? {
            let Some(found) = values(&source.name)? else { continue };
            let (first, extents) = &source.tensors[0];
            let found = source.arranged.to_file(found, extents);
            if source.arranged == Arranged::Moments {
                let channels = found.len() / source.tensors.len();
                for ((name, _), part) in source.tensors.iter().zip(found.chunks(channels)) {
                    put(name, part)?;
                }
                continue;
            }
            if Some(first) == table.as_ref() {
                for copy in self.copies(first)? {
                    put(&copy, &found)?;
                }
            }
            put(first, &found)?;
        }
        Ok(())
    }

    /// The tensors that no layer reads and that are the same as `name` in the file: heads that share
    /// the table of tokens.
    fn copies(&self, name: &str) -> Result<Vec<String>> {
        let info = self.files().info(name)?;
        let alike = self.files().tensors().filter(|t| {
            t.name != name && t.shape == info.shape && self.architecture().is_idle(&t.name)
        });
        let mut copies = Vec::new();
        for tensor in alike {
            if self.files().read_f32(&tensor.name)? == self.files().read_f32(name)? {
                copies.push(tensor.name.clone());
            }
        }
        Ok(copies)
    }
}
