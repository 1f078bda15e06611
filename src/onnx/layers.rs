//! Products, sums, activations and norms.
use super::builder::Builder;
use super::proto::Attribute;
use crate::graph::{Tensor, ops};
use crate::kernels::{Activation, Form, Rows, Section};
use crate::{Error, Result};

impl Builder<'_> {
    pub(super) fn linear(&mut self, at: usize, inputs: &[Tensor], op: ops::Matmul) -> Result<()> {
        let (x, mut weight) = (self.of(inputs[0]).to_owned(), self.operand(inputs[1])?);
        if op.form == Form::NT {
            weight = self.transpose(&weight, &[1, 0]);
        }
        let mut y = self.node("MatMul", &[&x, &weight], vec![]);
        if let Some(&bias) = inputs.get(2) {
            let bias = self.operand(bias)?;
            y = self.node("Add", &[&y, &bias], vec![]);
        }
        let y = self.activated(&y, op.activation);
        self.name_of(at, &y);
        Ok(())
    }

    pub(super) fn binary(&mut self, at: usize, operator: &str, inputs: &[Tensor]) -> Result<()> {
        let (x, y) = (self.operand(inputs[0])?, self.operand(inputs[1])?);
        let out = self.node(operator, &[&x, &y], vec![]);
        self.name_of(at, &out);
        Ok(())
    }

    pub(super) fn activate(&mut self, at: usize, x: Tensor, activation: Activation) {
        let x = self.of(x).to_owned();
        let y = self.activated(&x, activation);
        self.name_of(at, &y);
    }

    pub(super) fn activated(&mut self, x: &str, activation: Activation) -> String {
        let operator = match activation {
            Activation::Identity => return x.to_owned(),
            Activation::Relu => "Relu",
            Activation::Tanh => "Tanh",
            Activation::Sigmoid => "Sigmoid",
            Activation::Silu => {
                let share = self.node("Sigmoid", &[x], vec![]);
                return self.node("Mul", &[x, &share], vec![]);
            }
            Activation::Gelu => {
                let root = self.scalar(std::f32::consts::FRAC_1_SQRT_2);
                let scaled = self.node("Mul", &[x, &root], vec![]);
                let share = self.node("Erf", &[&scaled], vec![]);
                return self.half_of_one_and(x, &share);
            }
            Activation::GeluTanh => {
                let [cubic, root] =
                    [0.044_715, (2.0 / std::f32::consts::PI).sqrt()].map(|v| self.scalar(v));
                let square = self.node("Mul", &[x, x], vec![]);
                let cube = self.node("Mul", &[&square, x], vec![]);
                let cube = self.node("Mul", &[&cube, &cubic], vec![]);
                let sum = self.node("Add", &[x, &cube], vec![]);
                let scaled = self.node("Mul", &[&sum, &root], vec![]);
                let share = self.node("Tanh", &[&scaled], vec![]);
                return self.half_of_one_and(x, &share);
            }
        };
        self.node(operator, &[x], vec![])
    }

    /// `x / 2 (1 + share)`
    fn half_of_one_and(&mut self, x: &str, share: &str) -> String {
        let [one, half] = [1.0, 0.5].map(|v| self.scalar(v));
        let share = self.node("Add", &[share, &one], vec![]);
        let product = self.node("Mul", &[x, &share], vec![]);
        self.node("Mul", &[&product, &half], vec![])
    }

    pub(super) fn softmax(&mut self, at: usize, x: Tensor) {
        let x = self.of(x).to_owned();
        let y = self.node("Softmax", &[&x], vec![Attribute::int("axis", -1)]);
        self.name_of(at, &y);
    }

    pub(super) fn normalise(&mut self, at: usize, x: Tensor, rows: Rows) {
        let mut x = self.of(x).to_owned();
        let mean = || vec![Attribute::ints("axes", [-1]), Attribute::int("keepdims", 1)];
        if rows.centred {
            let middle = self.node("ReduceMean", &[&x], mean());
            x = self.node("Sub", &[&x, &middle], vec![]);
        }
        let square = self.node("Mul", &[&x, &x], vec![]);
        let variance = self.node("ReduceMean", &[&square], mean());
        let epsilon = self.scalar(rows.epsilon);
        let sum = self.node("Add", &[&variance, &epsilon], vec![]);
        let root = self.node("Sqrt", &[&sum], vec![]);
        let y = self.node("Div", &[&x, &root], vec![]);
        self.name_of(at, &y);
    }

    pub(super) fn batch_norm(&mut self, at: usize, inputs: &[Tensor], epsilon: f32) -> Result<()> {
        let (running, _) = self.values(inputs[2])?;
        let (means, variances) = running.split_at(running.len() / 2);
        let slope = |v: &f32| (1.0 / (f64::from(*v) + f64::from(epsilon)).sqrt()) as f32;
        let slopes: Vec<f32> = variances.iter().map(slope).collect();
        let means = self.floats("means", &[slopes.len()], means);
        let slopes = self.floats("slopes", &[slopes.len()], &slopes);
        let x = self.of(inputs[0]).to_owned();
        let x = self.node("Sub", &[&x, &means], vec![]);
        let y = self.node("Mul", &[&x, &slopes], vec![]);
        self.name_of(at, &y);
        Ok(())
    }

    pub(super) fn reshape(&mut self, at: usize, x: Tensor) -> Result<()> {
        let (x, shape) = (self.operand(x)?, self.extents_at(at));
        if shape.iter().filter(|&&extent| extent == -1).count() > 1 {
            let message = format!("a reshape to {shape:?}: two axes grow with the batch");
            return Err(Error::argument("onnx", message));
        }
        let y = self.shaped(&x, &shape);
        self.name_of(at, &y);
        Ok(())
    }

    /// The axis of a section, in a tensor of these extents.
    fn axis(extents: &[i64], section: Section) -> i64 {
        let inner = |axis: &usize| {
            let behind: i64 = extents[axis + 1..].iter().product();
            behind == i64::from(section.inner) && extents[*axis] == i64::from(section.extent)
        };
        (0..extents.len()).find(inner).unwrap_or(0) as i64
    }

    pub(super) fn slice(&mut self, at: usize, x: Tensor, section: Section) -> Result<()> {
        let axis = Self::axis(&self.extents(x), section);
        let (x, from) = (self.operand(x)?, i64::from(section.begin));
        let y = self.part(&x, axis, from, from + i64::from(section.part));
        self.name_of(at, &y);
        Ok(())
    }

    pub(super) fn pad(&mut self, at: usize, x: Tensor, section: Section) -> Result<()> {
        let extents = self.extents_at(at);
        let (axis, rank) = (Self::axis(&extents, section) as usize, extents.len());
        let mut pads = vec![0; 2 * rank];
        pads[axis] = i64::from(section.begin);
        pads[rank + axis] = i64::from(section.extent - section.begin - section.part);
        let (x, pads) = (self.operand(x)?, self.numbers(&pads));
        let y = self.node("Pad", &[&x, &pads], vec![]);
        self.name_of(at, &y);
        Ok(())
    }
}
