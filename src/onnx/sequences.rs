//! Embeddings, attention and rotary positions.
use super::builder::Builder;
use super::proto::{Attribute, INT64};
use crate::Result;
use crate::graph::Tensor;
use crate::kernels::{Heads, Turned};

/// Added to scores that are not seen: their exponentials are 0.
const HIDDEN: f32 = -1e30;

impl Builder<'_> {
    pub(super) fn embedding(&mut self, at: usize, inputs: &[Tensor]) -> Result<()> {
        let tokens = self.of(inputs[0]).to_owned();
        let table = self.operand(inputs[1])?;
        let tokens = self.node("Cast", &[&tokens], vec![Attribute::int("to", INT64.into())]);
        let y = self.node("Gather", &[&table, &tokens], vec![Attribute::int("axis", 0)]);
        self.name_of(at, &y);
        Ok(())
    }

    pub(super) fn attention(&mut self, at: usize, inputs: &[Tensor], shape: Heads) {
        let Heads { heads, kv_heads, length, width, .. } = shape;
        let [heads, kv, length, width] = [heads, kv_heads, length, width].map(i64::from);
        let first = self.of(inputs[0]).to_owned();
        let parts = match shape.packed {
            true => {
                let ends = [0, heads, heads + kv, heads + 2 * kv].map(|end| end * width);
                [0, 1, 2].map(|i| self.part(&first, 2, ends[i], ends[i + 1]))
            }
            false => [0, 1, 2].map(|i| self.of(inputs[i]).to_owned()),
        };
        // [batch, heads, length, width]
        let [q, k, v] = [(0, heads), (1, kv), (2, kv)].map(|(i, heads)| {
            let x = self.shaped(&parts[i], &[0, length, heads, width]);
            self.transpose(&x, &[0, 2, 1, 3])
        });
        let [k, v] = [k, v].map(|x| self.shared(&x, [heads, kv, length, width]));
        let k = self.transpose(&k, &[0, 1, 3, 2]);
        let scores = self.node("MatMul", &[&q, &k], vec![]);
        let scale = self.scalar(shape.scale);
        let mut scores = self.node("Mul", &[&scores, &scale], vec![]);
        let seen = self.seen(inputs, shape);
        if let Some(seen) = &seen {
            let [one, hidden] = [1.0, -HIDDEN].map(|v| self.scalar(v));
            let lacks = self.node("Sub", &[seen, &one], vec![]);
            let lacks = self.node("Mul", &[&lacks, &hidden], vec![]);
            scores = self.node("Add", &[&scores, &lacks], vec![]);
        }
        let mut weights = self.node("Softmax", &[&scores], vec![Attribute::int("axis", -1)]);
        if let Some(seen) = &seen {
            // What sees no position at all has the result 0.
            weights = self.node("Mul", &[&weights, seen], vec![]);
        }
        let y = self.node("MatMul", &[&weights, &v], vec![]);
        let y = self.transpose(&y, &[0, 2, 1, 3]);
        let y = self.shaped(&y, &[0, length, heads * width]);
        self.name_of(at, &y);
    }

    /// Each head of keys or values as often as queries share it.
    fn shared(&mut self, x: &str, [heads, kv, length, width]: [i64; 4]) -> String {
        if heads == kv {
            return x.to_owned();
        }
        let x = self.shaped(x, &[0, kv, 1, length * width]);
        let often = self.numbers(&[1, 1, heads / kv, 1]);
        let x = self.node("Tile", &[&x, &often], vec![]);
        self.shaped(&x, &[0, heads, length, width])
    }

    /// 1 where a position (rows) sees another (columns), else 0.
    fn seen(&mut self, inputs: &[Tensor], shape: Heads) -> Option<String> {
        let length = shape.length as usize;
        let near = |a: usize, b: usize| {
            let apart = a.abs_diff(b);
            let is_before = !shape.causal || b <= a;
            is_before && shape.window.is_none_or(|window| apart < window as usize)
        };
        let by_place = (shape.causal || shape.window.is_some()).then(|| {
            let of = |i: usize| f32::from(u8::from(near(i / length, i % length)));
            let values: Vec<f32> = (0..length * length).map(of).collect();
            self.floats("seen", &[length, length], &values)
        });
        let of_rows = shape.masked.then(|| {
            let seen = self.of(inputs[inputs.len() - 1]).to_owned();
            let zero = self.scalar(0.0);
            let hidden = self.node("Equal", &[&seen, &zero], vec![]);
            let seen = self.node("Not", &[&hidden], vec![]);
            let seen = self.node("Cast", &[&seen], vec![Attribute::int("to", 1)]);
            self.shaped(&seen, &[0, 1, 1, length as i64])
        });
        match (by_place, of_rows) {
            (Some(a), Some(b)) => Some(self.node("Mul", &[&a, &b], vec![])),
            (a, b) => a.or(b),
        }
    }

    /// None for other ranks than 3.
    pub(super) fn rotary(&mut self, at: usize, inputs: &[Tensor], shape: Turned) -> Option<()> {
        let table = self.constant_values(inputs[1])?;
        if self.extents(inputs[0]).len() != 3 {
            return None;
        }
        let Turned { length, channels, turned, width, pairs, interleaved, .. } = shape;
        let [of_length, of_width, of_pairs] = [length, width, pairs].map(i64::from);
        let [cos, sin] = [0, 1].map(|which| {
            let values: Vec<f32> = table.iter().skip(which).step_by(2).copied().collect();
            self.floats("turns", &[length as usize, 1, pairs as usize], &values)
        });
        let x = self.of(inputs[0]).to_owned();
        let head = self.part(&x, 2, 0, turned.into());
        let head = self.shaped(&head, &[0, of_length, i64::from(turned / width), of_width]);
        let turning = self.part(&head, 3, 0, 2 * of_pairs);
        let [a, b] = match interleaved {
            true => {
                let apart = [0, 0, 0, of_pairs, 2];
                let heads = i64::from(turned / width);
                let shape = [0, of_length, heads, apart[3], apart[4]];
                let by_pair = self.shaped(&turning, &shape);
                [0, 1].map(|i| {
                    let one = self.part(&by_pair, 4, i, i + 1);
                    self.shaped(&one, &[0, of_length, heads, of_pairs])
                })
            }
            false => [0, 1].map(|i| self.part(&turning, 3, i * of_pairs, (i + 1) * of_pairs)),
        };
        let mut product = |x: &str, y: &str| self.node("Mul", &[x, y], vec![]);
        let [ac, bs, bc, as_] =
            [(&a, &cos), (&b, &sin), (&b, &cos), (&a, &sin)].map(|(x, y)| product(x, y));
        let first = self.node("Sub", &[&ac, &bs], vec![]);
        let second = self.node("Add", &[&bc, &as_], vec![]);
        let heads = i64::from(turned / width);
        let mut y = match interleaved {
            true => {
                let [first, second] =
                    [first, second].map(|x| self.shaped(&x, &[0, of_length, heads, of_pairs, 1]));
                let both = self.node("Concat", &[&first, &second], vec![Attribute::int("axis", 4)]);
                self.shaped(&both, &[0, of_length, heads, 2 * of_pairs])
            }
            false => self.node("Concat", &[&first, &second], vec![Attribute::int("axis", 3)]),
        };
        if 2 * pairs < width {
            let rest = self.part(&head, 3, 2 * of_pairs, of_width);
            y = self.node("Concat", &[&y, &rest], vec![Attribute::int("axis", 3)]);
        }
        y = self.shaped(&y, &[0, of_length, turned.into()]);
        if turned < channels {
            let rest = self.part(&x, 2, turned.into(), channels.into());
            y = self.node("Concat", &[&y, &rest], vec![Attribute::int("axis", 2)]);
        }
        self.name_of(at, &y);
        Some(())
    }
}
