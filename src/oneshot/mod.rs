//! Floor 9: magnitude pruning of safetensors files of any size, without training.
//!
//! A file is read in chunks and written in one pass: header and layout stay byte for byte, pruned
//! elements become zero. The host holds one chunk at a time.
mod companions;
mod files;
mod options;
mod ranker;
mod stream;
mod units;

use std::collections::{HashMap, HashSet};
use std::path::Path;

pub use companions::Companions;
pub use options::{Options, Report, TensorReport};

use crate::gpu::Gpu;
use crate::prune::{Pattern, Scope, pruned_count};
use crate::{Error, Result};
use files::Files;
use ranker::Ranker;
use stream::Stream;
use units::Units;

/// Most elements on the device at once: 64 MiB as f32.
const CHUNK: u32 = 1 << 24;

/// Prunes the safetensors file `input`, or the newest valid checkpoint of the logdir there, into
/// the file `output`; or the files that an index (`*.index.json`) names, or that lie in the folder
/// `input`, into the folder `output`, and copies what lies beside them. `progress` is told bytes
/// done and bytes in all.
///
/// Exactly [`pruned_count`] weights become zero, of each tensor or of all together: those of lowest
/// |w|, of equal ones the later in the file first. Infinite weights go last. All others keep their bits.
///
/// # Errors
/// [`Error::Argument`] for options out of range, a selection of nothing, or an output that is
/// there; [`Error::File`] for a file that is damaged, or holds NaN: the tensor is named. Then no
/// output is left.
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
    let passes = if options.scope == Scope::Global { 4 } else { 1 };
    let total = files.bytes()
        + (passes - 1) * selected.iter().map(|&at| files.tensor(at).bytes).sum::<u64>();
    let stream = Stream { files, block: options.block, done: 0, total, progress };
    Work { gpu, options, stream, chunk, rankers: HashMap::new() }.run(&selected)
}

/// Which file, and which of its tensors.
type Place = (usize, usize);

struct Work<'a> {
    gpu: &'a Gpu,
    options: &'a Options,
    stream: Stream<'a>,
    /// Most units of a chunk.
    chunk: u32,
    /// By the length of their chunks.
    rankers: HashMap<u32, Ranker>,
}

impl Work<'_> {
    fn run(mut self, selected: &[Place]) -> Result<Report> {
        let mut all = None;
        if self.options.scope == Scope::Global {
            let mut ranker = self.ranker(self.chunk)?;
            all = Some(self.rank(&mut ranker, selected)?);
            self.rankers.insert(self.chunk, ranker);
        }
        let chosen: HashSet<Place> = selected.iter().copied().collect();
        let (mut tensors, mut pruned) = (Vec::new(), [0, 0]);
        for file in 0..self.stream.files.len() {
            self.stream.files.begin(file)?;
            for tensor in 0..self.stream.files.tensors(file).len() {
                let at = (file, tensor);
                let threshold = chosen.contains(&at).then(|| self.prune(at, all)).transpose()?;
                let (threshold, nonzero) = match threshold {
                    Some((threshold, nonzero)) => (Some(threshold), Some(nonzero)),
                    None => (None, self.stream.copy(at)?),
                };
                let info = self.stream.files.tensor(at);
                let len = info.len();
                if let (Some(nonzero), Some(_)) = (nonzero, threshold) {
                    pruned = [pruned[0] + len - nonzero, pruned[1] + len];
                }
                tensors.push(TensorReport {
                    name: info.name.clone(),
                    shape: info.shape.clone(),
                    dtype: info.dtype.to_string(),
                    sparsity: nonzero
                        .map(|n| if len == 0 { 0.0 } else { 1.0 - n as f64 / len as f64 }),
                    nonzero,
                    threshold,
                });
            }
        }
        let files = self.stream.files.finish()?;
        Ok(Report { sparsity: pruned[0] as f64 / pruned[1].max(1) as f64, tensors, files })
    }

    /// Length of the chunks for tensors of `len` units: a few lengths serve all.
    fn chunk_len(&self, len: u64) -> u32 {
        let len = len.min(self.chunk.into()) as u32;
        len.max(ranker::LEAST).next_power_of_two().min(self.chunk)
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
        let chunks = units.chunks((0, units.count()), ranker.len() as u64, u64::MAX);
        let whole = chunks.len() == 1;
        let mut threshold = all.unwrap_or(0.0);
        let nm = match self.options.pattern {
            Pattern::Nm { n, m } => {
                self.check_groups(at, n, m)?;
                ranker.begin_one(n);
                true
            }
            Pattern::Element | Pattern::Channel => false,
        };
        if all.is_none() && !nm {
            match whole {
                // A chunk has fewer than 2^32.
                true => {
                    let count = pruned_count(units.count(), self.options.sparsity);
                    ranker.begin_one(count as u32);
                }
                false => threshold = self.rank(&mut ranker, &[at])?,
            }
        }
        let mut left = 0;
        for range in chunks {
            let filled = self.stream.load(&mut ranker, at, range, 0)?;
            let masked = match () {
                () if nm => ranker.nm(filled)?,
                () if all.is_none() && whole => ranker.rank_one(filled)?,
                () => ranker.mask(filled)?,
            };
            threshold = if nm { threshold.max(masked.threshold) } else { threshold };
            left += self.stream.write(at, range, &masked)?;
        }
        if all.is_none() && !nm {
            threshold = ranker.threshold()?;
        }
        self.rankers.insert(key, ranker);
        Ok((threshold, left))
    }

    /// What is ranked of a tensor.
    fn units(&self, at: Place) -> Result<Units> {
        let units = self.stream.units(at);
        if units.across() > self.chunk.into() {
            let (name, path) = (&self.stream.files.tensor(at).name, self.stream.files.path(at.0));
            let (across, most) = (units.across(), self.chunk);
            let message = format!("{name} has {across} blocks side by side, at most {most}");
            return Err(Error::file(path, format!("{message}; take wider ones")));
        }
        Ok(units)
    }

    /// Finds what to prune of `places` together; the highest score that is pruned.
    fn rank(&mut self, ranker: &mut Ranker, places: &[Place]) -> Result<f32> {
        let all = places.iter().map(|&at| self.units(at)).collect::<Result<Vec<_>>>()?;
        let count = all.iter().map(|units| units.count()).sum();
        ranker.begin(pruned_count(count, self.options.sparsity));
        for _ in 0..Ranker::ROUNDS {
            let mut filled = 0;
            for (&at, &units) in places.iter().zip(&all) {
                let mut from = 0;
                while from < units.count() {
                    if units.across() > (ranker.len() - filled) as u64 {
                        ranker.count(std::mem::take(&mut filled))?;
                    }
                    let room = (ranker.len() - filled) as u64;
                    let range = (from, units.end(from, room, u64::MAX));
                    filled += self.stream.load(ranker, at, range, filled)?;
                    from = range.1;
                    if self.options.scope == Scope::Global {
                        self.stream.advance_by(at, range);
                    }
                }
            }
            if filled > 0 {
                ranker.count(filled)?;
            }
            ranker.pick();
        }
        ranker.threshold()
    }

    fn check_groups(&self, at: Place, n: u32, m: u32) -> Result<()> {
        let info = self.stream.files.tensor(at);
        let last = info.shape.last().copied().unwrap_or(1);
        if last.is_multiple_of(m as usize) {
            return Ok(());
        }
        let (name, path) = (&info.name, self.stream.files.path(at.0));
        let message =
            format!("{name}: {n}:{m} along its last axis of {last}, which {m} does not divide");
        Err(Error::file(path, format!("{message}; leave it out with exclude")))
    }
}
