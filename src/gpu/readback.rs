//! Reading results back without waiting: a ring of staging buffers and tickets.
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::program::Submission;
use super::{Encoder, Gpu, Program, Slot};
use crate::{Error, Result};

/// Another thread may be about to run the callback of a copy that is done.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Names one readback; tickets of a ring count up from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A ring of staging buffers. At most `depth` readbacks are under way; taking one more waits for
/// the oldest, which bounds how far the host runs ahead of the device.
#[derive(Debug)]
pub struct ReadbackRing {
    free: Vec<wgpu::Buffer>,
    pending: VecDeque<Pending>,
    done: Vec<(Ticket, Vec<u8>)>,
    next: u64,
    capacity: u64,
}

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    buffer: wgpu::Buffer,
    bytes: u64,
    submission: Submission,
    mapped: Mapped,
}

/// What the callback of a mapping says.
pub(super) type Mapped = Receiver<Result<(), wgpu::BufferAsyncError>>;

impl ReadbackRing {
    /// A ring of `depth` buffers of `bytes` each.
    pub fn new(gpu: &Gpu, bytes: u64, depth: usize) -> Result<Self> {
        let size = bytes.max(4).next_multiple_of(4);
        let descriptor = wgpu::BufferDescriptor {
            label: Some("readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let no_memory = || Error::OutOfMemory { tensor: "a readback".to_owned(), bytes: size };
        let free = (0..depth.max(1))
            .map(|_| gpu.scoped(|| gpu.device.create_buffer(&descriptor), no_memory))
            .collect::<Result<_>>()?;
        let (pending, done) = (VecDeque::new(), Vec::new());
        Ok(Self { free, pending, done, next: 0, capacity: size })
    }

    /// Adds copies of `slots`, one after the other, to the step in `encoder`.
    ///
    /// # Panics
    /// If the slots together are longer than the ring's buffers.
    pub fn copy(
        &mut self,
        gpu: &Gpu,
        encoder: &mut Encoder,
        program: &Program,
        slots: &[Slot],
    ) -> Result<Ticket> {
        let total: u64 = slots.iter().map(|s| u64::from(s.words) * 4).sum();
        assert!(total <= self.capacity, "readback of {total} bytes into {}", self.capacity);
        if let (true, Some(oldest)) = (self.free.is_empty(), self.pending.front()) {
            // For the oldest only: the steps after it go on meanwhile.
            oldest.submission.wait(gpu)?;
            self.take_oldest(PATIENCE)?;
        }
        let buffer = self.free.pop().expect("waiting freed a staging buffer");
        let mut at = 0;
        for slot in slots {
            let bytes = u64::from(slot.words) * 4;
            let (from, first) = program.buffer(*slot);
            encoder.commands.copy_buffer_to_buffer(from, first, &buffer, at, bytes);
            at += bytes;
        }
        let (tell, mapped) = channel();
        encoder.commands.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., move |result| {
            let _ = tell.send(result);
        });
        let ticket = Ticket(self.next);
        self.next += 1;
        let submission = encoder.submission();
        self.pending.push_back(Pending { ticket, buffer, bytes: total, submission, mapped });
        Ok(ticket)
    }

    /// What has arrived since the last call, oldest first; never blocks.
    pub fn ready(&mut self, gpu: &Gpu) -> Result<Vec<(Ticket, Vec<u8>)>> {
        gpu.tick()?;
        while self.take_oldest(Duration::ZERO)? {}
        Ok(std::mem::take(&mut self.done))
    }

    /// Everything taken so far, oldest first; blocks until it has arrived.
    ///
    /// # Errors
    /// [`Error::Device`] when the step of a ticket was never submitted.
    pub fn wait(&mut self, gpu: &Gpu) -> Result<Vec<(Ticket, Vec<u8>)>> {
        if let Some(newest) = self.pending.back() {
            newest.submission.wait(gpu)?;
        }
        while self.take_oldest(PATIENCE)? {}
        Ok(std::mem::take(&mut self.done))
    }

    /// Whether the oldest readback was there, or came within `patience`; with none pending, false.
    fn take_oldest(&mut self, patience: Duration) -> Result<bool> {
        let Some(oldest) = self.pending.front() else { return Ok(false) };
        if !is_mapped(&oldest.mapped, patience)? {
            return Ok(false);
        }
        let Some(Pending { ticket, buffer, bytes, .. }) = self.pending.pop_front() else {
            return Ok(false);
        };
        let view = buffer.get_mapped_range(..bytes).map_err(|e| Error::Device(e.to_string()))?;
        self.done.push((ticket, view.to_vec()));
        drop(view);
        buffer.unmap();
        self.free.push(buffer);
        Ok(true)
    }
}

/// Whether a buffer is mapped, or was within `patience`.
///
/// # Errors
/// [`Error::Device`] when `patience` has passed, unless it was none.
pub(super) fn is_mapped(mapped: &Mapped, patience: Duration) -> Result<bool> {
    match mapped.recv_timeout(patience) {
        Ok(Ok(())) => Ok(true),
        Err(RecvTimeoutError::Timeout) if patience.is_zero() => Ok(false),
        Err(RecvTimeoutError::Timeout) => Err(Error::Device("a readback did not come".to_owned())),
        // After a loss everything looks successful except the mapping.
        Ok(Err(e)) => Err(Error::DeviceLost(e.to_string())),
        Err(e) => Err(Error::DeviceLost(e.to_string())),
    }
}
