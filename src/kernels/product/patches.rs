//! `patches`: what the kernels of a convolution are multiplied with, as rows of a matrix.
use super::convolution::Convolution;
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `patches[(n, oy, ox), (ky, kx, c)]`: for each pixel of the result the pixels that it is made of,
/// zeros beside the image. So the convolution is the product of these rows and of the kernels `[kernel
/// height * kernel width * channels, outputs]`; there are no groups of channels.
#[derive(Debug, Clone, Copy)]
pub struct Patches {
    /// The extents; 1 group.
    pub shape: Convolution,
    /// Images.
    pub x: Slot,
    /// Where they begin in `x`: some of many.
    pub begin: u32,
    /// `[images * out height * out width, kernel height * kernel width * channels]`
    pub patches: Slot,
}

crate::uniform! {
    /// Uniform of [`Patches`].
    pub struct PatchesParams {
        /// Elements of the patches.
        len: u32,
        /// Height of an image.
        height: u32,
        /// Width of an image.
        width: u32,
        /// Channels of an image.
        channels: u32,
        /// Height of the result.
        out_height: u32,
        /// Width of the result.
        out_width: u32,
        /// Height of a kernel.
        kernel_height: u32,
        /// Width of a kernel.
        kernel_width: u32,
        /// Rows from one output to the next.
        stride_y: u32,
        /// Columns from one output to the next.
        stride_x: u32,
        /// Rows from one weight to the next.
        dilation_y: u32,
        /// Columns from one weight to the next.
        dilation_x: u32,
        /// Rows of zeros above.
        pad_y: u32,
        /// Columns of zeros to the left.
        pad_x: u32,
        /// Where the images begin.
        begin: u32,
    }
}

impl Patches {
    /// Rows of the patches.
    pub fn rows(shape: &Convolution) -> u64 {
        shape.output_len() / u64::from(shape.outputs.max(1))
    }

    /// Columns of the patches: weights of an output.
    pub fn columns(shape: &Convolution) -> u64 {
        shape.weight_len() / u64::from(shape.outputs.max(1))
    }

    fn len(&self) -> u64 {
        Self::rows(&self.shape).saturating_mul(Self::columns(&self.shape))
    }
}

impl Kernel for Patches {
    const NAME: &'static str = "patches";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "patches.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("patches")];
    type Params = PatchesParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.x.needs(u64::from(self.begin) + self.shape.input_len()), self.patches.needs(self.len())]
    }

    fn params(&self) -> PatchesParams {
        let s = &self.shape;
        PatchesParams {
            len: self.len() as u32,
            height: s.size[0],
            width: s.size[1],
            channels: s.channels,
            out_height: s.out[0],
            out_width: s.out[1],
            kernel_height: s.kernel[0],
            kernel_width: s.kernel[1],
            stride_y: s.stride[0],
            stride_x: s.stride[1],
            dilation_y: s.dilation[0],
            dilation_x: s.dilation[1],
            pad_y: s.pad[0],
            pad_x: s.pad[1],
            begin: self.begin,
        }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len() as u32)
    }

    fn check(&self) -> Result<(), String> {
        self.shape.check()?;
        if self.shape.groups != 1 {
            return Err(format!("{} groups of channels, patches are of one", self.shape.groups));
        }
        let (len, most) = (self.len(), u64::from(u32::MAX));
        if len > most {
            return Err(format!("patches of {len} elements, at most {most}; use smaller batches"));
        }
        Ok(())
    }
}

/// Host reference: of each element of the patches the place in the images, none for a zero.
pub fn patches_reference(s: &Convolution) -> Vec<Option<usize>> {
    let [outputs, columns] = [s.outputs as usize, Patches::columns(s) as usize];
    let mut places = vec![None; Patches::rows(s) as usize * columns];
    for [x, w, y] in s.terms() {
        places[y / outputs * columns + w / outputs] = Some(x);
    }
    places
}
