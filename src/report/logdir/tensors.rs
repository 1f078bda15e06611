//! Weights, masks and sizes of a checkpoint, read a tensor at a time.
use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, MODEL_FILE, Manifest, OPTIMIZER_FILE};
use crate::graph::MASK;
use crate::prune::small_mask_picture;
use crate::storage::{Dtype, Format, Header, PackOptions, PackedTensor, Values, packed_sizes};
use crate::{Error, Result};

/// Longest side of a picture of a mask, in pixels.
const PICTURE: usize = 256;
/// Weights of more bytes are looked at in one format only: each is a pass over all of them.
const LARGE: u64 = 256 << 20;
/// Most pictures of a page: they are most of its bytes.
const PICTURES: usize = 48;

/// What a checkpoint holds.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Tensors {
    /// The checkpoint's folder.
    pub(in crate::report) folder: PathBuf,
    pub(in crate::report) manifest: Manifest,
    /// Weights that have masks; of a dense network all matrices.
    pub(in crate::report) layers: Vec<Layer>,
    /// Whether they are pruned.
    pub(in crate::report) masked: bool,
    /// Names of what the weights may be written as, with its bytes; the first is dense.
    pub(in crate::report) sizes: Vec<(&'static str, u64)>,
    /// Bytes of all files of the checkpoint.
    pub(in crate::report) files: Vec<(String, u64)>,
}

/// A weight.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Layer {
    pub(in crate::report) name: String,
    pub(in crate::report) shape: Vec<usize>,
    pub(in crate::report) total: u64,
    pub(in crate::report) nonzero: u64,
    /// Bytes dense, and in the packing that takes the fewest.
    pub(in crate::report) bytes: [u64; 2],
    /// PNG of the mask.
    pub(in crate::report) picture: Option<Vec<u8>>,
}

impl Layer {
    pub(in crate::report) fn sparsity(&self) -> f64 {
        1.0 - self.nonzero as f64 / self.total.max(1) as f64
    }
}

impl Tensors {
    /// Of the newest checkpoint of `logdir`, if there is one that can be read.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Io`] name the file.
    pub(in crate::report) fn newest(logdir: &Path) -> Result<Option<Self>> {
        let Some((folder, manifest)) = checkpoint::newest_folder(logdir)? else { return Ok(None) };
        let model = Header::open(&folder.join(MODEL_FILE))?;
        let state = Header::open(&folder.join(OPTIMIZER_FILE))?;
        let is_large = model.tensors.iter().map(|t| t.bytes).sum::<u64>() > LARGE;
        let sized = |format| packed_sizes(&model, &PackOptions::new(format));
        let (dense, bitmask) = (sized(Format::Dense)?, sized(Format::Bitmask)?);
        let mut sizes = vec![("dense", bytes_of(&dense)), ("bitmask", bytes_of(&bitmask))];
        let mut packed: Vec<u64> = bitmask.iter().map(|t| t.bytes).collect();
        if !is_large {
            let sparse = sized(Format::Sparse)?;
            sizes.push(("sparse", bytes_of(&sparse)));
            packed.iter_mut().zip(&sparse).for_each(|(least, t)| *least = t.bytes.min(*least));
            let halves = PackOptions::new(Format::Bitmask).values(Some(Values::F16));
            // Values that 16 bits do not hold have no such file.
            if let Ok(half) = packed_sizes(&model, &halves) {
                sizes.push(("bitmask, f16 values", bytes_of(&half)));
            }
        }
        let mut this = Self { files: files(&folder)?, folder, manifest, sizes, ..Self::default() };
        let mask_of = |name: &str| {
            let name = format!("{name}/{MASK}");
            state.tensors.iter().find(move |t| t.name == name && t.dtype == Dtype::U32)
        };
        this.masked = dense.iter().any(|t| mask_of(&t.name).is_some());
        for (at, tensor) in dense.iter().enumerate() {
            let mask = mask_of(&tensor.name);
            if this.masked && mask.is_none() || !this.masked && tensor.shape.len() < 2 {
                continue;
            }
            let mut layer = Layer {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                total: tensor.shape.iter().map(|&d| d as u64).product(),
                nonzero: tensor.nonzero,
                bytes: [tensor.bytes, packed[at]],
                picture: None,
            };
            if let Some(mask) = mask.filter(|_| this.layers.len() < PICTURES) {
                let mut bytes = vec![0; mask.bytes as usize];
                state.read(mask.offset, &mut bytes)?;
                let (words, _) = bytes.as_chunks();
                let words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
                let shape: Vec<u32> = layer.shape.iter().map(|&d| d as u32).collect();
                layer.picture = small_mask_picture(&words, &shape, PICTURE).ok();
            }
            this.layers.push(layer);
        }
        Ok(Some(this))
    }

    /// Weights that are not zero, and all of them.
    pub(in crate::report) fn counts(&self) -> [u64; 2] {
        let sum = |of: fn(&Layer) -> u64| self.layers.iter().map(of).sum();
        [sum(|l| l.nonzero), sum(|l| l.total)]
    }

    pub(in crate::report) fn sparsity(&self) -> f64 {
        let [nonzero, total] = self.counts();
        1.0 - nonzero as f64 / total.max(1) as f64
    }

    /// Bytes of the weights, dense and as the smallest of the exact formats.
    pub(in crate::report) fn dense_and_packed(&self) -> [u64; 2] {
        let exact = self.sizes.iter().filter(|(name, _)| !name.contains("f16"));
        let dense = self.sizes.first().map_or(0, |size| size.1);
        [dense, exact.map(|size| size.1).min().unwrap_or(dense)]
    }
}

fn bytes_of(tensors: &[PackedTensor]) -> u64 {
    tensors.iter().map(|t| t.bytes).sum()
}

fn files(folder: &Path) -> Result<Vec<(String, u64)>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|e| Some((e.file_name().to_string_lossy().into_owned(), e.metadata().ok()?)))
        .map(|(name, metadata)| (name, metadata.len()))
        .collect();
    files.sort();
    Ok(files)
}
