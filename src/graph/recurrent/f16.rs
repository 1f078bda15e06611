//! Products of recurrent layers in mixed precision: which read copies in f16, and of what.
use super::super::f16::{PeakOf, Piece};
use super::super::lower::Lowering;
use super::super::ops::{GruGradient, LstmGradient};
use super::super::Op;
use super::{Gru, Lstm};
use crate::Result;
use crate::gpu::Slot;
use crate::kernels::{F16Matmul, Form, Matmul};

/// Copies of a layer's gradient that are no tensors, at most: what the weights are multiplied with
/// in both directions. An LSTM with a projection has two of each, and so has a GRU.
const TAPES: u32 = 4;

/// The names of both operands of a product, and whose peaks say their powers of two.
pub(super) type Operands<'a> = [(&'a str, PeakOf); 2];

impl Lowering<'_> {
    /// Marks the tensors in `read` that the recurrent layers in `live` will copy in f16, or find
    /// the peak of, and says how many peaks their other copies need at most.
    pub(in super::super) fn recurrent_peaks(&self, live: &[bool], read: &mut [bool]) -> u32 {
        let mut peaks = 0;
        for (node, _) in self.graph.nodes.iter().zip(live).filter(|(_, live)| **live) {
            let (products, operands, tapes) = match (node.op, node.inputs.as_slice()) {
                (Op::Lstm(shape), &[x, kernel, ..]) => (shape.products(), vec![x, kernel], 0),
                (Op::LstmGradient(LstmGradient { shape }), &[_, _, kernel, ..]) => {
                    (shape.products(), vec![kernel], TAPES)
                }
                (Op::Gru(shape), &[x, gates, _, candidate, ..]) => {
                    (shape.products(), vec![x, gates, candidate], 0)
                }
                (Op::GruGradient(GruGradient { shape }), &[_, _, gates, _, candidate, ..]) => {
                    (shape.products(), vec![gates, candidate], TAPES)
                }
                _ => continue,
            };
            if products.into_iter().any(|extents| self.reads_f16(extents)) {
                operands.into_iter().for_each(|tensor| read[tensor.0] = true);
                peaks += tapes;
            }
        }
        peaks
    }

    /// Appends `product`, over copies in f16 where products of its extents read such; `onto` what
    /// its result's slot holds, or not.
    pub(super) fn product_of_times(
        &mut self,
        product: Matmul,
        operands: Operands<'_>,
        onto: bool,
    ) -> Result<()> {
        let Matmul { form, m, n, k, .. } = product;
        let [first, last] = product.terms.unwrap_or([0, k]);
        let extents = [m, n, last - first];
        if !self.reads_f16(extents) {
            return match onto {
                true => product.push_onto(self.plan),
                false => product.push(self.plan),
            };
        }
        let [(of_a, peak_of_a), (of_b, peak_of_b)] = operands;
        let [a, b] = pieces(&product, [first, last]);
        let a = self.f16_copy_of(a, of_a, peak_of_a)?;
        let b = self.f16_copy_of(b, of_b, peak_of_b)?;
        let halves = F16Matmul::new(form, [a, b], [self.f16.peaks()?, product.c], extents);
        let halves = F16Matmul { bias: product.bias, ..halves };
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
