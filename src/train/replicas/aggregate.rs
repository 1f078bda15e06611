//! Which gradients make an update, where ranks do not go in step: backup workers and asynchronous
//! training. Who computes them and what they weigh is no matter here.
use std::collections::BTreeMap;

use super::token::Token;
use crate::data::{BatchSource, Issue};
use crate::{Error, Result};

/// A gradient that a rank has computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient<G> {
    /// What it was computed for.
    pub token: Token,
    /// Rows of the batch, of which it is the mean.
    pub rows: usize,
    /// The gradient itself, of all parameters: an update never mixes ranks between variables.
    pub values: G,
}

/// What becomes of a gradient.
#[derive(Debug, Clone, PartialEq)]
pub enum Offer<G> {
    /// It came too late: its batch is given out again.
    Dropped,
    /// It waits for others.
    Held,
    /// The weights are to be moved by it, and by those that it completes.
    Update(Update<G>),
}

/// Gradients whose mean moves the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Update<G> {
    /// The global step that this makes.
    pub step: u64,
    /// In the order of their batches, so that the order of arrival changes no bit of their mean.
    pub gradients: Vec<Gradient<G>>,
}

/// Gives out batches, and decides what becomes of the gradients on them.
///
/// A gradient counts when the weights have made at most `max_staleness` steps since those that it
/// was computed with, and moves the weights together with others once `wanted` count. So backup
/// workers are `wanted` < ranks with a staleness of 0, and asynchronous training is one wanted
/// gradient of any staleness. Every batch is used exactly once: that of a gradient that does not
/// count is the next to be given out.
#[derive(Debug)]
pub struct Aggregate<G> {
    step: u64,
    wanted: usize,
    max_staleness: Option<u64>,
    issue: Issue,
    /// Count, and wait for others. Their batches are out.
    held: Vec<Gradient<G>>,
    dropped: u64,
    staleness: BTreeMap<u64, u64>,
}

impl<G> Aggregate<G> {
    /// The first `wanted` gradients on the weights of a step move them, from global step `step` on;
    /// later ones are dropped.
    ///
    /// # Errors
    /// [`Error::Argument`] when none are wanted.
    pub fn in_step(step: u64, issue: Issue, wanted: usize) -> Result<Self> {
        Self::new(step, issue, wanted, Some(0))
    }

    /// Each gradient moves the weights by itself, from global step `step` on; one that is more than
    /// `max_staleness` steps old is dropped.
    pub fn asynchronous(step: u64, issue: Issue, max_staleness: Option<u64>) -> Self {
        Self::new(step, issue, 1, max_staleness).expect("one is wanted")
    }

    fn new(step: u64, issue: Issue, wanted: usize, max_staleness: Option<u64>) -> Result<Self> {
        if wanted == 0 {
            let message = "0 gradients an update must be 1 or more";
            return Err(Error::argument("replicas_to_aggregate", message));
        }
        let (held, dropped, staleness) = (Vec::new(), 0, BTreeMap::new());
        Ok(Self { step, wanted, max_staleness, issue, held, dropped, staleness })
    }

    /// What a rank that has nothing to do computes next; `None` when the data has ended.
    ///
    /// # Errors
    /// Of `source`, which is asked for places only.
    pub fn token(&mut self, source: &mut (impl BatchSource + ?Sized)) -> Result<Option<Token>> {
        let cursor = self.issue.give_out(source)?;
        Ok(cursor.map(|cursor| Token { step: self.step, cursor }))
    }

    /// Takes a gradient.
    ///
    /// # Errors
    /// [`Error::Argument`] for one on no rows, or on a batch that nobody was given.
    pub fn offer(&mut self, gradient: Gradient<G>) -> Result<Offer<G>> {
        let Token { step, cursor } = gradient.token;
        if self.held.iter().any(|other| other.token.cursor == cursor) {
            let message = "is on a batch whose gradient is there already; a rank answers once";
            return Err(Error::argument("gradient", message));
        }
        if gradient.rows == 0 {
            return Err(Error::argument("gradient", "is one of 0 rows; it must have 1 or more"));
        }
        let staleness = self.step.saturating_sub(step);
        if self.max_staleness.is_some_and(|most| staleness > most) {
            self.issue.take_back(cursor)?;
            self.dropped += 1;
            return Ok(Offer::Dropped);
        }
        self.issue.check_out(cursor)?;
        *self.staleness.entry(staleness).or_default() += 1;
        self.held.push(gradient);
        if self.held.len() < self.wanted {
            Ok(Offer::Held)
        } else {
            self.update().map(Offer::Update)
        }
    }

    /// What waits for others, once none can come: [`token`](Self::token) has said that the data has
    /// ended, and no batch is out but theirs.
    ///
    /// # Errors
    /// None that [`offer`](Self::offer) has not had.
    pub fn rest(&mut self) -> Result<Option<Update<G>>> {
        let none_come =
            self.issue.is_exhausted() && self.issue.outstanding().len() == self.held.len();
        if none_come && !self.held.is_empty() { self.update().map(Some) } else { Ok(None) }
    }

    fn update(&mut self) -> Result<Update<G>> {
        let mut gradients = std::mem::take(&mut self.held);
        gradients.sort_by_key(|gradient| gradient.token.cursor);
        gradients.iter().try_for_each(|gradient| self.issue.used(gradient.token.cursor))?;
        self.step += 1;
        Ok(Update { step: self.step, gradients })
    }

    /// Updates made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Gradients dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many gradients that counted were how many steps old.
    pub fn staleness(&self) -> &BTreeMap<u64, u64> {
        &self.staleness
    }

    /// Where the batches are. Those that are out, or whose gradients wait for others, count as
    /// unused.
    pub fn issue(&self) -> &Issue {
        &self.issue
    }
}

impl<G> Update<G> {
    /// Rows that its mean is over.
    pub fn rows(&self) -> usize {
        self.gradients.iter().map(|gradient| gradient.rows).sum()
    }

    /// Each gradient, and its part of the mean of it and those before it: the mean is what is left
    /// of `mean += share * (gradient - mean)` over all, and each row of theirs has the same part of
    /// it.
    pub fn shares(&self) -> impl Iterator<Item = (f32, &G)> {
        let mut rows = 0;
        self.gradients.iter().map(move |gradient| {
            rows += gradient.rows;
            (gradient.rows as f32 / rows as f32, &gradient.values)
        })
    }
}
