//! The self-test passes on an adapter that the other tests pass on, and its probe counts.
use secateur::bench::{selftest, selftest_all};
use secateur::gpu::MAX_LOOP_ITERATIONS;
use secateur::kernels::LoopProbe;

use crate::common::{Rig, gpu, mixed_gpu};

#[test]
fn every_check_passes() {
    for (gpu, count) in [(gpu(), 3), (mixed_gpu(), 4)] {
        let Some(gpu) = gpu else { continue };
        let checks = selftest(gpu).unwrap();
        assert_eq!(checks.len(), count);
        assert!(checks.iter().all(|check| check.passed), "{checks:?}");
    }
}

#[test]
fn every_further_check_passes() {
    let Some(gpu) = gpu() else { return };
    let mut begun = Vec::new();
    let checks = selftest_all(gpu, &mut |name| begun.push(name.to_owned()));
    assert!(checks.iter().all(|check| check.passed), "{checks:#?}");
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    assert!(names.len() == 11 && begun == names, "{names:?}, {begun:?}");
    // What compares within tolerances says how near it came, and none is loose by orders.
    let worst: Vec<_> = checks.iter().filter_map(|check| check.worst).collect();
    assert_eq!(worst.len(), 5, "{checks:#?}");
    for worst in worst {
        assert!(worst.error <= worst.tolerance && worst.error > 0.0, "{worst:?}");
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
