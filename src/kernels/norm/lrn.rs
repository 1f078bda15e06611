//! `lrn_scale`, `lrn` and `lrn_gradient`: local response normalisation over the channels of a
//! pixel.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

crate::uniform! {
    /// Local response normalisation (Krizhevsky et al. 2012, section 3.3), with TensorFlow's
    /// parameters: `y[c] = x[c] / (bias + alpha * sum over |d - c| <= radius of x[d]^2)^beta` in
    /// each pixel. The uniform of its three kernels.
    pub struct Lrn {
        /// Elements.
        len: u32,
        /// Channels of a pixel.
        channels: u32,
        /// Channels on either side that count.
        radius: u32,
        /// Added to the sum; above 0.
        bias: f32,
        /// Weight of the sum; at least 0.
        alpha: f32,
        /// Exponent.
        beta: f32,
    }
}

impl Lrn {
    fn check(&self) -> Result<(), String> {
        let (bias, alpha) = (self.bias, self.alpha);
        // Else a scale could be 0 or less, whose power is no number.
        if !(bias > 0.0 && alpha >= 0.0) {
            return Err(format!("bias {bias} must be above 0, alpha {alpha} at least 0"));
        }
        if self.channels == 0 || !self.len.is_multiple_of(self.channels) {
            return Err(format!("{} elements in pixels of {} channels", self.len, self.channels));
        }
        Ok(())
    }

    fn near(&self, i: usize) -> std::ops::Range<usize> {
        let (channels, radius) = (self.channels as usize, self.radius as usize);
        let (first, channel) = (i / channels * channels, i % channels);
        first + channel.saturating_sub(radius)..first + (channel + radius + 1).min(channels)
    }
}

macro_rules! lrn_kernel {
    ($(#[$meta:meta])* $name:ident, $label:literal, $file:literal: $($read:ident)+ -> $write:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// Extents and constants.
            pub lrn: Lrn,
            $(#[doc = concat!("Operand `", stringify!($read), "`.")] pub $read: Slot,)+
            #[doc = concat!("Result `", stringify!($write), "`.")]
            pub $write: Slot,
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", $file);
            const OPERANDS: &'static [Operand] =
                &[$(read(stringify!($read)),)+ write(stringify!($write))];
            type Params = Lrn;

            fn bind(&self) -> Vec<Bound> {
                let len = u64::from(self.lrn.len);
                vec![$(self.$read.needs(len),)+ self.$write.needs(len)]
            }

            fn params(&self) -> Lrn {
                self.lrn
            }

            fn grid(&self) -> [u32; 3] {
                grid_1d(self.lrn.len)
            }

            fn check(&self) -> Result<(), String> {
                self.lrn.check()
            }
        }
    };
}

lrn_kernel! {
    /// `scale = bias + alpha * sum of x^2`
    LrnScale, "lrn_scale", "lrn_scale.wgsl": x -> out
}

lrn_kernel! {
    /// `y = x / scale^beta`
    LrnApply, "lrn", "lrn.wgsl": x scale -> y
}

lrn_kernel! {
    /// The gradient by `x` of both together.
    LrnGradient, "lrn_gradient", "lrn_gradient.wgsl": gradient x scale y -> out
}

/// Host reference of `lrn_scale`.
pub fn lrn_scale_reference(lrn: &Lrn, x: &[f64]) -> Vec<f64> {
    let sum = |i| lrn.near(i).map(|j| x[j] * x[j]).sum::<f64>();
    (0..x.len()).map(|i| f64::from(lrn.bias) + f64::from(lrn.alpha) * sum(i)).collect()
}

/// Host reference of `lrn`.
pub fn lrn_reference(lrn: &Lrn, x: &[f64], scale: &[f64]) -> Vec<f64> {
    x.iter().zip(scale).map(|(x, s)| x * s.powf(-f64::from(lrn.beta))).collect()
}

/// Host reference of `lrn_gradient`: by `x` and the gradient of `y`, the scales and outputs anew.
pub fn lrn_gradient_reference(lrn: &Lrn, gradient: &[f64], x: &[f64]) -> Vec<f64> {
    let scale = lrn_scale_reference(lrn, x);
    let [alpha, beta] = [lrn.alpha, lrn.beta].map(f64::from);
    let mut out = vec![0.0; x.len()];
    for (i, g) in gradient.iter().enumerate() {
        out[i] += g * scale[i].powf(-beta);
        for j in lrn.near(i) {
            out[j] -= g * x[i] * beta * scale[i].powf(-beta - 1.0) * alpha * 2.0 * x[j];
        }
    }
    out
}
