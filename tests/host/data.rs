//! Data sets in memory: the digits, and the seeded permutations.
use flate2::read::GzDecoder;
use proptest::prelude::*;
use secateur::data::{Answers, Dataset, Features, Split, Task, digits, permutation};
use secateur::{Error, Result};
use std::fs;
use std::io::Read;

mod arrays;
mod batches;
mod beside;
mod check;
mod cifar10;
mod csv;
mod dataset;
mod further;
mod idx;
mod image_folder;
mod images;
mod issue;
mod open;
mod parts;
mod prefetch;
mod scaling;
mod shard;
mod text;
mod token_windows;
#[cfg(feature = "text")]
mod tokens;

/// Row `i` as bytes and its label, as the file had them.
fn row(dataset: &Dataset, i: usize, scale: f32) -> (Vec<u8>, u32) {
    let mut row = vec![0.0; dataset.width()];
    dataset.write_row(i, &mut row);
    (row.iter().map(|value| (value / scale).round() as u8).collect(), dataset.label(i))
}

fn rows(dataset: &Dataset, scale: f32) -> Vec<(Vec<u8>, u32)> {
    (0..dataset.rows()).map(|i| row(dataset, i, scale)).collect()
}

/// `n` rows of two features: the number of the row and 100 plus it; the label is its parity.
fn counting(n: u8) -> Dataset {
    let bytes = (0..n).flat_map(|i| [i, 100 + i]).collect();
    let answers = Answers::classes((0..n).map(|i| i % 2), 2);
    Dataset::new("counting", &[2], Features::U8 { bytes, scale: 1.0 }, answers).unwrap()
}

fn fails<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) -> Error {
    let error = result.expect_err("should fail");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
    error
}

#[test]
fn digits_are_stratified() {
    let Split { train, test } = digits();
    let count = |data: &Dataset| {
        let mut counts = [0; 10];
        (0..data.rows()).for_each(|i| counts[data.label(i) as usize] += 1);
        counts
    };
    assert_eq!((train.rows(), test.rows()), (1437, 360));
    // The file holds 178 182 177 183 181 182 181 179 174 180: a fifth of each, to 360 in all.
    assert_eq!(count(&train), [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]);
    assert_eq!(count(&test), [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]);
    for half in [&train, &test] {
        assert_eq!(
            (half.name(), half.task(), half.feature_shape()),
            ("digits", Task::classification(10), &[8, 8][..])
        );
    }
}

#[test]
fn digits_are_all_rows_of_the_file_once() {
    let path = crate::paths::project().join("src/data/digits.csv.gz");
    let mut csv = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut csv).unwrap();
    let mut wanted: Vec<(Vec<u8>, u32)> = Vec::new();
    for line in csv.lines() {
        let mut fields: Vec<u8> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let label = fields.pop().unwrap();
        wanted.push((fields, label.into()));
    }
    let split = digits();
    let mut found = rows(&split.train, 1.0 / 16.0);
    found.extend(rows(&split.test, 1.0 / 16.0));
    wanted.sort();
    found.sort();
    assert!(wanted.windows(2).all(|pair| pair[0] != pair[1]), "rows of the file are distinct");
    assert_eq!(found, wanted);
}

#[test]
fn digits_split_is_fixed() {
    let Split { train, test } = digits();
    #[rustfmt::skip]
    let first_of_file = [
        0, 0,  5, 13,  9,  1, 0, 0,  0, 0, 13, 15, 10, 15, 5, 0,
        0, 3, 15,  2,  0, 11, 8, 0,  0, 4, 12,  0,  0,  8, 8, 0,
        0, 5,  8,  0,  0,  9, 8, 0,  0, 4, 11,  0,  1, 12, 7, 0,
        0, 2, 14,  5, 10, 12, 0, 0,  0, 0,  6, 13, 10,  0, 0, 0,
    ];
    assert_eq!(row(&train, 0, 1.0 / 16.0), (first_of_file.to_vec(), 0));
    let mut first = [0.0; 64];
    train.write_row(0, &mut first);
    assert_eq!(first[2..5], [0.3125, 0.8125, 0.5625]);

    let labels: Vec<u32> = (0..20).map(|i| test.label(i)).collect();
    assert_eq!(labels, [1, 5, 4, 8, 9, 1, 9, 0, 5, 8, 0, 6, 2, 7, 3, 1, 2, 9, 8, 8]);
    let content =
        |data: &Dataset| rows(data, 1.0 / 16.0).iter().flat_map(|r| r.0.clone()).fold(0, hash);
    assert_eq!((content(&train), content(&test)), (5979069367231457429, 18225634668865423641));
}

fn hash(sum: u64, byte: u8) -> u64 {
    sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
}

#[test]
fn permutation_is_golden() {
    // From a second implementation of ChaCha8, its seeding, and the shuffle.
    assert_eq!(permutation(16, 0, 0), [8, 11, 1, 14, 7, 9, 13, 0, 10, 15, 2, 5, 6, 4, 3, 12]);
    assert_eq!(permutation(16, 7, 3), [13, 5, 12, 8, 11, 2, 7, 9, 0, 4, 3, 10, 15, 6, 14, 1]);
    let long = permutation(100_000, 42, u64::MAX);
    assert_eq!(long.iter().flat_map(|i| i.to_le_bytes()).fold(0, hash), 4266424836109907316);
    assert!(permutation(0, 1, 1).is_empty());
    assert_eq!(permutation(1, 1, 1), [0]);
}

#[test]
fn permutation_has_no_favourites() {
    let mut counts = [[0u32; 4]; 4];
    for seed in 0..4000 {
        for (place, &number) in permutation(4, seed, 0).iter().enumerate() {
            counts[place][number as usize] += 1;
        }
    }
    // 1000 each with a standard deviation of 27.
    assert!(counts.iter().flatten().all(|count| (880..1120).contains(count)), "{counts:?}");
}

proptest! {
    #[test]
    fn permutation_is_one_and_repeats(n in 0usize..500, seed: u64, stream: u64) {
        let order = permutation(n, seed, stream);
        prop_assert_eq!(&order, &permutation(n, seed, stream));
        let mut sorted = order;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..n as u32).collect::<Vec<_>>());
    }

    #[test]
    fn permutation_depends_on_seed_and_stream(seed: u64, stream: u64) {
        let order = permutation(64, seed, stream);
        prop_assert_ne!(&order, &permutation(64, seed ^ 1, stream));
        prop_assert_ne!(&order, &permutation(64, seed, stream ^ 1));
    }
}
