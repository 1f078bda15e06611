//! Products of matrices and convolutions: one text, several tilings; copies in f16 for mixed
//! precision; products with weights of which only blocks are kept.

pub(in crate::kernels) mod parts;

use super::kernels;

kernels! {
    block_matmul: BlockMatmul(BlockMatmulParams);
    conv2d: Conv2d(Conv2dParams);
    f16_begin: F16Begin(F16BeginParams);
    f16_copy: F16Copy(F16CopyParams);
    f16_matmul: F16Matmul(F16MatmulParams);
    kept_blocks;
    magnitude_peak: MagnitudePeak(MagnitudePeakParams);
    matmul: Matmul(MatmulParams);
    patches: Patches(PatchesParams);
    tiling;
}
