//! Recurrent layers on the host: a loop over times, rows and units, forwards and backwards.
use secateur::graph::{Gru, Lstm};
use secateur::kernels::*;

/// What a layer's node and its gradients give: outputs, or gradients by x and by the weights.
type Tensors = Vec<Vec<f64>>;

/// `row times matrix`, added to `sums`.
fn product(row: &[f64], matrix: &[f64], sums: &mut [f64]) {
    for (x, weights) in row.iter().zip(matrix.chunks(sums.len())) {
        sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
    }
}

/// Adds the gradients of `product` by the row and by the matrix.
fn product_gradient(
    of: &[f64],
    row: &[f64],
    matrix: &[f64],
    of_row: &mut [f64],
    of_matrix: &mut [f64],
) {
    for (k, x) in row.iter().enumerate() {
        for (j, g) in of.iter().enumerate() {
            of_row[k] += g * matrix[k * of.len() + j];
            of_matrix[k * of.len() + j] += g * x;
        }
    }
}

fn add(to: &mut [f64], x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += x);
}

/// Where one place of one row is.
fn place(row: usize, length: usize, time: usize, width: usize) -> std::ops::Range<usize> {
    let begin = (row * length + time) * width;
    begin..begin + width
}

/// An LSTM's outputs, and with `gradient` the gradients by x and by each weight.
pub fn lstm(shape: &Lstm, inputs: &[Vec<f64>], follows: bool, gradient: Option<&[f64]>) -> Tensors {
    let [rows, length, width, units, outputs] =
        [shape.rows, shape.length, shape.width, shape.units, shape.outputs].map(|n| n as usize);
    let (x, kernel, bias) = (&inputs[0], &inputs[1], &inputs[2]);
    let peepholes = shape.peepholes.then(|| &inputs[3]);
    let projection = shape.projects.then(|| &inputs[3 + usize::from(shape.peepholes)]);
    let [h0, c0] = [&inputs[inputs.len() - 2], &inputs[inputs.len() - 1]];
    let weights = 2 + usize::from(shape.peepholes) + usize::from(shape.projects);
    let mut y = vec![0.0; rows * length * outputs];
    let mut of: Tensors = inputs[..=weights].iter().map(|t| vec![0.0; t.len()]).collect();
    let peeps = |u: usize| peepholes.map_or([0.0; 3], |p| [p[u], p[units + u], p[2 * units + u]]);
    let limit =
        shape.options.projection_clip.filter(|_| shape.projects).map_or(f64::INFINITY, f64::from);
    let (clip, forget_bias) = (shape.options.cell_clip, shape.options.forget_bias);
    for row in 0..rows {
        let state = |all: &[f64], n: usize| match follows {
            true => all[row * n..(row + 1) * n].to_vec(),
            false => vec![0.0; n],
        };
        let (mut h, mut c) = (state(h0, outputs), state(c0, units));
        let mut steps = Vec::new();
        for time in 0..length {
            let xh = [&x[place(row, length, time, width)], &h].concat();
            let mut sums = bias.clone();
            product(&xh, kernel, &mut sums);
            let cells: Vec<_> = (0..units)
                .map(|u| {
                    let sums = [0, 1, 2, 3].map(|gate| sums[gate * units + u]);
                    let (gates, [raw, cell, out]) =
                        lstm_reference(sums, c[u], peeps(u), forget_bias, clip);
                    (gates, [c[u], raw, cell], out)
                })
                .collect();
            c = cells.iter().map(|(_, [_, _, cell], _)| *cell).collect();
            let hidden: Vec<f64> = cells.iter().map(|(_, _, out)| *out).collect();
            let mut projected = vec![0.0; outputs];
            match projection {
                Some(p) => product(&hidden, p, &mut projected),
                None => projected.clone_from(&hidden),
            }
            h = projected.iter().map(|m| m.clamp(-limit, limit)).collect();
            y[place(row, length, time, outputs)].copy_from_slice(&h);
            steps.push((xh, cells, hidden, projected));
        }
        let Some(gradient) = gradient else { continue };
        let (mut of_h, mut of_c) = (vec![0.0; outputs], vec![0.0; units]);
        for (time, (xh, cells, hidden, projected)) in steps.into_iter().enumerate().rev() {
            add(&mut of_h, &gradient[place(row, length, time, outputs)]);
            let of_hidden = match projection {
                None => of_h.clone(),
                Some(p) => {
                    let passed = of_h.iter().zip(&projected);
                    let passed: Vec<f64> =
                        passed.map(|(g, m)| if m.abs() > limit { 0.0 } else { *g }).collect();
                    let mut back = vec![0.0; units];
                    product_gradient(&passed, &hidden, p, &mut back, of.last_mut().unwrap());
                    back
                }
            };
            let mut of_sums = vec![0.0; 4 * units];
            for (u, (gates, [before, raw, cell], _)) in cells.iter().enumerate() {
                let of_out = [of_hidden[u], of_c[u]];
                let at = [*before, *raw, *cell];
                let (sums, back, of_peeps) =
                    lstm_gradient_reference(of_out, *gates, at, peeps(u), clip);
                of_c[u] = back;
                (0..4).for_each(|gate| of_sums[gate * units + u] = sums[gate]);
                if shape.peepholes {
                    (0..3).for_each(|p| of[3][p * units + u] += of_peeps[p]);
                }
            }
            add(&mut of[2], &of_sums);
            let mut of_xh = vec![0.0; width + outputs];
            product_gradient(&of_sums, &xh, kernel, &mut of_xh, &mut of[1]);
            of[0][place(row, length, time, width)].copy_from_slice(&of_xh[..width]);
            of_h = of_xh.split_off(width);
        }
    }
    if gradient.is_some() { of } else { vec![y] }
}

/// A GRU's states, and with `gradient` the gradients by x and by each weight.
pub fn gru(shape: &Gru, inputs: &[Vec<f64>], follows: bool, gradient: Option<&[f64]>) -> Tensors {
    let [rows, length, width, units] =
        [shape.rows, shape.length, shape.width, shape.units].map(|n| n as usize);
    let [x, gates, gates_bias, candidate, candidate_bias, h0] =
        [0, 1, 2, 3, 4, 5].map(|i| &inputs[i]);
    let mut y = vec![0.0; rows * length * units];
    let mut of: Tensors = inputs[..5].iter().map(|t| vec![0.0; t.len()]).collect();
    for row in 0..rows {
        let mut h = match follows {
            true => h0[row * units..(row + 1) * units].to_vec(),
            false => vec![0.0; units],
        };
        let mut steps = Vec::new();
        for time in 0..length {
            let here = &x[place(row, length, time, width)];
            let xh = [here, &h].concat();
            let mut sums = gates_bias.clone();
            product(&xh, gates, &mut sums);
            let reset = |u: usize| gru_reference([sums[u], 0.0], 0.0, 0.0).0[0];
            let resets: Vec<f64> = (0..units).map(|u| reset(u) * h[u]).collect();
            let xr = [here, &resets].concat();
            let mut candidates = candidate_bias.clone();
            product(&xr, candidate, &mut candidates);
            let units_of: Vec<_> = (0..units)
                .map(|u| gru_reference([sums[u], sums[units + u]], candidates[u], h[u]))
                .collect();
            h = units_of.iter().map(|(_, after)| *after).collect();
            y[place(row, length, time, units)].copy_from_slice(&h);
            steps.push((xh, xr, units_of));
        }
        let Some(gradient) = gradient else { continue };
        let mut of_h = vec![0.0; units];
        for (time, (xh, xr, units_of)) in steps.into_iter().enumerate().rev() {
            add(&mut of_h, &gradient[place(row, length, time, units)]);
            let (mut of_candidates, mut of_gates) = (vec![0.0; units], vec![0.0; 2 * units]);
            let mut back = vec![0.0; units];
            for (u, ([_, z, c], _)) in units_of.iter().enumerate() {
                let ([candidate, z], straight) =
                    gru_gradient_reference(of_h[u], [*z, *c], xh[width + u]);
                (of_candidates[u], of_gates[units + u], back[u]) = (candidate, z, straight);
            }
            let mut of_xr = vec![0.0; width + units];
            product_gradient(&of_candidates, &xr, candidate, &mut of_xr, &mut of[3]);
            for (u, ([r, ..], _)) in units_of.iter().enumerate() {
                let of_product = of_xr[width + u];
                of_gates[u] = of_product * xh[width + u] * r * (1.0 - r);
                back[u] += of_product * r;
            }
            let mut of_xh = vec![0.0; width + units];
            product_gradient(&of_gates, &xh, gates, &mut of_xh, &mut of[1]);
            add(&mut of[2], &of_gates);
            add(&mut of[4], &of_candidates);
            let to = &mut of[0][place(row, length, time, width)];
            to.copy_from_slice(&of_xh[..width]);
            add(to, &of_xr[..width]);
            add(&mut back, &of_xh[width..]);
            of_h = back;
        }
    }
    if gradient.is_some() { of } else { vec![y] }
}
