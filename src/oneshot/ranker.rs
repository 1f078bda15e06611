//! The selection over a stream of chunks, on the device.
use crate::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program, Slot};
use crate::kernels::{
    MASK_STATE_WORDS, MaskBegin, MaskState, NmMask, Ranked, Round, Selection, TopkHistogram,
    TopkMask, TopkSettle, TopkState, TopkTies, Units, bit, mask_words, nm_mask_reference,
    topk_reference,
};
use crate::{Error, Result};

/// Fills a chunk behind its last value: ranks above everything, so it is never pruned.
const PADDING: f32 = f32::from_bits(0x7fff_ffff);
/// Smallest chunk, in elements. What has no more of them is ranked on the host, to the same bits: a
/// submission and its readback take longer than to sort it there.
pub(super) const LEAST: u32 = 4_096;

/// Chunks of one length, and what ranks them. The values of a ranking are counted chunk by chunk in
/// each of three rounds, whose range of ranks is the bin that the round before ended in; then chunk
/// by chunk, in the same order, their masks are read. A chunk that is all there is stays on the
/// device; over several the host keeps count, in 64 bits.
#[derive(Debug)]
pub(super) struct Ranker {
    gpu: Gpu,
    program: Program,
    len: usize,
    values: Slot,
    counts: Slot,
    state: Slot,
    /// What a round has counted of a chunk that is one of several.
    counted: Slot,
    /// Ties of such a chunk.
    ties: Slot,
    mask_state: Slot,
    mask: Slot,
    count: Phase,
    masks: Phase,
    one: Phase,
    nm: Option<Phase>,
    /// Values of each group of N:M.
    m: Option<u32>,
    ranking: Ranking,
    /// What [`begin_one`](Self::begin_one) said.
    one_count: u32,
    /// The values of a chunk that has just begun, which are not on the device.
    small: Vec<f32>,
    /// The highest score pruned by a ranking of one chunk.
    threshold: Option<f32>,
}

/// How far a ranking of several chunks has come; [`TopkState`] in 64 bits.
#[derive(Debug, Default)]
struct Ranking {
    /// Values in each bin, of the chunks so far.
    histogram: Vec<u64>,
    /// The range that is counted in.
    range: TopkState,
    /// Values to prune of those in the range.
    prune: u64,
    ties_kept: u64,
}

impl Ranking {
    fn is_one_rank(&self) -> bool {
        self.range.low == self.range.high
    }

    /// The mask of the next values of a ranking whose range is one rank: those above it stay, and
    /// of those in it the first.
    fn mask(&mut self, values: &[f32]) -> Masked {
        let mut bits = vec![0; values.len().div_ceil(32)];
        for (i, value) in values.iter().enumerate() {
            let rank = value.to_bits() & 0x7fff_ffff;
            let tied = rank == self.range.low && self.ties_kept > 0;
            self.ties_kept -= u64::from(tied);
            if tied || rank > self.range.low {
                bits[i / 32] |= 1 << (i % 32);
            }
        }
        Masked::of(values, bits)
    }
}

impl Ranker {
    /// Rounds after which the range is one rank.
    pub(super) const ROUNDS: usize = 3;

    /// Of chunks of at least `len` elements; for N:M with groups of `m`, whole groups of them.
    pub(super) fn new(gpu: &Gpu, len: u32, m: Option<u32>) -> Result<Self> {
        let len = len.max(LEAST).next_multiple_of(m.unwrap_or(1));
        let mut plan = PlanBuilder::new(gpu.target());
        let values = plan.persistent("values", len);
        let counts = plan.persistent("counts", 1);
        let histogram = plan.persistent("histogram", Selection::HISTOGRAM_WORDS);
        let counted = plan.persistent("counted", Round::HISTOGRAM_WORDS);
        let state = plan.persistent("state", Selection::STATE_WORDS);
        let mask_state = plan.persistent("mask_state", MASK_STATE_WORDS);
        let mask = plan.persistent("mask", mask_words(len));
        let protect = None;
        let count = plan.phase("histogram");
        let (begins, round) = (Round::FIRST, 1);
        let bins = counted;
        plan.push(TopkHistogram { values, protect, state, histogram: bins, round, begins, len })?;
        let masks = plan.phase("mask");
        let ties = plan.persistent("ties", TopkTies::words(len));
        let list = plan.scratch("list", Selection::LIST_WORDS);
        plan.push(MaskBegin { mask_state, keep_nan: false })?;
        let (before, first) = (None, 0);
        plan.push(TopkTies { values, protect, state, histogram, ties, before, begins, len })?;
        plan.push(TopkMask { values, protect, ties, state, list, mask_state, mask, len, first })?;
        let scores = true;
        plan.push(TopkSettle {
            values,
            protect,
            ties,
            list,
            state,
            histogram,
            clears: 0,
            mask_state,
            mask,
            scores,
            len,
            first,
        })?;
        let one = plan.phase("selection");
        plan.push(MaskBegin { mask_state, keep_nan: false })?;
        let tensor = Ranked { values, protect, scores: true, mask_state, mask, len };
        Selection { counts, selection: 0, histogram, state }.push(&mut plan, "one", &[tensor])?;
        let nm_phase = m.map(|m| {
            let phase = plan.phase("n:m");
            plan.push(MaskBegin { mask_state, keep_nan: false })?;
            let (of, selection) = (Units::new([len, 1]), 0);
            NmMask { values, counts, selection, mask_state, mask, of, m }.push(&mut plan)?;
            Ok::<_, Error>(phase)
        });
        let nm = nm_phase.transpose()?;
        let (gpu, program) = (gpu.clone(), plan.build(gpu)?);
        let len = len as usize;
        Ok(Self {
            gpu,
            program,
            len,
            values,
            counts,
            state,
            counted,
            ties,
            mask_state,
            mask,
            count,
            masks,
            one,
            nm,
            m,
            ranking: Ranking::default(),
            one_count: 0,
            small: Vec::new(),
            threshold: None,
        })
    }

    /// Elements of a chunk.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes scores into the chunk from place `first` on, each behind the one before, before a
    /// call that takes their number.
    pub(super) fn put(&mut self, first: usize, scores: &[f32]) {
        if first == 0 {
            self.small.clear();
        }
        if first == self.small.len() && first + scores.len() <= LEAST as usize {
            return self.small.extend_from_slice(scores);
        }
        self.flush();
        self.program.upload_from(&self.gpu, self.values, first, scores);
    }

    /// Puts on the device what is not there yet.
    fn flush(&mut self) {
        let small = std::mem::take(&mut self.small);
        if !small.is_empty() {
            self.program.upload_from(&self.gpu, self.values, 0, &small);
        }
    }

    /// The chunk's values, where they are so few that the host ranks them.
    fn on_host(&mut self, filled: usize) -> Option<Vec<f32>> {
        let all = filled > 0 && self.small.len() == filled;
        all.then(|| std::mem::take(&mut self.small))
    }

    /// How many values [`rank_one`](Self::rank_one) prunes; for N:M how many of a group stay.
    pub(super) fn begin_one(&mut self, count: u32) {
        self.one_count = count;
    }

    /// How many values the ranking that begins prunes.
    pub(super) fn begin(&mut self, prune: u64) {
        let histogram = vec![0; Round::HISTOGRAM_WORDS as usize];
        let range = TopkState::range(0, u32::MAX);
        self.ranking = Ranking { histogram, range, prune, ..Default::default() };
        self.upload_state();
    }

    /// Counts the first `filled` elements of the chunk.
    pub(super) fn count(&mut self, filled: usize) -> Result<()> {
        self.pad(filled);
        self.run(&[self.count])?;
        let counted: Vec<u32> = self.program.download(&self.gpu, self.counted)?;
        self.program.upload(&self.gpu, self.counted, &vec![0u32; counted.len()]);
        let bins = self.ranking.histogram.iter_mut();
        bins.zip(counted).for_each(|(bin, count)| *bin += u64::from(count));
        Ok(())
    }

    /// Ends a round: the range becomes the lowest bin up to which there are as many values as are
    /// still to be pruned.
    pub(super) fn pick(&mut self) {
        let Ranking { histogram, range, prune, ties_kept } = &mut self.ranking;
        let [at, first] = [Selection::AT, Selection::BINS_FROM].map(|bin| bin as usize);
        histogram[first] += histogram[at];
        let bins = &histogram[first..];
        let mut found = 0;
        while found < bins.len() - 1 && bins[found] < *prune {
            *prune -= bins[found];
            found += 1;
        }
        *ties_kept = bins[found].saturating_sub(*prune);
        let [low, high] = range.bin(found as u32);
        *range = TopkState::range(low, high);
        histogram.fill(0);
        self.upload_state();
    }

    /// The mask of the first `filled` elements of the next chunk.
    pub(super) fn mask(&mut self, filled: usize) -> Result<Masked> {
        if let Some(values) = self.on_host(filled) {
            return Ok(self.ranking.mask(&values));
        }
        self.pad(filled);
        self.upload_state();
        self.run(&[self.masks])?;
        if self.ranking.is_one_rank() {
            let ties: Vec<u32> = self.program.download(&self.gpu, self.ties)?;
            let of_chunk = ties[TopkTies::chunks(self.values.words) as usize];
            self.ranking.ties_kept = self.ranking.ties_kept.saturating_sub(of_chunk.into());
        }
        self.masked(filled)
    }

    fn upload_state(&self) {
        let Ranking { range, ties_kept, .. } = self.ranking;
        // More than a chunk has are as good as all.
        let ties_kept = u32::try_from(ties_kept).unwrap_or(u32::MAX);
        let mode = if self.ranking.is_one_rank() { TopkState::TIED } else { TopkState::OPEN };
        // Of the masks, and of a round before them.
        let state = TopkState { mode, ties_kept, ..range };
        self.program.upload(&self.gpu, self.state, &[state; 2]);
    }

    /// Ranks a chunk that is all there is, in one submission.
    pub(super) fn rank_one(&mut self, filled: usize) -> Result<Masked> {
        if let Some(values) = self.on_host(filled) {
            let bits = topk_reference(&values, None, self.one_count as usize);
            let masked = Masked::of(&values, bits);
            self.threshold = Some(masked.threshold);
            return Ok(masked);
        }
        self.pad(filled);
        self.program.upload(&self.gpu, self.counts, &[self.one_count]);
        self.program.upload(&self.gpu, self.mask_state, &[MaskState::default()]);
        self.run(&[self.one])?;
        let masked = self.masked(filled)?;
        self.threshold = Some(masked.threshold);
        Ok(masked)
    }

    /// The N:M mask of the first `filled` elements of the chunk.
    pub(super) fn nm(&mut self, filled: usize) -> Result<Masked> {
        let (Some(nm), Some(m)) = (self.nm, self.m) else {
            return Err(Error::argument("pattern", "made without groups"));
        };
        if let Some(values) = self.on_host(filled) {
            let bits = nm_mask_reference(&values, 1, self.one_count as usize, m as usize);
            return Ok(Masked::of(&values, bits));
        }
        // Groups of zeros: what is pruned of them is no threshold.
        self.fill(filled, 0.0);
        self.program.upload(&self.gpu, self.counts, &[self.one_count]);
        self.program.upload(&self.gpu, self.mask_state, &[MaskState::default()]);
        self.run(&[nm])?;
        self.masked(self.len)
    }

    /// The highest score that the ranking prunes.
    pub(super) fn threshold(&mut self) -> f32 {
        self.threshold.take().unwrap_or_else(|| f32::from_bits(self.ranking.range.low))
    }

    /// Fills what is behind the first `filled` elements with what is never pruned.
    fn pad(&mut self, filled: usize) {
        self.fill(filled, PADDING);
    }

    fn fill(&mut self, filled: usize, value: f32) {
        self.flush();
        let piece = vec![value; (self.len - filled).min(1 << 16)];
        for first in (filled..self.len).step_by(1 << 16) {
            let piece = &piece[..piece.len().min(self.len - first)];
            self.program.upload_from(&self.gpu, self.values, first, piece);
        }
    }

    fn run(&self, phases: &[Phase]) -> Result<()> {
        let mut encoder = Encoder::new(&self.gpu);
        for &phase in phases {
            self.program.encode(phase, &mut encoder);
        }
        encoder.submit()
    }

    /// What the last run left, of which all behind the first `filled` elements are NaN.
    fn masked(&self, filled: usize) -> Result<Masked> {
        let bits = self.program.download(&self.gpu, self.mask)?;
        let state: Vec<MaskState> = self.program.download(&self.gpu, self.mask_state)?;
        let padding = (self.len() - filled) as u32;
        let threshold = f32::from_bits(state[0].threshold);
        Ok(Masked { bits, nan: state[0].nan - padding, threshold })
    }
}

/// The mask of a chunk.
#[derive(Debug)]
pub(super) struct Masked {
    /// One bit per element.
    pub(super) bits: Vec<u32>,
    /// Elements that are NaN.
    pub(super) nan: u32,
    /// Highest |x| pruned by N:M.
    pub(super) threshold: f32,
}

impl Masked {
    /// Of values that the host ranked.
    fn of(values: &[f32], bits: Vec<u32>) -> Self {
        let nan = values.iter().filter(|v| v.is_nan()).count() as u32;
        let pruned = values.iter().enumerate().filter(|(i, _)| !bit(&bits, *i));
        let threshold = pruned.map(|(_, v)| v.abs()).fold(0.0, f32::max);
        Self { bits, nan, threshold }
    }
}
