//! Models that others have trained, in the field's folders.
mod calibration;
mod classify;
mod eval;
mod generate;
mod images;
mod predict;
mod prune;
mod remove;
mod run;
mod texts;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secateur::data::{OpenOptions, TokenWindows, Tokenizer};
use secateur::pretrained::{Input, Pretrained, Window};

use super::data::Data;

pub use eval::{figures, run as eval};
pub use generate::run as generate;
pub use predict::run as predict;
pub use prune::run as prune;
pub use remove::run as remove;
pub use run::{Opened, Run, check_no_run, is_run, open};

/// Whether `path` is such a folder.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir() && path.join("config.json").is_file()
}

/// Most tokens of a window where nobody says how many.
const LENGTH: usize = 2048;

/// The windows of the text that `data` names, by the model's own tokenizer: `samples` of them, each
/// `stride` tokens behind the one before.
fn windows(
    model: &Pretrained,
    data: &Data,
    samples: Option<usize>,
    stride: Option<usize>,
) -> Result<(String, Vec<Window>)> {
    let other = data.options.all().iter().find(|(name, _)| *name != "length");
    if let Some((name, _)) = other {
        bail!("--{}: a text of tokens takes --length only", name.replace('_', "-"));
    }
    let mut options = OpenOptions::default();
    data.options.change(&mut options)?;
    let Some(name) = &data.data else { bail!("--data is missing: a text, like text:FILE") };
    let Some(file) = name.strip_prefix("text:") else {
        bail!("--data {name}: a language model takes text:FILE")
    };
    let Input::Tokens { vocabulary, positions, .. } = model.architecture().input() else {
        bail!("{} takes no text", model.path().display())
    };
    let tokenizer = Tokenizer::open(model.path())?;
    tokenizer.check(vocabulary as usize)?;
    let length = match options.length {
        Some(length) if length > positions as usize => {
            bail!("--length {length}: the model knows {positions} positions")
        }
        Some(length) => length,
        None => LENGTH.min(positions as usize),
    };
    // No more of a long text than is asked for.
    let whole = |samples: usize| stride.is_none().then(|| samples.saturating_mul(length));
    let ids = match samples.and_then(whole) {
        Some(count) => tokenizer.encode_start(file, count)?,
        None => tokenizer.encode_file(file)?,
    };
    let cut = || {
        let windows = TokenWindows::new(ids, length)?.stride(stride.unwrap_or(length))?;
        Window::of(&windows.samples(samples.unwrap_or(usize::MAX))?)
    };
    let windows = cut().with_context(|| format!("{name} by {}", model.path().display()))?;
    Ok((name.clone(), windows))
}

/// Most bytes that rows take on the host while they go from block to block.
const HOST_BYTES: u64 = 256 << 20;

/// How many rows of `length` tokens, or images, go through the model together, and how many of them
/// are on the device at once: `asked`, or 16.
fn chunk(model: &Pretrained, length: u32, asked: Option<usize>) -> Result<(usize, u32)> {
    let batch = asked.unwrap_or(16);
    ensure!((1..=4096).contains(&batch), "--batch {batch}: 1 to 4096 rows go at once");
    let rows = HOST_BYTES / model.stream_bytes(1, length)?.max(1);
    Ok(((rows as usize).clamp(1, 4096).max(batch), batch as u32))
}

/// A bar over the cuts of a model, on a terminal.
pub fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = format!("[{{bar:30}}] {what} {{pos}}/{{len}} {{elapsed}}, {{eta}} left");
    bar.set_style(ProgressStyle::with_template(&template).expect("a valid template"));
    bar
}
