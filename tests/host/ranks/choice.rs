//! Which adapter a rank takes, of machines that are not at hand.
use secateur::gpu::{AdapterKind, AdapterReport, Which};

fn adapter(name: &str, kind: AdapterKind, pci: Option<&str>) -> AdapterReport {
    let report = AdapterReport::default().name(name.to_owned()).kind(kind);
    report.backend("vulkan".to_owned()).pci(pci.map(str::to_owned))
}

fn card(pci: &str) -> AdapterReport {
    adapter("H100", AdapterKind::Discrete, Some(pci))
}

fn unknown() -> AdapterReport {
    adapter("H100", AdapterKind::Discrete, None)
}

fn software() -> AdapterReport {
    adapter("llvmpipe", AdapterKind::Software, None)
}

/// What the first ranks of a machine with `adapters` take.
fn taken(adapters: &[AdapterReport]) -> Vec<usize> {
    (0..10).filter_map(|rank| Which::LocalRank(rank).of(adapters)).collect()
}

#[test]
fn each_rank_takes_the_next_gpu() {
    assert_eq!(taken(&[card("01")]), [0; 10]);
    assert_eq!(taken(&[card("01"), card("02")]), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let eight: Vec<_> = (1..=8).map(|n| card(&format!("0{n}"))).collect();
    assert_eq!(taken(&eight), [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]);
    // Two of a kind whose driver does not say where they are.
    assert_eq!(taken(&[unknown(), unknown()]), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn ranks_leave_software_adapters_where_there_are_gpus() {
    assert_eq!(taken(&[card("01"), card("02"), software()])[..4], [0, 1, 0, 1]);
    let integrated = adapter("Arc", AdapterKind::Integrated, Some("00"));
    assert_eq!(taken(&[card("01"), integrated, software()])[..4], [0, 1, 0, 1]);
    assert_eq!(taken(&[software()]), [0; 10]);
    assert_eq!(taken(&[]), [0; 0]);
}

#[test]
fn a_card_counts_once() {
    // By two drivers.
    let all = [card("01"), card("02"), adapter("H100 (NVK)", AdapterKind::Discrete, Some("01"))];
    assert_eq!(taken(&all)[..4], [0, 1, 0, 1]);
    // By two backends.
    let twice = unknown().backend("dx12".to_owned());
    assert_eq!(taken(&[unknown(), twice.clone(), unknown(), twice])[..4], [0, 2, 0, 2]);
}

#[test]
fn an_index_is_of_one_adapter() {
    let all = [card("01"), card("01"), software()];
    let of = |which: Which| which.of(&all);
    assert_eq!(
        (0..5).map(|k| of(Which::Index(k))).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2), None, None]
    );
    assert_eq!((of(Which::Best), Which::Best.of(&[])), (Some(0), None));
}
