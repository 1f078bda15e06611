//! Products of recurrent layers in mixed precision: which read copies in f16, and of what.
use super::super::f16::{PeakOf, Piece};
use super::super::lower::Lowering;
use super::super::ops::{GruGradient, LstmGradient};
use super::super::Op;
use super::{Gru, Lstm};
use crate::Result;
use crate::gpu::Slot;
use crate::kernels::{F16Matmul, Form, LstmProduct, Matmul};

/// Copies of a layer's gradient that are no tensors, at most: what the weights are multiplied with
/// in both directions. An LSTM with a projection has two of each, and so has a GRU. Besides, each
/// step has the copies of its gradients, and all states have a peak of 1.
const TAPES: u32 = 4;

/// Multiply-adds of a step's product from which on it reads halves, where a GPU would make the step
/// in one launch. By the model, an H100 takes 13 us forward and 37 us back then, and over halves 13
/// and 17 with all launches (docs/benchmarks.md).
const LARGE: u64 = 1 << 26;
/// The same where the product has its own launch in 32 bits, too. Such a product takes 8 us, and the
/// copy of a state a launch of some 2.5 us, that of a gradient two.
const LARGE_ALONE: u64 = 1 << 27;

/// The names of both operands of a product, and whose peaks say their powers of two.
pub(super) type Operands = [(&'static str, PeakOf); 2];

impl Lowering<'_> {
    /// Marks the tensors in `read` that the recurrent layers in `live` will copy in f16, or find
    /// the peak of, and says how many peaks their other copies need at most.
    pub(in super::super) fn recurrent_peaks(&self, live: &[bool], read: &mut [bool]) -> u32 {
        let mut peaks = 0;
        for (node, _) in self.graph.nodes.iter().zip(live).filter(|(_, live)| **live) {
            let (products, operands, others) = match (node.op, node.inputs.as_slice()) {
                (Op::Lstm(shape), &[x, kernel, ..]) => (shape.products(), vec![x, kernel], 1),
                (Op::LstmGradient(LstmGradient { shape }), &[_, _, kernel, ..]) => {
                    (shape.products(), vec![kernel], TAPES + shape.length)
                }
                (Op::Gru(shape), &[x, gates, _, candidate, ..]) => {
                    (shape.products(), vec![x, gates, candidate], 1)
                }
                (Op::GruGradient(GruGradient { shape }), &[_, _, gates, _, candidate, ..]) => {
                    (shape.products(), vec![gates, candidate], TAPES + 2 * shape.length)
                }
                _ => continue,
            };
            if products.into_iter().any(|extents| self.reads_f16(extents)) {
                operands.into_iter().for_each(|tensor| read[tensor.0] = true);
                peaks += others;
            }
        }
        peaks
    }

    /// Appends `product`, over copies in f16 where products of its extents read such; `onto` what
    /// its result's slot holds, or not.
    pub(super) fn product_of_times(
        &mut self,
        product: Matmul,
        operands: Operands,
        onto: bool,
    ) -> Result<()> {
        let [first, last] = terms(&product);
        if self.reads_f16([product.m, product.n, last - first]) {
            return self.product_over_halves(product, operands, onto);
        }
        match onto {
            true => product.push_onto(self.plan),
            false => product.push(self.plan),
        }
    }

    /// Whether the products of a step of so many rows and units read halves, one of which has these
    /// rows, columns and terms. Such a step is no single launch.
    ///
    /// Copies of states take 1 for the largest of them: `sigmoid(o) tanh(c)` is not beyond it, and
    /// neither is what lies between a GRU's state before and a tanh. The states begin with zeros.
    pub(super) fn step_reads_f16(&self, [rows, units]: [u32; 2], extents: [u32; 3]) -> bool {
        let multiply_adds = extents.into_iter().map(u64::from).fold(1, u64::saturating_mul);
        let fuses = LstmProduct::pays(self.plan.target(), rows, units);
        self.reads_f16(extents) && multiply_adds >= if fuses { LARGE } else { LARGE_ALONE }
    }

    /// Appends the product of a step that sends a gradient back to the states, or to their reset.
    pub(super) fn returned(
        &mut self,
        product: Matmul,
        operands: Operands,
        halves: bool,
    ) -> Result<()> {
        match halves {
            true => self.product_over_halves(product, operands, false),
            false => product.push(self.plan),
        }
    }

    /// Appends `product` over copies in f16.
    pub(super) fn product_over_halves(
        &mut self,
        product: Matmul,
        operands: Operands,
        onto: bool,
    ) -> Result<()> {
        let Matmul { form, m, n, bias, begin: [_, begin], .. } = product;
        let [first, last] = terms(&product);
        let [(of_a, peak_of_a), (of_b, peak_of_b)] = operands;
        let [a, b] = pieces(&product, [first, last]);
        let a = self.f16_copy_of(a, of_a, peak_of_a)?;
        let b = self.f16_copy_of(b, of_b, peak_of_b)?;
        let (peaks, extents) = (self.f16.peaks()?, [m, n, last - first]);
        let halves = F16Matmul::new(form, [a, b], [peaks, product.c], extents);
        let halves = F16Matmul { bias, begin, ..halves };
        match onto {
            true => halves.push_onto(self.plan),
            false => halves.push(self.plan),
        }
    }
}

impl Lstm {
    /// Extents of the products over all times: with the inputs, and of the weights' gradients.
    fn products(&self) -> [[u32; 3]; 3] {
        let &Self { rows, length, width, units, outputs, .. } = self;
        let all = length.saturating_mul(rows);
        let of_projection = if self.projects { outputs } else { 0 };
        let sums = units.saturating_mul(4);
        [[all, sums, width], [self.stride(), sums, all], [units, of_projection, all]]
    }
}

impl Gru {
    /// As [`Lstm::products`]: of the gates, and of the candidates.
    fn products(&self) -> [[u32; 3]; 3] {
        let &Self { rows, length, width, units } = self;
        let all = length.saturating_mul(rows);
        let sums = units.saturating_mul(2);
        [[all, sums, width], [self.stride(), sums, all], [self.stride(), units, all]]
    }
}

/// The terms that are added up, from the first to one past the last.
fn terms(product: &Matmul) -> [u32; 2] {
    product.terms.unwrap_or([0, product.k])
}

/// What the terms `first..last` of a product read of its operands.
fn pieces(product: &Matmul, [first, last]: [u32; 2]) -> [Piece; 2] {
    let &Matmul { form, a, b, mask, m, n, k, begin, first_column, .. } = product;
    let terms = last - first;
    let piece = |values: Slot, mask, extents: [u32; 2], begin, stride| Piece {
        values,
        mask,
        extents,
        begin,
        stride,
        block: extents[0],
    };
    let of_a = match form {
        Form::NN | Form::NT => piece(a, None, [m, terms], begin[0] + first, k),
        Form::TN => piece(a, None, [terms, m], begin[0] + first * m, m),
    };
    let of_b = match form {
        Form::NN | Form::TN => piece(b, mask, [terms, n], first * n, n),
        Form::NT => piece(b, mask, [n, terms], first_column * k + first, k),
    };
    [of_a, of_b]
}
