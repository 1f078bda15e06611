//! How the output units of a matrix lie in memory: `shaders/common/units.wgsl`.

/// Which axis of a matrix of weights are the output units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The last: `[inputs, outputs]`, `[height, width, inputs, outputs]`.
    #[default]
    InOut,
    /// The first: `[outputs, inputs]`, as torch has linear layers. The table of an embedding is
    /// one, whose outputs are the tokens.
    OutIn,
}

/// A matrix of weights by its output units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Inputs of a unit.
    pub inputs: u32,
    /// Units.
    pub units: u32,
    /// Which axis they are.
    pub layout: Layout,
}

impl Units {
    /// `[inputs, units]`
    pub fn new([inputs, units]: [u32; 2]) -> Self {
        Self { inputs, units, layout: Layout::InOut }
    }

    /// The same number of both in another layout.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// Weights.
    #[expect(clippy::len_without_is_empty, reason = "a matrix has weights")]
    pub fn len(&self) -> u64 {
        u64::from(self.inputs) * u64::from(self.units)
    }

    /// Only what differs from the WGSL's default.
    pub(in crate::kernels) fn constants(&self) -> Vec<(&'static str, f64)> {
        match self.layout {
            Layout::InOut => Vec::new(),
            Layout::OutIn => vec![("OUTPUTS_FIRST", 1.0)],
        }
    }

    pub(in crate::kernels) fn check(&self) -> Result<(), String> {
        let &Self { inputs, units, .. } = self;
        match inputs.checked_mul(units) {
            Some(_) => Ok(()),
            None => Err(format!("{inputs} x {units} weights, must be fewer than 2^32")),
        }
    }
}

/// The same numbers as `[units, inputs]`, of `values [inputs, units]`: for references, which know
/// the first layout only.
pub fn outputs_first<T: Copy>(values: &[T], units: usize) -> Vec<T> {
    let inputs = values.len() / units.max(1);
    (0..values.len()).map(|i| values[i % inputs * units + i / inputs]).collect()
}
