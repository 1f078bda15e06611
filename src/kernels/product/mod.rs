//! Products of matrices and convolutions: one text, several tilings; copies in f16 for mixed
//! precision; matrices of many zeros that are packed, by weights or by blocks of them.

mod coop;
pub(in crate::kernels) mod parts;
mod split;

use super::kernels;

kernels! {
    bitmask_matmul: BitmaskMatmul(BitmaskMatmulParams);
    block_matmul: BlockMatmul(BlockMatmulParams);
    conv2d: Conv2d(Conv2dParams);
    convolution;
    f16_begin: F16Begin(F16BeginParams);
    f16_conv2d: F16Conv2d(F16Conv2dParams);
    f16_copy: F16Copy(F16CopyParams);
    f16_matmul: F16Matmul(F16MatmulParams);
    gaps_matmul: GapsMatmul(GapsMatmulParams);
    kept_blocks;
    live_matmul: LiveMatmul(MatmulParams);
    magnitude_peak: MagnitudePeak(MagnitudePeakParams);
    matmul: Matmul(MatmulParams);
    matvec: Matvec(MatvecParams);
    packed;
    packed_convolution;
    packed_product;
    part_sum: PartSum(PartSumParams);
    patches: Patches(PatchesParams);
    tiling;
    weight_gradient: WeightGradient(WeightGradientParams);
}
