//! Ranks that share a source read what one process reads, and nothing twice.
use super::{counting, fails};
use proptest::prelude::*;
use secateur::data::{
    Answers, Augment, Batch, BatchSource, Batches, Cursor, Dataset, Features, Images, Prefetch,
    Shard, Task,
};
use secateur::{Error, Result};
use std::collections::BTreeMap;

/// What makes the batches of a run; small enough that anything can happen within a few steps.
#[derive(Clone, Copy, Debug)]
struct Run {
    rows: u8,
    size: usize,
    seed: Option<u64>,
    augment: bool,
    drop_last: bool,
    epochs: Option<u64>,
}

fn runs() -> impl Strategy<Value = Run> {
    let epochs = proptest::option::of(0u64..4);
    (1u8..30, 1usize..9, any::<Option<u64>>(), any::<(bool, bool)>(), epochs).prop_map(
        |(rows, size, seed, (augment, drop_last), epochs)| {
            let drop_last = drop_last && size <= usize::from(rows);
            Run { rows, size, seed, augment, drop_last, epochs }
        },
    )
}

impl Run {
    /// Row i is an image of which no two versions are alike, with the label i.
    fn batches(&self) -> Batches {
        let bytes = (0..u32::from(self.rows) * 16).map(|i| (i * 37 % 251) as u8).collect();
        let features = Features::U8 { bytes, scale: 1.0 };
        let answers = Answers::classes(0..self.rows, self.rows.into());
        let augment = Some(Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] });
        let images = Images { crop: [3, 3], standardise: false, augment };
        let data = Dataset::new("images", &[4, 4, 1], features, answers).unwrap();
        let data = data.with_images(images).unwrap();
        let batches = Batches::new(data, self.size, self.seed).unwrap().augment(self.augment);
        batches.drop_last(self.drop_last).unwrap().epochs(self.epochs)
    }

    /// The `n` batches that one process reads, or those that there are, with the cursor before
    /// each, and the last one after all.
    fn sequence(&self, n: usize) -> (Vec<(Cursor, Batch)>, Cursor) {
        let (mut source, mut all) = (self.batches(), Vec::new());
        while all.len() < n {
            let (at, mut batch) = (source.cursor(), Batch::default());
            if !source.next_batch(&mut batch).unwrap() {
                break;
            }
            all.push((at, batch));
        }
        (all, source.cursor())
    }
}

/// Has no way of its own to pass over batches.
struct Plain(Batches);

impl BatchSource for Plain {
    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn task(&self) -> Task {
        self.0.task()
    }
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.0.next_batch(batch)
    }
    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }
    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.0.seek(cursor)
    }
}

/// The same batches through one of the ways that there are.
fn through(way: usize, batches: Batches) -> Box<dyn BatchSource> {
    match way % 4 {
        0 => Box::new(batches),
        1 => Box::new(Plain(batches)),
        2 => Box::new(Prefetch::new(batches).depth(way % 3)),
        _ => Box::new(Prefetch::new(Shard::new(Plain(batches)))),
    }
}

/// What `ranks` ranks read in `rounds` rounds from `cursor` on, `first` before that: in the order of
/// ranks within a round, and whether all of them gave a batch in the last one. All are at the same
/// place after each round, which is the second thing that is given, with what then comes first.
fn read(
    run: &Run,
    [ranks, rounds, way]: [usize; 3],
    cursor: Cursor,
    first: &[Cursor],
) -> (Vec<Batch>, Cursor, Vec<Cursor>, bool) {
    let mut all: Vec<_> =
        (0..ranks).map(|rank| Shard::new(through(way + rank, run.batches()))).collect();
    for (rank, shard) in all.iter_mut().enumerate() {
        shard.seek(cursor).unwrap();
        assert!(shard.shard(rank, ranks, first).unwrap());
        assert_eq!((shard.rank(), shard.ranks(), shard.first()), (rank, ranks, first));
    }
    let (mut batches, mut whole) = (Vec::new(), true);
    for _ in 0..rounds {
        let mut given = Vec::new();
        for shard in &mut all {
            let mut batch = Batch::default();
            given.push(shard.next_batch(&mut batch).unwrap());
            assert_eq!(given.last(), Some(&(batch.rows > 0)));
            batches.extend((batch.rows > 0).then_some(batch));
        }
        let there = given.iter().filter(|&&given| given).count();
        assert!(given[..there].iter().all(|&given| given), "the last ranks go without");
        assert!(whole || there == 0, "all have ended once one has");
        whole = there == ranks;
        for shard in &all {
            assert_eq!((shard.cursor(), shard.first()), (all[0].cursor(), all[0].first()));
        }
    }
    (batches, all[0].cursor(), all[0].first().to_vec(), whole)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Goes on with other numbers of ranks, each time from the cursor alone. As many batches of the
    /// first ones as are returned come once more before them: they were given out and not used.
    #[test]
    fn ranks_together_read_what_one_process_reads(
        run in runs(), parts in prop::collection::vec([1usize..8, 0usize..5, 0usize..12], 1..5),
        returned in 0usize..10, every in 1usize..4,
    ) {
        let most = 8 * 5 * parts.len() + 10;
        let (one, _) = run.sequence(most);
        let returned: Vec<usize> = (0..one.len().min(returned)).step_by(every).collect();
        // The run goes on behind the last of those.
        let begin = returned.last().map_or(0, |last| last + 1);
        let places: Vec<Cursor> =
            one.iter().map(|(at, _)| *at).chain([run.sequence(most).1]).collect();
        let wanted: Vec<usize> = returned.iter().copied().chain(begin..one.len()).collect();

        let (mut cursor, mut first) = (places[begin], returned.iter().map(|&i| places[i]).collect());
        let (mut found, mut asked) = (Vec::<Batch>::new(), 0);
        for part in parts {
            let before: Vec<Cursor> = first;
            let (batches, whole);
            (batches, cursor, first, whole) = read(&run, part, cursor, &before);
            found.extend(batches);
            asked += part[0] * part[1];
            let left = returned.len().saturating_sub(asked);
            prop_assert_eq!(&first, &returned[returned.len() - left..].iter()
                .map(|&i| places[i]).collect::<Vec<_>>());
            if let Some(&place) = places.get(begin + asked.saturating_sub(returned.len())) {
                prop_assert_eq!(cursor, place);
            }
            prop_assert!(!whole || part[1] == 0 || asked <= wanted.len());
        }
        prop_assert_eq!(found.len(), asked.min(wanted.len()));
        for (i, (found, &want)) in found.iter().zip(&wanted).enumerate() {
            prop_assert_eq!(found, &one[want].1, "batch {}", i);
        }
        // What is returned is all that is read of what is before it: nothing twice.
        let mut seen = BTreeMap::<(u64, u32), usize>::new();
        for batch in &found {
            for &label in &batch.labels[..batch.rows] {
                *seen.entry((batch.epoch, label)).or_default() += 1;
            }
        }
        prop_assert!(seen.values().all(|&times| times == 1), "{:?}", seen);
        let ended = asked > wanted.len() && begin == 0;
        if let Some(epochs) = run.epochs.filter(|_| ended && !run.drop_last) {
            prop_assert_eq!(seen.len(), epochs as usize * usize::from(run.rows), "none is missing");
        }
    }

    #[test]
    fn passing_over_batches_is_reading_them(
        run in runs(), way in 0usize..12, ranks in 1usize..5, before in 0usize..6,
        counts in prop::collection::vec(0u64..20, 1..5), returned in 0usize..5,
    ) {
        let (one, _) = run.sequence(6);
        let first: Vec<Cursor> = one.iter().take(returned).map(|(at, _)| *at).collect();
        for rank in 0..ranks {
            let [mut reads, mut passes] = [way, way + 1].map(|way| {
                let mut source = Shard::new(through(way, run.batches()));
                if let Some((cursor, _)) = one.last() {
                    source.seek(*cursor).unwrap();
                    source.shard(rank, ranks, &first).unwrap();
                }
                let mut batch = Batch::default();
                (0..before).for_each(|_| { source.next_batch(&mut batch).unwrap(); });
                source
            });
            for &count in &counts {
                let mut batch = Batch::default();
                let mut there = 0;
                while there < count && reads.next_batch(&mut batch).unwrap() {
                    there += 1;
                }
                prop_assert_eq!(passes.skip(count).unwrap(), there);
                if there == count {
                    prop_assert_eq!((passes.cursor(), passes.first()), (reads.cursor(), reads.first()));
                }
            }
            let (mut want, mut found) = (Batch::default(), Batch::default());
            let given = reads.next_batch(&mut want).unwrap();
            prop_assert_eq!(passes.next_batch(&mut found).unwrap(), given);
            prop_assert!(!given || want == found);
        }
    }
}

#[test]
fn passing_over_epochs_makes_no_rows() {
    let mut source = Batches::new(counting(5), 2, Some(1)).unwrap();
    assert_eq!(source.skip(3_000_000_000_001).unwrap(), 3_000_000_000_001);
    assert_eq!(source.cursor(), Cursor { epoch: 1_000_000_000_000, row: 2 });
    source.skip(u64::MAX).unwrap();
    source.skip(u64::MAX).unwrap();
    source.seek(Cursor { epoch: u64::MAX, row: 4 }).unwrap();
    assert_eq!(source.skip(u64::MAX).unwrap(), u64::MAX);
    assert_eq!(source.cursor().epoch, u64::MAX);
    let mut ends = Batches::new(counting(5), 2, None).unwrap().epochs(Some(u64::MAX));
    ends.seek(Cursor { epoch: u64::MAX - 1, row: 2 }).unwrap();
    assert_eq!(ends.skip(5).unwrap(), 2);
    assert_eq!((ends.skip(5).unwrap(), ends.cursor()), (0, Cursor { epoch: u64::MAX, row: 0 }));
    assert!(!ends.next_batch(&mut Batch::default()).unwrap());
}

/// An error in the middle of a turn, and the turn once more.
#[test]
fn a_source_that_fails_is_asked_again_from_the_same_place() {
    struct Fails(Batches, usize);
    impl BatchSource for Fails {
        fn batch_size(&self) -> usize {
            self.0.batch_size()
        }
        fn shape(&self) -> &[usize] {
            self.0.shape()
        }
        fn task(&self) -> Task {
            self.0.task()
        }
        fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
            self.1 = self.1.wrapping_sub(1);
            if self.1 == 0 {
                return Err(Error::argument("batches", "not now"));
            }
            self.0.next_batch(batch)
        }
        fn cursor(&self) -> Cursor {
            self.0.cursor()
        }
        fn seek(&mut self, cursor: Cursor) -> Result<()> {
            self.0.seek(cursor)
        }
    }
    let new = || Batches::new(counting(20), 1, Some(3)).unwrap();
    let first = [Cursor { epoch: 0, row: 7 }, Cursor { epoch: 0, row: 9 }];
    for (rank, call) in (0..4).flat_map(|rank| (1..14).map(move |call| (rank, call))) {
        let mut want = Shard::new(new());
        let mut found = Shard::new(Fails(new(), call));
        for shard in [&mut want as &mut dyn BatchSource, &mut found] {
            shard.seek(Cursor { epoch: 0, row: 10 }).unwrap();
            shard.shard(rank, 4, &first).unwrap();
        }
        let (mut batch, mut other, mut errors) = (Batch::default(), Batch::default(), 0);
        for _ in 0..4 {
            want.next_batch(&mut batch).unwrap();
            if let Err(error) = found.next_batch(&mut other) {
                assert!(error.to_string().contains("not now"));
                errors += 1;
                found.next_batch(&mut other).unwrap();
            }
            assert_eq!(other, batch, "rank {rank}, call {call}");
            assert_eq!((found.cursor(), found.first()), (want.cursor(), want.first()));
        }
        assert_eq!(errors, 1, "rank {rank}, call {call}");
    }
}

#[test]
fn what_ranks_cannot_share_is_refused() {
    let new = || Batches::new(counting(5), 2, Some(1)).unwrap();
    let mut shard = Shard::new(new());
    fails(shard.shard(2, 2, &[]), &["`rank`: 2 must be below the number of ranks, 2"]);
    let nowhere = Cursor { epoch: 0, row: 3 };
    fails(shard.shard(0, 2, &[nowhere]), &["row 3 starts no batch of 2", "5 rows"]);
    assert_eq!((shard.ranks(), shard.cursor()), (1, Cursor::default()), "as it was");
    let mut prefetch = Prefetch::new(new());
    prefetch.next_batch(&mut Batch::default()).unwrap();
    fails(prefetch.shard(0, 2, &[nowhere]), &["row 3 starts no batch of 2"]);
    assert_eq!(prefetch.cursor(), Cursor { epoch: 0, row: 2 });
    assert!(prefetch.next_batch(&mut Batch::default()).unwrap());
    assert_eq!(prefetch.cursor(), Cursor { epoch: 0, row: 4 });

    // Streams that do not say so are found out by their second batch.
    let mut silent = Shard::new(Plain(new().streams(true)));
    silent.shard(0, 2, &[]).unwrap();
    fails(
        silent
            .next_batch(&mut Batch::default())
            .and_then(|_| silent.next_batch(&mut Batch::default())),
        &["go on from batch to batch", "2 ranks cannot take turns"],
    );
}
