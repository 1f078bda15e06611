//! What is ranked of a tensor: its elements, blocks of them, or its elements or vectors of them in
//! groups.
use super::ranker::Masked;
use crate::kernels::NmMask;
use crate::storage::TensorInfo;

/// How a tensor is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Into its elements.
    Elements,
    /// Into blocks `[height, width]` of a matrix whose columns are its last axis.
    Blocks([u32; 2]),
    /// Into groups of `m` elements along an axis, which `m` divides.
    Groups { m: u32, axis: usize },
    /// Into groups of `m` inputs, and each of these for `v` neighbouring outputs as one.
    Vectors { m: u32, v: u32, inputs: Inputs },
}

/// Where the inputs of a matrix are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inputs {
    /// Along its last axis; all axes before that are outputs.
    Last,
    /// Along all axes but the last, which is the outputs'.
    First,
    /// Along all axes but the first, which is the outputs'.
    BehindFirst,
}

impl Inputs {
    /// Those of a tensor of `rank` axes whose inputs are `axis`; none where the axis of the outputs
    /// is not clear.
    pub(super) fn of(axis: usize, rank: usize) -> Option<Self> {
        match (axis, rank) {
            // A convolution over images, as PyTorch and as this crate have it.
            (1, 4..) if axis + 2 < rank => Some(Self::BehindFirst),
            (_, 2 | 4..) if axis + 2 == rank => Some(Self::First),
            (_, 2..) if axis + 1 == rank => Some(Self::Last),
            _ => None,
        }
    }
}

/// A tensor as a matrix of blocks, its last axis being the columns; for single elements as one
/// column of them. Units are counted row by row.
///
/// In groups the columns are all axes behind that of the groups, a block is a group, and its
/// elements are the units: those of a group follow each other. Of vectors a block is a group, too,
/// and its vectors are the units; a block at the edge counts as many of them as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    rows: u64,
    columns: u64,
    height: u64,
    width: u64,
    /// Units of a block: 1, or all its elements, or all its vectors.
    each: u64,
    /// Whether vectors are columns of a block, not rows.
    upright: bool,
}

impl Units {
    /// The units of `tensor`.
    pub(super) fn new(tensor: &TensorInfo, cut: Cut) -> Self {
        let len = tensor.len();
        let matrix = |columns: u64| (len / columns.max(1), columns.max(1));
        let upright = false;
        match cut {
            Cut::Elements => Self { rows: len, columns: 1, height: 1, width: 1, each: 1, upright },
            Cut::Blocks([height, width]) => {
                let (rows, columns) = matrix(tensor.shape.last().map_or(1, |&d| d as u64));
                let width = u64::from(width).min(columns);
                Self { rows, columns, height: height.into(), width, each: 1, upright }
            }
            Cut::Groups { m, axis } => {
                let behind = tensor.shape.iter().skip(axis + 1);
                let (rows, columns) = matrix(behind.map(|&d| d as u64).product());
                Self { rows, columns, height: m.into(), width: 1, each: m.into(), upright }
            }
            Cut::Vectors { m, v, inputs } => {
                let columns = match inputs {
                    Inputs::Last | Inputs::First => tensor.shape.last().map_or(1, |&d| d as u64),
                    Inputs::BehindFirst => len / tensor.shape.first().map_or(1, |&d| d as u64),
                };
                let ((rows, columns), upright) = (matrix(columns), inputs != Inputs::First);
                let [height, width] = if upright { [v, m] } else { [m, v] }.map(u64::from);
                Self { rows, columns, height, width, each: m.into(), upright }
            }
        }
    }

    /// Whether the units are the elements in their order.
    pub(super) fn are_elements(self) -> bool {
        let in_order = self.each == 1 || (self.columns == 1 && !self.upright);
        self.each == self.height * self.width && in_order
    }

    /// Whether several elements are one unit, which is a block.
    pub(super) fn are_blocks(self) -> bool {
        self.each == 1 && self.height * self.width > 1
    }

    /// How many there are.
    pub(super) fn count(self) -> u64 {
        self.rows.div_ceil(self.height) * self.across()
    }

    /// Units that are only read together: a row of blocks.
    pub(super) fn across(self) -> u64 {
        self.columns.div_ceil(self.width) * self.each
    }

    /// Where a chunk from unit `from` on ends that has at most `units` units and, but for a single
    /// row of blocks, at most `elements` elements.
    pub(super) fn end(self, from: u64, units: u64, elements: u64) -> u64 {
        let rows = (units / self.across()).min(elements / (self.height * self.columns)).max(1);
        self.count().min(from + rows * self.across())
    }

    /// The units of `range` in chunks, each as [`end`](Self::end) has it.
    pub(super) fn chunks(
        self,
        (mut from, end): (u64, u64),
        units: u64,
        elements: u64,
    ) -> Vec<(u64, u64)> {
        let mut chunks = Vec::new();
        while from < end {
            let next = self.end(from, units, elements).min(end);
            chunks.push((from, next));
            from = next;
        }
        chunks
    }

    /// The elements of the units in `from..end`, whole rows of blocks.
    pub(super) fn elements(self, (from, end): (u64, u64)) -> (u64, u64) {
        let first = |unit: u64| (unit / self.across() * self.height).min(self.rows) * self.columns;
        (first(from), first(end))
    }

    /// The unit of element `i` of a chunk, counted from the chunk's first.
    pub(super) fn of(self, i: usize) -> usize {
        if self.are_elements() {
            return i;
        }
        let (row, column) = (i as u64 / self.columns, i as u64 % self.columns);
        let first = row / self.height * self.across() + column / self.width * self.each;
        // The place within the block, where that has units of its own.
        let place = if self.upright { column % self.width } else { row % self.height };
        (first + if self.each == 1 { 0 } else { place }) as usize
    }

    /// The values of a chunk of whole rows of groups in the order of the units.
    pub(super) fn grouped(self, values: &[f32], scores: &mut [f32]) {
        values.iter().enumerate().for_each(|(i, &value)| scores[self.of(i)] = value);
    }

    /// The scores of a chunk of whole rows of blocks: the mean magnitude of each, summed in f64.
    /// `fill` puts the row of that number into the buffer.
    pub(super) fn scores(
        self,
        elements: usize,
        scores: &mut [f32],
        mut fill: impl FnMut(usize, &mut [f32]),
    ) {
        let mut row = vec![0.0; self.columns as usize];
        let mut sums = vec![0.0f64; self.across() as usize];
        let (height, rows) = (self.height as usize, elements / row.len());
        for (first, scores) in (0..rows).step_by(height).zip(scores.chunks_mut(sums.len())) {
            let last = rows.min(first + height);
            sums.fill(0.0);
            for r in first..last {
                fill(r, &mut row);
                for (sum, block) in sums.iter_mut().zip(row.chunks(self.width as usize)) {
                    *sum += block.iter().map(|x| f64::from(x.abs())).sum::<f64>();
                }
            }
            for ((score, sum), block) in
                scores.iter_mut().zip(&sums).zip(row.chunks(self.width as usize))
            {
                *score = (sum / (block.len() * (last - first)) as f64) as f32;
            }
        }
    }

    /// The mask of a chunk of whole rows of blocks of vectors, of which `n` of each whole group stay:
    /// those of the highest mean magnitudes, summed in f64, and of equal ones the first.
    pub(super) fn ranked(self, values: &[f32], n: u32) -> Masked {
        let (each, rows) = (self.each as usize, values.len() as u64 / self.columns);
        let mut sums = vec![0.0f64; (rows.div_ceil(self.height) * self.across()) as usize];
        values.iter().enumerate().for_each(|(i, x)| sums[self.of(i)] += f64::from(x.abs()));
        let (mut bits, mut nan, mut threshold) = (vec![0; sums.len().div_ceil(32)], 0, 0.0f32);
        let across = self.columns.div_ceil(self.width);
        for (block, sums) in (0..).zip(sums.chunks(each)) {
            let [row, column] = [block / across * self.height, block % across * self.width];
            // What is there of a block at the edge.
            let [height, width] =
                [self.height.min(rows - row), self.width.min(self.columns - column)];
            let (inputs, units) = if self.upright { (width, height) } else { (height, width) };
            let mean = |&sum: &f64| (sum / units as f64) as f32;
            let scores: Vec<f32> = sums[..inputs as usize].iter().map(mean).collect();
            nan += scores.iter().filter(|x| x.is_nan()).count() as u32;
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let pruned = order.split_off(NmMask::kept(n, each as u32, inputs as u32) as usize);
            threshold = pruned.iter().map(|&at| scores[at]).fold(threshold, f32::max);
            for unit in order.iter().map(|at| block as usize * each + at) {
                bits[unit / 32] |= 1 << (unit % 32);
            }
        }
        Masked { bits, nan, threshold }
    }
}
