//! Products: matrices and convolutions, which take the same operands, and what their launches do
//! besides.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::ops::{self, ColumnSum, Gate};
use super::stored::{Factor, Factors, Masked};
use super::{Node, Op, Tensor};
use crate::gpu::Slot;
use crate::kernels::{
    Activation, Conv2d, F16Conv2d, F16Matmul, Form, LiveMatmul, LiveTerms, Matmul,
    PackedConvolution, PackedProduct, Patches, WeightGradient,
};
use crate::{Error, Result};

impl Backward<'_> {
    /// Sends the gradient of the product `tensor` of `form` on to its factors and its bias, by the
    /// products `op` of other forms.
    pub(super) fn product<O: Into<Op>>(
        &mut self,
        tensor: Tensor,
        gradient: Tensor,
        (form, activation): (Form, Activation),
        op: impl Fn(Form) -> O,
    ) -> Result<()> {
        let inputs = self.graph.nodes[tensor.0].inputs.clone();
        let &[x, weight, ref bias @ ..] = inputs.as_slice() else {
            return Err(self.lacks(tensor, "lacks inputs"));
        };
        let gradient = match activation {
            Activation::Identity => gradient,
            _ => self.like(Gate { activation }, vec![gradient, tensor], tensor),
        };
        if let &[bias] = bias {
            self.send(bias, ColumnSum, vec![gradient]);
        }
        // A weight that is stored transposed has its gradient stored so.
        let (of_weight, of_x) = match form {
            Form::NT => (vec![gradient, x], Form::NN),
            Form::NN | Form::TN => (vec![x, gradient], Form::NT),
        };
        self.send(weight, op(Form::TN), of_weight);
        self.send(x, op(of_x), vec![gradient, weight]);
        Ok(())
    }
}

/// How often a forward product that makes `node` multiplies with each weight for one row of a batch
/// of `rows`.
pub(super) fn multiplies(node: &Node, place: usize, rows: u32) -> u64 {
    if place != 1 {
        return 0;
    }
    let outputs = node.shape.dims().last().copied().unwrap_or(1).max(1);
    let elements = u64::from(node.shape.elements().unwrap_or(0));
    elements / u64::from(outputs) / u64::from(rows.max(1))
}

impl Lowering<'_> {
    /// The gate that is the only reader of the product `tensor`: one launch does both.
    pub(super) fn gate_of(&self, tensor: Tensor) -> Option<Tensor> {
        let is_input_gradient = match self.graph.nodes[tensor.0].op {
            Op::Matmul(ops::Matmul { form, forward, .. }) => !forward && form != Form::TN,
            Op::Conv2d(ops::Conv2d { form, .. }) => form == Form::NT,
            _ => false,
        };
        if !is_input_gradient || self.uses[tensor.0] != 1 {
            return None;
        }
        let gates = |n: &Node| matches!(n.op, Op::Gate(_)) && n.inputs[0] == tensor;
        self.readers(tensor).find(|reader| gates(&self.graph.nodes[reader.0]))
    }

    /// `matmul` or `conv2d`, which takes the same operands.
    pub(super) fn product(
        &mut self,
        tensor: Tensor,
        gate: Option<(Tensor, (Slot, Activation))>,
    ) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let &[tensor_a, tensor_b, ref bias @ ..] = node.inputs.as_slice() else {
            return Err(self.lacks(tensor));
        };
        let bias = bias.first().map(|&bias| self.slot(bias)).transpose()?;
        let sum = self.added_to(tensor);
        let c = self.output(sum.or(gate.map(|(gated, _)| gated)).unwrap_or(tensor))?;
        sum.into_iter().for_each(|sum| self.done[sum.0] = true);
        let gate = gate.map(|(_, gate)| gate);
        match node.op {
            Op::Conv2d(ops::Conv2d { form, shape, activation }) => {
                if !self.is_packed(tensor_b) && self.convolves_f16(&shape) {
                    let operands = self.f16_copies_of([tensor_a, tensor_b], form, &shape)?;
                    let product = F16Conv2d::new(form, shape, operands, [self.f16.peaks()?, c]);
                    let product = F16Conv2d { bias, activation, gate, ..product };
                    return match sum {
                        Some(_) => product.push_onto(self.plan),
                        None => product.push(self.plan),
                    };
                }
                let a = self.slot(tensor_a)?;
                let of = [shape.outputs, u32::try_from(Patches::columns(&shape)).unwrap_or(0)];
                let factor = match form {
                    Form::NN => self.factor(tensor_b, of)?,
                    // Gradients need all of a weight.
                    Form::NT | Form::TN => Factor::Dense(self.read(tensor_b)?),
                };
                let Masked { values: b, mask } = match factor {
                    Factor::Dense(masked) => masked,
                    Factor::Packed(b) => {
                        let product = PackedProduct::new(a, b, c, 0);
                        let onto = sum.is_some();
                        let product = PackedProduct { bias, activation, onto, ..product };
                        return PackedConvolution { shape, product }.push(self.plan);
                    }
                };
                let product = Conv2d::new(form, shape, [a, b, c]);
                let product = Conv2d { mask, bias, activation, gate, ..product };
                match sum {
                    Some(_) => product.push_onto(self.plan),
                    None => product.push(self.plan),
                }
            }
            Op::Matmul(ops::Matmul { form, activation, forward }) => {
                let extents = self.extents(tensor, tensor_a, form)?;
                if let Some(refused) = self.refuses(tensor_b).filter(|_| !forward) {
                    return Err(refused);
                }
                match self.factors([tensor_a, tensor_b], extents)? {
                    Factors::Packed { a, b } => {
                        let product = PackedProduct::new(a, b, c, extents[0]);
                        let onto = sum.is_some();
                        PackedProduct { bias, activation, onto, ..product }.push(self.plan)
                    }
                    Factors::F16 { a, b, peaks } => {
                        let product = F16Matmul::new(form, [a, b], [peaks, c], extents);
                        let product = F16Matmul { bias, activation, gate, ..product };
                        match sum {
                            Some(_) => product.push_onto(self.plan),
                            None => product.push(self.plan),
                        }
                    }
                    Factors::F32 { a, b: Masked { values: b, mask } } => {
                        let product = Matmul::new(form, [a, b, c], extents);
                        let product = Matmul { mask, bias, activation, gate, ..product };
                        let terms = if forward { LiveTerms::Inputs } else { LiveTerms::Units };
                        // One row has a kernel of its own, which is as fast.
                        let live = match extents[0] {
                            _ if form == Form::TN => self.live_gradient(tensor)?,
                            0 | 1 => None,
                            _ => self.live(tensor_b, terms)?,
                        };
                        match (live, sum) {
                            (Some(live), Some(_)) => {
                                LiveMatmul { product, live }.push_onto(self.plan)
                            }
                            (Some(live), None) => LiveMatmul { product, live }.push(self.plan),
                            (None, Some(_)) => product.push_onto(self.plan),
                            (None, None) => product.push(self.plan),
                        }
                    }
                }
            }
            op => Err(Error::shape(op.name(), format!("{} is no product", node.name))),
        }
    }

    /// Makes the sum `tensor` of a layer's gradient in one launch with the product of the same
    /// gradient that is its weight's, where there is one and a kernel does both.
    pub(super) fn with_weight_gradient(&mut self, tensor: Tensor) -> Result<bool> {
        let [gradient] = self.inputs(tensor)?;
        let Some(product) = self.weight_gradient_of(gradient) else { return Ok(false) };
        let [a, b] = self.inputs(product)?;
        let of_a = b != gradient;
        let extents @ [m, n, _] = self.extents(product, a, Form::TN)?;
        // The rest must be there already, and nothing may be done to it besides.
        let columns = if of_a { m } else { n };
        let is_there = a.0.max(b.0) < tensor.0 && self.elements(tensor)? == columns;
        let bare = self.added_to(product).is_none() && self.added_to(tensor).is_none();
        let dense = [a, b].map(|x| self.read(x).is_ok_and(|read| read.mask.is_none()));
        let apart = self.reads_f16(extents) || self.live_gradient(product)?.is_some();
        if !is_there || !bare || dense.contains(&false) || apart {
            return Ok(false);
        }
        let (a, b) = (self.slot(a)?, self.slot(b)?);
        let target = self.plan.target();
        let Some(both) = WeightGradient::of(extents, of_a, target) else { return Ok(false) };
        let (c, sums) = (self.output(product)?, self.output(tensor)?);
        self.done[product.0] = true;
        self.plan.push(both([a, b, c, sums]))?;
        Ok(true)
    }

    /// The first product that is a weight's gradient, has not run yet, and reads `gradient`.
    fn weight_gradient_of(&self, gradient: Tensor) -> Option<Tensor> {
        let is_one = |&product: &Tensor| {
            let op = self.graph.nodes[product.0].op;
            let form = matches!(op, Op::Matmul(ops::Matmul { form: Form::TN, forward: false, .. }));
            form && !self.done[product.0]
        };
        self.readers(gradient).find(is_one)
    }

    /// Rows, columns and terms of the product `tensor` of `a` and something.
    pub(super) fn extents(&self, tensor: Tensor, a: Tensor, form: Form) -> Result<[u32; 3]> {
        let [m, n] = self.matrix(tensor)?;
        let [rows, columns] = self.matrix(a)?;
        Ok([m, n, if form == Form::TN { rows } else { columns }])
    }
}
