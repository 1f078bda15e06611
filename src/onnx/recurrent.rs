//! LSTM and GRU, by the operators of these names.
use super::builder::Builder;
use super::proto::Attribute;
use crate::Result;
use crate::graph::{Gru, Lstm, Tensor};

/// Columns of `values [rows, columns]` from `first` on, `units` of them, as rows.
fn turned(
    values: &[f32],
    columns: usize,
    rows: std::ops::Range<usize>,
    first: usize,
    units: usize,
) -> Vec<f32> {
    (first..first + units)
        .flat_map(|column| rows.clone().map(move |row| values[row * columns + column]))
        .collect()
}

impl Builder<'_> {
    /// None for cells and outputs that are held to a range, or projected: the operator has none of
    /// these.
    pub(super) fn lstm(&mut self, at: usize, inputs: &[Tensor], op: Lstm) -> Option<Result<()>> {
        if op.projects || op.options.cell_clip.is_some() || op.options.projection_clip.is_some() {
            return None;
        }
        Some(self.lstm_of(at, inputs, op))
    }

    fn lstm_of(&mut self, at: usize, inputs: &[Tensor], op: Lstm) -> Result<()> {
        let [width, units] = [op.width, op.units].map(|d| d as usize);
        let ((kernel, _), (bias, _)) = (self.values(inputs[1])?, self.values(inputs[2])?);
        // Here i, j, f, o; the operator's i, o, f, c.
        let gates = [0, 3, 2, 1].map(|gate| gate * units);
        let of = |rows: std::ops::Range<usize>| -> Vec<f32> {
            gates.iter().flat_map(|&g| turned(kernel, 4 * units, rows.clone(), g, units)).collect()
        };
        let (of_x, of_state) = (of(0..width), of(width..width + units));
        let mut biases: Vec<f32> =
            gates.iter().flat_map(|&g| bias[g..g + units].to_vec()).collect();
        biases[2 * units..3 * units].iter_mut().for_each(|b| *b += op.options.forget_bias);
        biases.resize(8 * units, 0.0);
        let [x, w, r, b] = [
            self.of(inputs[0]).to_owned(),
            self.floats("kernel", &[1, 4 * units, width], &of_x),
            self.floats("kernel", &[1, 4 * units, units], &of_state),
            self.floats("bias", &[1, 8 * units], &biases),
        ];
        let x = self.transpose(&x, &[1, 0, 2]);
        let mut operands = vec![x, w, r, b];
        if op.peepholes {
            // Here i, f, o; the operator's i, o, f. Lengths and first states are left out.
            let (values, _) = self.values(inputs[3])?;
            let order = [0, 2, 1].map(|gate| gate * units);
            let values: Vec<f32> =
                order.iter().flat_map(|&g| values[g..g + units].to_vec()).collect();
            operands.extend([String::new(), String::new(), String::new()]);
            operands.push(self.floats("peepholes", &[1, 3 * units], &values));
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        let hidden = vec![Attribute::int("hidden_size", units as i64)];
        let y = self.sequence("LSTM", &operands, hidden);
        self.name_of(at, &y);
        Ok(())
    }

    pub(super) fn gru(&mut self, at: usize, inputs: &[Tensor], op: Gru) -> Result<()> {
        let [width, units] = [op.width, op.units].map(|d| d as usize);
        let [(gates, _), (gates_bias, _), (candidate, _), (candidate_bias, _)] = [
            self.values(inputs[1])?,
            self.values(inputs[2])?,
            self.values(inputs[3])?,
            self.values(inputs[4])?,
        ];
        // Here r, z and the candidate; the operator's z, r, h.
        let of = |rows: std::ops::Range<usize>| {
            let mut all = turned(gates, 2 * units, rows.clone(), units, units);
            all.extend(turned(gates, 2 * units, rows.clone(), 0, units));
            all.extend(turned(candidate, units, rows, 0, units));
            all
        };
        let (of_x, of_state) = (of(0..width), of(width..width + units));
        let (r, z) = gates_bias.split_at(units);
        let mut biases = [z, r, candidate_bias].concat();
        biases.resize(6 * units, 0.0);
        let [x, w, r, b] = [
            self.of(inputs[0]).to_owned(),
            self.floats("kernel", &[1, 3 * units, width], &of_x),
            self.floats("kernel", &[1, 3 * units, units], &of_state),
            self.floats("bias", &[1, 6 * units], &biases),
        ];
        let x = self.transpose(&x, &[1, 0, 2]);
        let hidden = vec![Attribute::int("hidden_size", units as i64)];
        let y = self.sequence("GRU", &[&x, &w, &r, &b], hidden);
        self.name_of(at, &y);
        Ok(())
    }
}
