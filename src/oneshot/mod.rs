//! Floor 9: magnitude pruning of safetensors files of any size, without training.
//!
//! A file is read in chunks and written in one pass: header and layout stay byte for byte, pruned
//! elements become zero. The host holds one chunk at a time.
mod files;
mod options;
mod ranker;
mod report;
mod stream;
mod survey;
mod units;

use std::collections::HashMap;
use std::path::Path;

pub use options::Options;
pub use report::{Report, TensorReport};
pub use survey::{Fate, Survey, TensorPlan};

pub use crate::storage::Companions;

use crate::gpu::Gpu;
use crate::prune::{OwnModel, Scope, pruned_count, roles};
use crate::session::ModelFile;
use crate::storage::{Dtype, Tensor, TensorInfo};
use crate::{Error, Result};
use files::Files;
use ranker::Ranker;
use stream::Stream;
use units::{Cut, Inputs, Units};

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
    let mut files = Files::open(input, Some(output), options)?;
    let survey = survey_files(&mut files, options)?;
    let places = files.places();
    let planned = places.iter().zip(&survey.tensors).filter(|(_, plan)| plan.fate == Fate::Pruned);
    let cuts: HashMap<Place, Cut> = planned.map(|(&at, plan)| (at, cut(options, plan))).collect();
    let selected: Vec<Place> = places.into_iter().filter(|at| cuts.contains_key(at)).collect();
    let count = |at: &Place| Units::new(files.tensor(*at), cuts[at]).count();
    let largest = selected.iter().map(count).max().unwrap_or(0);
    let bound = u32::try_from(gpu.report().max_binding / 4).unwrap_or(u32::MAX);
    let most = options.chunk.unwrap_or(CHUNK).min(bound).max(1);
    let chunk = largest.min(most.into()) as u32;
    let passes = if options.scope == Scope::Global { 4 } else { 1 };
    let total = files.bytes()
        + (passes - 1) * selected.iter().map(|&at| files.tensor(at).bytes).sum::<u64>();
    let stream = Stream { files, cuts, done: 0, total, progress };
    let work = Work { gpu, options, stream, chunk, rankers: HashMap::new() };
    let (after, companions) = work.run(&selected)?;
    Ok(Report::new(survey, &after, companions))
}

/// What [`prune_file`] would do to each tensor of `input`, and why. Writes nothing, and needs no
/// device.
///
/// # Errors
/// As [`prune_file`], but for what only the values or the output can say.
pub fn survey_file(input: &Path, options: &Options) -> Result<Survey> {
    options.validate()?;
    survey_files(&mut Files::open(input, None, options)?, options)
}

/// The same for a network of ours.
///
/// # Errors
/// As [`survey_file`].
pub fn survey_model(file: &ModelFile, options: &Options) -> Result<Survey> {
    let info = |t: &Tensor| TensorInfo {
        name: t.name.clone(),
        dtype: Dtype::F32,
        shape: t.shape.clone(),
        offset: 0,
        bytes: 4 * t.data.len() as u64,
    };
    let infos: Vec<TensorInfo> = file.weights.iter().map(info).collect();
    let tensors: Vec<&TensorInfo> = infos.iter().collect();
    let own = OwnModel::of(&file.network, file.schema.as_ref());
    Survey::new(&tensors, roles(&tensors, own.as_ref()), options)
}

fn survey_files(files: &mut Files, options: &Options) -> Result<Survey> {
    let (places, own) = (files.places(), files.own_model());
    let tensors: Vec<&TensorInfo> = places.iter().map(|&at| files.tensor(at)).collect();
    let mut taken = roles(&tensors, own.as_ref());
    let suspects = taken.iter().zip(&tensors).map(|(taken, t)| taken.is_suspect(t));
    let suspects: Vec<usize> =
        suspects.enumerate().filter(|(_, suspect)| *suspect).map(|(i, _)| i).collect();
    for i in suspects {
        if stream::is_mask(files, places[i])? {
            taken[i] = taken[i].clone().holding_a_mask();
        }
    }
    let tensors: Vec<&TensorInfo> = places.iter().map(|&at| files.tensor(at)).collect();
    Survey::new(&tensors, taken, options)
}

/// How a tensor that is pruned is cut.
fn cut(options: &Options, plan: &TensorPlan) -> Cut {
    if let (Some([_, m, v]), Some(axis)) = (options.pattern.vectors(), plan.axis)
        && let Some(inputs) = Inputs::of(axis, plan.shape.len())
    {
        return Cut::Vectors { m, v, inputs };
    }
    match (options.pattern.groups(), options.block, plan.axis) {
        (Some([_, m]), _, Some(axis)) => Cut::Groups { m, axis },
        (_, Some(block), _) => Cut::Blocks(block),
        _ => Cut::Elements,
    }
}

/// Which file, and which of its tensors.
type Place = (usize, usize);

/// How many elements of a tensor are not zero afterwards, where that can be told, and the threshold
/// of one that was pruned.
type After = (Option<u64>, Option<f32>);

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
    /// What became of each tensor, and of the files beside the weights.
    fn run(mut self, selected: &[Place]) -> Result<(Vec<After>, Companions)> {
        let mut all = None;
        if self.options.scope == Scope::Global {
            let mut ranker = self.ranker(self.chunk)?;
            all = Some(self.rank(&mut ranker, selected)?);
            self.rankers.insert(self.chunk, ranker);
        }
        let mut after = Vec::new();
        for file in 0..self.stream.files.len() {
            self.stream.files.begin(file)?;
            for tensor in 0..self.stream.files.tensors(file).len() {
                let at = (file, tensor);
                after.push(match self.stream.cuts.contains_key(&at) {
                    true => {
                        let (left, threshold) = self.prune(at, all)?;
                        (Some(left), Some(threshold))
                    }
                    false => (self.stream.copy(at)?, None),
                });
            }
        }
        Ok((after, self.stream.files.finish()?))
    }

    /// Length of the chunks for tensors of `len` units: a few lengths serve all.
    fn chunk_len(&self, len: u64) -> u32 {
        let len = len.min(self.chunk.into()) as u32;
        len.max(ranker::LEAST).next_power_of_two().min(self.chunk)
    }

    /// The ranker for chunks of `len` elements, taken out of the store.
    fn ranker(&mut self, len: u32) -> Result<Ranker> {
        let m = self.options.pattern.groups().map(|[_, m]| m);
        self.rankers.remove(&len).map_or_else(|| Ranker::new(self.gpu, len, m), Ok)
    }

    /// Prunes one tensor into the output, by the ranking of `all` where there is one: how many
    /// elements are left, and its threshold.
    fn prune(&mut self, at: Place, all: Option<f32>) -> Result<(u64, f32)> {
        if let Some([n, ..]) = self.options.pattern.vectors() {
            return self.prune_vectors(at, n);
        }
        let units = self.units(at)?;
        // The ranking of all is on the device of one ranker.
        let key = if all.is_some() { self.chunk } else { self.chunk_len(units.count()) };
        let mut ranker = self.ranker(key)?;
        let chunks = units.chunks((0, units.count()), ranker.len() as u64, u64::MAX);
        let whole = chunks.len() == 1;
        let mut threshold = all.unwrap_or(0.0);
        let groups = self.options.pattern.groups();
        groups.into_iter().for_each(|[n, _]| ranker.begin_one(n));
        let nm = groups.is_some();
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
            threshold = ranker.threshold();
        }
        self.rankers.insert(key, ranker);
        Ok((left, threshold))
    }

    /// The same in vectors, which are ranked on the host: their scores are made there, and groups are
    /// so small that nothing is left to do.
    fn prune_vectors(&mut self, at: Place, n: u32) -> Result<(u64, f32)> {
        let (units, mut left, mut threshold) = (self.stream.units(at), 0, 0.0f32);
        for range in units.chunks((0, units.count()), u64::MAX, stream::PIECE) {
            let masked = self.stream.rank_vectors(at, range, n)?;
            threshold = threshold.max(masked.threshold);
            left += self.stream.write(at, range, &masked)?;
        }
        Ok((left, threshold))
    }

    /// What is ranked of a tensor.
    fn units(&self, at: Place) -> Result<Units> {
        let units = self.stream.units(at);
        if units.across() > self.chunk.into() {
            let (name, path) = (&self.stream.files.tensor(at).name, self.stream.files.path(at.0));
            let (across, most) = (units.across(), self.chunk);
            let (what, way_out) = match self.options.block {
                Some(_) => ("blocks", "take wider ones"),
                None => ("weights of groups", "leave it out with --exclude"),
            };
            let message = format!("{name} has {across} {what} side by side, at most {most}");
            return Err(Error::file(path, format!("{message}; {way_out}")));
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
        Ok(ranker.threshold())
    }
}
