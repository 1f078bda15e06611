//! The optical digits data set, compiled into the crate.
//!
//! `digits.csv.gz` is `sklearn/datasets/data/digits.csv.gz` of scikit-learn 1.9.1, unchanged
//! (57,523 bytes, md5 9b335364a7bfd63947c7480a5bd51f2d): one line per digit, 64 pixels of 0 to 16
//! and the label. It is the test set of "Optical Recognition of Handwritten Digits", E. Alpaydin
//! and C. Kaynak, UCI Machine Learning Repository, 1998, CC BY 4.0.
use super::{Answers, Dataset, Features, Split, permutation};
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::Arc;

/// 1,797 handwritten digits of 8 x 8 pixels in `[0, 1]`, 10 classes: 1,437 to train, 360 to test.
///
/// The split is fixed and stratified: it draws from every class in proportion. File order would
/// not do, because the last rows come from other writers than the first.
pub fn digits() -> Split {
    let (pixels, labels) = decode();
    let in_test = test_rows(&labels);
    Split {
        train: Arc::new(select(&pixels, &labels, |row| !in_test[row])),
        test: Arc::new(select(&pixels, &labels, |row| in_test[row])),
    }
}

const CSV_GZ: &[u8] = include_bytes!("digits.csv.gz");
const WIDTH: usize = 64;
const CLASSES: usize = 10;
const TEST_ROWS: usize = 360;
/// Changing the seed changes every published result on this data set.
const SPLIT_SEED: u64 = 0;

/// Pixels and labels in file order.
fn decode() -> (Vec<u8>, Vec<u8>) {
    let mut csv = String::new();
    GzDecoder::new(CSV_GZ).read_to_string(&mut csv).expect("embedded file is gzip");
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for line in csv.lines() {
        pixels.extend(line.split(',').map(|field| field.parse::<u8>().expect("field is a byte")));
        labels.extend(pixels.pop());
    }
    (pixels, labels)
}

/// For every row, whether it is in the test half.
fn test_rows(labels: &[u8]) -> Vec<bool> {
    let mut rows_of: [Vec<usize>; CLASSES] = Default::default();
    for (row, &label) in labels.iter().enumerate() {
        rows_of[usize::from(label)].push(row);
    }
    let shares = largest_remainder(&rows_of.each_ref().map(Vec::len));
    let mut in_test = vec![false; labels.len()];
    for (class, (rows, share)) in rows_of.iter().zip(shares).enumerate() {
        for &i in &permutation(rows.len(), SPLIT_SEED, class as u64)[..share] {
            in_test[rows[i as usize]] = true;
        }
    }
    in_test
}

/// Shares of [`TEST_ROWS`] in proportion to `counts`, rounded so that they add up.
fn largest_remainder(counts: &[usize; CLASSES]) -> [usize; CLASSES] {
    let total: usize = counts.iter().sum();
    let mut shares = counts.map(|count| count * TEST_ROWS / total);
    let missing = TEST_ROWS - shares.iter().sum::<usize>();
    let mut by_remainder: [usize; CLASSES] = std::array::from_fn(|class| class);
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(counts[class] * TEST_ROWS % total));
    for &class in &by_remainder[..missing] {
        shares[class] += 1;
    }
    shares
}

/// The rows that `keep` names, in file order.
fn select(pixels: &[u8], labels: &[u8], keep: impl Fn(usize) -> bool) -> Dataset {
    let kept = || (0..labels.len()).filter(|&row| keep(row));
    let bytes = kept().flat_map(|row| &pixels[row * WIDTH..][..WIDTH]).copied().collect();
    let labels = Answers::classes(kept().map(|row| labels[row]), CLASSES as u32);
    Dataset::new("digits", &[8, 8], Features::U8 { bytes, scale: 1.0 / 16.0 }, labels)
        .expect("embedded file holds 64 pixels and a digit per line")
}
