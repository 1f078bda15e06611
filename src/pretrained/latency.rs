//! How long one batch takes alone.
use std::time::{Duration, Instant};

use super::cut::Cut;
use super::head::Head;
use super::model::{Pretrained, Read};
use super::rows::Rows;
use super::stream::Stream;
use crate::Result;
use crate::gpu::Gpu;

impl Pretrained {
    /// How long `rows` take, all of which are one batch of `batch` rows at most: `times` times, from
    /// what goes into a block on the host to what comes out of it there, added up over the blocks
    /// and the head. The weights of a block are on the device by then, and one batch has gone
    /// through it before. Of a language model the head says the losses of its windows.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs).
    pub fn latencies(
        &self,
        gpu: &Gpu,
        rows: Rows<'_>,
        batch: u32,
        times: usize,
    ) -> Result<Vec<Duration>> {
        let read: Read<'_> = &|name| self.files().read_f32(name);
        let (mut stream, _) = self.embedded_by(gpu, rows, batch, None)?;
        let mut sums = vec![Duration::ZERO; times];
        let mut timed = |stream: &Stream, run: &mut dyn FnMut(&mut Stream) -> Result<()>| {
            run(&mut stream.copied()?)?;
            for sum in &mut sums {
                let mut copy = stream.copied()?;
                let begun = Instant::now();
                run(&mut copy)?;
                *sum += begun.elapsed();
            }
            Ok::<_, crate::Error>(())
        };
        for cut in self.cuts().into_iter().skip(1) {
            let shape = stream.shape().to_vec();
            if let (Cut::Head, Rows::Tokens(windows)) = (cut, rows) {
                let head = Head::new(gpu, self, shape[1], read)?;
                timed(&stream, &mut |stream| head.losses(stream, windows).map(drop))?;
                continue;
            }
            let stage = self.stage(gpu, cut, (batch, &shape), read)?;
            timed(&stream, &mut |stream| stage.advance(stream))?;
            stage.advance(&mut stream)?;
        }
        Ok(sums)
    }
}
