//! Arrays of NumPy and safetensors files, among them what NumPy itself has written.
use super::fails;
use super::open::{Files, features, labels};
use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use secateur::Result;
use secateur::data::{Dataset, Schema, Task};
use std::io::{Cursor, Write};
use std::sync::Arc;
use zip::{ZipWriter, write::SimpleFileOptions};

/// By numpy.save of NumPy: 3 rows 1 2.5, 3 -4 and 5 6 in f4, the first extent running fastest.
const FORTRAN: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': True, \
    'shape': (3, 2), }                                                           \x0a\
    \x00\x00\x80?\x00\x00@@\x00\x00\xa0@\x00\x00\x20@\x00\x00\x80\xc0\x00\x00\xc0@";
/// By numpy.save: 0 2 1 in i8.
const LABELS: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, \
    'shape': (3,), }                                                            \x0a\
    \x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00";
/// By numpy.savez_compressed: the same as `x` and `y`.
#[rustfmt::skip]
const ARCHIVE: &[u8] =
    b"PK\x03\x04-\x00\x00\x00\x08\x00\x00\x00!\x00\x80\x07Q\x0e\xff\xff\xff\xff\xff\xff\xff\xff\
      \x05\x00\x14\x00x.npy\x01\x00\x10\x00\x98\x00\x00\x00\x00\x00\x00\x00\x5c\x00\x00\x00\x00\
      \x00\x00\x00\x9b\xec\x17\xea\x1b\x10\xc9\xc8P\xc6P\xad\x9e\x92Z\x9c\x5c\xa4n\xa5\xa0n\x93f\
      \xa2\xae\xa3\xa0\x9e\x96_TR\x94\x98\x17\x9f_\x94\x92\x0a\x12wK\xcc)N\x05\x8a\x17g$\x16\xa4\
      \x02\xf9\x1a\xc6:\x0aF\x9a:\x0a\xb5\x0ad\x03.\x06\x86\x06{\x06\x06\x05\x07\x06\x06\x07\x20n8\
      \xc0\xc0\xb0\x00H\x1fp\x00\x00PK\x03\x04-\x00\x00\x00\x08\x00\x00\x00!\x00\xe6\xf3UM\xff\xff\
      \xff\xff\xff\xff\xff\xff\x05\x00\x14\x00y.npy\x01\x00\x10\x00\x98\x00\x00\x00\x00\x00\x00\
      \x00L\x00\x00\x00\x00\x00\x00\x00\x9b\xec\x17\xea\x1b\x10\xc9\xc8P\xc6P\xad\x9e\x92Z\x9c\x5c\
      \xa4n\xa5\xa0n\x93i\xa1\xae\xa3\xa0\x9e\x96_TR\x94\x98\x17\x9f_\x94\x92\x0a\x12wK\xcc)N\x05\
      \x8a\x17g$\x16\xa4\x02\xf9\x1a\xc6:\x9a:\x0a\xb5\x0a\x14\x00.\x06(`\x82\xd2\x8cP\x1a\x00PK\
      \x01\x02-\x03-\x00\x00\x00\x08\x00\x00\x00!\x00\x80\x07Q\x0e\x5c\x00\x00\x00\x98\x00\x00\x00\
      \x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00x.npyPK\x01\x02-\x03\
      -\x00\x00\x00\x08\x00\x00\x00!\x00\xe6\xf3UML\x00\x00\x00\x98\x00\x00\x00\x05\x00\x00\x00\
      \x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x93\x00\x00\x00y.npyPK\x05\x06\x00\x00\x00\x00\x02\
      \x00\x02\x00f\x00\x00\x00\x16\x01\x00\x00\x00\x00";

const ROWS: [f32; 6] = [1.0, 2.5, 3.0, -4.0, 5.0, 6.0];

/// An array as NumPy writes it.
fn npy(descr: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00\x76\x00", padded.as_bytes(), bytes].concat()
}

fn bytes<const N: usize, T: Copy>(values: &[T], write: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| write(value)).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    bytes(values, f32::to_le_bytes)
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tensors(all: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in all {
        views.push((name.to_string(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    }
    safetensors::serialize(views, None).unwrap()
}

fn one(file: Vec<u8>) -> Result<Arc<Dataset>> {
    Files::new().write("x.npy", file).rows("npy", "x.npy", "")
}

#[test]
fn what_numpy_wrote_is_read() {
    let files = Files::new();
    files.write("x.npy", FORTRAN).write("y.npy", LABELS).write("both.npz", ARCHIVE);
    let label = format!("label = '{}'", files.path("y.npy"));
    let pair = format!("{},{}", files.path("x.npy"), files.path("y.npy"));
    let all = [
        files.rows("npy", "x.npy", &label).unwrap(),
        files.rows("npy", &pair, "").unwrap(),
        files.rows("npz", "both.npz", "").unwrap(),
    ];
    for data in all {
        assert_eq!((data.feature_shape(), features(&data)), (&[2][..], ROWS.to_vec()));
        assert_eq!((labels(&data), data.task()), (vec![0, 2, 1], Task::classification(3)));
    }
    assert_eq!(files.rows("npy", "x.npy", "").unwrap().task(), Task::Unlabelled);
    let targets = format!("targets = ['{}']", files.path("y.npy"));
    let data = files.rows("npy", "x.npy", &targets).unwrap();
    assert_eq!((data.task(), data.targets(1)), (Task::Regression { outputs: 1 }, &[2.0][..]));
    let named = files.rows("npz", "both.npz", "targets = ['y']").unwrap();
    assert_eq!(named.task(), Task::Regression { outputs: 1 });
}

#[test]
fn every_type_of_numbers_is_read() {
    let values = [1_i8, 2, 127, 0];
    let wide: Vec<i64> = values.iter().map(|&x| x.into()).collect();
    let all = [
        ("<f2", bytes(&values, |x| half::f16::from_f32(x.into()).to_le_bytes())),
        ("<f4", bytes(&values, |x| f32::from(x).to_le_bytes())),
        (">f4", bytes(&values, |x| f32::from(x).to_be_bytes())),
        ("<f8", bytes(&values, |x| f64::from(x).to_le_bytes())),
        ("|u1", bytes(&values, i8::to_le_bytes)),
        ("|i1", bytes(&values, i8::to_le_bytes)),
        ("<i2", bytes(&wide, |x| (x as i16).to_le_bytes())),
        (">u2", bytes(&wide, |x| (x as u16).to_be_bytes())),
        ("<i4", bytes(&wide, |x| (x as i32).to_le_bytes())),
        ("<u4", bytes(&wide, |x| (x as u32).to_le_bytes())),
        ("<i8", bytes(&wide, i64::to_le_bytes)),
        (">u8", bytes(&wide, |x| (x as u64).to_be_bytes())),
    ];
    for (descr, bytes) in all {
        let data = one(npy(descr, "(2, 1, 2)", &bytes)).unwrap();
        assert_eq!((data.feature_shape(), data.rows()), (&[1, 2][..], 2), "{descr}");
        assert_eq!(features(&data), [1.0, 2.0, 127.0, 0.0], "{descr}");
    }
    assert_eq!(features(&one(npy("|b1", "(2,)", &[1, 0])).unwrap()), [1.0, 0.0]);
}

#[test]
fn the_first_extent_may_run_fastest() {
    // 2 x 3 x 2, value = its index in row-major order.
    let order = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11].map(|i| i as f32);
    let file = npy("<f4", "(2, 3, 2)", &floats(&order));
    let file = String::from_utf8_lossy(&file[10..128]).replace("False", "True ");
    let file = [b"\x93NUMPY\x01\x00\x76\x00", file.as_bytes(), &floats(&order)].concat();
    let data = one(file).unwrap();
    assert_eq!(features(&data), (0..12).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!(data.feature_shape(), [3, 2]);
}

#[test]
fn what_is_no_array_is_named() {
    let good = npy("<f4", "(3, 2)", &floats(&ROWS));
    assert_eq!(features(&one(good.clone()).unwrap()), ROWS);
    let array = |descr: &str, shape: &str, bytes: &[u8]| one(npy(descr, shape, bytes));
    fails(one(vec![]), &["x.npy: `features`: has fewer than the 8 bytes"]);
    fails(one(good[..100].to_vec()), &["ends after 90 of 118 bytes of a header"]);
    fails(one([b"PK\x03\x04", &good[..]].concat()), &["is no array of NumPy"]);
    fails(one(good[..140].to_vec()), &["shape [3, 2] needs 24 bytes, the file holds 12"]);
    fails(one([&good[..], b"x"].concat()), &["needs 24 bytes, the file holds 25"]);
    fails(array("<c8", "(3, 2)", &[0; 48]), &["has the header {'descr': '<c8'"]);
    fails(array("|O", "(3, 2)", &[]), &["an array of plain numbers is read"]);
    fails(array("<f3", "(1,)", &[0; 3]), &["numbers of a type that is not read"]);
    fails(array("<f4", "()", &[0; 4]), &["shape []"]);
    fails(array("<f4", "(0, 2)", &[]), &["shape [0, 2]"]);
    let huge = format!("({}, {})", u64::MAX, u64::MAX);
    fails(array("<f4", &huge, &[0; 4]), &["needs", "the file holds 4"]);
    fails(array("<f4", "(-1, 2)", &[]), &["(-1, 2)"]);
    let mut long = good.clone();
    (long[6], long[8], long[9], long[10], long[11]) = (2, 1, 0, 1, 0);
    fails(
        one([&long[..12], &[b' '; 70_000]].concat()),
        &["has a header of 65537 bytes, at most 65536"],
    );
    fails(array("<f4", "(1, 2)", &floats(&[1.0, f32::NAN])), &["row 0, feature 1 is NaN"]);
    fails(array("<f8", "(1,)", &1e300_f64.to_le_bytes()), &["row 0, feature 0 is inf"]);
    fails(
        array("<i4", "(1, 2)", &bytes(&[1, (1 << 24) + 1], i32::to_le_bytes)),
        &["row 0, column 1: 16777217 is beyond 2^24"],
    );
    fails(array("<u8", "(1,)", &[0xff; 8]), &["is beyond 2^24"]);
    fails(Files::new().rows("npy", "no.npy", ""), &["no.npy: is missing"]);
}

#[test]
fn answers_fit_the_rows_and_the_task() {
    let x = || ("x", npy("<f4", "(2, 1)", &floats(&[1.0, 2.0])));
    let with = |name, array: Vec<u8>, options: &str| {
        Files::new().write("a.npz", npz(&[x(), (name, array)])).rows("npz", "a.npz", options)
    };
    let ints = |values: &[i64]| {
        npy("<i8", &format!("({},)", values.len()), &bytes(values, i64::to_le_bytes))
    };
    let task = |data: Result<Arc<Dataset>>| data.unwrap().task();
    assert_eq!(task(with("labels", ints(&[0, 0]), "")), Task::classification(2));
    assert_eq!(task(with("targets", ints(&[0, 4]), "")), Task::Regression { outputs: 1 });
    let pair = npy("<f4", "(2, 2)", &floats(&[0.0, 1.0, 1.0, 1.0]));
    assert_eq!(task(with("y", pair.clone(), "")), Task::Regression { outputs: 2 });
    assert_eq!(task(with("y", pair.clone(), "multi_label = true")), Task::MultiLabel { labels: 2 });
    let sequence = npy("|u1", "(2, 2)", &[0, 1, 2, 3]);
    assert_eq!(task(with("y", sequence, "")), Task::Classification { classes: 4, positions: 2 });
    assert_eq!(task(with("other", ints(&[0, 1]), "label = 'other'")), Task::classification(2));

    fails(with("y", ints(&[0, 1, 0]), ""), &["a.npz: `y` has 3 rows, and `x` has 2"]);
    fails(with("y", ints(&[0, -1]), ""), &["`y`, row 1: -1 is no class"]);
    fails(with("y", pair.clone(), "label = 'y'"), &["`y` holds floats, class numbers are whole"]);
    fails(with("y", pair, "label = 'z'"), &["has no array `z`; it has x, y"]);
    fails(with("z", ints(&[0, 1]), "multi_label = true"), &["has no array labels or y or targets"]);
    fails(
        with("y", ints(&[2, 3]), "multi_label = true"),
        &["row 0, target 0 is 2, must be in 0 to 1"],
    );
    fails(with("y", ints(&[0, 1]), "targets = ['y', 'x']"), &["`targets`: 2 names"]);
    let empty = Files::new();
    empty.write("a.npz", npz(&[("z", ints(&[0]))])).write("b.npz", "no archive");
    fails(empty.rows("npz", "a.npz", ""), &["has no array features or x; it has z"]);
    fails(empty.rows("npz", "b.npz", ""), &["b.npz: no whole archive of NumPy"]);

    // By a schema: the classes that it knows, and none needed.
    let mut schema = Schema::default();
    (schema.shape, schema.task) = (vec![1], Task::classification(3));
    let by = |name, array| {
        let files = Files::new();
        files.write("a.npz", npz(&[x(), (name, array)])).rows_by(
            "npz",
            "a.npz",
            "label = 'y'",
            &schema,
        )
    };
    assert_eq!(task(by("y", ints(&[0, 1]))), Task::classification(3));
    assert_eq!(task(by("other", ints(&[0, 1]))), Task::Unlabelled);
    fails(by("y", ints(&[0, 3])), &["`y`, row 1: class 3 is not one of the 3"]);
}

#[test]
fn arrays_are_split_and_tested_by_a_pair() {
    let files = Files::new();
    files
        .write("x.npy", FORTRAN)
        .write("y.npy", LABELS)
        .write("u.npy", FORTRAN)
        .write("v.npy", LABELS);
    let label = format!("label = '{}'", files.path("y.npy"));
    let pair = format!("{},{}", files.path("u.npy"), files.path("v.npy"));
    let split = files.split("npy", "x.npy", &format!("{label}\ntest = '{pair}'")).unwrap();
    assert_eq!((split.train.rows(), split.test.rows()), (3, 3));
    assert_eq!(labels(&split.test), [0, 2, 1]);
    let alone = format!("{label}\ntest = '{}'", files.path("u.npy"));
    fails(files.split("npy", "x.npy", &alone), &["`test`", "has features only; give both files"]);
}

#[test]
fn tensors_are_read() {
    let x = ("features", Dtype::F32, &[3, 2][..], floats(&ROWS));
    let y = ("labels", Dtype::I64, &[3][..], bytes(&[0, 2, 1], i64::to_le_bytes));
    let half = bytes(&ROWS, |x| half::bf16::from_f32(x).to_le_bytes());
    let files = Files::new();
    files.write("a.safetensors", tensors(&[x.clone(), y.clone()]));
    files.write("b.safetensors", tensors(&[("x", Dtype::BF16, &[3, 2], half), y.clone()]));
    for name in ["a.safetensors", "b.safetensors"] {
        let data = files.rows("safetensors", name, "").unwrap();
        assert_eq!((features(&data), labels(&data)), (ROWS.to_vec(), vec![0, 2, 1]), "{name}");
    }
    let targets = ("targets", Dtype::F32, &[3, 1][..], floats(&[1.0, 2.0, 3.0]));
    files.write("c.safetensors", tensors(&[x, targets]));
    let data = files.rows("safetensors", "c.safetensors", "").unwrap();
    assert_eq!((data.task(), data.targets(2)), (Task::Regression { outputs: 1 }, &[3.0][..]));
    files.write("d.safetensors", tensors(&[y])).write("e.safetensors", "short");
    fails(
        files.rows("safetensors", "d.safetensors", ""),
        &["has no tensor features or x; it has labels"],
    );
    fails(
        files.rows("safetensors", "e.safetensors", ""),
        &["e.safetensors: no whole safetensors file"],
    );
    fails(files.rows("safetensors", "f.safetensors", ""), &["cannot read", "f.safetensors"]);
    fails(files.rows("safetensors", "c.safetensors", "label = 'z'"), &["has no tensor `z`"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Any bytes, and a good file with any byte changed, are read or refused.
    #[test]
    fn no_array_panics(
        any in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..402, byte: u8,
        shape in "\\([0-9, ]{0,30}\\)", descr in "[<>|][fuibc][0-9]{1,2}",
    ) {
        let mut flipped = [FORTRAN, ARCHIVE].map(<[u8]>::to_vec);
        for file in &mut flipped {
            let at = at % file.len();
            file[at] = byte;
        }
        let [array, archive] = flipped;
        let files = Files::new();
        files.write("a.npz", archive).write("b.npz", &any);
        files.rows("npz", "a.npz", "").ok();
        files.rows("npz", "b.npz", "").ok();
        one(array).ok();
        one(npy(&descr, &shape, &any)).ok();
        one([b"\x93NUMPY", &any[..]].concat()).ok();
        one(any).ok();
    }
}
