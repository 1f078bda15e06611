//! Whether all ranks are about to do the same, and whether they have come to the same.
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::group;
use crate::comm::Comm;
use crate::error::Ranks;
use crate::{Error, Result};

/// What is compared: its name and its value as text.
pub type Item = (String, String);

/// Most characters of a value in a message.
const SHOWN: usize = 60;

/// Compares `mine` with what the other ranks have, in its order.
///
/// # Errors
/// On every rank alike: [`Error::Argument`] names the first item that is not the same everywhere,
/// its values, which ranks have which, and the further items; [`Error::Peer`].
pub fn compare(comm: &dyn Comm, mine: &[Item]) -> Result<()> {
    let all: Vec<Vec<Item>> = gather(comm, &mine)?;
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut differ = names.into_iter().filter_map(|name| {
        let groups = values(&all, name);
        (groups.len() > 1).then_some((name, groups))
    });
    let Some((name, groups)) = differ.next() else { return Ok(()) };
    let shown = shortened(&groups.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    let have = groups.iter().zip(shown);
    let have = have.map(|((_, of), value)| format!("{value} on {}", Ranks(of)));
    let mut message = format!("the ranks do not agree: {}", have.collect::<Vec<_>>().join(", "));
    let others: Vec<_> = differ.map(|(name, _)| name).collect();
    if !others.is_empty() {
        message += &format!(" (nor on {})", others.join(", "));
    }
    message += "; start all of them with the same program, options and data";
    Err(Error::argument(name, message))
}

/// Each value of `name`, and which ranks have it.
fn values<'a>(all: &'a [Vec<Item>], name: &str) -> Vec<(Option<&'a str>, Vec<usize>)> {
    let mut groups: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
    for (rank, items) in all.iter().enumerate() {
        let value = items.iter().find(|item| item.0 == name).map(|item| item.1.as_str());
        match groups.iter_mut().find(|group| group.0 == value) {
            Some((_, ranks)) => ranks.push(rank),
            None => groups.push((value, vec![rank])),
        }
    }
    groups
}

/// Values that differ, each around the place where they do.
fn shortened(values: &[Option<&str>]) -> Vec<String> {
    let texts: Vec<Vec<char>> =
        values.iter().map(|value| value.unwrap_or("nothing").chars().collect()).collect();
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let at = (0..longest).find(|&i| texts.iter().any(|text| text.get(i) != texts[0].get(i)));
    let long = longest > SHOWN;
    let start = at.filter(|_| long).unwrap_or(0).saturating_sub(SHOWN / 2);
    let shown = |text: &Vec<char>| {
        let middle: String = text.iter().skip(start).take(SHOWN).collect();
        let before = if start > 0 { "..." } else { "" };
        let after = if text.len() > start + SHOWN { "..." } else { "" };
        format!("{before}{middle}{after}")
    };
    texts.iter().map(shown).collect()
}

/// Compares checksums of tensors, by name, after global step `step`.
///
/// # Errors
/// On every rank alike: [`Error::Diverged`] with the first tensor that is not the same everywhere
/// and the ranks that have another one than the chief; [`Error::Peer`].
pub fn checksums(comm: &dyn Comm, step: u64, mine: &[(String, u64)]) -> Result<()> {
    let all: Vec<Vec<(String, u64)>> = gather(comm, &mine)?;
    let longest = all.iter().max_by_key(|sums| sums.len()).map_or(0, Vec::len);
    for i in 0..longest {
        let chief = all[0].get(i);
        let differ = |&rank: &usize| all[rank].get(i) != chief;
        let ranks: Vec<usize> = (0..all.len()).filter(differ).collect();
        if let Some(first) = ranks.first() {
            let tensor = chief.or(all[*first].get(i)).map(|(name, _)| name.clone());
            return Err(Error::Diverged { step, tensor: tensor.unwrap_or_default(), ranks });
        }
    }
    Ok(())
}

/// What each rank gives, by rank.
pub(super) fn gather<T: Serialize, A: DeserializeOwned>(
    comm: &dyn Comm,
    mine: &T,
) -> Result<Vec<A>> {
    let all = group::gather(comm, &serde_json::to_vec(mine).unwrap_or_default())?;
    let read = |(rank, bytes): (usize, &Vec<u8>)| {
        serde_json::from_slice(bytes).map_err(|e| {
            let message = format!("what rank {rank} says of itself cannot be read: {e}");
            Error::argument("ranks", message + "; start the same program on all of them")
        })
    };
    all.iter().enumerate().map(read).collect()
}
