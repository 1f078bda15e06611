//! What is said of a choice before it disappoints: of patterns that cost more than they save, and
//! of formats that would be smaller.
use std::path::Path;

use anyhow::Result;
use secateur::pretrained::{Answer, Pretrained};
use secateur::storage::{Header, PackedTensor, Packing, smallest_bytes};

use super::output;

const TWO_FOUR: &str = "2:4 costs language models much: of Qwen3 the published average over tasks \
                        falls from 54 to 15 % at 2:4, and to 52 % at 6:8; measure what it costs \
                        here by secateur eval, or take 6:8 or an unstructured pattern";

/// Warns of weights in 2:4 where the folder at `path` is a language model's.
pub fn of_two_four(path: &Path, tensors: &[PackedTensor]) {
    let is_one = |t: &PackedTensor| match t.packing {
        Some(Packing::TwoFour) => true,
        Some(Packing::Groups { kept, of, .. }) => (kept, of) == (2, 4),
        _ => false,
    };
    if tensors.iter().any(is_one) {
        warn_of_language(path);
    }
}

/// Warns where the folder at `path` is a language model's.
pub fn warn_of_language(path: &Path) {
    let answers = |model: Pretrained| model.architecture().answer() == Answer::NextToken;
    if path.is_dir() && Pretrained::open(path).is_ok_and(answers) {
        output::note(format_args!("warning: {TWO_FOUR}"));
    }
}

/// Says how much smaller the safetensors file at `path` would be in the smallest format.
pub fn of_formats(path: &Path) -> Result<()> {
    let file = Header::open(path)?;
    let bytes: u64 = file.tensors.iter().map(|tensor| tensor.bytes).sum();
    let smallest = smallest_bytes(&file)?;
    if smallest < bytes {
        let share = output::percent(smallest as f64 / bytes as f64);
        let smallest = output::thousands(smallest);
        output::line(&format!("--format smallest would take {smallest} bytes, {share}"))?;
    }
    Ok(())
}
