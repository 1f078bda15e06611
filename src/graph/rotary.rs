//! Rotary positions: queries and keys turned by angles that grow with the position.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::tied::{Crossing, Reach};
use super::{Graph, Tensor};
use crate::kernels::{self, Turned};
use crate::settings::steps;
use crate::{Error, Result};

/// Inputs `x`, or a gradient, and `table`: pairs of channels turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Extents.
    pub shape: Turned,
    /// Whether by the negative angles.
    pub back: bool,
}

steps! {
    /// Settings of [`Graph::rotary`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RotaryOptions {
        /// Channels of a head.
        pub width: u32,
        /// Heads that turn, from the first on; all where left out.
        pub heads: Option<u32>,
        /// Whether the channels of a pair are neighbours, as in the papers' own code and GPT-J; or
        /// half of the turned channels apart, as Hugging Face has Llama and what is laid out like
        /// it.
        pub interleaved: bool,
    }
}

impl RotaryOptions {
    /// All heads turn, each of `width` channels, with the channels of a pair half of them apart.
    pub fn new(width: u32) -> Self {
        Self { width, heads: None, interleaved: false }
    }
}

/// How frequencies are stretched for positions beyond those of the first training.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub enum RotaryScaling {
    /// Not at all.
    #[default]
    None,
    /// All are divided by the factor.
    Linear(f64),
    /// Llama 3's: low ones are divided by the factor, high ones stay, and those between are mixed.
    Llama3 {
        /// Divides the low frequencies.
        factor: f64,
        /// Those that turn fewer times than this in `length` positions are low.
        low: f64,
        /// Those that turn more often than this are high.
        high: f64,
        /// Positions of the first training.
        length: f64,
    },
}

/// The frequencies of `pairs` pairs of channels, in radians a position: `base^(-p / pairs)`,
/// stretched by `scaling`. They are rounded to f32, as what has been trained with them has them.
pub fn rotary_frequencies(base: f64, pairs: u32, scaling: RotaryScaling) -> Vec<f32> {
    let of = |p: u32| {
        let frequency = f64::from(base.powf(-f64::from(p) / f64::from(pairs)) as f32);
        match scaling {
            RotaryScaling::None => frequency,
            RotaryScaling::Linear(factor) => frequency / factor,
            RotaryScaling::Llama3 { factor, low, high, length } => {
                let turns = length * frequency / (2.0 * std::f64::consts::PI);
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    };
    (0..pairs).map(|p| of(p) as f32).collect()
}

impl Graph {
    /// The table of [`rotary`](Self::rotary) for the positions `0..length`: a constant `[length,
    /// pairs, 2]` with the cosine and sine of each angle, position times frequency in f32.
    ///
    /// # Errors
    /// [`Error::Shape`] without frequencies or positions.
    pub fn rotary_table(&mut self, frequencies: &[f32], length: u32) -> Result<Tensor> {
        let turn = |angle: f32| {
            let (sin, cos) = f64::from(angle).sin_cos();
            [cos as f32, sin as f32]
        };
        let of = |at: u32| frequencies.iter().flat_map(move |f| turn(at as f32 * f));
        let values: Vec<f32> = (0..length).flat_map(of).collect();
        self.constant("rotary", [length, frequencies.len() as u32, 2], values)
    }

    /// `x [..., length, channels]`, queries or keys in heads side by side, turned by the angles of
    /// `table [length, pairs, 2]` (Su et al. 2021): the first `2 * pairs` channels of each head,
    /// in pairs. What does not turn is copied.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit.
    pub fn rotary(&mut self, x: Tensor, table: Tensor, options: RotaryOptions) -> Result<Tensor> {
        let (xs, ts) = (self.shape(x).clone(), self.shape(table));
        let refuse = |message: String| Err(Error::shape("rotary", message));
        let RotaryOptions { width, heads, interleaved } = options;
        let &[ref rows @ .., length, channels] = xs.dims() else {
            return refuse(format!("x {xs} has rank {}, needs 2 or more", xs.rank()));
        };
        let pairs = match *ts.dims() {
            [positions, pairs, 2] if positions == length => pairs,
            _ => return refuse(format!("table {ts} must be [{length}, pairs, 2] for x {xs}")),
        };
        if pairs.saturating_mul(2) > width {
            return refuse(format!("{pairs} pairs are more than the {width} channels of a head"));
        }
        let turned = heads.map_or(channels, |heads| heads.saturating_mul(width));
        if width == 0 || !channels.is_multiple_of(width) || turned > channels {
            let heads = turned / width.max(1);
            return refuse(format!("x {xs} does not have {heads} heads of {width} channels"));
        }
        let rows = rows.iter().fold(1, |n: u32, &d| n.saturating_mul(d));
        let shape = Turned { rows, length, channels, turned, width, pairs, interleaved };
        let name = format!("{}.rotary", self.nodes[x.0].name);
        Ok(self.push(Rotary { shape, back: false }, vec![x, table], xs, &name))
    }
}

impl Operation for Rotary {
    fn facts(&self) -> Facts {
        let recomputed = (!self.back).then_some((*self).into());
        Facts { name: "rotary", home: Home::Own, recomputed }
    }

    fn units(&self, of: &Crossing<'_>) -> Reach {
        of.through_rows(self.shape.width)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape, back } = self;
        let [x, table] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Rotary { shape, x, table, out, back })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [x, table] = backward.inputs(tensor)?;
        backward.send(x, Self { back: !self.back, ..*self }, vec![gradient, table]);
        Ok(())
    }
}
