//! What a pretrained model is pruned by: windows of a text, texts, or pictures.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use secateur::data::Pictures;
use secateur::error::Bytes;
use secateur::gpu::Memory;
use secateur::pretrained::{Answer, Input, PaddedText, Pretrained, Rows, Window};
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use super::images::Images;
use super::texts::{Texts, spread};
use super::windows;
use crate::cli::args::Prune;
use crate::cli::output;

/// The rows, and what they are called.
pub struct Calibration {
    /// As `--data` has it.
    pub data: String,
    rows: Held,
}

enum Held {
    Windows(Vec<Window>),
    Texts(Vec<PaddedText>),
    Images(usize, Vec<f32>),
}

/// How many rows there are, as reports have it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<usize>,
    /// Tokens of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
}

impl Calibration {
    /// The rows that `args` name, for `model`: `--samples` of them, of texts and pictures from
    /// everywhere among those that are there.
    pub fn open(args: &Prune, model: &Pretrained) -> Result<Self> {
        let architecture = model.architecture();
        if let Input::Images { .. } = architecture.input() {
            let images = Images::open(model, &args.data, Pictures::to_train)?;
            let files = &images.pictures.files;
            let chosen = spread(files.len(), args.samples)?.into_iter();
            let chosen: Vec<PathBuf> = chosen.map(|i| files[i].clone()).collect();
            let rows = Held::Images(chosen.len(), images.prepared(&chosen)?);
            return Ok(Self { data: images.name, rows });
        }
        if architecture.answer() == Answer::NextToken {
            let (data, windows) = windows(model, &args.data, Some(args.samples), None)?;
            return Ok(Self { data, rows: Held::Windows(windows) });
        }
        let texts = Texts::open(model, &args.data)?;
        let chosen = spread(texts.rows.len(), args.samples)?;
        let rows = Held::Texts(texts.filled(&chosen));
        Ok(Self { data: texts.name, rows })
    }

    pub fn rows(&self) -> Rows<'_> {
        match &self.rows {
            Held::Windows(windows) => Rows::Tokens(windows),
            Held::Texts(texts) => Rows::Padded(texts),
            Held::Images(_, pixels) => Rows::Images(pixels),
        }
    }

    pub fn len(&self) -> usize {
        match &self.rows {
            Held::Windows(windows) => windows.len(),
            Held::Texts(texts) => texts.len(),
            Held::Images(count, _) => *count,
        }
    }

    /// Tokens of each; 0 of images.
    pub fn length(&self) -> usize {
        match &self.rows {
            Held::Windows(windows) => windows[0].ids.len(),
            Held::Texts(texts) => texts[0].ids.len(),
            Held::Images(..) => 0,
        }
    }

    /// What tells these rows from others.
    pub fn digest(&self) -> u64 {
        let mut hash = Xxh3::new();
        let mut add = |ids: &[u32]| ids.iter().for_each(|id| hash.update(&id.to_le_bytes()));
        match &self.rows {
            Held::Windows(windows) => windows.iter().for_each(|w| add(&w.ids)),
            Held::Texts(texts) => texts.iter().for_each(|text| {
                add(&text.ids);
                add(&text.types);
                add(&text.seen.iter().map(|&seen| u32::from(seen)).collect::<Vec<_>>());
            }),
            Held::Images(_, pixels) => pixels.iter().for_each(|x| add(&[x.to_bits()])),
        }
        hash.digest()
    }

    pub fn counts(&self) -> Counts {
        let (count, length) = (Some(self.len()), Some(self.length()));
        let none = Counts { windows: None, texts: None, images: None, length: None };
        match &self.rows {
            Held::Windows(_) => Counts { windows: count, length, ..none },
            Held::Texts(_) => Counts { texts: count, length, ..none },
            Held::Images(..) => Counts { images: count, ..none },
        }
    }

    /// A few words.
    pub fn told(&self) -> String {
        let (count, length) = (self.len(), self.length());
        match &self.rows {
            Held::Windows(_) => format!("{count} windows of {length} tokens"),
            Held::Texts(_) => format!("{count} texts of at most {length} tokens"),
            Held::Images(..) => format!("{count} images"),
        }
    }

    /// Says what the errors of blocks are of, and what the model that came out makes of the rows.
    pub fn print(&self, perplexity: Option<f64>) -> Result<()> {
        let one = match &self.rows {
            Held::Windows(_) => "window",
            Held::Texts(_) => "text",
            Held::Images(..) => "image",
        };
        output::line(&format!(
            "error: of the block's output on the first {one}, the squared difference over the square"
        ))?;
        let told = self.told();
        output::line(&match perplexity {
            Some(perplexity) => {
                format!("perplexity on the {told} that it was calibrated on: {perplexity:.3}")
            }
            None => format!("calibrated on {told}"),
        })
    }

    /// That what work by these rows takes on the device is within the budget.
    pub fn check_budget(&self, memory: Memory, budget: u64) -> Result<()> {
        let shorter = if self.length() > 0 { "a shorter --length or " } else { "" };
        let [bytes, budget] = [memory.peak(), budget].map(Bytes);
        ensure!(
            bytes.0 <= budget.0,
            "the largest block needs {bytes} on the device, the memory budget is {budget}; take \
             {shorter}a larger --memory-budget"
        );
        Ok(())
    }
}
