//! Ranks that are threads of one process.
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Comm, Lane, Message, check_all_gather, check_all_to_all, check_rank};
use crate::{Error, Result};

/// One of several threads of a process that train together; by itself, a run without replicas.
#[derive(Debug, Clone)]
pub struct LocalComm {
    rank: usize,
    group: Arc<Group>,
}

#[derive(Debug)]
struct Group {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Of the collective that is under way, what each rank has given.
    given: Vec<Option<Arc<Vec<u8>>>>,
    /// How many ranks have taken what was given.
    taken: usize,
    /// By rank and lane.
    mail: Vec<[VecDeque<Message>; 2]>,
    /// Who has ended the group, and why.
    aborted: Option<(usize, String)>,
}

impl Default for LocalComm {
    fn default() -> Self {
        Self::group(1).pop().expect("a group of one")
    }
}

impl LocalComm {
    /// A group of `size` ranks, one for each thread.
    pub fn group(size: usize) -> Vec<Self> {
        let state = State {
            given: vec![None; size],
            mail: (0..size).map(|_| Default::default()).collect(),
            ..State::default()
        };
        let group = Arc::new(Group { size, state: Mutex::new(state), changed: Condvar::new() });
        (0..size).map(|rank| Self { rank, group: Arc::clone(&group) }).collect()
    }

    /// What every rank gave, once all have.
    fn exchange(&self, mine: Vec<u8>) -> Result<Vec<Arc<Vec<u8>>>> {
        let Group { size, changed, .. } = &*self.group;
        let mut state = self.wait(|_| true)?;
        state.given[self.rank] = Some(Arc::new(mine));
        changed.notify_all();
        drop(state);
        let mut state = self.wait(|state| state.given.iter().all(Option::is_some))?;
        let all = state.given.iter().flatten().cloned().collect();
        state.taken += 1;
        if state.taken == *size {
            state.taken = 0;
            state.given.fill(None);
            changed.notify_all();
        } else {
            drop(state);
            // The next collective begins once the last rank has taken from this one.
            drop(self.wait(|state| state.given[self.rank].is_none())?);
        }
        Ok(all)
    }

    /// The same, where each gives as much.
    fn exchange_alike(&self, what: &str, mine: &[f32]) -> Result<Vec<Arc<Vec<u8>>>> {
        let all = self.exchange(bytemuck::cast_slice(mine).to_vec())?;
        let other = all.iter().position(|given| given.len() != 4 * mine.len());
        other.map_or(Ok(()), |rank| {
            let (there, here, me) = (all[rank].len() / 4, mine.len(), self.rank);
            let message = format!("rank {rank} gives {there} values, rank {me} gives {here}");
            Err(Error::shape(what, message))
        })?;
        Ok(all)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.group.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready`.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        loop {
            if let Some((rank, why)) = &state.aborted {
                return Err(Error::Peer { rank: *rank, message: why.clone() });
            }
            if ready(&state) {
                return Ok(state);
            }
            state = self.group.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Comm for LocalComm {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.group.size
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn engine(&self) -> &str {
        "threads of one process"
    }

    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<()> {
        let slice = 4 * check_all_to_all(send, receive, self.size())?;
        let all = self.exchange_alike("all_to_all", send)?;
        let mine = all.iter().flat_map(|given| &given[self.rank * slice..][..slice]);
        bytemuck::cast_slice_mut(receive).iter_mut().zip(mine).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<()> {
        check_all_gather(send, receive, self.size())?;
        let all = self.exchange_alike("all_gather", send)?;
        let slices = bytemuck::cast_slice_mut(receive).chunks_exact_mut(4 * send.len().max(1));
        slices.zip(all).for_each(|(to, from)| to.copy_from_slice(&from));
        Ok(())
    }

    fn all_gather_bytes(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(self.exchange(bytes.to_vec())?.iter().map(|given| given.to_vec()).collect())
    }

    fn send(&self, to: usize, lane: Lane, message: &[u8]) -> Result<()> {
        check_rank(to, self.size())?;
        let mut state = self.wait(|_| true)?;
        state.mail[to][lane as usize].push_back((self.rank, message.to_vec()));
        self.group.changed.notify_all();
        Ok(())
    }

    fn receive(&self, lane: Lane, patience: Duration) -> Result<Option<Message>> {
        let until = Instant::now().checked_add(patience);
        let mut state = self.wait(|_| true)?;
        loop {
            if let Some(message) = state.mail[self.rank][lane as usize].pop_front() {
                return Ok(Some(message));
            }
            let left = until.map_or(patience, |t| t.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            let (again, _) = self
                .group
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
            drop(again);
            state = self.wait(|_| true)?;
        }
    }

    fn abort(&self, _code: i32, why: &str) {
        self.state().aborted.get_or_insert_with(|| (self.rank, why.to_owned()));
        self.group.changed.notify_all();
    }
}
