//! Reading of IDX folders, and the rejection of every malformed one.
use super::{fails, rows};
use flate2::{Compression, write::GzEncoder};
use secateur::data::{Split, Task, idx_folder};
use secateur::{Error, Result};
use std::fs;
use std::io::Write;

const IMAGES: [&str; 2] = ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"];
const LABELS: [&str; 2] = ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"];

fn idx_file(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(data);
    file
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A good folder: 3 rows to train and 2 to test, 2 x 1 pixels, labels up to 4.
fn idx_good() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, file| fs::write(dir.path().join(name), file).unwrap();
    write(IMAGES[0], idx_file(&[3, 2, 1], &[0, 255, 51, 102, 1, 2]));
    write(LABELS[0], idx_file(&[3], &[4, 0, 1]));
    write(IMAGES[1], idx_file(&[2, 2, 1], &[9, 8, 7, 6]));
    write(LABELS[1], idx_file(&[2], &[1, 4]));
    dir
}

/// Reads a good folder in which one file has other contents: in `name`, or gzipped at `name.gz`.
fn idx_with(name: &str, file: &[u8]) -> Result<Split> {
    let dir = idx_good();
    fs::remove_file(dir.path().join(name.trim_end_matches(".gz"))).unwrap();
    fs::write(dir.path().join(name), file).unwrap();
    idx_folder(dir.path(), "small")
}

fn idx_fails(name: &str, file: &[u8], parts: &[&str]) {
    match fails(idx_with(name, file), parts) {
        Error::File { path, .. } => assert!(path.ends_with(name), "{}", path.display()),
        other => panic!("not a file error: {other:?}"),
    }
}

#[test]
fn idx_reads_plain_and_gzipped_files() {
    let dir = idx_good();
    let plain = idx_folder(dir.path(), "small").unwrap();
    let Split { train, test } = &plain;
    assert_eq!((train.name(), train.task()), ("small", Task::classification(5)));
    assert_eq!(train.feature_shape(), [2, 1]);
    let wanted = [(vec![0, 255], 4), (vec![51, 102], 0), (vec![1, 2], 1)];
    assert_eq!(rows(train, 1.0 / 255.0), wanted);
    assert_eq!(rows(test, 1.0 / 255.0), [(vec![9, 8], 1), (vec![7, 6], 4)]);
    let mut first = [0.0; 2];
    train.write_row(0, &mut first);
    assert_eq!(first, [0.0, 1.0]);

    for name in IMAGES.iter().chain(&LABELS) {
        let path = dir.path().join(name);
        fs::write(dir.path().join(format!("{name}.gz")), gzip(&fs::read(&path).unwrap())).unwrap();
        fs::remove_file(path).unwrap();
    }
    assert_eq!(idx_folder(dir.path(), "small").unwrap(), plain);

    let other = idx_file(&[3], &[2, 2, 2]);
    fs::write(dir.path().join(LABELS[0]), other).unwrap();
    fails(idx_folder(dir.path(), "small"), &["row 1 has label 4, of 3 classes"]);
    let two = idx_with(LABELS[0], &idx_file(&[3], &[0, 0, 0]));
    fails(two, &[LABELS[1], "row 1 has label 4, of 2 classes"]);
}

#[test]
fn idx_names_a_missing_file() {
    let dir = idx_good();
    fs::remove_file(dir.path().join(LABELS[1])).unwrap();
    let gz = format!("neither {0} nor {0}.gz", LABELS[1]);
    let error = fails(idx_folder(dir.path(), "small"), &[&gz, IMAGES[0], IMAGES[1], LABELS[0]]);
    assert!(matches!(error, Error::File { path, .. } if path == dir.path()));
    fails(idx_folder(&dir.path().join("none"), "small"), &["neither train-images-idx3-ubyte"]);
}

#[test]
fn idx_rejects_malformed_headers() {
    let data = [0; 6];
    let with_head = |head: [u8; 4]| [&head[..], &idx_file(&[3, 2, 1], &data)[4..]].concat();
    let expected = "expected 0x00000803";
    idx_fails(IMAGES[0], &with_head([0x1f, 0x8b, 8, 3]), &["0x1f8b0803", expected]);
    idx_fails(IMAGES[0], &with_head([0, 0, 0x0d, 3]), &["0x00000d03", expected]);
    idx_fails(IMAGES[0], &with_head([0, 0, 8, 1]), &["0x00000801", expected]);
    idx_fails(LABELS[0], &idx_file(&[3, 2, 1], &data), &["0x00000803", "expected 0x00000801"]);
    idx_fails(IMAGES[0], b"", &["holds 0 bytes", "header alone has 16"]);
    idx_fails(LABELS[1], &[0, 0, 8, 1, 0, 0, 0], &["holds 7 bytes", "header alone has 8"]);
    idx_fails(IMAGES[0], &idx_file(&[0, 2, 1], &[]), &["sizes are [0, 2, 1]"]);
    idx_fails(IMAGES[0], &idx_file(&[3, 0, 1], &[]), &["sizes are [3, 0, 1]"]);
    idx_fails(LABELS[0], &idx_file(&[0], &[]), &["sizes are [0]"]);
}

#[test]
fn idx_rejects_files_of_the_wrong_length() {
    let needs = "sizes [3, 2, 1] need 6 bytes, the file holds";
    for (length, found) in [(5, "holds 5"), (7, "holds 7"), (9000, "holds 9000")] {
        let file = idx_file(&[3, 2, 1], &vec![0; length]);
        idx_fails(IMAGES[0], &file, &[needs, found]);
        idx_fails(&format!("{}.gz", IMAGES[0]), &gzip(&file), &[needs, found]);
    }
    // 2^96 bytes, and 4 EiB which a 64-bit allocator could be asked for.
    let huge = u32::MAX;
    let file = idx_file(&[huge, huge, huge], &[0; 6]);
    idx_fails(IMAGES[0], &file, &["need 79228162458924105385300197375 bytes", "holds 6"]);
    let file = idx_file(&[1 << 30, 1 << 16, 1 << 16], &[0; 6]);
    idx_fails(IMAGES[0], &file, &["need 4611686018427387904 bytes", "holds 6"]);
}

#[test]
fn idx_rejects_halves_that_do_not_fit() {
    idx_fails(LABELS[0], &idx_file(&[2], &[0, 1]), &["2 labels", IMAGES[0], "3 images"]);
    idx_fails(LABELS[1], &idx_file(&[3], &[0, 1, 2]), &["3 labels", IMAGES[1], "2 images"]);
    idx_fails(LABELS[1], &idx_file(&[2], &[1, 5]), &["row 1 has label 5, of 5 classes"]);
    let shapes = ["images are [1, 2]", IMAGES[0], "[2, 1]"];
    idx_fails(IMAGES[1], &idx_file(&[2, 1, 2], &[0; 4]), &shapes);
}

#[test]
fn idx_rejects_damaged_gzip() {
    let name = format!("{}.gz", IMAGES[0]);
    let good = gzip(&idx_file(&[3, 2, 1], &[0, 255, 51, 102, 1, 2]));
    idx_with(&name, &good).unwrap();
    idx_fails(&name, b"not gzip at all, but some text", &["not a whole gzip file"]);
    idx_fails(&name, &good[..good.len() - 1], &["not a whole gzip file"]);
    idx_fails(&name, &good[..12], &["not a whole gzip file"]);
    idx_fails(&name, &[&good[..], b"tail"].concat(), &["not a whole gzip file"]);
    let mut checksum = good.clone();
    checksum[good.len() - 8] ^= 1;
    idx_fails(&name, &checksum, &["not a whole gzip file"]);
}

#[test]
fn idx_tells_a_refusal_to_read_from_bad_contents() {
    let dir = idx_good();
    fs::remove_file(dir.path().join(IMAGES[0])).unwrap();
    fs::create_dir(dir.path().join(IMAGES[0])).unwrap();
    assert!(matches!(idx_folder(dir.path(), "small"), Err(Error::Io { .. })));
}

/// As many bytes as MNIST has, each a function of where it is.
#[test]
fn idx_reads_a_data_set_of_mnists_size() {
    let dir = tempfile::tempdir().unwrap();
    let pixels = |of: usize| (0..784).map(move |i| (of * 31 + i * 7) as u8);
    let label = |half: usize, row: usize| ((row * 7 + half * 5) % 10) as u8;
    let sizes = [60_000, 10_000];
    for (half, rows) in sizes.into_iter().enumerate() {
        let images: Vec<u8> = (0..rows).flat_map(pixels).collect();
        let labels: Vec<u8> = (0..rows).map(|row| label(half, row)).collect();
        let images = gzip(&idx_file(&[rows as u32, 28, 28], &images));
        fs::write(dir.path().join(format!("{}.gz", IMAGES[half])), images).unwrap();
        fs::write(dir.path().join(LABELS[half]), idx_file(&[rows as u32], &labels)).unwrap();
    }
    let Split { train, test } = idx_folder(dir.path(), "large").unwrap();
    assert_eq!([train.rows(), test.rows()], sizes);
    assert_eq!((train.feature_shape(), train.task()), (&[28, 28][..], Task::classification(10)));
    for (half, (data, rows)) in [train, test].iter().zip(sizes).enumerate() {
        for row in [0, 1, rows / 2, rows - 1] {
            let wanted = (pixels(row).collect(), u32::from(label(half, row)));
            assert_eq!(super::row(data, row, 1.0 / 255.0), wanted, "row {row} of half {half}");
        }
    }
}

/// The good folder's files under other names: `name` makes the path of each.
fn idx_renamed(name: impl Fn(usize, &str) -> String) -> tempfile::TempDir {
    let (good, dir) = (idx_good(), tempfile::tempdir().unwrap());
    for (half, files) in [[IMAGES[0], LABELS[0]], [IMAGES[1], LABELS[1]]].iter().enumerate() {
        for file in files {
            let path = dir.path().join(name(half, file));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = fs::read(good.path().join(file)).unwrap();
            let gzipped = path.extension().is_some_and(|e| e == "gz");
            fs::write(path, if gzipped { gzip(&bytes) } else { bytes }).unwrap();
        }
    }
    dir
}

#[test]
fn idx_finds_the_names_that_people_have() {
    let good = idx_folder(idx_good().path(), "mnist").unwrap();
    let dotted = |file: &str| file.replace("-idx", ".idx");
    let dir = idx_renamed(|_, file| dotted(file));
    assert_eq!(idx_folder(dir.path(), "mnist").unwrap(), good);
    let dir = idx_renamed(|_, file| format!("{}.gz", dotted(file)));
    assert_eq!(idx_folder(dir.path(), "mnist").unwrap(), good);
    for inner in ["MNIST/raw", "raw", "gzip"] {
        let dir = idx_renamed(|_, file| format!("{inner}/{file}"));
        assert_eq!(idx_folder(dir.path(), "mnist").unwrap(), good, "{inner}");
    }
    let dir = idx_renamed(|_, file| format!("FashionMNIST/raw/{file}.gz"));
    let fashion = idx_folder(dir.path(), "fashion-mnist").unwrap();
    assert_eq!(rows(&fashion.test, 1.0), rows(&good.test, 1.0));
    fails(idx_folder(dir.path(), "mnist"), &["neither train-images-idx3-ubyte"]);
    // A folder of the file's name around it, as an archive's has it.
    let dir = idx_renamed(|_, file| format!("{file}/{file}"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    assert!(idx_folder(dir.path(), "mnist").is_ok());
}

#[test]
fn emnist_is_turned_and_its_sets_are_told_apart() {
    let set = |set: &str| {
        let set = set.to_owned();
        move |half: usize, file: &str| {
            let what = file.split('-').nth(1).unwrap();
            let half = ["train", "test"][half];
            format!(
                "emnist-{set}-{half}-{what}-idx{}-ubyte.gz",
                if what == "images" { 3 } else { 1 }
            )
        }
    };
    let dir = idx_renamed(set("letters"));
    // Three rows and two columns, column by column.
    let images = |n: u32| idx_file(&[n, 2, 3], &(0..6 * n).map(|i| i as u8).collect::<Vec<_>>());
    for (half, n) in [("train", 3), ("test", 2)] {
        let name = format!("emnist-letters-{half}-images-idx3-ubyte.gz");
        fs::write(dir.path().join(name), gzip(&images(n))).unwrap();
    }
    let letters = idx_folder(dir.path(), "mnist").unwrap();
    assert_eq!(letters.train.feature_shape(), [3, 2]);
    assert_eq!(rows(&letters.train, 1.0 / 255.0)[0].0, [0, 3, 1, 4, 2, 5]);
    for entry in fs::read_dir(idx_renamed(set("digits")).path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let parts = ["holds the sets emnist-digits, emnist-letters", "/emnist-digits"];
    fails(idx_folder(dir.path(), "mnist"), &parts);
    assert_eq!(idx_folder(&dir.path().join("emnist-letters"), "mnist").unwrap(), letters);
    let digits = idx_folder(&dir.path().join("emnist-digits"), "mnist").unwrap();
    assert_eq!(digits.train.feature_shape(), [1, 2]);
    fails(idx_folder(&dir.path().join("emnist-byclass"), "mnist"), &["neither"]);
}

#[test]
fn idx_takes_padding_behind_gzip_for_none_and_names_a_web_page() {
    let (name, bytes) =
        (format!("{}.gz", IMAGES[0]), idx_file(&[3, 2, 1], &[0, 255, 51, 102, 1, 2]));
    let good = gzip(&bytes);
    for padding in [1, 511, 70_000] {
        let padded = [&good[..], &vec![0; padding]].concat();
        assert_eq!(idx_with(&name, &padded).unwrap(), idx_with(&name, &good).unwrap());
        idx_fails(&name, &[&padded[..], b"tail"].concat(), &["not a whole gzip file"]);
    }
    let two = [gzip(&bytes[..5]), vec![0; 3], gzip(&bytes[5..]), vec![0; 9]].concat();
    assert_eq!(idx_with(&name, &two).unwrap(), idx_with(&name, &good).unwrap());
    let page = b"<!DOCTYPE html><html><body>Not found</body></html>";
    idx_fails(&name, page, &["not a whole gzip file but a web page", "resolve"]);
    idx_fails(IMAGES[0], page, &["magic number", "it is a web page"]);
}
