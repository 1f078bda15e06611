//! When each launch of a traced step began and ended, on the device's clock and on the host's.
use std::time::Instant;

use super::{Encoder, Gpu};
use crate::{Error, Result};

/// One launch on the device.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GpuSpan {
    /// Phase that the launch belongs to.
    pub phase: String,
    /// Kernel name.
    pub kernel: &'static str,
    /// Begin in nanoseconds after the origin given to [`Timestamps::new`].
    pub start_ns: u64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
}

/// A set of timestamp queries for one traced step.
#[derive(Debug)]
pub struct Timestamps {
    /// The pairs of a launch's begin and end, [`PAIRS`] in each.
    queries: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    launches: Vec<(String, &'static str)>,
    capacity: usize,
    /// Host nanoseconds after the origin minus device nanoseconds.
    offset_ns: i128,
    /// The offset is right within this many nanoseconds.
    uncertainty_ns: u64,
    ns_per_tick: f64,
    /// The last tick of the clock comparison, which all others come after.
    compared: u64,
}

/// Pairs of timestamps in a set of queries.
const PAIRS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

impl Timestamps {
    /// Room for `launches` launches; `None` where the adapter has no timestamps. Relates the two
    /// clocks by timing an empty submission from `origin`, which waits for the device once.
    pub fn new(gpu: &Gpu, launches: usize, origin: Instant) -> Result<Option<Self>> {
        if !gpu.report().timestamps {
            return Ok(None);
        }
        // The pair after the launches belongs to the clock comparison.
        let pairs = launches + 1;
        let bytes = pairs as u64 * 16;
        let buffer = |usage| wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size: bytes,
            usage,
            mapped_at_creation: false,
        };
        let no_memory = || Error::OutOfMemory { tensor: "timestamps".to_owned(), bytes };
        let (queries, resolved, staging) = gpu.scoped(
            || {
                let set = |first: usize| wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: (pairs - first).min(PAIRS) as u32 * 2,
                };
                let sets = (0..pairs).step_by(PAIRS);
                let copy = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::QUERY_RESOLVE;
                let map = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
                let device = &gpu.device;
                (
                    sets.map(|first| device.create_query_set(&set(first))).collect(),
                    device.create_buffer(&buffer(copy)),
                    device.create_buffer(&buffer(map)),
                )
            },
            no_memory,
        )?;
        let mut this = Self {
            queries,
            resolved,
            staging,
            launches: Vec::new(),
            capacity: launches,
            offset_ns: 0,
            uncertainty_ns: 0,
            ns_per_tick: f64::from(gpu.queue.get_timestamp_period()),
            compared: 0,
        };
        this.relate_clocks(gpu, origin)?;
        Ok(Some(this))
    }

    /// How far the device's spans may be shifted against the host's, in nanoseconds.
    pub fn uncertainty_ns(&self) -> u64 {
        self.uncertainty_ns
    }

    pub(super) fn next(
        &mut self,
        phase: &str,
        kernel: &'static str,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        if self.launches.len() == self.capacity {
            return None;
        }
        let pair = self.launches.len();
        self.launches.push((phase.to_owned(), kernel));
        Some(self.writes(pair))
    }

    fn writes(&self, pair: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = (pair % PAIRS) as u32 * 2;
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries[pair / PAIRS],
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Adds the copy of the timestamps to the step; call once, after the last launch.
    pub fn resolve(&self, encoder: &mut Encoder) {
        self.resolve_pairs(encoder, 0..self.launches.len());
    }

    fn resolve_pairs(&self, encoder: &mut Encoder, pairs: std::ops::Range<usize>) {
        let commands = &mut encoder.commands;
        for (i, set) in self.queries.iter().enumerate() {
            let (begin, end) = (pairs.start.max(i * PAIRS), pairs.end.min((i + 1) * PAIRS));
            if begin < end {
                let query = |pair: usize| (pair - i * PAIRS) as u32 * 2;
                let at = (begin - pairs.start) as u64 * 16;
                commands.resolve_query_set(set, query(begin)..query(end), &self.resolved, at);
            }
        }
        let bytes = pairs.len() as u64 * 16;
        commands.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, bytes);
    }

    /// The spans of the step, once submitted. Waits for the device: a traced step is not a fast
    /// one.
    pub fn read(&mut self, gpu: &Gpu) -> Result<Vec<GpuSpan>> {
        let ticks = unwrapped(self.compared, self.ticks(gpu, self.launches.len() * 2)?);
        let ns = |tick: u64| (tick as f64 * self.ns_per_tick) as i128 + self.offset_ns;
        let spans = self.launches.drain(..).zip(ticks.chunks_exact(2));
        Ok(spans
            .map(|((phase, kernel), tick)| GpuSpan {
                phase,
                kernel,
                start_ns: u64::try_from(ns(tick[0])).unwrap_or(0),
                duration_ns: u64::try_from(ns(tick[1]) - ns(tick[0])).unwrap_or(0),
            })
            .collect())
    }

    fn relate_clocks(&mut self, gpu: &Gpu, origin: Instant) -> Result<()> {
        gpu.wait()?;
        let mut encoder = Encoder::new(gpu);
        let pair = self.capacity;
        drop(encoder.commands.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("clock comparison"),
            timestamp_writes: Some(self.writes(pair)),
        }));
        self.resolve_pairs(&mut encoder, pair..pair + 1);
        let before = origin.elapsed().as_nanos() as i128;
        encoder.submit()?;
        gpu.wait()?;
        let after = origin.elapsed().as_nanos() as i128;
        let ticks = self.ticks(gpu, 2)?;
        let ticks = unwrapped(ticks[0], ticks);
        self.compared = ticks[1];
        let device = |i: usize| (ticks[i] as f64 * self.ns_per_tick) as i128;
        self.offset_ns = (before + after) / 2 - (device(0) + device(1)) / 2;
        self.uncertainty_ns = ((after - before) / 2) as u64;
        Ok(())
    }

    fn ticks(&self, gpu: &Gpu, count: usize) -> Result<Vec<u64>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let (tell, mapped) = std::sync::mpsc::channel();
        let range = self.staging.slice(..count as u64 * 8);
        range.map_async(wgpu::MapMode::Read, move |result| {
            let _ = tell.send(result);
        });
        gpu.wait()?;
        let answer = mapped.recv().map_err(|e| Error::DeviceLost(e.to_string()))?;
        answer.map_err(|e| Error::DeviceLost(e.to_string()))?;
        let view = range.get_mapped_range().map_err(|e| Error::Device(e.to_string()))?;
        let ticks = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        self.staging.unmap();
        Ok(ticks)
    }
}

/// `ticks` as if the counter went on for ever: adapters count in as few as 36 bits, which last
/// for minutes. Ticks come after `before`, by less than half of a turn.
///
/// Nothing says how many bits a counter has. Where a tick is far below the one before it, the
/// counter has just turned over, so that the one before had nearly all of its bits set.
#[doc(hidden)]
pub fn unwrapped(before: u64, mut ticks: Vec<u64>) -> Vec<u64> {
    let (mut last, mut turns) = (before, 0u64);
    for tick in &mut ticks {
        let bits = (u64::BITS - last.leading_zeros()).max(36);
        if last > *tick && bits < u64::BITS && last - *tick > 1 << (bits - 1) {
            turns += 1 << bits;
        }
        last = *tick;
        *tick += turns;
    }
    ticks
}
