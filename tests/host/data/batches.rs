//! Batches: their order, padding, end, and position.
use super::{counting, fails};
use proptest::prelude::*;
use secateur::Error;
use secateur::data::{Answers, Batch, BatchSource, Batches, Cursor, Dataset, Task, permutation};
use std::sync::Arc;

/// The rows of the next `n` batches of [`counting`] data, one list per batch.
fn take(source: &mut Batches, n: usize) -> Vec<Vec<u8>> {
    let mut batch = Batch::default();
    let next = |_| {
        assert!(source.next_batch(&mut batch).unwrap());
        batch.features.chunks(2).take(batch.rows).map(|row| row[0] as u8).collect()
    };
    (0..n).map(next).collect()
}

/// A batch of rows that have classes.
fn made(features: Vec<f32>, labels: Vec<u32>, rows: usize, epoch: u64, follows: bool) -> Batch {
    let mut batch = Batch::default();
    (batch.features, batch.labels) = (features, labels);
    (batch.rows, batch.epoch, batch.follows) = (rows, epoch, follows);
    batch
}

proptest! {
    #[test]
    fn seeking_equals_going_there(
        n in 1u8..40, size in 1usize..12, seed: Option<u64>, drop_last: bool, steps in 0usize..40,
    ) {
        let drop_last = drop_last && size <= usize::from(n);
        let new = || Batches::new(counting(n), size, seed).unwrap().drop_last(drop_last).unwrap();
        let mut straight = new();
        take(&mut straight, steps);
        let mut jumped = new();
        take(&mut jumped, 1);
        jumped.seek(straight.cursor()).unwrap();
        prop_assert_eq!(jumped.cursor(), straight.cursor());
        prop_assert_eq!(take(&mut jumped, 9), take(&mut straight, 9));
    }
}

#[test]
fn batches_keep_file_order_and_pad_the_last() {
    let mut source = Batches::new(counting(5), 2, None).unwrap().epochs(Some(2));
    assert_eq!(
        (source.batch_size(), source.width(), source.task()),
        (2, 2, Task::classification(2))
    );
    let mut batch = made(vec![7.0; 9], vec![7; 9], 9, 9, true);
    for epoch in 0..2 {
        let wanted = [
            ([0.0, 100.0, 1.0, 101.0], [0, 1], 2),
            ([2.0, 102.0, 3.0, 103.0], [0, 1], 2),
            ([4.0, 104.0, 0.0, 0.0], [0, 0], 1),
        ];
        for (features, labels, rows) in wanted {
            assert!(source.next_batch(&mut batch).unwrap());
            let (features, labels) = (features.to_vec(), labels.to_vec());
            assert_eq!(batch, made(features, labels, rows, epoch, false));
        }
    }
    assert!(!source.next_batch(&mut batch).unwrap());
    assert_eq!((batch.rows, source.cursor()), (0, Cursor { epoch: 2, row: 0 }));
    source.seek(Cursor { epoch: 1, row: 4 }).unwrap();
    assert_eq!(take(&mut source, 1), [[4]]);
    assert!(!source.next_batch(&mut batch).unwrap());
}

#[test]
fn batches_pad_labels_with_zero() {
    let ones = Dataset::new("ones", &[1], vec![1.0; 3], Answers::classes([1_u8; 3], 2)).unwrap();
    let mut source = Batches::new(ones, 2, None).unwrap();
    let mut batch = Batch::default();
    source.next_batch(&mut batch).unwrap();
    source.next_batch(&mut batch).unwrap();
    assert_eq!((batch.labels, batch.features, batch.rows), (vec![1, 0], vec![1.0, 0.0], 1));
}

#[test]
fn batches_give_every_row_once_per_epoch() {
    let mut source = Batches::new(Arc::new(counting(50)), 7, Some(3)).unwrap();
    let epochs: Vec<Vec<u8>> = (0..3).map(|_| take(&mut source, 8).concat()).collect();
    for epoch in &epochs {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<u8>>());
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2]);
    let wanted: Vec<u8> = permutation(50, 3, 2).iter().map(|&i| i as u8).collect();
    assert_eq!(epochs[2], wanted);
    assert_eq!(source.cursor(), Cursor { epoch: 3, row: 0 });
}

#[test]
fn batches_keep_rows_and_labels_together_when_shuffled() {
    let mut source = Batches::new(counting(20), 6, Some(1)).unwrap();
    let mut batch = Batch::default();
    for _ in 0..8 {
        source.next_batch(&mut batch).unwrap();
        for (row, &label) in batch.features.chunks(2).zip(&batch.labels).take(batch.rows) {
            assert_eq!((row[1], label), (row[0] + 100.0, row[0] as u32 % 2));
        }
    }
}

#[test]
fn batches_drop_the_partial_batch() {
    let mut source = Batches::new(counting(7), 3, None).unwrap().drop_last(true).unwrap();
    assert_eq!(take(&mut source, 3), [[0, 1, 2], [3, 4, 5], [0, 1, 2]]);
    assert_eq!(source.cursor(), Cursor { epoch: 1, row: 3 });
    fails(source.seek(Cursor { epoch: 0, row: 6 }), &["row 6", "batch of 3", "6 rows"]);
    let mut all = Batches::new(counting(3), 3, None).unwrap().drop_last(true).unwrap();
    assert_eq!(take(&mut all, 2), [[0, 1, 2], [0, 1, 2]]);
    let mut again = source.drop_last(false).unwrap();
    assert_eq!(take(&mut again, 3), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
}

#[test]
fn batches_larger_than_the_data_are_padded() {
    let mut source = Batches::new(counting(3), 5, None).unwrap();
    assert_eq!(take(&mut source, 2), [[0, 1, 2], [0, 1, 2]]);
}

#[test]
fn batches_reject_sizes_and_cursors() {
    let new = |size| Batches::new(counting(5), size, None);
    fails(new(0), &["`batch_size`: 0; for counting it is 1 to 536870912"]);
    fails(new(usize::MAX), &[&format!("{}; for counting it is 1 to 536870912", usize::MAX)]);
    let dropped = fails(new(6).unwrap().drop_last(true), &["`batch_size`: 6 exceeds the 5 rows"]);
    assert!(matches!(dropped, Error::Argument { .. }));

    let mut source = new(2).unwrap();
    take(&mut source, 2);
    for row in [1, 3, 5, 6, u64::MAX] {
        let error = fails(source.seek(Cursor { epoch: 0, row }), &["5 rows", "batch of 2"]);
        assert!(matches!(error, Error::Argument { .. }));
    }
    assert_eq!(source.cursor(), Cursor { epoch: 0, row: 4 });
    source.seek(Cursor { epoch: u64::MAX, row: 4 }).unwrap();
    take(&mut source, 2);
}

#[test]
fn batches_end_at_the_number_of_epochs() {
    let mut batch = Batch::default();
    let mut none = Batches::new(counting(5), 2, Some(0)).unwrap().epochs(Some(0));
    assert!(!none.next_batch(&mut batch).unwrap());
    assert_eq!(batch, Batch::default());
    let mut beyond = Batches::new(counting(5), 2, Some(0)).unwrap().epochs(Some(3));
    beyond.seek(Cursor { epoch: 9, row: 2 }).unwrap();
    assert!(!beyond.next_batch(&mut batch).unwrap());
}

#[test]
fn batches_reuse_the_buffers() {
    let mut source = Batches::new(counting(9), 4, Some(5)).unwrap();
    let mut batch = Batch::default();
    batch.features.reserve(1000);
    batch.labels.reserve(1000);
    let buffers = |batch: &Batch| (batch.features.as_ptr(), batch.labels.as_ptr());
    let first = buffers(&batch);
    for _ in 0..10 {
        source.next_batch(&mut batch).unwrap();
        assert_eq!(buffers(&batch), first);
        assert!(batch.features.capacity() >= 1000 && batch.labels.capacity() >= 1000);
    }
}

#[test]
fn cursor_survives_json() {
    let cursor = Cursor { epoch: 3, row: 128 };
    let json = serde_json::to_string(&cursor).unwrap();
    assert_eq!(json, r#"{"epoch":3,"row":128}"#);
    assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
}
