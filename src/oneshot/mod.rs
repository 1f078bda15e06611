//! Floor 6: magnitude pruning of safetensors files of any size, without training.
//!
//! A file is read in chunks and written in one pass: header and layout stay byte for byte, pruned
//! elements become zero. The host holds one chunk at a time.
mod files;
mod options;
mod output;
mod ranker;
mod units;

use std::collections::HashMap;
use std::path::Path;

pub use options::{Options, Report, TensorReport};

use crate::gpu::Gpu;
use crate::kernels::bit;
use crate::prune::{Pattern, Scope, pruned_count};
use crate::storage::nonzero;
use crate::{Error, Result};
use files::Files;
use ranker::{Masked, Ranker};
use safetensors::tensor::Dtype;
use units::Units;

/// Most elements on the device at once: 64 MiB as f32.
const CHUNK: u32 = 1 << 24;

/// Prunes the safetensors file `input` into `output`; or those that an index (`*.index.json`)
/// names into the folder `output`. `progress` is told bytes done and bytes in all.
///
/// Exactly [`pruned_count`] weights become zero, of each tensor or of all together: those of lowest
/// |w|, of equal ones the later in the file first. Infinite weights go last. All others keep their bits.
///
/// # Errors
/// [`Error::Argument`] for options out of range, a selection of nothing, or an output that is there;
/// [`Error::File`] for a file that is damaged, or holds NaN: the tensor is named. Then no output is left.
pub fn prune_file(
    gpu: &Gpu,
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report> {
    options.validate()?;
    let files = Files::open(input, output, options)?;
    let selected: Vec<Place> = files.selected(options);
    let names = files.names();
    options.check_matches(&names, selected.len())?;
    let count = |at: &Place| Units::new(files.tensor(*at), options.block).count();
    let largest = selected.iter().map(count).max().unwrap_or(0);
    let bound = u32::try_from(gpu.report().max_binding / 4).unwrap_or(u32::MAX);
    let most = options.chunk.unwrap_or(CHUNK).min(bound).max(1);
    let chunk = largest.min(most.into()) as u32;
    // Single elements are units; a ranker's length is whole groups of N:M.
    let most = if options.block.is_some() { most } else { u32::MAX };
    let passes = if options.scope == Scope::Global { 4 } else { 1 };
    let total = files.bytes()
        + (passes - 1) * selected.iter().map(|&at| files.tensor(at).bytes).sum::<u64>();
    let work = Work {
        gpu,
        options,
        files,
        chunk,
        most,
        rankers: HashMap::new(),
        done: 0,
        total,
        progress,
    };
    work.run(&selected)
}

/// Which file, and which of its tensors.
type Place = (usize, usize);

struct Work<'a> {
    gpu: &'a Gpu,
    options: &'a Options,
    files: Files,
    /// Most units of a chunk.
    chunk: u32,
    /// Most elements of a chunk.
    most: u32,
    /// By the length of their chunks.
    rankers: HashMap<u32, Ranker>,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Work<'_> {
    fn run(mut self, selected: &[Place]) -> Result<Report> {
        let mut all = None;
        if self.options.scope == Scope::Global {
            let mut ranker = self.ranker(self.chunk)?;
            all = Some(self.rank(&mut ranker, selected)?);
            self.rankers.insert(self.chunk, ranker);
        }
        let (mut tensors, mut pruned) = (Vec::new(), [0, 0]);
        for file in 0..self.files.len() {
            self.files.begin(file)?;
            for tensor in 0..self.files.tensors(file).len() {
                let at = (file, tensor);
                let threshold = selected.contains(&at).then(|| self.prune(at, all)).transpose()?;
                let (threshold, nonzero) = match threshold {
                    Some((threshold, nonzero)) => (Some(threshold), nonzero),
                    None => (None, self.copy(at)?),
                };
                let info = self.files.tensor(at);
                let len = info.len();
                if threshold.is_some() {
                    pruned = [pruned[0] + len - nonzero, pruned[1] + len];
                }
                tensors.push(TensorReport {
                    name: info.name.clone(),
                    shape: info.shape.clone(),
                    dtype: format!("{:?}", info.dtype).to_lowercase(),
                    sparsity: if len == 0 { 0.0 } else { 1.0 - nonzero as f64 / len as f64 },
                    nonzero,
                    threshold,
                });
            }
        }
        self.files.finish()?;
        Ok(Report { sparsity: pruned[0] as f64 / pruned[1].max(1) as f64, tensors })
    }

    /// Length of the chunks for tensors of `len` units: a few lengths serve all.
    fn chunk_len(&self, len: u64) -> u32 {
        (len.min(self.chunk.into()) as u32).next_power_of_two().min(self.chunk)
    }

    /// The ranker for chunks of `len` elements, taken out of the store.
    fn ranker(&mut self, len: u32) -> Result<Ranker> {
        let m = match self.options.pattern {
            Pattern::Nm { m, .. } => Some(m),
            Pattern::Element | Pattern::Channel => None,
        };
        self.rankers.remove(&len).map_or_else(|| Ranker::new(self.gpu, len, m), Ok)
    }

    /// Prunes one tensor into the output, by the ranking of `all` where there is one: its
    /// threshold, and how many elements are left.
    fn prune(&mut self, at: Place, all: Option<f32>) -> Result<(f32, u64)> {
        let units = self.units(at)?;
        // The ranking of all is on the device of one ranker.
        let key = if all.is_some() { self.chunk } else { self.chunk_len(units.count()) };
        let mut ranker = self.ranker(key)?;
        let chunks = self.chunks(units, ranker.len());
        let whole = chunks.len() == 1;
        let mut threshold = all.unwrap_or(0.0);
        let nm = match self.options.pattern {
            Pattern::Nm { n, m } => {
                self.check_groups(at, n, m)?;
                ranker.begin(n);
                true
            }
            Pattern::Element | Pattern::Channel => false,
        };
        if all.is_none() && !nm {
            match whole {
                true => ranker.begin(self.count(units.count())?),
                false => threshold = self.rank(&mut ranker, &[at])?,
            }
        }
        let mut left = 0;
        let mut bytes = Vec::new();
        for range in chunks {
            let filled = self.load(&mut ranker, at, range, &mut bytes, 0)?;
            let masked = match () {
                () if nm => ranker.nm(filled)?,
                () if all.is_none() && whole => ranker.rank_one(filled)?,
                () => ranker.mask(filled)?,
            };
            threshold = if nm { threshold.max(masked.threshold) } else { threshold };
            left += self.write(at, units, &mut bytes, &masked)?;
        }
        if all.is_none() && !nm {
            threshold = ranker.threshold()?;
        }
        self.rankers.insert(key, ranker);
        Ok((threshold, left))
    }

    /// What is ranked of a tensor.
    fn units(&self, at: Place) -> Result<Units> {
        let units = Units::new(self.files.tensor(at), self.options.block);
        if units.across() > self.chunk.into() {
            let (name, path) = (&self.files.tensor(at).name, self.files.path(at.0));
            let (across, most) = (units.across(), self.chunk);
            let message = format!("{name} has {across} blocks side by side, at most {most}");
            return Err(Error::file(path, format!("{message}; take wider ones")));
        }
        Ok(units)
    }

    /// The ranges of units that a tensor is read in, by a ranker of `len` units.
    fn chunks(&self, units: Units, len: usize) -> Vec<(u64, u64)> {
        let (mut ranges, mut from) = (Vec::new(), 0);
        while from < units.count() {
            let end = units.end(from, len as u64, self.most.into());
            ranges.push((from, end));
            from = end;
        }
        ranges
    }

    /// Finds what to prune of `places` together; the highest score that is pruned.
    fn rank(&mut self, ranker: &mut Ranker, places: &[Place]) -> Result<f32> {
        let all = places.iter().map(|&at| self.units(at)).collect::<Result<Vec<_>>>()?;
        ranker.begin(self.count(all.iter().map(|units| units.count()).sum())?);
        for digit in 0..3 {
            let (mut filled, mut bytes) = (0, Vec::new());
            for (&at, &units) in places.iter().zip(&all) {
                let mut from = 0;
                while from < units.count() {
                    if units.across() > (ranker.len() - filled) as u64 {
                        ranker.count(digit, std::mem::take(&mut filled))?;
                    }
                    let room = (ranker.len() - filled) as u64;
                    let range = (from, units.end(from, room, self.most.into()));
                    filled += self.load(ranker, at, range, &mut bytes, filled)?;
                    from = range.1;
                    if self.options.scope == Scope::Global {
                        self.advance(bytes.len() as u64);
                    }
                }
            }
            if filled > 0 {
                ranker.count(digit, filled)?;
            }
            ranker.pick(digit)?;
        }
        ranker.threshold()
    }

    /// How many of `len` units are pruned, within the reach of the counters.
    fn count(&self, len: u64) -> Result<u32> {
        if len > u32::MAX.into() {
            let message = format!("{len} to rank together, at most {}", u32::MAX);
            return Err(Error::argument("scope", format!("{message}; prune by layer")));
        }
        Ok(pruned_count(len, self.options.sparsity) as u32)
    }

    /// Reads the units `range` of a tensor into `bytes`, and as scores into the ranker's chunk from
    /// `first` on; how many they are.
    fn load(
        &mut self,
        ranker: &mut Ranker,
        at: Place,
        range: (u64, u64),
        bytes: &mut Vec<u8>,
        first: usize,
    ) -> Result<usize> {
        let info = self.files.tensor(at).clone();
        let units = Units::new(&info, self.options.block);
        let (size, (from, end)) = (info.element_bytes(), units.elements(range));
        let (elements, count) = ((end - from) as usize, (range.1 - range.0) as usize);
        bytes.resize(elements * size, 0);
        self.files.read(at.0, info.offset + from * size as u64, bytes)?;
        let scores = &mut ranker.chunk()[first..first + count];
        if self.options.block.is_none() {
            widen(info.dtype, bytes, scores);
        } else {
            units.scores(elements, scores, |row, values| {
                let length = values.len() * size;
                widen(info.dtype, &bytes[row * length..][..length], values);
            });
        }
        Ok(count)
    }

    /// Writes a chunk of a tensor without what the mask clears; how many elements are not zero.
    fn write(&mut self, at: Place, units: Units, bytes: &mut [u8], masked: &Masked) -> Result<u64> {
        let info = self.files.tensor(at);
        let (dtype, size, name) = (info.dtype, info.element_bytes(), info.name.clone());
        if masked.nan > 0 {
            let message = format!(
                "{name} holds NaN, which has no rank; mend it, or leave it out with exclude"
            );
            return Err(Error::file(self.files.path(at.0), message));
        }
        for (i, element) in bytes.chunks_exact_mut(size).enumerate() {
            if !bit(&masked.bits, units.of(i)) {
                element.fill(0);
            }
        }
        self.files.write(bytes)?;
        self.advance(bytes.len() as u64);
        Ok(nonzero(bytes, dtype, size))
    }

    /// Copies a tensor; how many of its elements are not zero.
    fn copy(&mut self, at: Place) -> Result<u64> {
        let info = self.files.tensor(at).clone();
        let size = info.element_bytes().max(1) as u64;
        let (mut left, mut bytes) = (0, Vec::new());
        let (len, most) = (info.bytes / size, 1 << 20);
        for from in (0..len).step_by(most as usize) {
            let end = len.min(from + most);
            bytes.resize(((end - from) * size) as usize, 0);
            self.files.read(at.0, info.offset + from * size, &mut bytes)?;
            left += nonzero(&bytes, info.dtype, size as usize);
            self.files.write(&bytes)?;
            self.advance(bytes.len() as u64);
        }
        Ok(left)
    }

    fn check_groups(&self, at: Place, n: u32, m: u32) -> Result<()> {
        let info = self.files.tensor(at);
        let last = info.shape.last().copied().unwrap_or(1);
        if last.is_multiple_of(m as usize) {
            return Ok(());
        }
        let (name, path) = (&info.name, self.files.path(at.0));
        let message =
            format!("{name}: {n}:{m} along its last axis of {last}, which {m} does not divide");
        Err(Error::file(path, format!("{message}; leave it out with exclude")))
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done, self.total);
    }
}

/// Little-endian floats as f32, exactly.
fn widen(dtype: Dtype, bytes: &[u8], values: &mut [f32]) {
    let two = |b: &[u8]| [b[0], b[1]];
    match dtype {
        Dtype::F16 => {
            let pairs = bytes.chunks_exact(2).map(two);
            pairs.zip(values).for_each(|(b, v)| *v = half::f16::from_le_bytes(b).to_f32());
        }
        Dtype::BF16 => {
            let pairs = bytes.chunks_exact(2).map(two);
            pairs.zip(values).for_each(|(b, v)| *v = half::bf16::from_le_bytes(b).to_f32());
        }
        _ => {
            let fours = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
            fours.zip(values).for_each(|(b, v)| *v = f32::from_le_bytes(b));
        }
    }
}
