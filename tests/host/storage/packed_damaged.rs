//! Damaged parts of secateur's own smaller forms are refused by name.
use std::path::Path;

use secateur::storage::read_floats;

use super::packed_own::values;
use super::{Raw, f32s, write};

pub fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The parts of a tensor `w`.
fn parts<'a>(
    shape: &[i64],
    key: Raw<'a>,
    values: &'a [usize],
    more: Option<Raw<'a>>,
) -> Vec<Raw<'a>> {
    let count = values.iter().product();
    let extents: &[usize] = [&[2_usize][..], &[3]][usize::from(shape.len() == 3)];
    let shape = ("w.shape", "I64", extents, i64s(shape));
    let values = ("w.values", "F32", values, f32s((0..count).map(|i| i as f32 + 1.0)));
    [shape, values, key].into_iter().chain(more).collect()
}

/// What is read of these tensors, or why not.
pub fn read(folder: &Path, tensors: &[Raw]) -> Result<Vec<f32>, String> {
    write(folder, "bad.safetensors", tensors);
    match read_floats(&folder.join("bad.safetensors")) {
        Ok(_) => Ok(values(folder, "bad.safetensors", "w").0),
        Err(error) => Err(error.to_string()),
    }
}

pub fn refused(folder: &Path, tensors: &[Raw], what: &str) {
    let message = read(folder, tensors).expect_err(what);
    assert!(message.contains("w") && message.contains(what), "{what} is not in: {message}");
}

/// Each of these is one number off.
#[test]
fn damaged_gaps_and_bits_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let bytes = |name, bytes: &'static [u8]| (name, "U8", [bytes.len()], bytes.to_vec());
    let check = |key: &'static str, codes: &'static [u8], count: usize, what: &str| {
        let (name, dtype, extents, bytes) = bytes(key, codes);
        let of = [count];
        let tensors = parts(&[3, 6], (name, dtype, &extents, bytes), &of, None);
        match what {
            "" => {
                let found = read(folder, &tensors).unwrap();
                let mut wanted = vec![0.0; 18];
                (wanted[1], wanted[17]) = (1.0, 2.0);
                assert_eq!(found, wanted);
            }
            what => refused(folder, &tensors, what),
        }
    };
    // One zero and an element; fifteen zeros and an element.
    check("w.gaps4", &[0xf1, 0xf0], 2, "");
    check("w.gaps4", &[0xf1, 0xf1], 2, "keeps element 18 of 18");
    check("w.gaps4", &[0xf1, 0x00], 2, "keeps 3, values has 2");
    check("w.gaps4", &[0xf1, 0xff], 2, "keeps 1, values has 2");
    check("w.gaps4", &[0xf1, 0xf0, 0xff], 2, "ends with 3 codes of zeros");
    check("w.gaps8", &[1, 15], 2, "");
    check("w.gaps8", &[1, 16], 2, "keeps element 18 of 18");
    check("w.gaps8", &[1, 15, 255], 2, "ends with 1 codes of zeros");
    check("w.bits", &[2, 0, 2], 2, "");
    check("w.bits", &[2, 0, 4], 2, "behind the last of 18");
    check("w.bits", &[2, 0, 3], 2, "keeps 3, values has 2");
    check("w.bits", &[2, 0], 1, "has 2 bytes, 18 elements need 3");
    let key: Raw = ("w.gaps4", "I8", &[1], vec![0xf1]);
    refused(folder, &parts(&[3, 6], key, &[1], None), "gaps4 is I8, not U8");
    let key = || -> Raw { ("w.gaps4", "U8", &[1], vec![0xf1]) };
    refused(folder, &parts(&[3, 0], key(), &[1], None), "the extent 0");
    refused(folder, &parts(&[3, -6], key(), &[1], None), "the extent -6");
    refused(folder, &parts(&[1 << 40, 1 << 40], key(), &[1], None), "bytes stand for");
    refused(folder, &parts(&[1 << 33, 1 << 33, 4], key(), &[1], None), "bytes stand for");
    refused(folder, &parts(&[3, 6], key(), &[1, 1], None), "values are [1, 1]");
    refused(folder, &parts(&[3, 6], key(), &[1], None)[1..], "w.shape is missing");
    let both: Raw = ("w.bits", "U8", &[3], vec![2, 0, 0]);
    refused(folder, &parts(&[3, 6], key(), &[1], Some(both)), "in two packed forms");
    let dense: Raw = ("w", "F32", &[1], f32s([1.0]));
    refused(folder, &parts(&[3, 6], key(), &[1], Some(dense)), "both packed and dense");
}

#[test]
fn damaged_columns_and_groups_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let check = |columns: &[u16], counts: &[u16], count: usize, what: &str| {
        let words =
            |numbers: &[u16]| -> Vec<u8> { numbers.iter().flat_map(|c| c.to_le_bytes()).collect() };
        let (of_columns, of_counts, of) = ([columns.len()], [counts.len()], [count]);
        let counts: Raw = ("w.row_counts", "U16", &of_counts, words(counts));
        let key: Raw = ("w.columns", "U16", &of_columns, words(columns));
        let tensors = parts(&[2, 3], key, &of, Some(counts));
        match what {
            "" => assert_eq!(read(folder, &tensors).unwrap(), [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]),
            what => refused(folder, &tensors, what),
        }
    };
    check(&[1, 2, 0], &[2, 1], 3, "");
    check(&[1, 3, 0], &[2, 1], 3, "columns has 3 of 3 columns in row 0");
    check(&[2, 1, 0], &[2, 1], 3, "columns of row 0 are not in order at 1");
    check(&[1, 1, 0], &[2, 1], 3, "not in order at 1");
    check(&[1, 2, 0], &[2, 2], 3, "row_counts adds up to 4, columns has 3");
    check(&[1, 2, 0], &[2, 1], 4, "values 4");
    check(&[1, 2, 0], &[3], 3, "row_counts has 1 numbers for 2 rows");

    let check = |pattern: [i64; 3], places: &[u8], of: [usize; 2], what: &str| {
        let pattern: Raw = ("w.pattern", "I64", &[3], i64s(&pattern));
        let of_places = [places.len()];
        let key: Raw = ("w.places", "U8", &of_places, places.to_vec());
        let tensors = parts(&[2, 4], key, &of, Some(pattern));
        match what {
            "" => {
                let wanted = [0.0, 1.0, 0.0, 2.0, 3.0, 0.0, 4.0, 0.0];
                assert_eq!(read(folder, &tensors).unwrap(), wanted);
            }
            what => refused(folder, &tensors, what),
        }
    };
    // Places 1 and 3, then 0 and 2, each in two bits.
    check([2, 4, 1], &[0b10_00_11_01], [2, 2], "");
    check([2, 4, 1], &[0b10_00_01_11], [2, 2], "not in order in group 0");
    check([2, 4, 1], &[0b00_00_11_01], [2, 2], "not in order in group 1");
    check([2, 4, 1], &[0b10_00_11_01, 0], [2, 2], "places has 2 bytes, 4 elements need 1");
    check([1, 4, 1], &[0b1111_0001], [2, 1], "ones behind the last of 2");
    check([2, 4, 1], &[0b10_00_11_01], [4, 1], "values are [4, 1]");
    check([2, 3, 1], &[0], [2, 2], "pattern [2, 3, 1] does not fit");
    check([2, 4, 0], &[0], [2, 2], "pattern [2, 4, 0] does not fit");
    check([2, 4, 2], &[0], [2, 2], "pattern [2, 4, 2] does not fit");
    check([0, 4, 1], &[0], [2, 2], "pattern [0, 4, 1] does not fit");
    check([5, 4, 1], &[0], [2, 2], "pattern [5, 4, 1] does not fit");
    check([2, 64, 1], &[0], [2, 2], "pattern [2, 64, 1] does not fit");
    check([-2, 4, 1], &[0], [2, 2], "pattern [-2, 4, 1] does not fit");
}

/// What the fuzzer begins with is read, all but the index of another file.
#[test]
fn the_seeds_of_the_fuzzer_are_read() {
    let (dir, mut read) = (tempfile::tempdir().unwrap(), 0);
    for seed in std::fs::read_dir(crate::paths::project().join("fuzz/seeds/weights")).unwrap() {
        let seed = seed.unwrap();
        if seed.file_name() == "index" {
            continue;
        }
        let bytes = std::fs::read(seed.path()).unwrap();
        std::fs::write(dir.path().join("seed.safetensors"), &bytes[1..]).unwrap();
        let floats = read_floats(&dir.path().join("seed.safetensors"));
        let floats = floats.unwrap_or_else(|e| panic!("{}: {e}", seed.path().display()));
        assert!(!floats.tensors.is_empty(), "{}", seed.path().display());
        read += 1;
    }
    assert!(read >= 11, "{read}");
}
