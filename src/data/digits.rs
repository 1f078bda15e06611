//! The optical digits data set, compiled into the crate.
//!
//! `digits.csv.gz` is `sklearn/datasets/data/digits.csv.gz` of scikit-learn 1.9.1, unchanged
//! (57,523 bytes, md5 9b335364a7bfd63947c7480a5bd51f2d): one line per digit, 64 pixels of 0 to 16
//! and the label. It is the test set of "Optical Recognition of Handwritten Digits", E. Alpaydin
//! and C. Kaynak, UCI Machine Learning Repository, 1998, CC BY 4.0.
use super::{Answers, Dataset, Features, Split};
use flate2::read::GzDecoder;
use std::io::Read;

/// 1,797 handwritten digits of 8 x 8 pixels in `[0, 1]`, 10 classes: 1,437 to train, 360 to test.
///
/// The split is fixed and stratified: it draws from every class in proportion. File order would
/// not do, because the last rows come from other writers than the first.
pub fn digits() -> Split {
    let (bytes, labels) = decode();
    let features = Features::U8 { bytes, scale: 1.0 / 16.0 };
    let whole = Dataset::new("digits", &[8, 8], features, Answers::classes(labels, 10))
        .expect("embedded file holds 64 pixels and a digit per line");
    whole.split(TEST_SHARE, SPLIT_SEED).expect("a fifth of the rows are some")
}

const CSV_GZ: &[u8] = include_bytes!("digits.csv.gz");
/// 360 of the 1,797 rows.
const TEST_SHARE: f64 = 360.0 / 1797.0;
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
