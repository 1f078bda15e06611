//! Convolutions, pools and local response norms. The operators have channels before rows and
//! columns, so images are turned for them and turned back.
use super::builder::Builder;
use super::proto::Attribute;
use crate::graph::{Tensor, ops};
use crate::kernels::{Convolution, Form, Lrn, Pooling};

const CHANNELS_FIRST: [i64; 4] = [0, 3, 1, 2];
const CHANNELS_LAST: [i64; 4] = [0, 2, 3, 1];

/// Rows above, columns left, rows below, columns right that are not the image's.
fn pads(shape: &Convolution) -> [i64; 4] {
    let behind = |d: usize| {
        let reach = i64::from(shape.kernel[d] - 1) * i64::from(shape.dilation[d]) + 1;
        let whole = i64::from(shape.out[d] - 1) * i64::from(shape.stride[d]) + reach;
        // What is left of an image behind the last window counts for nothing.
        (whole - i64::from(shape.size[d]) - i64::from(shape.pad[d])).max(0)
    };
    [shape.pad[0].into(), shape.pad[1].into(), behind(0), behind(1)]
}

fn pair(values: [u32; 2]) -> [i64; 2] {
    values.map(i64::from)
}

impl Builder<'_> {
    fn windows(&self, shape: &Convolution) -> Vec<Attribute> {
        vec![
            Attribute::ints("kernel_shape", pair(shape.kernel)),
            Attribute::ints("strides", pair(shape.stride)),
            Attribute::ints("pads", pads(shape)),
        ]
    }

    /// None for a product that is no forward pass.
    pub(super) fn conv2d(&mut self, at: usize, inputs: &[Tensor], op: ops::Conv2d) -> Option<()> {
        if op.form != Form::NN {
            return None;
        }
        let (values, extents) = self.values(inputs[1]).ok()?;
        let &[rows, columns, channels, outputs] = extents else { return None };
        let mut kernel = Vec::with_capacity(values.len());
        for o in 0..outputs {
            for c in 0..channels {
                let places = (0..rows * columns).map(|p| values[(p * channels + c) * outputs + o]);
                kernel.extend(places);
            }
        }
        let kernel = self.floats("kernel", &[outputs, channels, rows, columns], &kernel);
        let x = self.of(inputs[0]).to_owned();
        let x = self.transpose(&x, &CHANNELS_FIRST);
        let mut attributes = self.windows(&op.shape);
        attributes.push(Attribute::ints("dilations", pair(op.shape.dilation)));
        attributes.push(Attribute::int("group", op.shape.groups.into()));
        let mut operands = vec![x, kernel];
        if let Some(&bias) = inputs.get(2) {
            operands.push(self.operand(bias).ok()?);
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        let y = self.node("Conv", &operands, attributes);
        let y = self.activated(&y, op.activation);
        let y = self.transpose(&y, &CHANNELS_LAST);
        self.name_of(at, &y);
        Some(())
    }

    pub(super) fn pool(&mut self, at: usize, x: Tensor, op: ops::Pool) {
        let x = self.of(x).to_owned();
        let x = self.transpose(&x, &CHANNELS_FIRST);
        // What is outside of the image is no part of a window: the operators' default.
        let operator = if op.pooling == Pooling::Max { "MaxPool" } else { "AveragePool" };
        let attributes = self.windows(&op.shape);
        let y = self.node(operator, &[&x], attributes);
        let y = self.transpose(&y, &CHANNELS_LAST);
        self.name_of(at, &y);
    }

    pub(super) fn lrn(&mut self, at: usize, x: Tensor, lrn: Lrn) {
        let (rank, x) = (self.extents(x).len() as i64, self.of(x).to_owned());
        // The channels second, and where there are fewer axes than the operator wants more of 1.
        let order: Vec<i64> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let back: Vec<i64> = [0].into_iter().chain(2..rank).chain([1]).collect();
        let x = self.transpose(&x, &order);
        let size = 2 * lrn.radius + 1;
        let attributes = vec![
            // The operator divides it by the size.
            Attribute::float("alpha", lrn.alpha * size as f32),
            Attribute::float("beta", lrn.beta),
            Attribute::float("bias", lrn.bias),
            Attribute::int("size", size.into()),
        ];
        let y = self.node("LRN", &[&x], attributes);
        let y = self.transpose(&y, &back);
        self.name_of(at, &y);
    }
}
