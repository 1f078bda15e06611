//! Row 22 of docs/reliability.md: random arrivals against a second implementation, which knows
//! batches by number and keeps everything that ever happened.
use super::aggregate::rows;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use secateur::data::{BatchSource, Cursor, Issue};
use secateur::train::aggregate::{Aggregate, Gradient, Offer};
use secateur::train::token::Token;
use std::cell::Cell;
use std::collections::BTreeMap;

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A rank does what it is at: asks for a batch, or delivers the gradient on the one it has.
    Rank(usize),
    /// The job ends, and goes on with so many ranks from what a checkpoint holds.
    Restart(usize),
}

#[derive(Clone, Debug)]
struct Case {
    batches: usize,
    ranks: usize,
    /// Gradients an update, and how old they may be.
    wanted: usize,
    most: Option<u64>,
    events: Vec<Event>,
}

fn cases() -> impl Strategy<Value = Case> {
    let event = prop_oneof![
        60 => (0usize..8).prop_map(Event::Rank),
        1 => (1usize..9).prop_map(Event::Restart),
    ];
    let rule = prop_oneof![
        2 => (1usize..9).prop_map(|wanted| (wanted, Some(0))),
        1 => prop::option::of(0u64..6).prop_map(|most| (1, most)),
    ];
    (0usize..40, 1usize..9, rule, prop::collection::vec(event, 0..150)).prop_map(
        |(batches, ranks, (wanted, most), events)| Case { batches, ranks, wanted, most, events },
    )
}

/// The reference: a log of what has become of each batch, from which everything is derived.
#[derive(Default)]
struct Model {
    /// By batch: in which update it was used, if it was.
    used: Vec<Option<usize>>,
    /// Who has it, and how many updates there were when they got it.
    with: BTreeMap<usize, (usize, usize)>,
    /// Accepted, in order of arrival.
    waiting: Vec<usize>,
    updates: usize,
    drops: usize,
    ages: BTreeMap<u64, u64>,
}

impl Model {
    /// The first batch that is not used, not waiting, and with nobody.
    fn free(&self) -> Option<usize> {
        (0..self.used.len()).find(|batch| {
            let busy = self.with.values().any(|(other, _)| other == batch);
            self.used[*batch].is_none() && !busy && !self.waiting.contains(batch)
        })
    }

    /// Whether it is accepted, and the batches of the update that it completes.
    fn deliver(&mut self, case: &Case, rank: usize) -> (bool, Vec<usize>) {
        let (batch, since) = self.with.remove(&rank).unwrap();
        let age = (self.updates - since) as u64;
        if case.most.is_some_and(|most| age > most) {
            self.drops += 1;
            return (false, Vec::new());
        }
        *self.ages.entry(age).or_default() += 1;
        self.waiting.push(batch);
        (true, if self.waiting.len() == case.wanted { self.update() } else { Vec::new() })
    }

    fn update(&mut self) -> Vec<usize> {
        self.updates += 1;
        let mut batches = std::mem::take(&mut self.waiting);
        batches.sort_unstable();
        batches.iter().for_each(|&batch| {
            assert_eq!(self.used[batch].replace(self.updates), None, "used twice");
        });
        batches
    }
}

/// The batch is the row; its gradient says so, and has as many rows as it pleases.
fn gradient(token: Token) -> Gradient<u64> {
    let row = token.cursor.row;
    Gradient { token, rows: 1 + row as usize % 3, values: row }
}

/// One case: every answer is the model's. Gives updates, drops and restarts.
fn play(case: &Case) -> [usize; 3] {
    let mut source = rows(case.batches.max(1));
    if case.batches == 0 {
        source = source.epochs(Some(0));
    }
    let make = |step, issue| match case.most {
        Some(0) => Aggregate::in_step(step, issue, case.wanted).unwrap(),
        most => Aggregate::asynchronous(step, issue, most),
    };
    let mut aggregate: Aggregate<u64> = make(0, Issue::default());
    let mut model = Model { used: vec![None; case.batches], ..Model::default() };
    let (mut ranks, mut restarts) = (case.ranks, 0);
    let mut tokens = BTreeMap::<usize, Token>::new();
    let (mut drops, mut ages) = (0, BTreeMap::<u64, u64>::new());
    // After the events everyone goes on in turn until the data has ended.
    let turns = (0..).map(|i| Event::Rank(i % 8));
    for event in case.events.iter().copied().chain(turns) {
        match event {
            Event::Restart(others) => {
                restarts += 1;
                drops += aggregate.dropped() as usize;
                aggregate.staleness().iter().for_each(|(a, n)| *ages.entry(*a).or_default() += n);
                let issue = Issue::new(aggregate.issue().cursor(), aggregate.issue().unused());
                source.seek(Cursor::default()).unwrap();
                aggregate = make(aggregate.step(), issue);
                // What was under way is lost, and so nothing is used by it.
                (model.with, model.waiting) = (BTreeMap::new(), Vec::new());
                tokens.clear();
                ranks = others;
            }
            Event::Rank(rank) if rank >= ranks => {}
            Event::Rank(rank) if tokens.contains_key(&rank) => {
                let token = tokens.remove(&rank).unwrap();
                let (accepted, wanted) = model.deliver(case, rank);
                match aggregate.offer(gradient(token)).unwrap() {
                    Offer::Dropped => assert!(!accepted),
                    Offer::Held => assert!(accepted && wanted.is_empty()),
                    Offer::Update(update) => {
                        let found: Vec<usize> =
                            update.gradients.iter().map(|g| g.values as usize).collect();
                        assert_eq!((found, update.step), (wanted, model.updates as u64));
                        // Each row has the same part: of the last one what all have of the mean.
                        let (last, _) = update.shares().last().unwrap();
                        let of_last = update.gradients.last().unwrap().rows as f32;
                        assert_eq!(last, of_last / update.rows() as f32);
                        assert_eq!(update.shares().count(), case.wanted, "the divisor");
                    }
                }
            }
            Event::Rank(rank) => {
                let token = aggregate.token(&mut source).unwrap();
                let free = model.free();
                let found = token.map(|token| (token.cursor.row as usize, token.step));
                assert_eq!(found, free.map(|batch| (batch, model.updates as u64)));
                if let (Some(token), Some(batch)) = (token, free) {
                    tokens.insert(rank, token);
                    model.with.insert(rank, (batch, model.updates));
                } else if let Some(update) = aggregate.rest().unwrap() {
                    assert!(model.with.is_empty() && update.gradients.len() < case.wanted);
                    let found: Vec<usize> =
                        update.gradients.iter().map(|g| g.values as usize).collect();
                    assert_eq!(found, model.update());
                } else if model.with.is_empty() {
                    assert!(model.waiting.is_empty(), "they wait for nobody");
                    break;
                }
            }
        }
        let unused = |batch: &usize| model.used[*batch].is_none();
        let given = aggregate.issue().cursor();
        let given = if given.epoch > 0 { case.batches } else { given.row as usize };
        assert!((given..case.batches).all(|batch| unused(&batch)));
        let saved: Vec<usize> =
            aggregate.issue().unused().iter().map(|cursor| cursor.row as usize).collect();
        assert_eq!(saved, (0..given).filter(unused).collect::<Vec<_>>(), "what a save holds");
    }
    assert!(model.used.iter().all(Option::is_some), "every batch is used: {:?}", model.used);
    assert_eq!(aggregate.step(), model.updates as u64);
    assert_eq!(drops + aggregate.dropped() as usize, model.drops);
    aggregate.staleness().iter().for_each(|(a, n)| *ages.entry(*a).or_default() += n);
    assert_eq!(ages, model.ages);
    assert_eq!(model.updates, case.batches.div_ceil(case.wanted), "the number of steps");
    [model.updates, model.drops, restarts]
}

#[test]
fn ten_thousand_random_arrivals_are_as_the_model_has_them() {
    let sums = [0, 0, 0].map(Cell::new);
    let config = Config {
        cases: 10_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(22),
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&cases(), |case| {
        for (sum, n) in sums.iter().zip(play(&case)) {
            sum.set(sum.get() + n);
        }
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
    let [updates, drops, restarts] = sums.map(Cell::into_inner);
    eprintln!("10,000 cases: {updates} updates, {drops} gradients dropped, {restarts} restarts");
    assert!(updates > 50_000 && drops > 10_000 && restarts > 5_000);
}
