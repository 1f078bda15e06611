//! `part_sum`: the sums of a product whose terms were split, and what is done to them.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_groups, read, write};
use crate::kernels::Activation;

/// `c = activation(sum of the parts + bias) * slope(gate)`, in the order of the parts.
#[derive(Debug, Clone, Copy)]
pub struct PartSum {
    /// `[count, len]`
    pub parts: Slot,
    /// How many there are.
    pub count: u32,
    /// Results.
    pub len: u32,
    /// `[units]`, added to each row of so many results.
    pub bias: Option<Slot>,
    /// Columns of the results, of all groups.
    pub units: u32,
    /// Applied after the bias.
    pub activation: Activation,
    /// Outputs of an activation beside the results, whose slope multiplies them.
    pub gate: Option<(Slot, Activation)>,
    /// `[len]`, from `begin` on.
    pub c: Slot,
    /// Where the results begin in `c` and `gate`.
    pub begin: u32,
    /// Whether they are added to what `c` holds, before bias and activation.
    pub adds: bool,
}

crate::uniform! {
    /// Uniform of [`PartSum`].
    pub struct PartSumParams {
        /// Results.
        len: u32,
        /// Parts.
        parts: u32,
        /// Elements of the bias.
        units: u32,
        /// Where the results begin.
        begin: u32,
    }
}

impl Kernel for PartSum {
    const NAME: &'static str = "part_sum";
    const WGSL: &'static str = crate::wgsl!("common/activation.wgsl", "part_sum.wgsl");
    const OPERANDS: &'static [Operand] = &[read("parts"), read("bias"), read("gate"), write("c")];
    type Params = PartSumParams;

    fn bind(&self) -> Vec<Bound> {
        let [len, end] = [self.len.into(), u64::from(self.begin) + u64::from(self.len)];
        vec![
            self.parts.needs(u64::from(self.count) * len),
            self.bias.map_or(Bound::NONE, |slot| slot.needs(self.units.into())),
            self.gate.map_or(Bound::NONE, |(slot, _)| slot.needs(end)),
            self.c.needs(end),
        ]
    }

    fn params(&self) -> PartSumParams {
        let &Self { len, count: parts, units, begin, .. } = self;
        PartSumParams { len, parts, units, begin }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flag = |set: bool| f64::from(u8::from(set));
        let gate = self.gate.map_or(Activation::Identity, |(_, activation)| activation);
        let all = [
            ("BIAS", flag(self.bias.is_some())),
            ("ACTIVATION", self.activation.code()),
            ("GATE", gate.code()),
            ("ACCUMULATE", flag(self.adds)),
        ];
        all.into_iter().filter(|&(_, value)| value != 0.0).collect()
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.len.div_ceil(64))
    }

    fn check(&self) -> Result<(), String> {
        let Self { count, len, units, begin, .. } = *self;
        let fits = count.checked_mul(len).is_some() && begin.checked_add(len).is_some();
        match count > 0 && len > 0 && units > 0 && fits {
            true => Ok(()),
            false => Err(format!(
                "{count} parts of {len} results, {units} columns, from {begin} on: must be 1 to 2^32 - 1"
            )),
        }
    }
}

/// Host reference: the sums of `[count, len]`, each in f64, with the sum of their magnitudes.
pub fn part_sum_reference(parts: &[f32], len: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); len];
    for row in parts.chunks_exact(len) {
        for ((sum, magnitude), &x) in sums.iter_mut().zip(row) {
            *sum += f64::from(x);
            *magnitude += f64::from(x).abs();
        }
    }
    sums
}
