//! A checkpoint of about 1 MB whose every byte follows from its step.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secateur::Result;
use secateur::checkpoint::{self, Manifest, Retention};
use secateur::storage::{Tensor, TensorData};

/// Words in each of the two files.
pub const WORDS: usize = 1 << 17;
/// Checkpoints that stay.
pub const KEPT: usize = 3;

/// Model and optimizer of `step`, of `words` words each.
pub fn tensors(step: u64, words: usize) -> [Vec<Tensor>; 2] {
    let word = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(step as u32);
    let floats = (0..words).map(|i| (word(i) >> 8) as f32).collect();
    let masks = (0..words).map(word).collect();
    let tensor = |name: &str, data| [Tensor { name: name.into(), shape: vec![words], data }].into();
    [
        tensor("fc1.weight", TensorData::F32(floats)),
        tensor("fc1.weight/mask", TensorData::U32(masks)),
    ]
}

/// Saves `step` into `logdir`.
pub fn save(logdir: &Path, step: u64, keep: usize) -> Result<PathBuf> {
    let [model, optimizer] = tensors(step, WORDS);
    let manifest = Manifest::default().global_step(step);
    checkpoint::save(logdir, manifest, &model, &optimizer, Retention::newest(keep))
}

/// The step of the newest checkpoint, 0 where there is none; it must hold what [`save`] wrote, and
/// no newer one may be damaged.
pub fn newest(logdir: &Path) -> u64 {
    let Some(found) = checkpoint::newest(logdir).unwrap() else { return 0 };
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    let step = found.manifest.global_step;
    let [model, optimizer] = tensors(step, WORDS);
    assert!(found.model == model && found.optimizer == optimizer, "{}", found.path.display());
    step
}

/// Names in `folder` that are no checkpoint and no lock: what a save must not leave behind.
pub fn leftovers(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.retain(|name| !name.starts_with("ckpt-") && name != "LOCK");
    names
}
