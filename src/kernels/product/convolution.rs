//! The extents of convolutions, and what they multiply with what.
use crate::kernels::Form;

/// The extents of a convolution of images `[images, height, width, channels]` with kernels
/// `[kernel height, kernel width, channels / groups, outputs]`, as TensorFlow has them (NHWC).
///
/// Output `o` reads the channels of its group, `o / (outputs / groups)`. With as many groups as
/// channels it is depthwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Convolution {
    /// Images of a batch.
    pub images: u32,
    /// Height and width of an image.
    pub size: [u32; 2],
    /// Channels of an image.
    pub channels: u32,
    /// Height and width of a kernel.
    pub kernel: [u32; 2],
    /// Pixels from one output to the next.
    pub stride: [u32; 2],
    /// Pixels from one weight of a kernel to the next.
    pub dilation: [u32; 2],
    /// Rows of zeros above an image, and columns left of it. What is below and to the right of it
    /// follows from `out`.
    pub pad: [u32; 2],
    /// Height and width of the result.
    pub out: [u32; 2],
    /// Channels of the result.
    pub outputs: u32,
    /// Groups of channels, a divisor of channels and outputs.
    pub groups: u32,
}

impl Convolution {
    /// Elements of the images.
    pub fn input_len(&self) -> u64 {
        product_of(&[self.images, self.size[0], self.size[1], self.channels])
    }

    /// Elements of the kernels.
    pub fn weight_len(&self) -> u64 {
        product_of(&[
            self.kernel[0],
            self.kernel[1],
            self.channels / self.groups.max(1),
            self.outputs,
        ])
    }

    /// Elements of the result.
    pub fn output_len(&self) -> u64 {
        product_of(&[self.images, self.out[0], self.out[1], self.outputs])
    }

    /// Elements of `a`, `b` and the result of one of its products.
    pub(super) fn lens(&self, form: Form) -> [u64; 3] {
        let [x, w, y] = [self.input_len(), self.weight_len(), self.output_len()];
        match form {
            Form::NN => [x, w, y],
            Form::NT => [y, w, x],
            Form::TN => [x, y, w],
        }
    }

    /// Rows, columns and terms of one of its products for each group; saturated, `check` refuses
    /// what does not fit.
    pub(super) fn extents(&self, form: Form) -> [u32; 3] {
        let count = |extents: &[u32]| u32::try_from(product_of(extents)).unwrap_or(u32::MAX);
        let groups = self.groups.max(1);
        let (channels, outputs) = (self.channels / groups, self.outputs / groups);
        let pixels = count(&[self.images, self.size[0], self.size[1]]);
        let results = count(&[self.images, self.out[0], self.out[1]]);
        let taps = |of| count(&[self.kernel[0], self.kernel[1], of]);
        match form {
            Form::NN => [results, outputs, taps(channels)],
            Form::NT => [pixels, channels, taps(outputs)],
            Form::TN => [taps(channels), outputs, results],
        }
    }

    /// Whether its patches are the images as they lie: kernels of one pixel, or as large as an image.
    pub fn is_product(&self) -> bool {
        let plain = self.pad == [0; 2] && self.groups == 1;
        let pixels = self.kernel == [1; 2] && self.stride == [1; 2] && self.out == self.size;
        let whole = self.kernel == self.size && self.out == [1; 2] && self.dilation == [1; 2];
        plain && (pixels || whole)
    }

    /// What is multiplied with what: places in the images, the kernels and the result, for each
    /// pair of an input and an output that a weight joins.
    pub fn terms(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let all = |n: u32| 0..n as usize;
        let [channels, outputs] = [self.channels, self.outputs].map(|n| n / self.groups);
        let pixels = all(self.images).flat_map(move |image| {
            all(self.out[0]).flat_map(move |oy| all(self.out[1]).map(move |ox| (image, oy, ox)))
        });
        let joined = pixels.flat_map(move |(image, oy, ox)| {
            all(self.kernel[0]).flat_map(move |ky| {
                let iy = self.reads(0, oy, ky);
                all(self.kernel[1]).filter_map(move |kx| {
                    let (iy, ix) = (iy?, self.reads(1, ox, kx)?);
                    let x = (image * self.size[0] as usize + iy) * self.size[1] as usize + ix;
                    let y = (image * self.out[0] as usize + oy) * self.out[1] as usize + ox;
                    Some([x, ky * self.kernel[1] as usize + kx, y])
                })
            })
        });
        joined.flat_map(move |[pixel, tap, result]| {
            all(self.groups).flat_map(move |g| {
                all(channels).flat_map(move |c| {
                    all(outputs).map(move |o| {
                        let [groups, channels, outputs] =
                            [self.groups, channels, outputs].map(|n| n as usize);
                        let x = (pixel * groups + g) * channels + c;
                        let w = ((tap * channels + c) * groups + g) * outputs + o;
                        [x, w, (result * groups + g) * outputs + o]
                    })
                })
            })
        })
    }

    /// The row (`d` 0) or column that output `out` reads through weight `tap`; `None` for a zero.
    fn reads(&self, d: usize, out: usize, tap: usize) -> Option<usize> {
        let place = out as i64 * i64::from(self.stride[d])
            + tap as i64 * i64::from(self.dilation[d])
            - i64::from(self.pad[d]);
        (0..i64::from(self.size[d])).contains(&place).then_some(place as usize)
    }

    pub(in crate::kernels) fn check(&self) -> Result<(), String> {
        let Self { images, size, channels, kernel, stride, dilation, out, outputs, groups, .. } =
            *self;
        let all = [size, kernel, stride, dilation, out].concat();
        if all.iter().chain(&[images, channels, outputs, groups]).any(|&extent| extent == 0) {
            return Err(format!("an extent of 0 in {self:?}"));
        }
        if channels % groups > 0 || outputs % groups > 0 {
            return Err(format!("{groups} groups of {channels} channels and {outputs} outputs"));
        }
        let most = u64::from(u32::MAX);
        for len in [self.input_len(), self.weight_len(), self.output_len()] {
            if len > most {
                return Err(format!("a tensor of {len} elements, at most {most}"));
            }
        }
        // Places in an image are 31 bits with a sign; the kernel subtracts after it multiplied.
        let reach = |d: usize| {
            u64::from(out[d]) * u64::from(stride[d]) + u64::from(kernel[d]) * u64::from(dilation[d])
        };
        let longest = reach(0).max(reach(1)) + u64::from(self.pad[0].max(self.pad[1]));
        if longest + u64::from(size[0].max(size[1])) >= 1 << 31 {
            return Err(format!("{self:?} reaches over 2^31 pixels in one direction"));
        }
        Ok(())
    }
}

/// Without overflow up to 2^64, past which it stays.
pub(super) fn product_of(extents: &[u32]) -> u64 {
    extents.iter().fold(1, |product, &n| product.saturating_mul(n.into()))
}
