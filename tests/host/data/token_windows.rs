//! Windows of tokens, and the rows that language models are trained on.
use super::fails;
use secateur::data::{Batch, BatchSource, Batches, TokenWindows};
use std::collections::BTreeSet;

fn windows(ids: u32, length: usize, stride: usize) -> TokenWindows {
    TokenWindows::new((100..100 + ids).collect(), length).unwrap().stride(stride).unwrap()
}

#[test]
fn windows_begin_a_stride_apart_and_are_whole() {
    for (ids, length, stride) in
        (1..30).flat_map(|n| (1..=n as usize).flat_map(move |l| (1..12).map(move |s| (n, l, s))))
    {
        let cut = windows(ids, length, stride);
        let found: Vec<Vec<u32>> = cut.iter().map(<[u32]>::to_vec).collect();
        let all: Vec<u32> = (100..100 + ids).collect();
        let wanted: Vec<Vec<u32>> =
            all.windows(length).step_by(stride).map(<[u32]>::to_vec).collect();
        assert_eq!(found, wanted, "{ids} ids, {length} each {stride}");
        assert_eq!((cut.len(), cut.length(), cut.is_empty()), (wanted.len(), length, false));
        for samples in [1, 2, wanted.len(), wanted.len() + 5] {
            let first = cut.clone().samples(samples).unwrap();
            let first: Vec<Vec<u32>> = first.iter().map(<[u32]>::to_vec).collect();
            assert_eq!(first, wanted[..samples.min(wanted.len())]);
        }
    }
    let whole = TokenWindows::new((0..13).collect(), 4).unwrap();
    assert_eq!(whole.iter().last(), Some(&[8, 9, 10, 11][..]));
    assert_eq!(whole.ids().len(), 13);
}

#[test]
fn rows_predict_the_next_id_at_each_place() {
    for stride in [2, 4, 5] {
        let cut = TokenWindows::new((0..21).map(|i| i * 50).collect(), 4).unwrap();
        let cut = cut.stride(stride).unwrap();
        let data = cut.dataset(1001).unwrap();
        assert_eq!((data.feature_shape(), data.task().classes()), (&[4][..], Some(1001)));
        // The last label is id 20: rows begin at 0 to 16.
        assert_eq!(data.rows(), 16 / stride + 1);
        let mut row = [0.0; 4];
        for i in 0..data.rows() {
            data.write_row(i, &mut row);
            let at = |k: usize| ((i * stride + k) * 50) as u32;
            assert_eq!(row, [0, 1, 2, 3].map(|k| at(k) as f32), "row {i}");
            assert_eq!(data.labels(i).collect::<Vec<_>>(), [1, 2, 3, 4].map(at), "row {i}");
        }
    }
    // Three windows, and no id after the last.
    let cut = TokenWindows::new((0..12).collect(), 4).unwrap();
    assert_eq!((cut.len(), cut.dataset(12).unwrap().rows()), (3, 2));
    assert_eq!(cut.clone().samples(1).unwrap().dataset(12).unwrap().rows(), 1);
    let halves = TokenWindows::halves((0..41).collect(), 4, 41).unwrap();
    // 36 and 5 ids.
    assert_eq!((halves.train.rows(), halves.test.rows()), (8, 1));
    assert_eq!(halves.test.label(0), 37);
}

#[test]
fn batches_of_tokens_are_shuffled_and_go_on_at_a_cursor() {
    let data = || windows(61, 4, 3).dataset(500).unwrap();
    let rows = data().rows();
    assert_eq!(rows, 19);
    let new = || Batches::new(data(), 4, Some(7)).unwrap();
    let (mut source, mut batch) = (new(), Batch::default());
    let (mut all, mut cursors) = (Vec::new(), Vec::new());
    for _ in 0..2 * source.batches_per_epoch() {
        cursors.push(source.cursor());
        assert!(source.next_batch(&mut batch).unwrap());
        batch.check("tokens", 0, 4, 4, source.task()).unwrap();
        all.push(batch.clone());
    }
    let first = |epoch: u64| -> Vec<u32> {
        let of = all.iter().filter(|batch| batch.epoch == epoch);
        of.flat_map(|b| b.features.chunks(4).take(b.rows).map(|r| r[0] as u32)).collect()
    };
    let [one, two] = [first(0), first(1)];
    assert_ne!(one, two, "another order in each epoch");
    let begin: BTreeSet<u32> = (0..rows as u32).map(|i| 100 + 3 * i).collect();
    for epoch in [one, two] {
        assert_eq!(epoch.len(), rows);
        assert_eq!(epoch.into_iter().collect::<BTreeSet<_>>(), begin);
    }
    for (cursor, wanted) in cursors.into_iter().zip(&all) {
        let mut again = new();
        again.seek(cursor).unwrap();
        assert!(again.next_batch(&mut batch).unwrap());
        assert_eq!(&batch, wanted);
    }
    let schema = source.schema();
    assert_eq!((&*schema.shape, schema.task), (&[4][..], source.task()));
    let other = Batches::new(windows(62, 4, 3).dataset(500).unwrap(), 4, Some(7)).unwrap();
    assert_eq!(source.fingerprint(), new().fingerprint());
    assert_ne!(source.fingerprint(), other.fingerprint());
}

#[test]
fn what_makes_no_window_is_named_with_both_numbers() {
    let new = |ids: u32, length| TokenWindows::new((0..ids).collect(), length);
    fails(new(511, 512), &["`length`: 512", "need 512 tokens", "the text has 511", "longer text"]);
    assert_eq!(new(512, 512).unwrap().len(), 1);
    fails(new(5, 0), &["`length`: 0"]);
    fails(new(0, 1), &["need 1 tokens", "the text has 0"]);
    fails(new(9, 2).unwrap().stride(0), &["`stride`: 0"]);
    fails(new(9, 2).unwrap().samples(0), &["`samples`: 0"]);
    fails(new(4, 4).unwrap().dataset(9), &["windows of 4 need 5 tokens", "has 4"]);
    let beyond = ["`tokens`: number 7 of the text is 7, the model knows 7", "another vocabulary"];
    fails(new(9, 2).unwrap().dataset(7), &beyond);
    fails(TokenWindows::halves(vec![0; 40], 4, 9), &["need 41 tokens", "has 40"]);
    fails(TokenWindows::halves(vec![0; 41], usize::MAX, 9), &["the text has 41"]);
}
