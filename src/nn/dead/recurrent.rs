//! Units of recurrent layers: dead are those that neither the layer behind them nor any other unit
//! reads, and those whose state stays the zero that it begins with.
use std::collections::HashMap;

use super::layers::{name, resize};
use super::{Values, Work};
use crate::graph::Graph;
use crate::nn::layers::Layer;

/// A kernel of a recurrent layer: its name, and how many columns each unit has, one in each of so
/// many parts.
struct Kernel {
    weight: String,
    bias: String,
    parts: usize,
}

/// A recurrent layer with the weight that reads its outputs.
struct Cell {
    name: String,
    units: usize,
    kernels: Vec<Kernel>,
    /// The kernel whose columns of this part make the state what it is.
    moves: (usize, usize),
    peepholes: Option<String>,
    reader: Vec<String>,
}

/// Takes the dead units of a recurrent layer out; whether there were any.
pub(super) fn pass(work: &mut Work, graph: &Graph) -> bool {
    for cell in cells(&work.layers) {
        let known = |name: &String| graph.parameters().iter().any(|p| p.name == *name);
        if !cell.reader.iter().all(known) {
            continue;
        }
        let mut dead = dead(work, &cell);
        if dead.iter().all(|&dead| dead) {
            dead[0] = false;
        }
        let kept = dead.iter().filter(|&&dead| !dead).count();
        let mut layers = work.layers.clone();
        if kept == cell.units || !resize(&mut layers, &cell.name, kept as u32) {
            continue;
        }
        take_out(work, &cell, &dead, kept);
        work.layers = layers;
        work.tell(cell.name, cell.units as u32, kept as u32);
        return true;
    }
    false
}

/// Whether a weight is the kernel of a recurrent layer whose units can be taken out.
pub(super) fn is_kernel(layers: &[Layer], weight: &str) -> bool {
    cells(layers).iter().any(|cell| cell.kernels.iter().any(|kernel| kernel.weight == weight))
}

/// The recurrent layers that a layer with a weight follows, element by element at most between.
fn cells(layers: &[Layer]) -> Vec<Cell> {
    let mut named = HashMap::new();
    let names: Vec<Option<String>> = layers.iter().map(|layer| name(layer, &mut named)).collect();
    let mut cells = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let between = |layer: &&Layer| matches!(layer, Layer::Dropout(_));
        let behind = i + 1 + layers[i + 1..].iter().take_while(between).count();
        let (Some(name), Some(Some(next))) = (&names[i], names.get(behind)) else { continue };
        let reader = match &layers[behind] {
            Layer::Linear(_) | Layer::Lstm(_) => vec![format!("{next}.weight")],
            Layer::Gru(_) => ["gates", "candidate"].map(|p| format!("{next}.{p}.weight")).to_vec(),
            Layer::Gated(_) => ["gate", "up"].map(|p| format!("{next}.{p}.weight")).to_vec(),
            _ => continue,
        };
        let kernel = |of: String, parts| Kernel {
            weight: format!("{of}.weight"),
            bias: format!("{of}.bias"),
            parts,
        };
        let cell = match layer {
            Layer::Lstm(lstm) if lstm.projection.is_none() => Cell {
                name: name.clone(),
                units: lstm.units as usize,
                kernels: vec![kernel(name.clone(), 4)],
                // Gates are i, j, f, o: j is what goes into the cell.
                moves: (0, 1),
                peepholes: lstm.peepholes.then(|| format!("{name}.peepholes")),
                reader,
            },
            Layer::Gru(gru) => Cell {
                name: name.clone(),
                units: gru.units as usize,
                kernels: vec![
                    kernel(format!("{name}.gates"), 2),
                    kernel(format!("{name}.candidate"), 1),
                ],
                moves: (1, 0),
                peepholes: None,
                reader,
            },
            _ => continue,
        };
        cells.push(cell);
    }
    cells
}

fn dead(work: &Work, cell: &Cell) -> Vec<bool> {
    let units = cell.units;
    let (mut unread, mut still) = (vec![true; units], vec![true; units]);
    let weight = |name: &String| work.weights.get(name);
    for reader in cell.reader.iter().filter_map(weight) {
        let columns = reader.shape[1];
        // What it reads comes before its own state.
        for (i, &value) in reader.values[..units * columns].iter().enumerate() {
            unread[i / columns] &= value == 0.0;
        }
    }
    for (at, kernel) in cell.kernels.iter().enumerate() {
        let (Some(of), Some(bias)) = (weight(&kernel.weight), weight(&kernel.bias)) else {
            return vec![false; units];
        };
        let (rows, columns) = (of.shape[0], of.shape[1]);
        for (i, _) in of.values.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            let (row, column) = (i / columns, i % columns);
            let read = (row + units).checked_sub(rows);
            // A unit may read itself.
            if let Some(read) = read.filter(|&read| read != column % units) {
                unread[read] = false;
            }
            if cell.moves == (at, column / units) {
                still[column % units] = false;
            }
        }
        if cell.moves.0 == at {
            let part = cell.moves.1 * units..(cell.moves.1 + 1) * units;
            for (unit, &value) in bias.values[part].iter().enumerate() {
                still[unit] &= value == 0.0;
            }
        }
    }
    unread.into_iter().zip(still).map(|(unread, still)| unread || still).collect()
}

fn take_out(work: &mut Work, cell: &Cell, dead: &[bool], kept: usize) {
    let units = cell.units;
    let of_unit = |values: &mut Values, run: usize, first: usize, count: usize| {
        // Rows `first..first + count` of `run` elements are the units'.
        let mut place = 0..;
        values.values.retain(|_| {
            let row = place.next().unwrap_or(0) / run;
            !(first..first + count).contains(&row) || !dead[row - first]
        });
        values.shape[0] -= units - kept;
    };
    for kernel in &cell.kernels {
        for name in [&kernel.weight, &kernel.bias] {
            let Some(values) = work.weights.get_mut(name) else { continue };
            let mut place = 0..;
            values.values.retain(|_| !dead[place.next().unwrap_or(0) % units]);
            if let Some(columns) = values.shape.last_mut() {
                *columns = kernel.parts * kept;
            }
        }
        if let Some(weight) = work.weights.get_mut(&kernel.weight) {
            let (rows, columns) = (weight.shape[0], weight.shape[1]);
            of_unit(weight, columns, rows - units, units);
        }
    }
    if let Some(values) = cell.peepholes.as_ref().and_then(|name| work.weights.get_mut(name)) {
        let mut place = 0..;
        values.values.retain(|_| !dead[place.next().unwrap_or(0) % units]);
        values.shape[1] = kept;
    }
    for name in &cell.reader {
        if let Some(reader) = work.weights.get_mut(name) {
            let columns = reader.shape[1];
            of_unit(reader, columns, 0, units);
        }
    }
}
