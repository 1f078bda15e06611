//! The self-test passes on an adapter that the other tests pass on, and its probe counts.
use secateur::bench::selftest;
use secateur::gpu::MAX_LOOP_ITERATIONS;
use secateur::kernels::LoopProbe;

use crate::common::{Rig, gpu, mixed_gpu};

#[test]
fn every_check_passes() {
    for (gpu, count) in [(gpu(), 3), (mixed_gpu(), 4)] {
        let Some(gpu) = gpu else { continue };
        let checks = selftest(gpu).unwrap();
        assert_eq!(checks.len(), count);
        for (name, result) in checks {
            assert!(result.is_ok(), "{name}: {result:?}");
        }
    }
}

#[test]
fn the_loop_probe_counts_every_iteration() {
    let Some(gpu) = gpu() else { return };
    for (len, iterations) in [(1, 0), (63, 1), (65, 257), (130, MAX_LOOP_ITERATIONS)] {
        let mut rig = Rig::new(gpu);
        let before: Vec<u32> = (0..len).collect();
        let count = rig.slot("count", &before);
        rig.push(LoopProbe { count, len, iterations });
        let after: Vec<u32> = rig.run().read(count);
        let want: Vec<u32> = before.iter().map(|n| n + iterations).collect();
        assert_eq!(after, want);
    }
}
