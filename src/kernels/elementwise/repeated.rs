//! `add` and `mul`: of two tensors, the second repeated over the first's leading axes.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

macro_rules! repeated {
    ($(#[$meta:meta])* $name:ident, $params:ident, $label:literal, $file:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// First operand.
            pub x: Slot,
            /// Second operand, of `period` elements.
            pub y: Slot,
            /// Result.
            pub out: Slot,
            /// Elements of `x`.
            pub len: u32,
            /// Elements of `y`.
            pub period: u32,
        }

        crate::uniform! {
            #[doc = concat!("Uniform of [`", stringify!($name), "`].")]
            pub struct $params {
                /// Elements of `x`.
                len: u32,
                /// Elements of `y`.
                period: u32,
            }
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str =
                crate::wgsl!("common/grid.wgsl", "common/repeated.wgsl", $file);
            const OPERANDS: &'static [Operand] = &[read("x"), read("y"), write("out")];
            type Params = $params;

            fn bind(&self) -> Vec<Bound> {
                let len = u64::from(self.len);
                vec![self.x.needs(len), self.y.needs(self.period.into()), self.out.needs(len)]
            }

            fn params(&self) -> $params {
                $params { len: self.len, period: self.period }
            }

            fn grid(&self) -> [u32; 3] {
                grid_1d(self.len)
            }
        }
    };
}

repeated! {
    /// `out[i] = x[i] + y[i mod period]`
    Add, AddParams, "add", "add.wgsl"
}

repeated! {
    /// `out[i] = x[i] * y[i mod period]`
    Mul, MulParams, "mul", "mul.wgsl"
}

/// Host reference.
pub fn add_reference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().enumerate().map(|(i, x)| x + y[i % y.len()]).collect()
}

/// Host reference.
pub fn mul_reference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().enumerate().map(|(i, x)| x * y[i % y.len()]).collect()
}
