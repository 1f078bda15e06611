//! What is made of adapters that are not at hand.
use std::fs;
use std::path::Path;

use secateur::gpu::{
    AdapterKind, AdapterReport, Choices, PlanBuilder, Precision, Target, unused_gpu, unwrapped,
};
use secateur::kernels::{Form, Matmul};

fn report(kind: AdapterKind) -> AdapterReport {
    AdapterReport::default()
        .name("a card".to_owned())
        .backend("vulkan".to_owned())
        .kind(kind)
        .driver("1".to_owned())
        .max_binding(1 << 31)
        .max_buffer(1 << 31)
        .workgroup_memory(32_768)
        .timestamps(true)
        .subgroups(true)
        .subgroup_size([32, 32])
        .f16(true)
        .cooperative(Some(16))
        .pipeline_cache(true)
}

fn choices(rate: u64, matrices: bool) -> Choices {
    let mut choices = Choices::default();
    (choices.rate, choices.matrices) = (rate, matrices);
    choices
}

/// The grids of the launches of a product of square matrices.
fn grids(target: Target, side: u32) -> Vec<[u64; 3]> {
    let mut plan = PlanBuilder::new(target);
    let [a, b, c] = ["a", "b", "c"].map(|name| plan.persistent(name, side * side));
    plan.phase("test");
    Matmul::new(Form::NN, [a, b, c], [side; 3]).push(&mut plan).unwrap();
    let text = plan.to_string();
    let launches = text.lines().filter_map(|line| line.split_once("  grid ")?.1.into());
    launches
        .map(|grid| {
            let extents: Vec<u64> = grid.split('x').map(|n| n.parse().unwrap()).collect();
            extents.try_into().unwrap()
        })
        .collect()
}

/// A launch of 16384 cubed would keep a fast card busy for a second, and a slow one for a minute.
#[test]
fn a_launch_takes_as_long_as_its_adapter_allows() {
    let side = 16_384u32;
    let all = u64::from(side).pow(3);
    for (kind, most) in [
        (AdapterKind::Discrete, Some(50_000_000_000u64)),
        (AdapterKind::Integrated, Some(5_000_000_000)),
        (AdapterKind::Virtual, Some(5_000_000_000)),
        (AdapterKind::Other, Some(5_000_000_000)),
        (AdapterKind::Software, None),
    ] {
        let target = report(kind).target(Precision::F32);
        assert_eq!(target.most_operations, most, "{kind:?}");
        let grids = grids(Target { software: false, subgroup: None, ..target }, side);
        let workgroups: u64 = grids.iter().map(|g| g.iter().product::<u64>()).sum();
        assert_eq!(workgroups, 128 * 128, "{kind:?}: every tile once");
        let each = all / workgroups;
        let longest = grids.iter().map(|g| g.iter().product::<u64>()).max().unwrap() * each;
        assert!(longest <= most.unwrap_or(u64::MAX), "{kind:?}: a launch of {longest}");
        // Not cut to dust either.
        let fewest = most.map_or(1, |most| all.div_ceil(most)) as usize;
        assert!(grids.len() <= fewest * 2, "{kind:?}: {} launches", grids.len());
    }
}

#[test]
fn a_measured_rate_replaces_the_safe_one() {
    let safe = report(AdapterKind::Discrete).target(Precision::F32);
    let measured = choices(7_000_000_000_000, false);
    assert_eq!(safe.tuned(measured, false).most_operations, Some(700_000_000_000));
    assert_eq!(safe.tuned(Choices::default(), false).most_operations, safe.most_operations);
    let software = report(AdapterKind::Software).target(Precision::F32);
    assert_eq!(software.tuned(measured, false).most_operations, None);
}

/// wgpu leaves their loads and stores without an order, so a card must have shown that it does not
/// matter there.
#[test]
fn cooperative_matrices_are_used_where_they_were_right() {
    let mixed = report(AdapterKind::Discrete).target(Precision::Mixed);
    assert_eq!(mixed.cooperative, Some(16));
    let right = choices(0, true);
    assert_eq!(mixed.tuned(Choices::default(), false).cooperative, None);
    assert_eq!(mixed.tuned(Choices::default(), true).cooperative, Some(16));
    assert_eq!(mixed.tuned(right, false).cooperative, Some(16));
    let full = report(AdapterKind::Discrete).target(Precision::F32);
    assert_eq!(full.tuned(right, true).cooperative, None);
}

#[test]
fn choices_are_kept_whole() {
    let mut choices = choices(5, true);
    assert!(choices.set(3, "tiles-64"));
    let text = serde_json::to_string(&choices).unwrap();
    assert_eq!(serde_json::from_str::<Choices>(&text).unwrap(), choices);
}

#[test]
fn a_counter_that_turns_over_goes_on() {
    let turn = 1u64 << 36;
    assert_eq!(unwrapped(5, vec![10, 20, 20, 30]), [10, 20, 20, 30]);
    // A clock that steps back a little has not turned over.
    assert_eq!(unwrapped(turn - 50, vec![turn - 60, turn - 55]), [turn - 60, turn - 55]);
    assert_eq!(unwrapped(turn - 50, vec![turn - 10, 5, 9]), [turn - 10, turn + 5, turn + 9]);
    assert_eq!(unwrapped(turn - 50, vec![3, turn - 2, 4]), [turn + 3, 2 * turn - 2, 2 * turn + 4]);
    let long = 1u64 << 48;
    assert_eq!(unwrapped(long - 3, vec![7]), [long + 7]);
    assert_eq!(unwrapped(u64::MAX, vec![u64::MAX - 1]), [u64::MAX - 1]);
}

#[test]
fn a_gpu_that_no_driver_shows_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let device = |name: &str, class: &str, vendor: &str| {
        let at = dir.path().join(name);
        fs::create_dir(&at).unwrap();
        fs::write(at.join("class"), format!("{class}\n")).unwrap();
        fs::write(at.join("vendor"), format!("{vendor}\n")).unwrap();
    };
    assert_eq!(unused_gpu(Path::new("/no such folder")), None);
    // A network card of Intel's, and the console of a server.
    device("0000:00:01.0", "0x020000", "0x8086");
    device("0000:00:02.0", "0x030000", "0x1a03");
    fs::create_dir(dir.path().join("0000:00:03.0")).unwrap();
    assert_eq!(unused_gpu(dir.path()), None);
    device("0000:00:04.0", "0x030000", "0x8086");
    assert_eq!(unused_gpu(dir.path()).unwrap().0, "Intel");
    device("0000:00:05.0", "0x030200", "0x10de");
    let (vendor, remedy) = unused_gpu(dir.path()).unwrap();
    assert_eq!(vendor, "NVIDIA");
    assert!(remedy.contains("Vulkan"), "{remedy}");
}
