//! TensorFlow's own recurrent cells, by `scripts/golden_cells.py`: outputs, and gradients of the
//! sum of their squares.
use secateur::gpu::{Encoder, PlanBuilder, Slot};
use secateur::graph::{
    Bindings, Graph, GruWeights, LstmOptions, LstmWeights, Mode, Stored, Tensor, gradients, lower,
};
use secateur::kernels::{Pruned, STEP_WORDS, Step, mask_words};
use serde_json::Value;

use crate::common::{Tol, gpu};

const ROWS: u32 = 2;
const LENGTH: u32 = 4;
const WIDTH: u32 = 3;
const UNITS: u32 = 5;

/// As the script has it: in f32 from f64.
fn wave(len: u32, step: f64, shift: f64) -> Vec<f32> {
    (0..len).map(|i| (step * f64::from(i) + shift).sin() as f32).collect()
}

/// The `i`-th weight of a cell.
fn weight(len: u32, i: u32) -> Vec<f32> {
    wave(len, 0.37, 0.2 * f64::from(i)).iter().map(|w| 0.8 * w).collect()
}

/// A cell's graph from x on: its parameters with their values in the order of the script, and its
/// outputs.
type Cell = (Graph, Vec<(Tensor, Vec<f32>)>, Tensor);

fn input() -> (Graph, Tensor, Vec<(Tensor, Vec<f32>)>) {
    let mut graph = Graph::default();
    let x = graph.parameter("x", [ROWS, LENGTH, WIDTH]).unwrap();
    (graph, x, vec![(x, wave(ROWS * LENGTH * WIDTH, 0.7, 0.1))])
}

fn kernel(graph: &mut Graph, name: &str, dims: [u32; 2]) -> Tensor {
    let kernel = graph.parameter(name, dims).unwrap();
    graph.apply_mask(kernel).unwrap()
}

fn lstm(peeps: bool, projection: Option<u32>, options: LstmOptions) -> Cell {
    let (mut graph, x, mut values) = input();
    let outputs = projection.unwrap_or(UNITS);
    let rows = WIDTH + outputs;
    let kernel = kernel(&mut graph, "kernel", [rows, 4 * UNITS]);
    let bias = graph.parameter("bias", [4 * UNITS]).unwrap();
    values.extend([(kernel, weight(rows * 4 * UNITS, 0)), (bias, weight(4 * UNITS, 1))]);
    let peepholes = peeps.then(|| graph.parameter("peepholes", [3, UNITS]).unwrap());
    // There those of f come before those of i.
    let of = |i| weight(UNITS, i);
    values.extend(peepholes.map(|p| (p, [of(3), of(2), of(4)].concat())));
    let projection = projection.map(|n| graph.parameter("projection", [UNITS, n]).unwrap());
    values.extend(projection.map(|p| (p, weight(UNITS * outputs, 5))));
    let h = graph.carried("h", [ROWS, outputs]).unwrap();
    let cells = graph.carried("c", [ROWS, UNITS]).unwrap();
    let weights = LstmWeights { kernel, bias, peepholes, projection, outputs: h, cells };
    let y = graph.lstm(x, weights, options).unwrap();
    (graph, values, y)
}

fn gru() -> Cell {
    let (mut graph, x, mut values) = input();
    let rows = WIDTH + UNITS;
    let gates = kernel(&mut graph, "gates", [rows, 2 * UNITS]);
    let gates_bias = graph.parameter("gates_bias", [2 * UNITS]).unwrap();
    let candidate = kernel(&mut graph, "candidate", [rows, UNITS]);
    let candidate_bias = graph.parameter("candidate_bias", [UNITS]).unwrap();
    for (i, (tensor, len)) in (0..).zip([
        (gates, rows * 2 * UNITS),
        (gates_bias, 2 * UNITS),
        (candidate, rows * UNITS),
        (candidate_bias, UNITS),
    ]) {
        values.push((tensor, weight(len, i)));
    }
    let state = graph.carried("h", [ROWS, UNITS]).unwrap();
    let weights = GruWeights { gates, gates_bias, candidate, candidate_bias, state };
    let y = graph.gru(x, weights).unwrap();
    (graph, values, y)
}

/// Outputs, and gradients of the sum of their squares by each parameter that is trained.
fn on_device((mut graph, values, y): Cell) -> Option<Vec<Vec<f32>>> {
    let gpu = gpu()?;
    let outputs = graph.shape(y).elements().unwrap();
    let flat = graph.reshape(y, [ROWS, outputs / ROWS]).unwrap();
    let zeros = graph.targets(ROWS, outputs / ROWS);
    let loss = graph.mean_squared_error(flat, zeros).unwrap();
    let by = gradients(&mut graph, loss).unwrap();
    let mut plan = PlanBuilder::new(gpu.target());
    let step = plan.persistent("step", STEP_WORDS);
    let mut bindings = Bindings::new(&graph, step);
    let mut place = |plan: &mut PlanBuilder, tensor: Tensor| {
        let slot = plan.persistent("tensor", graph.shape(tensor).elements().unwrap());
        bindings.set(tensor, slot);
        slot
    };
    let targets = place(&mut plan, zeros);
    let found: Vec<Slot> =
        [y].into_iter().chain(by.iter().copied().flatten()).map(|t| place(&mut plan, t)).collect();
    let parameters: Vec<Slot> =
        graph.parameters().iter().map(|p| place(&mut plan, p.tensor)).collect();
    let masks: Vec<Option<Slot>> = graph
        .parameters()
        .iter()
        .zip(&parameters)
        .map(|(p, &weights)| {
            let words = mask_words(p.shape.elements().unwrap());
            let mask = p.masked.then(|| plan.persistent("mask", words))?;
            bindings.set(p.tensor, Stored::pruned(weights, mask, Pruned::Revive));
            Some(mask)
        })
        .collect();
    let phase = plan.phase("test");
    let wanted: Vec<Tensor> = [y].into_iter().chain(by.into_iter().flatten()).collect();
    lower(&graph, &mut plan, &bindings, &wanted, Mode::Look).unwrap();
    let program = plan.build(gpu).unwrap();
    program.poison_scratch(gpu);
    program.upload(gpu, step, &[Step { rows: ROWS, ..Default::default() }]);
    program.upload(gpu, targets, &vec![0f32; outputs as usize]);
    for ((parameter, slot), mask) in graph.parameters().iter().zip(parameters).zip(masks) {
        let given = values.iter().find(|(tensor, _)| *tensor == parameter.tensor);
        // A state that does not count.
        let empty = vec![9.0; slot.words as usize];
        program.upload(gpu, slot, given.map_or(&empty, |(_, values)| values));
        if let Some(mask) = mask {
            let kept = |i: u32| u32::from(!i.is_multiple_of(3));
            let word = |w: u32| (0..32).fold(0, |bits, b| bits | kept(w * 32 + b) << b);
            program.upload(gpu, mask, &(0..mask.words).map(word).collect::<Vec<u32>>());
        }
    }
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit().unwrap();
    let mut all: Vec<Vec<f32>> =
        found.into_iter().map(|slot| program.download(gpu, slot).unwrap()).collect();
    // Of the sum, where the loss is the mean.
    all[1..].iter_mut().flatten().for_each(|g| *g *= outputs as f32);
    Some(all)
}

fn check(golden: &Value, names: &[&[&str]], cell: Cell) {
    let Some(got) = on_device(cell) else { return };
    assert_eq!(got.len(), names.len());
    for (got, names) in got.iter().zip(names) {
        let of = |name: &&str| golden[*name].as_array().unwrap_or_else(|| panic!("{name}")).clone();
        let want: Vec<f64> = names.iter().flat_map(of).map(|v| v.as_f64().unwrap()).collect();
        // Both round at each of some 20 operations on each of 4 steps, on values no larger than the
        // tensor's largest: 2^-24 times 160, and a factor of 4 for the slopes on the way.
        let largest = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let bounds = vec![largest * 640.0 / f64::from(1 << 24); want.len()];
        let tolerance = Tol::Within(&bounds);
        tolerance.check(got, &want).unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let off: Vec<f32> = got.iter().map(|g| g * 1.001 + 1e-3 * largest as f32).collect();
        assert!(tolerance.check(&off, &want).is_err(), "{names:?}: no teeth");
    }
}

#[test]
fn tensorflows_cells_are_reproduced() {
    let text = crate::paths::golden("cells_tf215.json");
    let golden: Value = serde_json::from_str(&text).unwrap();
    let plain = LstmOptions::default();
    let basic: [&[&str]; 4] =
        [&["outputs"], &["of x"], &["of basic_lstm_cell/kernel"], &["of basic_lstm_cell/bias"]];
    check(&golden["basic_lstm"], &basic, lstm(false, None, plain));

    let peepholes: &[&str] =
        &["of lstm_cell/w_i_diag", "of lstm_cell/w_f_diag", "of lstm_cell/w_o_diag"];
    let mut names: Vec<&[&str]> =
        vec![&["outputs"], &["of x"], &["of lstm_cell/kernel"], &["of lstm_cell/bias"], peepholes];
    let clipped = LstmOptions { cell_clip: Some(0.3), forget_bias: 0.5, ..plain };
    check(&golden["lstm_peepholes_clipped"], &names, lstm(true, None, clipped));
    names.push(&["of lstm_cell/projection/kernel"]);
    let clipped = LstmOptions { projection_clip: Some(0.4), ..plain };
    check(&golden["lstm_projected"], &names, lstm(true, Some(2), clipped));

    let names: [&[&str]; 6] = [
        &["outputs"],
        &["of x"],
        &["of gru_cell/gates/kernel"],
        &["of gru_cell/gates/bias"],
        &["of gru_cell/candidate/kernel"],
        &["of gru_cell/candidate/bias"],
    ];
    check(&golden["gru"], &names, gru());
}
