//! Which ranks may share a card.
use secateur::gpu::{AdapterKind, AdapterReport};
use secateur::train::replicas::cards::{Card, compare, judge};

use super::ranks;

fn gpu(host: &str, pci: Option<&str>, index: usize) -> Card {
    let card = Card::default().host(host.to_owned()).name("H100".to_owned()).index(Some(index));
    card.driver("vulkan 1".to_owned()).pci(pci.map(str::to_owned))
}

fn software(host: &str) -> Card {
    gpu(host, None, 0).name("llvmpipe".to_owned()).software(true)
}

/// What is said, or the error.
fn said(cards: &[Card], share: bool) -> Result<Vec<String>, String> {
    judge(cards, share).map_err(|e| e.to_string())
}

#[test]
fn two_ranks_on_one_gpu_are_refused_by_name() {
    let cards = [
        gpu("a", Some("01"), 0),
        gpu("b", Some("01"), 0),
        gpu("b", Some("02"), 1),
        gpu("b", Some("01"), 0),
    ];
    let error = said(&cards, false).unwrap_err();
    assert_eq!(
        error,
        "`share_adapter`: ranks 1, 3 have the same GPU, H100 (01) of b; start fewer ranks there, \
         show each rank a GPU of its own, or allow it with `share_adapter`"
    );
    assert_eq!(said(&cards, true).unwrap(), ["ranks 1, 3 share H100 (01) of b"]);
    assert_eq!(said(&cards[..3], false).unwrap(), [""; 0]);
}

/// Under a launcher that shows each rank its own card all of them are the first.
#[test]
fn a_card_is_known_by_its_place() {
    let eight: Vec<_> = (0..8).map(|n| gpu("a", Some(&format!("0{n}")), 0)).collect();
    assert_eq!(said(&eight, false).unwrap(), [""; 0]);
    let by_index = [gpu("a", None, 0), gpu("a", None, 1)];
    assert_eq!(said(&by_index, false).unwrap(), [""; 0]);
    let error = said(&[gpu("a", None, 0), gpu("a", None, 0)], false).unwrap_err();
    assert!(error.contains("ranks 0, 1 have the same GPU, H100 of a, as far as its driver"));
}

#[test]
fn software_adapters_are_shared_without_asking() {
    let cards = [software("a"), software("a"), software("a"), software("b")];
    assert_eq!(said(&cards, false).unwrap(), ["ranks 0 to 2 share llvmpipe of a"]);
}

#[test]
fn adapters_of_several_kinds_are_said() {
    let cards = [gpu("a", Some("01"), 0), gpu("b", Some("01"), 0), software("a")];
    assert_eq!(
        said(&cards, false).unwrap(),
        ["the ranks have different adapters, whose results may differ in the last bits: H100 \
         (vulkan 1) has ranks 0, 1; llvmpipe (vulkan 1) has rank 2"]
    );
}

#[test]
fn all_ranks_come_to_the_same() {
    let report = |index| {
        let report = AdapterReport::default().name("H100".to_owned()).kind(AdapterKind::Discrete);
        report.backend("vulkan".to_owned()).index(Some(index))
    };
    let check = |index: fn(usize) -> usize, share: bool| {
        let all = ranks(3, |comm| compare(&*comm, &report(index(comm.rank())), share));
        all.into_iter().map(|r| r.map_err(|e| e.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(check(|rank| rank, false), vec![Ok(()); 3]);
    assert_eq!(check(|_| 0, true), vec![Ok(()); 3]);
    let wrapped = check(|rank| rank % 2, false);
    assert!(wrapped.iter().all(|r| r.as_ref().is_err_and(|e| e.contains("ranks 0, 2"))));
}
