//! Which rank computes on which card.
use serde::{Deserialize, Serialize};

use super::agree::gather;
use crate::comm::{Comm, host_name};
use crate::error::Ranks;
use crate::gpu::{AdapterKind, AdapterReport};
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    /// The adapter of a rank, as other ranks see it.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Card {
        /// The machine.
        pub host: String,
        /// The adapter's name.
        pub name: String,
        /// Backend and driver.
        pub driver: String,
        /// Where it sits on the machine's PCI bus, where the driver says it.
        pub pci: Option<String>,
        /// Its number among the adapters that the rank's options allow.
        pub index: Option<usize>,
        /// Shaders run on the processor.
        pub software: bool,
    }
}

impl Card {
    /// The card of this process.
    pub fn of(report: &AdapterReport) -> Self {
        Self {
            host: host_name(),
            name: report.name.clone(),
            driver: format!("{} {}", report.backend, report.driver),
            pci: report.pci.clone(),
            index: report.index,
            software: report.kind == AdapterKind::Software,
        }
    }

    /// Whether both are one card. Without an id of its place a card is known by number and name.
    fn is(&self, other: &Self) -> bool {
        let place = |card: &Self| match &card.pci {
            Some(pci) => (Some(pci.clone()), None, None),
            None => (None, card.index, Some(card.name.clone())),
        };
        self.host == other.host && place(self) == place(other)
    }

    fn said(&self) -> String {
        let Self { host, name, .. } = self;
        match &self.pci {
            Some(pci) => format!("{name} ({pci}) of {host}"),
            None => format!("{name} of {host}"),
        }
    }
}

/// What is worth saying of `cards`, by rank: which software adapters are shared, and GPUs where
/// that is asked for (`share_adapter`); and that adapters are of several kinds.
///
/// # Errors
/// [`Error::Argument`] where ranks have one GPU that are not meant to share it; it names them, the
/// card and the way out.
pub fn judge(cards: &[Card], share_adapter: bool) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (first, users) in grouped(cards, Card::is) {
        if users.len() == 1 {
            continue;
        }
        let (card, users) = (first.said(), Ranks(&users));
        if !first.software && !share_adapter {
            let unsure = match first.pci {
                Some(_) => "",
                None => ", as far as its driver says: it does not tell where the card sits",
            };
            let message = format!(
                "{users} have the same GPU, {card}{unsure}; start fewer ranks there, show each \
                 rank a GPU of its own, or allow it with `share_adapter`"
            );
            return Err(Error::argument("share_adapter", message));
        }
        notes.push(format!("{users} share {card}"));
    }
    let kinds = grouped(cards, |a, b| (&a.name, &a.driver) == (&b.name, &b.driver));
    if kinds.len() > 1 {
        let said = |(card, of): &(&Card, Vec<usize>)| {
            format!("{} ({}) has {}", card.name, card.driver, Ranks(of))
        };
        let kinds: Vec<_> = kinds.iter().map(said).collect();
        notes.push(format!(
            "the ranks have different adapters, whose results may differ in the last bits: {}",
            kinds.join("; ")
        ));
    }
    Ok(notes)
}

/// Cards that are `same`, each with the ranks that have it.
fn grouped(cards: &[Card], same: impl Fn(&Card, &Card) -> bool) -> Vec<(&Card, Vec<usize>)> {
    let mut groups: Vec<(&Card, Vec<usize>)> = Vec::new();
    for (rank, card) in cards.iter().enumerate() {
        match groups.iter_mut().find(|(first, _)| same(first, card)) {
            Some((_, ranks)) => ranks.push(rank),
            None => groups.push((card, vec![rank])),
        }
    }
    groups
}

/// Compares the cards of all ranks. The chief warns of what [`judge`] finds worth saying.
///
/// # Errors
/// On every rank alike: as [`judge`]; [`Error::Peer`].
pub fn compare(comm: &dyn Comm, report: &AdapterReport, share_adapter: bool) -> Result<()> {
    let cards: Vec<Card> = gather(comm, &Card::of(report))?;
    let notes = judge(&cards, share_adapter)?;
    if comm.rank() == 0 {
        notes.iter().for_each(|note| log::warn!("{note}"));
    }
    Ok(())
}
