//! A convolution with packed kernels, as products of patches.
use super::convolution::Convolution;
use super::packed_product::PackedProduct;
use super::patches::Patches;
use crate::gpu::PlanBuilder;
use crate::{Error, Result};

/// `y = activation(x * w + bias)` for images `x`, where the kernels `w` are packed by their output
/// channels: each channel is a unit, whose inputs are the weights `[kernel height, kernel width,
/// channels]`. Where patches are the images as they lie nothing is written but the result; else the
/// patches of some images at a time are.
#[derive(Debug, Clone, Copy)]
pub struct PackedConvolution {
    /// The extents; 1 group.
    pub shape: Convolution,
    /// The images are its `a`, the result its `c`, and the kernels its `b`. Rows and begins are the
    /// convolution's, whatever it has.
    pub product: PackedProduct,
}

/// Words of patches that are there at once, or those of one image: 16 MiB.
const MOST: u64 = 1 << 22;

impl PackedConvolution {
    /// Appends it to `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`] for extents that do not fit each other or the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let Self { shape, product } = self;
        let wrong = |message: String| {
            let kernel = "packed_convolution".to_owned();
            Error::Plan { kernel, message }
        };
        shape.check().map_err(wrong)?;
        if shape.groups != 1 {
            return Err(wrong(format!("{} groups of channels, packed are those of 1", shape.groups)));
        }
        let (rows, columns) = (Patches::rows(&shape), Patches::columns(&shape));
        // Elements of the result are fewer than 2^32, and rows are no more than these.
        let (rows, images) = (rows as u32, u64::from(shape.images));
        if shape.is_product() {
            return PackedProduct { m: rows, begin: [0; 2], ..product }.push(plan);
        }
        let of_image = u64::from(rows / shape.images) * columns;
        // Shares of images that are about as large as each other.
        let shares = images.div_ceil((MOST / of_image).clamp(1, images));
        let each = images.div_ceil(shares) as u32;
        let words = u64::from(each) * of_image;
        let words = u32::try_from(words)
            .map_err(|_| wrong(format!("the patches of an image have {words} elements")))?;
        let patches = plan.scratch("patches", words);
        let [pixels, results] = [shape.input_len() / images, shape.output_len() / images];
        for first in (0..shape.images).step_by(each as usize) {
            let images = each.min(shape.images - first);
            let begin = first * pixels as u32;
            let some = Convolution { images, ..shape };
            plan.push(Patches { shape: some, x: product.a, begin, patches })?;
            let m = Patches::rows(&some) as u32;
            let begin = [0, first * results as u32];
            PackedProduct { a: patches, m, begin, ..product }.push(plan)?;
        }
        Ok(())
    }
}
