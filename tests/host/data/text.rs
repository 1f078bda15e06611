//! Texts as windows of characters, and their batches in streams.
use super::{counting, fails};
use secateur::Result;
use secateur::data::{Batch, BatchSource, Batches, Cursor, Dataset, Split, Task, text};
use std::fs;
use std::sync::Arc;

fn read(bytes: &[u8], length: usize) -> Result<Split> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input.txt");
    fs::write(&path, bytes).unwrap();
    text(&path, length)
}

/// Windows and the characters after each of theirs.
fn windows(data: &Dataset) -> Vec<[String; 2]> {
    let alphabet = data.alphabet().unwrap();
    let mut row = vec![0.0; data.width()];
    let window = |i| {
        data.write_row(i, &mut row);
        let features = row.iter().map(|&token| alphabet[token as usize]).collect();
        [features, data.labels(i).map(|token| alphabet[token as usize]).collect()]
    };
    (0..data.rows()).map(window).collect()
}

#[test]
fn windows_follow_each_other_and_share_the_alphabet() {
    let Split { train, test } = read("hällo wörld, hällo möön!".as_bytes(), 2).unwrap();
    // 24 characters, 21 to train: 10 windows and the last label.
    assert_eq!(
        train.alphabet().unwrap(),
        [' ', '!', ',', 'd', 'h', 'l', 'm', 'n', 'o', 'r', 'w', 'ä', 'ö']
    );
    assert_eq!(train.alphabet(), test.alphabet());
    for half in [&train, &test] {
        assert_eq!(
            (half.name(), half.task()),
            ("text", Task::Classification { classes: 13, positions: 2 })
        );
        assert!(half.is_text() && half.feature_shape() == [2]);
    }
    let found = windows(&train);
    assert_eq!((found.len(), train.label(1)), (10, 5));
    assert_eq!(found[..2], [["hä", "äl"], ["ll", "lo"]].map(|w| w.map(String::from)));
    assert_eq!(found[9], [" m", "mö"]);
    assert_eq!(windows(&test), [["ön".to_owned(), "n!".to_owned()]]);
    let head = train.head(3).unwrap();
    assert_eq!(windows(&head), found[..3]);
    assert!(!counting(2).is_text() && counting(2).alphabet().is_none());
}

#[test]
fn what_is_no_utf8_is_bytes() {
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let data = read(&bytes, 3).unwrap().train;
    assert_eq!((data.task().classes(), data.alphabet().unwrap()[0xe9]), (Some(256), 'é'));
    let mut row = [0.0; 3];
    data.write_row(1, &mut row);
    assert_eq!(row, [252.0, 251.0, 250.0]);
}

#[test]
fn what_is_no_text_is_named_with_both_numbers() {
    fails(read(b"abcabcabcabcabcabcab", 2), &["input.txt: has 20 characters", "of 2 need 21"]);
    assert_eq!(read(b"abcabcabcabcabcabcabc", 2).unwrap().test.rows(), 1);
    fails(read(b"aaaaaaaaaaaaaaaaaaaaa", 2), &["has 1 distinct characters", "2 to 256"]);
    let many: String = (0..257).map(|i| char::from_u32(0x4e00 + i).unwrap()).collect();
    fails(read(many.as_bytes(), 2), &["has 257 distinct characters", "2 to 256"]);
    fails(read(b"abc", 0), &["`length`: 0"]);
    fails(read(b"", 1), &["has 0 distinct"]);
    fails(read(b"ab", usize::MAX), &["has 2 characters"]);
    fails(text("/no/such".as_ref(), 2), &["/no/such"]);

    let new = |tokens: &[u8], alphabet: &[char], length| {
        Dataset::text("t", tokens, alphabet.to_vec(), length)
    };
    fails(new(&[0, 1, 2], &['a', 'b'], 2), &["`tokens`: number 2 is 2, of 2 characters"]);
    fails(new(&[0, 1], &['a', 'b'], 2), &["`length`: 2", "needs 3 characters", "there are 2"]);
    fails(new(&[0, 1], &['a', 'b'], 0), &["`length`: 0"]);
    fails(new(&[0, 0], &['a'], 1), &["`alphabet`: 1 distinct"]);
    fails(new(&[0, 0], &['a'; 257], 1), &["`alphabet`: 257 distinct"]);
}

#[test]
fn a_text_of_a_million_characters_is_read() {
    let lines = (0..).map(|i: u32| format!("{}: line {i}\n", ["First", "Second"][i as usize % 2]));
    let mut long: String = lines.take(70_000).collect();
    long.truncate(1_115_394);
    let Split { train, test } = read(long.as_bytes(), 64).unwrap();
    // The ten digits, line end, space and colon, and the letters of First, Second and line.
    assert_eq!((train.task().classes(), train.alphabet().unwrap().len()), (Some(25), 25));
    // Of 1,115,394 characters 1,003,854 and 111,540, each but one in a window.
    assert_eq!((train.rows(), test.rows()), (1_003_853 / 64, 111_539 / 64));
    assert_eq!(windows(&train.head(1).unwrap())[0][0], long[..64]);
    assert_eq!(windows(&test.head(1).unwrap())[0][0], long[1_003_854..][..64]);
}

/// Rows of the batches of one epoch, as the features say.
fn epoch(source: &mut Batches) -> Vec<Vec<usize>> {
    let (mut batch, mut rows) = (Batch::default(), Vec::new());
    let epoch = source.cursor().epoch;
    while source.cursor().epoch == epoch {
        let cursor = source.cursor();
        assert_eq!(cursor.row as usize, rows.len() * source.batch_size());
        assert!(source.next_batch(&mut batch).unwrap());
        assert_eq!((batch.follows, batch.epoch), (!rows.is_empty(), epoch));
        rows.push(batch.features.chunks(2).take(batch.rows).map(|row| row[0] as usize).collect());
        assert!(batch.features[2 * batch.rows..].iter().all(|&x| x == 0.0));
    }
    rows
}

#[test]
fn streams_give_every_window_once_in_prefixes() {
    for (rows, size) in (1..30u8).flat_map(|rows| (1..12usize).map(move |size| (rows, size))) {
        let new = || Batches::new(counting(rows), size, Some(4)).unwrap().streams(true);
        let (mut source, rows) = (new(), usize::from(rows));
        let per = rows.div_ceil(size);
        let found = epoch(&mut source);
        assert_eq!(found.len(), per);
        for (t, batch) in found.iter().enumerate() {
            let there = |b: &usize| b * per + t < ((b + 1) * per).min(rows);
            let streams: Vec<usize> = (0..size).filter(there).collect();
            // A prefix: no stream goes on where one before it has ended.
            assert_eq!(streams, (0..streams.len()).collect::<Vec<_>>());
            assert_eq!(batch, &streams.iter().map(|b| b * per + t).collect::<Vec<_>>());
            assert!(t == 0 || batch.len() <= found[t - 1].len());
        }
        let mut all = found.concat();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>(), "every row once");
        assert_eq!(epoch(&mut source), found, "no shuffle");
        for t in 0..per {
            source.seek(Cursor { epoch: 3, row: (t * size) as u64 }).unwrap();
            let mut batch = Batch::default();
            source.next_batch(&mut batch).unwrap();
            assert_eq!((batch.features[0] as usize, batch.follows), (t, t > 0));
        }
        let beyond = Cursor { epoch: 0, row: (per * size) as u64 };
        fails(source.seek(beyond), &[&format!("row {}", per * size)]);
        if size <= rows {
            let whole = epoch(&mut new().drop_last(true).unwrap());
            let per = rows / size;
            let want: Vec<Vec<usize>> =
                (0..per).map(|t| (0..size).map(|b| b * per + t).collect()).collect();
            assert_eq!(whole, want);
        }
    }
}

#[test]
fn streams_go_on_where_they_were() {
    let letters: Vec<u8> = (0..997u32).map(|i| (i * i % 23) as u8).collect();
    let alphabet: Vec<char> = ('a'..='w').collect();
    let data = Arc::new(Dataset::text("t", &letters, alphabet, 5).unwrap());
    let mut source = Batches::new(data, 8, Some(1)).unwrap().streams(true).epochs(Some(2));
    assert_eq!((source.task().positions(), source.shape(), source.width()), (5, &[5][..], 5));
    let (mut before, mut batch, mut followed) = (Batch::default(), Batch::default(), 0);
    while source.next_batch(&mut batch).unwrap() {
        assert_eq!((batch.features.len(), batch.labels.len()), (40, 40));
        for (features, labels) in
            batch.features.chunks(5).zip(batch.labels.chunks(5)).take(batch.rows)
        {
            let inner: Vec<f32> = labels[..4].iter().map(|&label| label as f32).collect();
            assert_eq!(features[1..], inner, "labels are the next characters");
        }
        assert!(batch.labels[batch.rows * 5..].iter().all(|&label| label == 0));
        if batch.follows {
            for row in 0..batch.rows {
                assert_eq!(batch.features[row * 5], before.labels[row * 5 + 4] as f32, "row {row}");
                followed += 1;
            }
        }
        std::mem::swap(&mut before, &mut batch);
    }
    // 199 windows in 25 batches of 8, or 7: all but the first batch of each of 2 epochs follow.
    assert_eq!(followed, 2 * (199 - 8));
}
