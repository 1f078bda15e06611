//! Ranks that share streams: each has rows of its own of every batch.
use super::{counting, fails};
use proptest::prelude::*;
use secateur::data::{Batch, BatchSource, Batches, Cursor, Prefetch, Shard};

fn streams(rows: u8, size: usize, drop_last: bool) -> secateur::Result<Batches> {
    Batches::new(counting(rows), size, Some(3)).unwrap().streams(true).drop_last(drop_last)
}

/// The valid rows of the next batch, and whether they go on; `None` at the end.
fn next(source: &mut impl BatchSource) -> Option<(Vec<u8>, bool)> {
    let mut batch = Batch::default();
    source.next_batch(&mut batch).unwrap().then(|| {
        assert_eq!(batch.features.len(), source.batch_size() * source.width());
        assert!(batch.features[2 * batch.rows..].iter().all(|&x| x == 0.0));
        let rows = batch.features.chunks(2).take(batch.rows);
        (rows.map(|row| row[0] as u8).collect(), batch.follows)
    })
}

proptest! {
    #[test]
    fn parts_are_one_batch_of_all_ranks(
        rows in 1u8..60, size in 1usize..6, ranks in 1usize..8, drop_last: bool,
        epochs in proptest::option::of(0u64..3), begin in 0usize..4, ahead: bool,
    ) {
        let whole = size * ranks;
        let Ok(one) = streams(rows, whole, drop_last) else { return Ok(()) };
        let mut one = one.epochs(epochs);
        // Of every batch the first rows are there, so the last rank has the fewest.
        let fewest = (0..one.batches_per_epoch()).map(|_| next(&mut one).map_or(whole, |b| b.0.len()));
        let fewest = if epochs == Some(0) { None } else { fewest.min() };
        (0..begin).for_each(|_| { one.skip(1).unwrap(); });
        let mut parts = Vec::new();
        for rank in 0..ranks {
            let part = streams(rows, size, false).unwrap().drop_last(drop_last).unwrap();
            let part = part.epochs(epochs);
            let mut part: Shard<Box<dyn BatchSource>> = match ahead {
                true => Shard::new(Box::new(Prefetch::new(part))),
                false => Shard::new(Box::new(part)),
            };
            let shared = part.shard(rank, ranks, &[]);
            if fewest.is_some_and(|fewest| fewest <= whole - size) && ranks > 1 {
                fails(shared, &["batch_size", &format!("{size} on {ranks} ranks")]);
                return Ok(());
            }
            if shared.is_err() {
                prop_assert_eq!(fewest, None);
                return Ok(());
            }
            part.seek(one.cursor()).unwrap();
            parts.push(part);
        }
        for _ in 0..20 {
            let want = next(&mut one);
            let found: Vec<_> = parts.iter_mut().map(next).collect();
            prop_assert!(found.iter().all(|part| part.is_some() == want.is_some()));
            let Some((want, follows)) = want else { break };
            let found: Vec<_> = found.into_iter().flatten().collect();
            prop_assert!(found.iter().all(|part| part.1 == follows && !part.0.is_empty()));
            prop_assert_eq!(found.into_iter().flat_map(|part| part.0).collect::<Vec<_>>(), want);
            for part in &parts {
                prop_assert_eq!(part.cursor(), one.cursor());
            }
        }
        let wrong = Cursor { epoch: 0, row: 64 * whole as u64 };
        prop_assert!(parts[0].seek(wrong).is_err());
        prop_assert_eq!(parts[0].cursor(), one.cursor());
        // And back to one rank.
        let start = Cursor::default();
        parts[0].seek(start).unwrap();
        parts[0].shard(0, 1, &[]).unwrap();
        prop_assert_eq!(next(&mut parts[0]), next(&mut streams(rows, size, drop_last).unwrap().epochs(epochs)));
    }
}

#[test]
fn streams_that_ranks_cannot_share_are_refused() {
    // 10 rows in 8 streams of 2: the last three streams are empty.
    let mut source = streams(10, 2, false).unwrap();
    let message = "2 on 4 ranks: the last batch of the 10 rows of counting in 8 streams has 5 rows";
    fails(source.shard(0, 4, &[]), &[message, "drop_last"]);
    source.drop_last(true).unwrap().shard(0, 4, &[]).unwrap();
    for (drop_last, ranks) in [(false, 6), (true, 6), (false, usize::MAX)] {
        let mut source = streams(10, 2, drop_last).unwrap();
        let message = format!("`batch_size`: 2 on {ranks} ranks: the 10 rows of counting");
        fails(source.shard(0, ranks, &[]), &[&message, "not enough streams", "fewer ranks"]);
        assert_eq!(next(&mut source).unwrap().0, [0, 5], "as it was");
    }
    let mut source = streams(10, 1, false).unwrap();
    fails(source.shard(0, 2, &[Cursor::default()]), &["`first`", "go on from batch to batch"]);
    // A place that is none of the larger batches'.
    next(&mut source);
    fails(source.shard(0, 2, &[]), &["row 1 starts no batch of 2"]);
    assert_eq!(next(&mut source).unwrap().0, [1], "as it was");
    assert!(source.in_streams() && Prefetch::new(source).in_streams());
}
