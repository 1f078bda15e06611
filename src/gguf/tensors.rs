//! Tensors of a folder as a GGUF file has them.
use std::path::Path;

use super::GgufTensor;
use super::format::{ALIGNMENT, Described, Entry, header};
use crate::pretrained::Pretrained;
use crate::storage::{Dtype, Replace, Values, misfit, narrow};
use crate::{Error, Result};

/// What is written of a model.
#[derive(Debug)]
pub(super) struct Plan {
    /// As llama.cpp calls it.
    pub(super) architecture: String,
    /// Its settings.
    pub(super) entries: Vec<Entry>,
    pub(super) tensors: Vec<Planned>,
}

/// A tensor that is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) name: String,
    /// Its name in the folder; empty where `Order::Values` has them.
    pub(super) source: String,
    pub(super) order: Order,
    /// Whether it is F32 whatever the others are.
    pub(super) wide: bool,
}

/// How its elements lie, of those in the folder.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Same,
    /// A matrix `[inputs, outputs]` that becomes `[outputs, inputs]`.
    Transposed,
    /// Rows of so many heads, each of which has the first halves of its pairs before the second
    /// ones, as rotary positions take them there; here both of a pair become neighbours.
    Interleaved(usize),
    /// These values.
    Values(Vec<f32>),
}

impl Planned {
    pub(super) fn new(name: String, source: String, order: Order) -> Self {
        Self { name, source, order, wide: false }
    }

    /// The weight and the bias of a layer, of which one may be missing.
    pub(super) fn layer(model: &Pretrained, to: &str, from: &str, order: &Order) -> Vec<Self> {
        let parts = ["weight", "bias"].into_iter();
        let found = parts.filter(|part| model.files().get(&format!("{from}.{part}")).is_some());
        let one = |part| {
            // Biases have no inputs that could change places with outputs.
            let order = match (order, part) {
                (Order::Transposed, "bias") => Order::Same,
                (order, _) => order.clone(),
            };
            Self::new(format!("{to}.{part}"), format!("{from}.{part}"), order)
        };
        found.map(one).collect()
    }

    /// Its extents and its type in the file.
    fn described(&self, model: &Pretrained, values: Option<Values>) -> Result<Described> {
        let (mut shape, own) = match &self.order {
            Order::Values(values) => (vec![values.len()], Dtype::F32),
            _ => {
                let info = model.files().info(&self.source)?;
                (info.shape.clone(), info.dtype.clone())
            }
        };
        if self.order == Order::Transposed {
            shape.reverse();
        }
        let asked = match (values, own) {
            (Some(values), _) => values.dtype(),
            (None, own @ (Dtype::F16 | Dtype::BF16)) => own,
            (None, _) => Dtype::F32,
        };
        let dtype = if self.wide || shape.len() < 2 { Dtype::F32 } else { asked };
        let elements: u64 = shape.iter().map(|&d| d as u64).product();
        let bytes = elements * dtype.bits().unwrap_or(32) / 8;
        Ok(Described { name: self.name.clone(), dtype, shape, bytes })
    }

    /// Its elements, in the order of the file.
    fn values(&self, model: &Pretrained) -> Result<Vec<f32>> {
        if let Order::Values(values) = &self.order {
            return Ok(values.clone());
        }
        let (found, info) =
            (model.files().read_f32(&self.source)?, model.files().info(&self.source)?);
        let rows = info.shape.first().copied().unwrap_or(1);
        let width = found.len() / rows.max(1);
        let wrong = |message: String| Error::file(model.path(), message);
        match self.order {
            Order::Transposed => {
                let row = |column| (0..rows).map(move |row| row * width + column);
                Ok((0..width).flat_map(row).map(|place| found[place]).collect())
            }
            Order::Interleaved(heads) => {
                let size = rows / heads.max(1);
                if size % 2 != 0 || size * heads != rows {
                    let (name, shape) = (&self.source, &info.shape);
                    return Err(wrong(format!("{name}: {shape:?} is not that of {heads} heads")));
                }
                // Row 2 i of a head is the i-th of its first half, row 2 i + 1 that of its second.
                let from = |row: usize| {
                    let (head, of) = (row / size, row % size);
                    head * size + of % 2 * (size / 2) + of / 2
                };
                let row = |row: usize| &found[from(row) * width..(from(row) + 1) * width];
                Ok((0..rows).flat_map(row).copied().collect())
            }
            Order::Same | Order::Values(_) => Ok(found),
        }
    }
}

/// The number by which the format knows which type most tensors have.
pub(super) fn file_type(plan: &Plan, model: &Pretrained, values: Option<Values>) -> Result<u32> {
    let mut elements = [0_u64; 3];
    for planned in &plan.tensors {
        let Described { dtype, bytes, .. } = planned.described(model, values)?;
        let (at, size) = match dtype {
            Dtype::F16 => (1, 2),
            Dtype::BF16 => (2, 2),
            _ => (0, 4),
        };
        elements[at] += bytes / size;
    }
    let [wide, half, brain] = elements;
    Ok(if wide >= half.max(brain) {
        0
    } else if half >= brain {
        1
    } else {
        32
    })
}

/// Writes the file; its tensors, and its bytes.
pub(super) fn write(
    model: &Pretrained,
    plan: &Plan,
    entries: &[Entry],
    values: Option<Values>,
    output: &Path,
) -> Result<(Vec<GgufTensor>, u64)> {
    let described = plan.tensors.iter().map(|planned| planned.described(model, values));
    let described = described.collect::<Result<Vec<_>>>()?;
    let first = header(entries, &described);
    let padded = described.iter().map(|d| d.bytes.next_multiple_of(ALIGNMENT));
    let all = first.len() as u64 + padded.sum::<u64>();
    let mut file = Replace::create(output)?;
    file.reserve(all)?;
    file.write(&first)?;
    let mut told = Vec::with_capacity(described.len());
    for (planned, Described { name, dtype, shape, bytes }) in plan.tensors.iter().zip(described) {
        let values = planned.values(model)?;
        if let Some((at, message)) = misfit(&dtype, &values) {
            let message = format!("{}: element {at}: {message}", planned.source);
            return Err(Error::file(model.path(), format!("{message}; take a wider type")));
        }
        let mut data = vec![0; bytes as usize];
        narrow(&dtype, &values, &mut data);
        let nonzero = dtype.nonzero(&data).unwrap_or(0);
        data.resize(bytes.next_multiple_of(ALIGNMENT) as usize, 0);
        file.write(&data)?;
        let (source, dtype) = (planned.source.clone(), dtype.to_string());
        told.push(GgufTensor { name, source, dtype, shape, nonzero, bytes });
    }
    file.finish()?;
    Ok((told, all))
}
