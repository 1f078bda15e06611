//! What an adapter is measured by.

use super::kernels;

kernels! {
    copy_probe: CopyProbe(CopyProbeParams);
    fma_probe: FmaProbe(FmaProbeParams);
    loop_probe: LoopProbe(LoopProbeParams);
}
