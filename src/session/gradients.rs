//! Gradients of a batch that leave the device before they move the weights: in buckets, each as
//! soon as the backward pass is done with it.
use super::Session;
use super::variable::Variable;
use crate::gpu::{Aside, Phase, PlanBuilder, Slot, Staging, Words};
use crate::{Error, Result};

/// What the gradients of a batch reach the host through, in the order in which the backward pass
/// finishes them. Made once a run.
///
/// The last bucket has what a forward pass moves by itself, if there is any: running moments of
/// batch normalisation, and what scores keep of inputs. Every batch of a step begins with these as
/// they were before the step, so that a mean of what batches leave, weighted by their rows as
/// gradients are, is what the step leaves.
#[derive(Debug)]
pub struct Gradients {
    objective: usize,
    phase: Phase,
    buckets: Vec<Bucket>,
    /// Loss and metric of the batch, and the bucket that they travel with.
    measured: (Staging, usize),
    /// What forward passes move, as it was before the step.
    statistics: Option<Aside>,
    rows: usize,
}

#[derive(Debug)]
struct Bucket {
    pieces: Vec<Piece>,
    /// Launches of the phase after which all of it is there.
    end: usize,
    staging: Staging,
    /// Where the values of the step before have been; for the next.
    spare: Vec<f32>,
}

/// Words of one tensor in a bucket.
#[derive(Debug, Clone, Copy)]
struct Piece {
    words: Words,
    /// As long as the words' slot, and to have the same values.
    twin: Option<Slot>,
    /// A set bit for each weight that is kept.
    mask: Option<Slot>,
}

/// What a batch was measured by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Rows of the batch.
    pub rows: usize,
    /// Mean loss over them.
    pub loss: f32,
    /// Sum of the network's first metric over them; 0 where it has none.
    pub metric: f64,
}

/// A bucket before it has a buffer: its pieces, and the launches after which they are there.
type Planned = (Vec<Piece>, usize);

impl Gradients {
    /// For what `session` trains on `objective`, in buckets of `bucket_bytes`: a parameter is cut
    /// only where it is larger.
    ///
    /// # Errors
    /// [`Error::Argument`] where the session has no room for means of gradients,
    /// [`Error::OutOfMemory`].
    pub fn new(session: &Session, objective: usize, bucket_bytes: u64) -> Result<Self> {
        let phase = session.accumulates(objective)?.gradient;
        let (plan, variables) = (session.program.plan(), session.variables.as_slice());
        let staging = |words: Vec<Words>| Staging::new(&session.gpu, words);
        let buckets = planned(plan, variables, phase, bucket_bytes)
            .into_iter()
            .map(|(pieces, end)| {
                let staging = staging(pieces.iter().map(|p| p.words).collect())?;
                Ok(Bucket { pieces, end, staging, spare: Vec::new() })
            })
            .collect::<Result<Vec<_>>>()?;
        let outputs = &session.trains_on(objective)?.outputs;
        let after = outputs.iter().map(|&slot| plan.written_after(phase, slot)).max();
        let with = buckets.iter().position(|b| Some(b.end) >= after).unwrap_or(0);
        let measured = (staging(outputs.iter().map(|&slot| slot.into()).collect())?, with);
        let statistics: Vec<Words> =
            statistics(plan, variables, phase).into_iter().map(|(slot, _)| slot.into()).collect();
        let statistics = (!statistics.is_empty()).then(|| Aside::new(&session.gpu, statistics));
        let statistics = statistics.transpose()?;
        Ok(Self { objective, phase, buckets, measured, statistics, rows: 0 })
    }

    /// Gives the values of bucket `bucket` back, for those of the next batch.
    pub fn spare(&mut self, bucket: usize, values: Vec<f32>) {
        self.buckets[bucket].spare = values;
    }

    /// Number of values in each bucket.
    pub fn lengths(&self) -> Vec<usize> {
        self.buckets.iter().map(Bucket::len).collect()
    }
}

impl Bucket {
    fn len(&self) -> usize {
        self.pieces.iter().map(|p| p.words.words as usize).sum()
    }
}

/// Bytes that [`Gradients`] of `phase` take: what buckets reach the host through, and what they
/// come back through; statistics are also kept aside.
pub(super) fn staged(plan: &PlanBuilder, variables: &[Variable], phase: Phase) -> u64 {
    let buckets = planned(plan, variables, phase, u64::MAX);
    let pieces = || buckets.iter().flat_map(|(pieces, _)| pieces);
    let words = |piece: &Piece| u64::from(piece.words.words);
    let down: u64 = pieces().map(words).sum();
    let twins: u64 = pieces().filter(|piece| piece.twin.is_some()).map(words).sum();
    let aside = statistics(plan, variables, phase).into_iter().map(|(s, _)| u64::from(s.words));
    4 * (2 * down + twins + aside.sum::<u64>() + 2)
}

/// What `phase` moves besides gradients and each rank's own, with the launches after which it is
/// there.
pub(super) fn statistics(
    plan: &PlanBuilder,
    variables: &[Variable],
    phase: Phase,
) -> Vec<(Slot, usize)> {
    let of = |v: &Variable| {
        let values = v.weight.stored.values().filter(|_| !v.carried);
        values.into_iter().chain(v.score_slots.iter().map(|&(_, slot)| slot)).collect::<Vec<_>>()
    };
    let slots = variables.iter().flat_map(of);
    let moved = slots.map(|slot| (slot, plan.written_after(phase, slot)));
    moved.filter(|&(_, after)| after > 0).collect()
}

fn planned(
    plan: &PlanBuilder,
    variables: &[Variable],
    phase: Phase,
    bucket_bytes: u64,
) -> Vec<Planned> {
    let most = u32::try_from(bucket_bytes / 4).unwrap_or(u32::MAX).max(1);
    let gradient = |v: &Variable| {
        let mean = v.mean?;
        let piece =
            Piece { words: mean.into(), twin: v.gradient, mask: v.weight.stored.gradient_mask() };
        Some((piece, plan.written_after(phase, mean))).filter(|&(_, after)| after > 0)
    };
    let mut gradients: Vec<(Piece, usize)> = variables.iter().filter_map(gradient).collect();
    gradients.sort_by_key(|&(_, after)| after);
    let statistics = statistics(plan, variables, phase).into_iter();
    let statistics = statistics
        .map(|(slot, after)| (Piece { words: slot.into(), twin: None, mask: None }, after));
    let mut all = in_buckets(&gradients, most);
    all.extend(in_buckets(&statistics.collect::<Vec<_>>(), most));
    // They are submitted in this order.
    let mut end = 0;
    for bucket in &mut all {
        end = end.max(bucket.1);
        bucket.1 = end;
    }
    all
}

/// `pieces` in buckets of at most `most` words.
fn in_buckets(pieces: &[(Piece, usize)], most: u32) -> Vec<Planned> {
    let mut all: Vec<Planned> = Vec::new();
    let mut room = 0;
    for &(piece, after) in pieces {
        let len = piece.words.words;
        let mut first = 0;
        while first < len {
            // One that fits into a bucket is not cut for what is left of this one.
            if room == 0 || (first == 0 && room < len) {
                all.push((Vec::new(), 0));
                room = most;
            }
            let words = room.min(len - first);
            let words = Words { first, words, ..piece.words };
            if let Some((pieces, end)) = all.last_mut() {
                pieces.push(Piece { words, ..piece });
                *end = after.max(*end);
            }
            first += words.words;
            room -= words.words;
        }
    }
    all
}

#[doc(hidden)]
impl Session {
    /// Submits the gradient of the batch fed last, whose share in the means must be 1: each bucket
    /// can be taken as soon as it is there. `first` says that it is the first of its step.
    ///
    /// # Errors
    /// Of the device.
    pub fn submit_gradients(&mut self, gradients: &mut Gradients, first: bool) -> Result<()> {
        let Gradients { phase, buckets, measured, statistics, rows, .. } = gradients;
        let launches = self.program.launches_of(*phase);
        let (mut encoder, batch) = self.take_part()?;
        *rows = batch;
        match statistics {
            Some(before) if first => before.keep(&mut encoder, &self.program),
            Some(before) => before.put_back(&mut encoder, &self.program),
            None => {}
        }
        let mut begin = 0;
        let last = buckets.len().saturating_sub(1);
        for at in 0..buckets.len() {
            let end = if at == last { launches } else { buckets[at].end };
            if begin < end {
                self.encode_part(*phase, begin..end, &mut encoder);
                begin = end;
            }
            if at == measured.1 {
                measured.0.copy(&self.gpu, &mut encoder, &self.program)?;
            }
            buckets[at].staging.copy(&self.gpu, &mut encoder, &self.program)?;
            if at == last {
                break;
            }
            if buckets[at].end < buckets[at + 1].end {
                encoder = self.submit_piece(encoder)?;
            }
        }
        self.submit_last_piece(encoder)
    }

    /// What the batch submitted last was measured by; waits for its forward pass, and for the first
    /// bucket at most.
    ///
    /// # Errors
    /// Of the device.
    pub fn take_measured(&mut self, gradients: &mut Gradients) -> Result<Measured> {
        let mut values = Vec::new();
        gradients.measured.0.take(&self.gpu, &mut values)?;
        let metric = values.get(1).copied();
        Ok(self.measured(gradients.rows, values[0], metric))
    }

    /// The gradients in bucket `bucket` of the batch submitted last; waits for it, and for nothing
    /// after it.
    ///
    /// # Errors
    /// Of the device, and where it was taken already.
    pub fn take_bucket(&mut self, gradients: &mut Gradients, bucket: usize) -> Result<Vec<f32>> {
        let bucket = &mut gradients.buckets[bucket];
        let mut values = std::mem::take(&mut bucket.spare);
        bucket.staging.take(&self.gpu, &mut values)?;
        Ok(values)
    }

    /// Puts `values` in the place of bucket `bucket`, for the update that is recorded next. Where
    /// mask updates read the last gradient, it is there as well.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of values than the bucket has.
    pub fn put_bucket(
        &mut self,
        gradients: &mut Gradients,
        bucket: usize,
        values: Vec<f32>,
    ) -> Result<()> {
        let bucket = &mut gradients.buckets[bucket];
        let len = bucket.len();
        if values.len() != len {
            let message = format!("{} values for a bucket of {len}", values.len());
            return Err(Error::shape("gradients", message));
        }
        let mut rest = values.as_slice();
        for &Piece { words: Words { slot, first, words }, twin, .. } in &bucket.pieces {
            let (here, after) = rest.split_at(words as usize);
            rest = after;
            for slot in [Some(slot), twin].into_iter().flatten() {
                self.program.upload_from(&self.gpu, slot, first as usize, here);
            }
        }
        bucket.spare = values;
        Ok(())
    }

    /// Of each bucket a set bit for every value that updates read: gradients of pruned weights are
    /// not. `None` where all are read. As the masks are now; waits for the device.
    ///
    /// # Errors
    /// [`Error::Argument`] where a score reads gradients of pruned weights too.
    pub fn kept(&self, gradients: &Gradients) -> Result<Vec<Option<Vec<u32>>>> {
        let scored = self.accumulates(gradients.objective)?.scored;
        let kept = |v: &Variable| v.gradient.is_some() || (scored && v.mask.is_some());
        if let Some(v) = self.variables.iter().find(|v| kept(v)) {
            let message = format!(
                "kept: mask updates look at gradients of pruned weights too, of {} by score={}; \
                 write carried=all",
                v.weight.name, v.score
            );
            return Err(Error::argument("carried", message));
        }
        gradients.buckets.iter().map(|bucket| self.kept_of(&bucket.pieces)).collect()
    }

    fn kept_of(&self, pieces: &[Piece]) -> Result<Option<Vec<u32>>> {
        if pieces.iter().all(|p| p.mask.is_none()) {
            return Ok(None);
        }
        let len: u32 = pieces.iter().map(|p| p.words.words).sum();
        let mut kept = vec![0; len.div_ceil(32) as usize];
        let mut at = 0;
        for &Piece { words: Words { first, words, .. }, mask, .. } in pieces {
            let bits: Option<Vec<u32>> =
                mask.map(|mask| self.program.download(&self.gpu, mask)).transpose()?;
            let is_set =
                |i: u32| bits.as_ref().is_none_or(|b| b[(i / 32) as usize] >> (i % 32) & 1 == 1);
            for i in (first..first + words).filter(|&i| is_set(i)) {
                let to = at + (i - first) as usize;
                kept[to / 32] |= 1 << (to % 32);
            }
            at += words as usize;
        }
        Ok(Some(kept))
    }
}
