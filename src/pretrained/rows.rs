//! What goes into a model, and what comes out of it.
use std::path::Path;

use super::architectures::{Answer, Input};
use super::cut::Cut;
use super::head::Head;
use super::model::{Pretrained, Read};
use super::stage::StagePlan;
use super::stream::Stream;
use super::window::{PaddedText, Window};
use crate::gpu::{Gpu, Memory, Target};
use crate::{Error, Result};

/// Rows for a model.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Rows<'a> {
    /// Windows of a text, all of one length.
    Tokens(&'a [Window]),
    /// Texts with padding, all of one length.
    Padded(&'a [PaddedText]),
    /// Images `[height, width, channels]`, one after the other.
    Images(&'a [f32]),
}

/// What comes out of a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outputs {
    /// Of each row its logits or its hidden states.
    pub rows: Vec<Vec<f32>>,
    /// Most bytes that were taken on the device at once.
    pub device_bytes: u64,
}

impl Pretrained {
    /// What the model makes of `rows`: of each its logits, `[length, vocabulary]` or `[classes]`,
    /// or the last hidden states `[length, width]` of a model without a head. For language models
    /// and their losses see [`perplexity`](Self::perplexity), which needs less memory.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows that the model does not take; of the device and the files.
    pub fn outputs(&self, gpu: &Gpu, rows: Rows<'_>) -> Result<Vec<Vec<f32>>> {
        self.outputs_by(gpu, rows, 1).map(|outputs| outputs.rows)
    }

    /// The same, with `batch` rows on the device at once.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs).
    pub fn outputs_by(&self, gpu: &Gpu, rows: Rows<'_>, batch: u32) -> Result<Outputs> {
        let read: Read<'_> = &|name| self.files().read_f32(name);
        let (mut stream, mut device_bytes) = self.embedded_by(gpu, rows, batch, None)?;
        for cut in self.cuts().into_iter().skip(1) {
            let shape = stream.shape().to_vec();
            let stage = self.stage(gpu, cut, (batch, &shape), read)?;
            device_bytes = device_bytes.max(stage.memory().peak());
            stage.advance(&mut stream)?;
        }
        let rows = (0..stream.rows()).map(|row| Ok(stream.row(row)?.into_owned()));
        let rows = rows.collect::<Result<_>>()?;
        Ok(Outputs { rows, device_bytes })
    }

    /// What goes into the first block for `rows`. Of the table of tokens only their rows are read.
    pub(crate) fn embedded(&self, gpu: &Gpu, rows: Rows<'_>) -> Result<Stream> {
        self.embedded_by(gpu, rows, 1, None).map(|(stream, _)| stream)
    }

    /// The same by `batch` rows at once, and the bytes that this took on the device. They are kept in
    /// a file in `folder`, if there is one.
    pub(crate) fn embedded_by(
        &self,
        gpu: &Gpu,
        rows: Rows<'_>,
        batch: u32,
        folder: Option<&Path>,
    ) -> Result<(Stream, u64)> {
        let (mut stream, mut bytes) = (self.entering(rows, folder)?, 0);
        let shape = stream.shape().to_vec();
        // Where the first block takes the tokens as the table has them there is nothing to do.
        if !self.cut(Cut::Embed, 1, &shape)?.sources.is_empty() {
            let read: Read<'_> = &|name| self.files().read_f32(name);
            let stage = self.stage(gpu, Cut::Embed, (batch, &shape), read)?;
            bytes = stage.memory().peak();
            stage.advance(&mut stream)?;
        }
        if self.is_padded() {
            stream.halve_beside();
        }
        Ok((stream, bytes))
    }

    /// Bytes of host memory that `rows` rows of `length` tokens, or images, take between two
    /// blocks, where they take the most.
    ///
    /// # Errors
    /// Of the graph.
    pub fn stream_bytes(&self, rows: usize, length: u32) -> Result<u64> {
        let elements = |shape: &Vec<u32>| shape.iter().map(|&d| u64::from(d)).product::<u64>();
        let most = self.shapes(length)?.iter().map(elements).max();
        Ok(4 * rows as u64 * most.unwrap_or(0))
    }

    /// Extents of a row where it enters, and behind what is before the first block and each block;
    /// of texts of `length` tokens.
    pub(crate) fn shapes(&self, length: u32) -> Result<Vec<Vec<u32>>> {
        let blocks = self.architecture().blocks() as usize;
        let (side, channels) = match self.architecture().input() {
            Input::Tokens { width, .. } => return Ok(vec![vec![length, width]; blocks + 2]),
            Input::Images { side, channels } => (side, channels),
        };
        let mut shapes = vec![vec![side, side, channels]];
        for cut in self.cuts().into_iter().filter(|cut| *cut != Cut::Head) {
            let of = self.cut(cut, 1, &shapes[shapes.len() - 1])?;
            shapes.push(of.graph.shape(of.output).dims()[1..].to_vec());
        }
        Ok(shapes)
    }

    /// `rows` as the model's first layer takes them.
    fn entering(&self, rows: Rows<'_>, folder: Option<&Path>) -> Result<Stream> {
        let ids: Vec<&[u32]> = match (rows, self.architecture().input()) {
            (Rows::Tokens(windows), Input::Tokens { types: None, .. }) => {
                windows.iter().map(|w| &*w.ids).collect()
            }
            (Rows::Padded(texts), Input::Tokens { types: Some(_), .. }) => {
                texts.iter().map(|t| &*t.ids).collect()
            }
            (Rows::Images(pixels), Input::Images { side, channels }) => {
                return images(pixels, [side, channels], folder);
            }
            (_, input) => {
                let message = format!("the model takes {}", input.name());
                return Err(Error::argument("rows", message));
            }
        };
        let (length, width) = self.check_tokens(&ids)?;
        let mut stream = Stream::new(ids.len(), &[length, width], folder)?;
        for (row, ids) in ids.iter().enumerate() {
            stream.write(row, &self.token_rows(ids)?)?;
        }
        let (Rows::Padded(texts), Input::Tokens { types: Some(kinds), .. }) =
            (rows, self.architecture().input())
        else {
            return Ok(stream);
        };
        for (i, text) in texts.iter().enumerate() {
            let (seen, types) = (text.seen.len(), text.types.len());
            if [seen, types] != [length as usize; 2] {
                let message = format!("row {i}: {length} tokens, {seen} seen, {types} types");
                return Err(Error::argument("rows", message));
            }
            if let Some(kind) = text.types.iter().find(|&&kind| kind >= kinds) {
                let message = format!("type {kind} in row {i}, the model knows {kinds} types");
                return Err(Error::argument("rows", message));
            }
        }
        let beside = |t: &PaddedText| {
            let seen = t.seen.iter().map(|&seen| f32::from(u8::from(seen)));
            seen.chain(t.types.iter().map(|&kind| kind as f32)).collect::<Vec<_>>()
        };
        Ok(stream.with_beside(texts.iter().flat_map(beside).collect()))
    }

    /// The rows of the tokens' table for `ids`, one after the other, from the file.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for a value that is not finite.
    pub(crate) fn token_rows(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let table = self.architecture().table().unwrap_or_default();
        let values = self.files().read_rows(&table, ids.iter().copied())?;
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let width = match self.architecture().input() {
                Input::Tokens { width, .. } => width as usize,
                Input::Images { .. } => 1,
            };
            let (token, value) = (ids[at / width.max(1)], values[at]);
            let message = format!("{table} has {value} for token {token}");
            return Err(Error::file(self.path(), message));
        }
        Ok(values)
    }

    /// Tokens of a row, and channels of a token.
    fn check_tokens(&self, rows: &[&[u32]]) -> Result<(u32, u32)> {
        let wrong = |message: String| Err(Error::argument("rows", message));
        let Input::Tokens { vocabulary, positions, width, .. } = self.architecture().input() else {
            return wrong("the model takes no tokens".to_owned());
        };
        let Some(first) = rows.first() else { return wrong("there are none".to_owned()) };
        let length = first.len();
        if !(1..=positions as usize).contains(&length) {
            return wrong(format!("{length} tokens each, the model knows {positions} positions"));
        }
        for (i, ids) in rows.iter().enumerate() {
            let tokens = ids.len();
            if tokens != length {
                return wrong(format!("row {i} has {tokens} tokens, the first has {length}"));
            }
            if let Some(id) = ids.iter().find(|&&id| id >= vocabulary) {
                return wrong(format!(
                    "token {id} in row {i}, the model's table has {vocabulary}; take the \
                     tokenizer of this model"
                ));
            }
        }
        Ok((length as u32, width))
    }

    /// What the ends of the model take on the device for rows of `shape` that go from block to
    /// block: what is before the blocks, and the losses behind them.
    pub(crate) fn ends_memory(&self, shape: &[u32], target: Target) -> Result<Vec<Memory>> {
        let mut all = Vec::new();
        let embed = self.cut(Cut::Embed, 1, shape)?;
        if !embed.sources.is_empty() {
            all.push(StagePlan::new(embed, target)?.memory());
        }
        if let (Answer::NextToken, &[_, width]) = (self.architecture().answer(), shape) {
            all.push(Head::memory(self, width, target)?);
        }
        Ok(all)
    }

    /// The windows of a text that `rows` are, whose losses are taken in the end; none of other rows.
    ///
    /// # Errors
    /// As [`check_windows`](Self::check_windows).
    pub(crate) fn windows_of<'a>(&self, rows: Rows<'a>) -> Result<Option<&'a [Window]>> {
        match rows {
            Rows::Tokens(windows) => self.check_windows(windows).map(|()| Some(windows)),
            Rows::Padded(_) | Rows::Images(_) => Ok(None),
        }
    }

    /// That the model says which token follows each, and that some of `windows` count.
    pub(crate) fn check_windows(&self, windows: &[Window]) -> Result<()> {
        if self.architecture().answer() != Answer::NextToken {
            let message = format!("{} is no language model", self.path().display());
            return Err(Error::argument("model", message));
        }
        for (i, window) in windows.iter().enumerate() {
            if window.predictions() == 0 {
                let (tokens, scored) = (window.ids.len(), window.scored);
                let message =
                    format!("window {i} has {tokens} tokens, none from {scored} on to count");
                return Err(Error::argument("windows", message));
            }
        }
        Ok(())
    }
}

fn images(pixels: &[f32], [side, channels]: [u32; 2], folder: Option<&Path>) -> Result<Stream> {
    let width = (side * side * channels) as usize;
    if pixels.is_empty() || !pixels.len().is_multiple_of(width) {
        let message =
            format!("{} values are no whole images of {side} x {side} x {channels}", pixels.len());
        return Err(Error::argument("rows", message));
    }
    let mut stream = Stream::new(pixels.len() / width, &[side, side, channels], folder)?;
    pixels.chunks(width).enumerate().try_for_each(|(i, image)| stream.write(i, image))?;
    Ok(stream)
}
