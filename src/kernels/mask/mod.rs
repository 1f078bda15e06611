//! Masks: one bit a weight, and how each pattern sets them.

mod tallied;

use super::kernels;

kernels! {
    apply_mask: ApplyMask(ApplyMaskParams);
    bin_count: BinCount(BinCountParams);
    bin_pick: BinPick(BinPickParams);
    block_mask: BlockMask(BlocksParams);
    block_pool: BlockPool(BlocksParams);
    histogram_threshold;
    kept_energy: KeptEnergy(KeptEnergyParams);
    live_inputs: LiveInputs(LiveInputsParams);
    mask_begin: MaskBegin(MaskBeginParams);
    nm_mask: NmMask(NmMaskParams);
    state;
    threshold_mask: ThresholdMask(ThresholdMaskParams);
    unit_floor: UnitFloor(UnitFloorParams);
    unit_mask: UnitMask(UnitMaskParams);
    unit_peak: UnitPeak(UnitPeakParams);
    units;
}
