//! What a language model makes of a text: block after block, all windows through each.
use super::cut::Cut;
use super::head::Head;
use super::model::{Pretrained, Read};
use super::rows::Rows;
use super::stream::Stream;
use super::window::Window;
use crate::Result;
use crate::gpu::Gpu;

/// How far work on a model has come: cuts done, and cuts in all.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluated {
    /// Of each window the mean loss of the tokens that count.
    pub losses: Vec<f64>,
    /// Tokens that count, of all windows.
    pub predictions: usize,
    /// `exp` of the mean loss of all tokens that count.
    pub perplexity: f64,
    /// Most bytes that were taken on the device at once.
    pub device_bytes: u64,
}

impl Pretrained {
    /// The losses of the tokens of `windows`, each of which goes through the model on its own.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a model that says nothing of tokens, windows
    /// that are too long, of different lengths or shorter than two tokens, or a token that the model
    /// does not have; and of the device and the files.
    pub fn perplexity(
        &self,
        gpu: &Gpu,
        windows: &[Window],
        progress: Progress<'_>,
    ) -> Result<Evaluated> {
        self.check_windows(windows)?;
        let (stream, device_bytes) = self.through_blocks(gpu, windows, progress)?;
        let read: Read<'_> = &|name| self.files().read_f32(name);
        let (evaluated, bytes) = self.scored(gpu, &stream, windows, read)?;
        Ok(Evaluated { device_bytes: device_bytes.max(bytes), ..evaluated })
    }

    /// What comes out of the last block for `windows`, and the bytes of the largest block. A cut
    /// more, the head's, is in what `progress` is told.
    pub(super) fn through_blocks(
        &self,
        gpu: &Gpu,
        windows: &[Window],
        progress: Progress<'_>,
    ) -> Result<(Stream, u64)> {
        let read: Read<'_> = &|name| self.files().read_f32(name);
        let mut stream = self.embedded(gpu, Rows::Tokens(windows))?;
        let (blocks, mut device_bytes) = (self.architecture().blocks(), 0);
        for block in 0..blocks {
            progress(block as usize, blocks as usize + 1);
            let at = (1, &*stream.shape().to_vec());
            let stage = self.stage(gpu, Cut::Block(block), at, read)?;
            device_bytes = device_bytes.max(stage.memory().peak());
            stage.advance(&mut stream)?;
        }
        progress(blocks as usize, blocks as usize + 1);
        Ok((stream, device_bytes))
    }

    /// The losses of `windows` by what came out of the last block, and the bytes of the head.
    pub(crate) fn scored(
        &self,
        gpu: &Gpu,
        stream: &Stream,
        windows: &[Window],
        read: Read<'_>,
    ) -> Result<(Evaluated, u64)> {
        let width = stream.shape()[1];
        let bytes = Head::memory(self, width, gpu.target())?.peak();
        let sums = Head::new(gpu, self, width, read)?.losses(stream, windows)?;
        let predictions = windows.iter().map(Window::predictions).sum();
        let mean = sums.iter().sum::<f64>() / predictions as f64;
        let each = sums.iter().zip(windows).map(|(sum, w)| sum / w.predictions() as f64);
        let losses = each.collect();
        let evaluated =
            Evaluated { losses, predictions, perplexity: mean.exp(), device_bytes: bytes };
        Ok((evaluated, bytes))
    }
}
