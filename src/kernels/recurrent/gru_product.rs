//! `gru_reset_product`, `gru_product` and their gradients: the halves of a step of a GRU with the
//! products before them, each in one launch.
use super::gru::{GruParams, GruStep};
use super::lstm_product::StateWeights;
use super::shared::{check, flags, grid};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

macro_rules! gru_product {
    ($(#[$meta:meta])* $name:ident, $label:literal, $cell:literal, $file:literal, $gates:literal:
        $($read:ident[$needs:ident])+ -> $($write:ident[$makes:ident])+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// Extents.
            pub step: GruStep,
            /// The kernel.
            pub weights: StateWeights,
            $(#[doc = concat!("Operand `", stringify!($read), "`.")] pub $read: Slot,)+
            $(#[doc = concat!("Result `", stringify!($write), "`.")] pub $write: Slot,)+
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str = crate::wgsl!(
                "common/bits.wgsl",
                "common/activation.wgsl",
                "common/gru.wgsl",
                $cell,
                "common/recurrent_product.wgsl",
                $file
            );
            const OPERANDS: &'static [Operand] = &[
                read("weights"),
                read("mask"),
                $(read(stringify!($read)),)+
                $(write(stringify!($write))),+
            ];
            type Params = GruParams;

            fn bind(&self) -> Vec<Bound> {
                let units = self.step.units;
                let [weights, mask] = self.weights.bind(units, units.saturating_mul($gates));
                vec![
                    weights,
                    mask,
                    $(self.$read.needs(self.step.words(stringify!($needs))),)+
                    $(self.$write.needs(self.step.words(stringify!($makes)))),+
                ]
            }

            fn params(&self) -> GruParams {
                self.step.params()
            }

            fn constants(&self) -> Vec<(&'static str, f64)> {
                flags([("MASKED", self.weights.mask.is_some())])
            }

            fn grid(&self) -> [u32; 3] {
                grid(self.step.rows, self.step.units)
            }

            fn check(&self) -> Result<(), String> {
                if self.weights.width != self.step.width {
                    let (rows, width) = (self.weights.width, self.step.width);
                    return Err(format!("{rows} rows of weights for {width} features"));
                }
                check(self.step.rows, self.step.units, self.step.words("next"))
            }
        }
    };
}

gru_product! {
    /// [`GruReset`](super::GruReset) after what the states before add to the sums of r and z, which
    /// `gates` hold of inputs and bias.
    GruResetProduct, "gru_reset_product", "common/gru_reset_cell.wgsl", "gru_reset_product.wgsl", 2:
        inputs[inputs] -> gates[gates] resets[inputs]
}

gru_product! {
    /// [`Gru`](super::Gru) after what the states after their reset add to the sums of the
    /// candidates, which `candidates` hold of inputs and bias.
    GruProduct, "gru_product", "common/gru_cell.wgsl", "gru_product.wgsl", 1:
        resets[inputs] gates[gates] -> candidates[candidates] inputs[next]
}

gru_product! {
    /// [`GruGradient`](super::GruGradient) after what the step after sends back by the sums of its
    /// gates, which `of_gates` hold; so it is of no last step. `carry` holds what else goes to the
    /// state after this step, as [`GruResetGradientProduct`] left it.
    GruGradientProduct, "gru_gradient_product", "common/gru_cell_gradient.wgsl",
    "gru_gradient_product.wgsl", 2:
        gates[gates] candidates[candidates] inputs[inputs]
        -> carry[one] of_gates[gates_after] of_candidates[candidates]
}

gru_product! {
    /// [`GruResetGradient`](super::GruResetGradient) after what the candidates of this step send
    /// back. `carry` also gets the gradient of the output before.
    GruResetGradientProduct, "gru_reset_gradient_product", "common/gru_reset_cell_gradient.wgsl",
    "gru_reset_gradient_product.wgsl", 1:
        gradient[sequence] gates[gates] inputs[inputs] of_candidates[candidates]
        -> carry[one] of_gates[gates]
}
