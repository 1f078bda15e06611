//! CIFAR-10's binary records: both layouts, and the rejection of every malformed file.
use super::fails;
use super::idx::gzip;
use super::images::{Version, assert_close, version};
use secateur::data::{Dataset, Split, Task, cifar10};
use secateur::{Error, Result};
use std::fs;
use std::path::Path;

/// A record whose pixel `p` of plane `c` is a function of `i`, `p` and `c`.
fn record(i: usize, label: u8) -> Vec<u8> {
    let mut record = vec![label];
    record.extend((0..3 * 1024).map(|at| byte(i, at)));
    record
}

fn byte(i: usize, at: usize) -> u8 {
    ((at + 3072 * i).wrapping_mul(0x9e37_79b9) >> 24) as u8
}

fn records(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|i| record(i, (i % 10) as u8)).collect()
}

/// That row `row` is the middle of record `i`, standardised.
fn assert_is(data: &Dataset, row: usize, i: usize) {
    assert_eq!(data.label(row), i as u32 % 10);
    let mut found = vec![f32::NAN; 24 * 24 * 3];
    data.write_row(row, &mut found);
    let pixel = |y: usize, x: usize, c: usize| byte(i, c * 1024 + y * 32 + x);
    assert_close(&found, &version(&pixel, [24, 3], Version([4, 4], false, 0.0, 1.0)));
}

#[test]
fn a_single_file_gives_its_last_tenth_to_the_test() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.bin.gz");
    fs::write(&path, gzip(&records(0..29))).unwrap();
    fs::write(dir.path().join("readme.txt"), "").unwrap();
    for path in [&path, dir.path()] {
        let Split { train, test } = cifar10(path).unwrap();
        assert_eq!((train.rows(), test.rows()), (27, 2));
        for half in [&train, &test] {
            assert_eq!((half.name(), half.task()), ("cifar10", Task::classification(10)));
            assert_eq!(half.feature_shape(), [24, 24, 3]);
        }
        [0, 1, 26].into_iter().for_each(|i| assert_is(&train, i, i));
        [27, 28].into_iter().for_each(|i| assert_is(&test, i - 27, i));
    }
    fs::write(dir.path().join("two.bin"), records(0..2)).unwrap();
    let two = cifar10(&dir.path().join("two.bin")).unwrap();
    assert_eq!((two.train.rows(), two.test.rows()), (1, 1));
    let missing = fails(cifar10(dir.path()), &["holds 2 files *.bin", "6 are missing"]);
    assert!(matches!(missing, Error::File { .. }));
}

#[test]
fn the_standard_folder_is_read_plain_or_gzipped() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    for n in 1..=5 {
        let (name, bytes) = (format!("data_batch_{n}.bin"), records(3 * n..3 * n + 2));
        if n == 2 { write(&(name + ".gz"), gzip(&bytes)) } else { write(&name, bytes) }
    }
    fails(cifar10(dir.path()), &["holds 5 files", "1 are missing: test_batch.bin"]);
    write("test_batch.bin", records(70..73));
    // The plain file wins.
    write("test_batch.bin.gz", gzip(&records(50..51)));
    let Split { train, test } = cifar10(dir.path()).unwrap();
    assert_eq!((train.rows(), test.rows()), (10, 3));
    (0..10).for_each(|row| assert_is(&train, row, 3 * (row / 2 + 1) + row % 2));
    (0..3).for_each(|row| assert_is(&test, row, 70 + row));
}

#[test]
fn malformed_files_are_named_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let read = |bytes: &[u8]| -> Result<Split> {
        fs::write(dir.path().join("x.bin"), bytes).unwrap();
        cifar10(dir.path())
    };
    let mut bytes = records(0..3);
    fails(read(&bytes[..bytes.len() - 1]), &["x.bin: holds 9218 bytes", "2 records of 3073"]);
    fails(read(&[]), &["x.bin: holds 0 bytes", "3073"]);
    fails(read(&bytes[..3073]), &["holds 1 record", "2 are needed"]);
    bytes[2 * 3073] = 10;
    fails(read(&bytes), &["x.bin: record 2 has label 10", "0 to 9"]);
    fs::remove_file(dir.path().join("x.bin")).unwrap();
    fails(cifar10(dir.path()), &["holds 0 files"]);
    let gzipped = gzip(&records(0..3));
    let cut = dir.path().join("cut.bin.gz");
    fs::write(&cut, &gzipped[..gzipped.len() - 5]).unwrap();
    fails(cifar10(&cut), &["cut.bin.gz: not a whole gzip file"]);
    fails(cifar10(Path::new("/no/such.bin")), &["/no/such.bin", "missing"]);
}

/// 12 MB.
#[test]
fn a_file_of_thousands_of_records_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("first4000.bin.gz"), gzip(&records(0..4000))).unwrap();
    let Split { train, test } = cifar10(dir.path()).unwrap();
    assert_eq!((train.rows(), test.rows()), (3600, 400));
    [0, 1, 1999, 3599].into_iter().for_each(|i| assert_is(&train, i, i));
    [3600, 3999].into_iter().for_each(|i| assert_is(&test, i - 3600, i));
}
