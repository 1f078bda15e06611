//! Floor 9: networks as ONNX files, which other engines run: the forward pass of an evaluation, in
//! operators of the standard set, for batches of any size.
mod builder;
mod images;
mod layers;
mod proto;
mod recurrent;
mod sequences;

use prost::Message;

use self::builder::Builder;
use crate::graph::{Graph, Op, Tensor};
use crate::nn::{Input, Network};
use crate::session::ModelFile;
use crate::{Error, Result};

/// Batch sizes by which it is found which extents grow with the batch.
const BATCHES: [usize; 2] = [2, 3];
/// Of the standard operators.
const OPSET: i64 = 17;
/// Of the format.
const IR: i64 = 8;
/// Most bytes of a message.
const MOST: usize = (1 << 31) - 1;

impl ModelFile {
    /// The network as an ONNX file: the input `features [batch, width]` in f32, tokens as whole
    /// numbers, and the output `output`, what [`Session::predict`](crate::session::Session) gives.
    /// Its weights have the names of the network. Pruned weights are zeros.
    ///
    /// # Errors
    /// [`Error::File`] where the file does not say what its rows are; [`Error::Argument`] names the
    /// layer that the standard operators do not have, or says that the file would be too large.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        self.onnx(false)
    }

    /// The same with the format's sparse tensors wherever these take fewer bytes. Their places have
    /// 64 bits, so that is above 67 % zeros. onnxruntime makes them dense when it loads them; other
    /// engines may not know them.
    ///
    /// # Errors
    /// As [`to_onnx`](Self::to_onnx).
    pub fn to_sparse_onnx(&self) -> Result<Vec<u8>> {
        self.onnx(true)
    }

    fn onnx(&self, sparse: bool) -> Result<Vec<u8>> {
        let schema = self.schema.as_ref().ok_or_else(|| {
            Error::file(&self.path, "does not say what its rows are; export its checkpoint")
        })?;
        let (model, input) = (self.model()?, Input::from(schema));
        let [small, large] = BATCHES.map(|batch| model.network(batch, &input));
        let (small, large) = (small?, large?);
        let mut builder = Builder::new([&small.graph, &large.graph], &self.weights, sparse);
        write(&mut builder, &small)?;
        let mut notes = vec![("model".to_owned(), self.network.clone())];
        let json = serde_json::to_string(schema);
        notes
            .push(("schema".to_owned(), json.map_err(|e| Error::file(&self.path, e.to_string()))?));
        let bytes = builder.finish(&self.network, notes).encode_to_vec();
        if bytes.len() > MOST {
            let message = format!("{} bytes are more than an ONNX file holds, {MOST}", bytes.len());
            return Err(Error::argument("onnx", message));
        }
        Ok(bytes)
    }
}

/// Appends all that the output of `network` is made of.
fn write(builder: &mut Builder<'_>, network: &Network) -> Result<()> {
    let graph = &network.graph;
    let mut needed = vec![false; graph.nodes().len()];
    needed[network.output.index()] = true;
    for at in (0..=network.output.index()).rev() {
        if needed[at] {
            reads(graph, at).iter().for_each(|input| needed[input.index()] = true);
        }
    }
    builder.input("features", network.features);
    for (at, node) in graph.nodes().iter().enumerate().filter(|(at, _)| needed[*at]) {
        let unknown = || {
            let message =
                format!("{}: {} is not among the standard operators", node.name, node.op.name());
            Error::argument("onnx", message)
        };
        let inputs = node.inputs.clone();
        match node.op {
            Op::Features(_) => builder.name_of(at, "features"),
            Op::Parameter(_) => builder.name_of(at, &node.name),
            Op::Constant(op) => builder.name_of(at, &format!("constant.{}", op.at)),
            Op::Matmul(op) if op.forward => builder.linear(at, &inputs, op)?,
            Op::Conv2d(op) => builder.conv2d(at, &inputs, op).ok_or_else(unknown)?,
            Op::Reshape(_) => builder.reshape(at, inputs[0])?,
            Op::Slice(op) => builder.slice(at, inputs[0], op.section)?,
            Op::Pad(op) => builder.pad(at, inputs[0], op.section)?,
            Op::Add(_) => builder.binary(at, "Add", &inputs)?,
            Op::Mul(_) => builder.binary(at, "Mul", &inputs)?,
            Op::Activate(op) => builder.activate(at, inputs[0], op.activation),
            Op::Dropout(_) => builder.same(at, inputs[0]),
            Op::Pool(op) => builder.pool(at, inputs[0], op),
            Op::Lrn(op) => builder.lrn(at, inputs[0], op.lrn),
            Op::Normalise(op) => builder.normalise(at, inputs[0], op.rows),
            Op::Softmax(_) => builder.softmax(at, inputs[0]),
            Op::BatchNormalise(op) => builder.batch_norm(at, &inputs, op.shape.epsilon)?,
            Op::Embedding(_) => builder.embedding(at, &inputs)?,
            Op::Attention(op) => builder.attention(at, &inputs, op.shape),
            Op::Rotary(op) if !op.back => {
                builder.rotary(at, &inputs, op.shape).ok_or_else(unknown)?;
            }
            Op::Lstm(op) => builder.lstm(at, &inputs, op).ok_or_else(unknown)??,
            Op::Gru(op) => builder.gru(at, &inputs, op)?,
            _ => return Err(unknown()),
        }
    }
    builder.output("output", network.output);
    Ok(())
}

/// What the node at a place reads in an evaluation.
fn reads(graph: &Graph, at: usize) -> Vec<Tensor> {
    let node = &graph.nodes()[at];
    let inputs = &node.inputs;
    match node.op {
        // By the running moments, not by the batch's.
        Op::BatchNormalise(_) => vec![inputs[0], inputs[2]],
        // The operator makes its scales itself.
        Op::Lrn(_) => vec![inputs[0]],
        // States begin with zeros.
        Op::Lstm(op) => {
            inputs[..1 + 2 + usize::from(op.peepholes) + usize::from(op.projects)].to_vec()
        }
        Op::Gru(_) => inputs[..5].to_vec(),
        _ => inputs.clone(),
    }
}
