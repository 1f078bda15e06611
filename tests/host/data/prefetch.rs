//! Batches made ahead are those of the source, whatever happens to it.
use super::counting;
use proptest::prelude::*;
use secateur::data::{Batch, BatchSource, Batches, Cursor, Prefetch, Task};
use secateur::{Error, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn source(rows: u8, size: usize, seed: Option<u64>) -> Batches {
    Batches::new(counting(rows), size, seed).unwrap()
}

/// Calls, and what one of them is in place of a batch.
struct Script(Batches, Arc<AtomicUsize>, usize, fn() -> Result<bool>);

impl BatchSource for Script {
    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn task(&self) -> Task {
        self.0.task()
    }
    fn name(&self) -> &str {
        "script"
    }
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let call = self.1.fetch_add(1, Ordering::SeqCst);
        if call == self.2 { (self.3)() } else { self.0.next_batch(batch) }
    }
    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }
    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.0.seek(cursor)
    }
}

/// That the next `n` answers are the same, with the cursors before and after.
fn assert_same(bare: &mut impl BatchSource, ahead: &mut impl BatchSource, n: usize) {
    let (mut want, mut found) = (Batch::default(), Batch::default());
    for i in 0..n {
        assert_eq!(ahead.cursor(), bare.cursor(), "before batch {i}");
        match (bare.next_batch(&mut want), ahead.next_batch(&mut found)) {
            (Ok(true), Ok(true)) => assert_eq!(found, want, "batch {i}"),
            (Ok(false), Ok(false)) => assert_eq!((found.rows, want.rows), (0, 0)),
            (Err(want), Err(found)) => assert_eq!(found.to_string(), want.to_string()),
            (want, found) => panic!("batch {i}: {found:?}, not {want:?}"),
        }
        assert_eq!(ahead.cursor(), bare.cursor(), "after batch {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn prefetch_is_the_source(
        n in 1u8..30, size in 1usize..9, seed: Option<u64>, epochs in proptest::option::of(0u64..4),
        depth in 0usize..4, first in 0usize..12, to in 0usize..12,
    ) {
        let new = || source(n, size, seed).epochs(epochs);
        let (mut bare, mut ahead) = (new(), Prefetch::new(new()).depth(depth));
        prop_assert_eq!((ahead.batch_size(), ahead.width()), (size, 2));
        prop_assert_eq!((ahead.name(), ahead.task()), ("counting", Task::classification(2)));
        assert_same(&mut bare, &mut ahead, first);
        let mut there = new();
        (0..to).for_each(|_| { there.next_batch(&mut Batch::default()).unwrap(); });
        for source in [&mut bare as &mut dyn BatchSource, &mut ahead] {
            source.seek(there.cursor()).unwrap();
        }
        assert_same(&mut bare, &mut ahead, 9);
        let wrong = Cursor { epoch: 0, row: 1000 };
        let [want, found] = [bare.seek(wrong), ahead.seek(wrong)].map(|r| r.unwrap_err().to_string());
        prop_assert_eq!(found, want);
        assert_same(&mut bare, &mut ahead, 5);
    }
}

#[test]
fn a_streams_positions_and_follows_pass_through() {
    let letters: Vec<u8> = (0..50u8).map(|i| i % 7).collect();
    let new = || {
        let data = secateur::data::Dataset::text("t", &letters, ('a'..='g').collect::<Vec<_>>(), 3);
        Batches::new(data.unwrap(), 4, None).unwrap().streams(true)
    };
    let mut ahead = Prefetch::new(new());
    assert_eq!(ahead.task(), Task::Classification { classes: 7, positions: 3 });
    assert_eq!(ahead.shape(), [3]);
    assert_same(&mut new(), &mut ahead, 20);
}

#[test]
fn an_error_arrives_in_its_place_and_is_not_the_end() {
    let fails: fn() -> Result<bool> = || Err(Error::argument("shard-7", "no such file"));
    for call in [0, 1, 5] {
        let new = || Script(source(20, 3, Some(1)), Arc::default(), call, fails);
        assert_same(&mut new(), &mut Prefetch::new(new()), 12);
    }
}

#[test]
fn a_panic_is_an_error_and_not_a_hang() {
    let panics: fn() -> Result<bool> = || panic!("no data");
    for call in [0, 1, 5] {
        let mut bare = source(20, 3, Some(1));
        let mut ahead = Prefetch::new(Script(bare.clone(), Arc::default(), call, panics));
        assert_same(&mut bare, &mut ahead, call);
        let error = ahead.next_batch(&mut Batch::default()).unwrap_err();
        assert!(matches!(error, Error::Panicked { .. }), "{error}");
        assert_eq!(error.to_string(), "`batches` panicked: no data");
        assert_eq!(ahead.cursor(), bare.cursor());
        assert_same(&mut bare, &mut ahead, 9);
        for source in [&mut bare as &mut dyn BatchSource, &mut ahead] {
            source.seek(Cursor { epoch: 7, row: 3 }).unwrap();
        }
        assert_same(&mut bare, &mut ahead, 9);
    }
}

/// With `depth` ready one more is made, and waits: no more than that, and dropping ends it.
#[test]
fn it_works_ahead_by_its_depth_and_ends_when_dropped() {
    for depth in [0, 2, 5] {
        let calls = Arc::<AtomicUsize>::default();
        let none: fn() -> Result<bool> = || Ok(false);
        let script = Script(source(20, 3, None), Arc::clone(&calls), usize::MAX, none);
        let mut ahead = Prefetch::new(script).depth(depth);
        assert_eq!(ahead.cursor(), Cursor::default());
        assert_eq!(calls.load(Ordering::SeqCst), 0, "it starts with the first batch");
        for taken in 1..4 {
            assert!(ahead.next_batch(&mut Batch::default()).unwrap());
            let made = || calls.load(Ordering::SeqCst);
            let begun = Instant::now();
            while made() < taken + depth + 1 && begun.elapsed() < Duration::from_secs(60) {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(made(), taken + depth + 1);
        }
        drop(ahead);
        assert_eq!(Arc::strong_count(&calls), 1, "the source is dropped with it");
    }
    // One that never made a batch.
    drop(Prefetch::new(source(20, 3, None)));
}

#[test]
fn buffers_are_used_again() {
    let mut ahead = Prefetch::new(source(20, 3, Some(1)));
    let (mut batch, mut seen) = (Batch::default(), BTreeSet::new());
    for _ in 0..200 {
        ahead.next_batch(&mut batch).unwrap();
        seen.insert((batch.features.as_ptr(), batch.labels.as_ptr()));
    }
    // Ready, being made, in use, and on its way back.
    assert!(seen.len() <= 2 + 3, "{}", seen.len());
}
