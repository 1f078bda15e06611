//! Copies of the same words, step after step: to the host, or aside and back on the device.
use std::sync::mpsc::channel;

use super::program::Submission;
use super::readback::{Mapped, PATIENCE, is_mapped};
use super::{Encoder, Gpu, Program, Slot};
use crate::{Error, Result};

/// Some words of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) slot: Slot,
    pub(crate) first: u32,
    pub(crate) words: u32,
}

impl From<Slot> for Words {
    fn from(slot: Slot) -> Self {
        Self { slot, first: 0, words: slot.words }
    }
}

impl Words {
    fn bytes(&self) -> u64 {
        u64::from(self.words) * 4
    }

    /// Their buffer, and the byte where they begin there.
    fn place<'a>(&self, program: &'a Program) -> (&'a wgpu::Buffer, u64) {
        let (buffer, begin) = program.buffer(self.slot);
        (buffer, begin + u64::from(self.first) * 4)
    }
}

/// Bytes of `of` together.
fn bytes(of: &[Words]) -> u64 {
    of.iter().map(Words::bytes).sum()
}

/// A buffer through which some words of a program reach the host.
#[derive(Debug)]
pub(crate) struct Staging {
    of: Vec<Words>,
    buffer: wgpu::Buffer,
    /// The copy under way.
    pending: Option<(Submission, Mapped)>,
}

impl Staging {
    pub(crate) fn new(gpu: &Gpu, of: Vec<Words>) -> Result<Self> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let buffer = buffer(gpu, bytes(&of), usage)?;
        Ok(Self { of, buffer, pending: None })
    }

    /// Adds a copy to `encoder`; one that nobody has taken is forgotten.
    ///
    /// # Errors
    /// Of the device.
    pub(crate) fn copy(
        &mut self,
        gpu: &Gpu,
        encoder: &mut Encoder,
        program: &Program,
    ) -> Result<()> {
        if self.pending.is_some() {
            self.await_copy(gpu)?;
            self.buffer.unmap();
        }
        let mut at = 0;
        for words in &self.of {
            let (from, first) = words.place(program);
            encoder.commands.copy_buffer_to_buffer(from, first, &self.buffer, at, words.bytes());
            at += words.bytes();
        }
        let (tell, mapped) = channel();
        encoder.commands.map_buffer_on_submit(
            &self.buffer,
            wgpu::MapMode::Read,
            ..,
            move |result| {
                let _ = tell.send(result);
            },
        );
        self.pending = Some((encoder.submission(), mapped));
        Ok(())
    }

    /// Takes what was copied into `values`; waits for it, and for nothing after it.
    ///
    /// # Errors
    /// [`Error::Device`] when nothing was, or it was not submitted.
    pub(crate) fn take(&mut self, gpu: &Gpu, values: &mut Vec<f32>) -> Result<()> {
        self.await_copy(gpu)?;
        let view = self.buffer.get_mapped_range(..bytes(&self.of));
        let view = view.map_err(|e| Error::Device(e.to_string()))?;
        values.clear();
        values.resize(view.len() / 4, 0.0);
        bytemuck::cast_slice_mut(values).copy_from_slice(&view);
        drop(view);
        self.buffer.unmap();
        Ok(())
    }

    fn await_copy(&mut self, gpu: &Gpu) -> Result<()> {
        let (submission, mapped) = self
            .pending
            .take()
            .ok_or_else(|| Error::Device("nothing was copied to be taken".to_owned()))?;
        submission.wait(gpu)?;
        is_mapped(&mapped, PATIENCE).map(|_| ())
    }
}

/// A copy on the device of some words as they were.
#[derive(Debug)]
pub(crate) struct Aside {
    of: Vec<Words>,
    buffer: wgpu::Buffer,
}

impl Aside {
    pub(crate) fn new(gpu: &Gpu, of: Vec<Words>) -> Result<Self> {
        let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = buffer(gpu, bytes(&of), usage)?;
        Ok(Self { of, buffer })
    }

    /// Adds a copy of the words to `encoder`.
    pub(crate) fn keep(&self, encoder: &mut Encoder, program: &Program) {
        let mut at = 0;
        for words in &self.of {
            let (from, first) = words.place(program);
            let (to, len) = (&self.buffer, words.bytes());
            encoder.commands.copy_buffer_to_buffer(from, first, to, at, len);
            at += len;
        }
    }

    /// Adds a copy to `encoder` that puts the words back as they were kept.
    pub(crate) fn put_back(&self, encoder: &mut Encoder, program: &Program) {
        let mut at = 0;
        for words in &self.of {
            let (to, first) = words.place(program);
            let (from, len) = (&self.buffer, words.bytes());
            encoder.commands.copy_buffer_to_buffer(from, at, to, first, len);
            at += len;
        }
    }
}

fn buffer(gpu: &Gpu, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    let size = bytes.max(4);
    let descriptor =
        wgpu::BufferDescriptor { label: Some("staging"), size, usage, mapped_at_creation: false };
    let no_memory = || Error::OutOfMemory { tensor: "staging".to_owned(), bytes: size };
    gpu.scoped(|| gpu.device.create_buffer(&descriptor), no_memory)
}
