//! A file under way: nodes in their order, and the tensors that they begin with.
use super::proto::{self, Attribute, Dimension, FLOAT, INT64};
use super::{IR, OPSET};
use crate::graph::{Graph, Op, Tensor};
use crate::storage::{self, TensorData};
use crate::{Error, Result};

/// Nodes and tensors so far.
pub(super) struct Builder<'a> {
    /// The same network for two batch sizes: what differs grows with the batch.
    graphs: [&'a Graph; 2],
    weights: &'a [storage::Tensor],
    out: proto::Graph,
    /// What the output of each node is called.
    names: Vec<String>,
    /// Numbers the names that are nobody's else.
    fresh: usize,
    /// Whether tensors are sparse where that takes fewer bytes.
    sparse: bool,
}

/// Bytes of a message around a sparse tensor's values and places, at most, beside a dense one's.
const MESSAGES: usize = 64;

impl<'a> Builder<'a> {
    pub(super) fn new(
        graphs: [&'a Graph; 2],
        weights: &'a [storage::Tensor],
        sparse: bool,
    ) -> Self {
        let names = vec![String::new(); graphs[0].nodes().len()];
        Self { graphs, weights, out: proto::Graph::default(), names, fresh: 0, sparse }
    }

    /// Extents of a tensor; -1 for those that grow with the batch.
    pub(super) fn extents(&self, tensor: Tensor) -> Vec<i64> {
        self.extents_at(tensor.index())
    }

    /// The same of the output of the node at a place.
    pub(super) fn extents_at(&self, at: usize) -> Vec<i64> {
        let [small, large] = self.graphs.map(|graph| graph.nodes()[at].shape.dims());
        let extent = |(a, b): (&u32, &u32)| if a == b { i64::from(*a) } else { -1 };
        small.iter().zip(large).map(extent).collect()
    }

    /// What the output of a node is called.
    pub(super) fn of(&self, tensor: Tensor) -> &str {
        &self.names[tensor.index()]
    }

    /// Says what the output of the node at a place is called.
    pub(super) fn name_of(&mut self, at: usize, name: &str) {
        name.clone_into(&mut self.names[at]);
    }

    /// The output of the node at a place is that of its input.
    pub(super) fn same(&mut self, at: usize, x: Tensor) {
        self.names[at] = self.names[x.index()].clone();
    }

    fn fresh(&mut self, what: &str) -> String {
        self.fresh += 1;
        format!("{what}.{}", self.fresh)
    }

    /// Appends an operator, and says what its output is called.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let output = self.fresh(&operator.to_lowercase());
        self.out.node.push(proto::Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: Some(output.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
        });
        output
    }

    /// Appends a recurrent operator: its outputs `[batch, length, units]`.
    pub(super) fn sequence(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        // It has the places outermost, and an axis for the direction.
        let all = self.node(operator, inputs, attributes);
        let axes = self.numbers(&[1]);
        let all = self.node("Squeeze", &[&all, &axes], vec![]);
        self.transpose(&all, &[1, 0, 2])
    }

    pub(super) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.node("Transpose", &[x], vec![Attribute::ints("perm", order.iter().copied())])
    }

    /// Values that a node begins with.
    pub(super) fn floats(&mut self, what: &str, shape: &[usize], values: &[f32]) -> String {
        let name = self.fresh(what);
        self.named_floats(&name, shape, values);
        name
    }

    fn named_floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        // A -0 is kept, so that the elements have the bits of the dense tensor.
        let kept = || values.iter().enumerate().filter(|(_, v)| v.to_bits() != 0);
        let of = |dims, data_type, name, raw_data| proto::TensorProto {
            dims,
            data_type: Some(data_type),
            name,
            raw_data: Some(raw_data),
        };
        let name = Some(name.to_owned());
        if self.sparse && kept().count() * (4 + 8) + MESSAGES < values.len() * 4 {
            let count = vec![kept().count() as i64];
            let places = kept().flat_map(|(at, _)| (at as i64).to_le_bytes()).collect();
            let values = kept().flat_map(|(_, v)| v.to_le_bytes()).collect();
            self.out.sparse_initializer.push(proto::SparseTensorProto {
                values: Some(of(count.clone(), FLOAT, name, values)),
                indices: Some(of(count, INT64, None, places)),
                dims,
            });
            return;
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.out.initializer.push(of(dims, FLOAT, name, bytes));
    }

    /// Whether a tensor of this name is there.
    fn has(&self, name: &String) -> bool {
        let sparse = self.out.sparse_initializer.iter().filter_map(|t| t.values.as_ref());
        self.out.initializer.iter().chain(sparse).any(|t| t.name.as_ref() == Some(name))
    }

    /// One number for all elements.
    pub(super) fn scalar(&mut self, value: f32) -> String {
        self.floats("number", &[], &[value])
    }

    /// Whole numbers: shapes, axes, places.
    pub(super) fn numbers(&mut self, values: &[i64]) -> String {
        let name = self.fresh("numbers");
        self.out.initializer.push(proto::TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(INT64),
            name: Some(name.clone()),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        });
        name
    }

    /// `x` under another shape; 0 is the extent that it has there.
    pub(super) fn shaped(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.numbers(shape);
        self.node("Reshape", &[x, &shape], vec![])
    }

    /// The places from `from` up to `to` of an axis.
    pub(super) fn part(&mut self, x: &str, axis: i64, from: i64, to: i64) -> String {
        let [from, to, axis] = [from, to, axis].map(|number| self.numbers(&[number]));
        self.node("Slice", &[x, &from, &to, &axis], vec![])
    }

    /// The values of a weight, with its extents.
    pub(super) fn values(&self, tensor: Tensor) -> Result<(&'a [f32], &'a [usize])> {
        let name = &self.graphs[0].nodes()[tensor.index()].name;
        match self.weights.iter().find(|w| w.name == *name) {
            Some(storage::Tensor { data: TensorData::F32(values), shape, .. }) => {
                Ok((values, shape))
            }
            _ => Err(Error::argument("onnx", format!("the file has no weight {name}"))),
        }
    }

    /// The name of what `tensor` is. A weight or a constant is written where it is read first as it
    /// lies: what operators want in another order is left out.
    pub(super) fn operand(&mut self, tensor: Tensor) -> Result<String> {
        let name = self.of(tensor).to_owned();
        if self.has(&name) {
            return Ok(name);
        }
        let graph = self.graphs[0];
        match graph.nodes()[tensor.index()].op {
            Op::Parameter(_) => {
                let (values, shape) = self.values(tensor)?;
                self.named_floats(&name, shape, values);
            }
            Op::Constant(op) => {
                let shape = graph.shape(tensor).dims().iter().map(|&d| d as usize);
                let shape: Vec<usize> = shape.collect();
                self.named_floats(&name, &shape, &graph.constants()[op.at]);
            }
            _ => {}
        }
        Ok(name)
    }

    /// The values of a constant.
    pub(super) fn constant_values(&self, tensor: Tensor) -> Option<&'a [f32]> {
        match self.graphs[0].nodes()[tensor.index()].op {
            Op::Constant(op) => Some(&self.graphs[0].constants()[op.at]),
            _ => None,
        }
    }

    pub(super) fn input(&mut self, name: &str, tensor: Tensor) {
        let info = self.info(name, tensor);
        self.out.input.push(info);
    }

    /// What comes out under `name`.
    pub(super) fn output(&mut self, name: &str, tensor: Tensor) {
        let (from, info) = (self.of(tensor).to_owned(), self.info(name, tensor));
        self.out.output.push(info);
        self.out.node.push(proto::Node {
            input: vec![from],
            output: vec![name.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some("Identity".to_owned()),
            attribute: vec![],
        });
    }

    fn info(&self, name: &str, tensor: Tensor) -> proto::ValueInfo {
        let dim = self.extents(tensor).into_iter().map(|extent| match extent {
            -1 => Dimension { symbol: Some("batch".to_owned()), value: None },
            _ => Dimension { value: Some(extent), symbol: None },
        });
        let shape = proto::TensorShape { dim: dim.collect() };
        let tensor = proto::TensorType { element: Some(FLOAT), shape: Some(shape) };
        let kind = Some(proto::TypeProto { tensor: Some(tensor) });
        proto::ValueInfo { name: Some(name.to_owned()), kind }
    }

    pub(super) fn finish(mut self, name: &str, notes: Vec<(String, String)>) -> proto::Model {
        self.out.name = Some(name.to_owned());
        let entry = |(key, value)| proto::Entry { key: Some(key), value: Some(value) };
        proto::Model {
            ir_version: Some(IR),
            producer_name: Some("secateur".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.out),
            opset_import: vec![proto::OperatorSet {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            metadata_props: notes.into_iter().map(entry).collect(),
        }
    }
}
