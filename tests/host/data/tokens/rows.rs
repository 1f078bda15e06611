//! Rows for embeddings.
use super::{fails, golden, open};
use secateur::data::TokenRows;
use serde::Deserialize;
use std::fs;

#[derive(Deserialize)]
pub(super) struct Golden {
    lines: Vec<String>,
    longest: Rows,
    eight: Rows,
}

#[derive(Deserialize)]
struct Rows {
    ids: Vec<Vec<u32>>,
    mask: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
}

impl Rows {
    fn agree(&self, rows: &TokenRows) {
        assert_eq!((rows.rows, rows.length), (self.ids.len(), self.ids[0].len()));
        assert_eq!(rows.ids, self.ids.concat());
        assert_eq!(rows.mask, self.mask.concat());
        assert_eq!(rows.types, self.types.concat());
    }
}

#[test]
fn rows_are_padded_and_cut_as_the_library_does_it() {
    let golden = golden().rows;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    let tokenizer = open("wordpiece");
    for (end, line) in [("\n", "\n"), ("", "\n"), ("\r\n", "\r\n")] {
        fs::write(&path, golden.lines.join(line) + end).unwrap();
        let longest = tokenizer.encode_rows(&path, None).unwrap();
        golden.longest.agree(&longest);
        assert_eq!(longest.cut, 0);
        let eight = tokenizer.encode_rows(&path, Some(8)).unwrap();
        golden.eight.agree(&eight);
        let long = |row: &&Vec<u32>| row.iter().sum::<u32>() > 8;
        assert_eq!(eight.cut, golden.longest.mask.iter().filter(long).count());
        assert!((1..eight.rows).contains(&eight.cut), "some are cut, not all");
    }
    let wide = tokenizer.encode_rows(&path, Some(40)).unwrap();
    assert_eq!((wide.length, wide.ids.len(), wide.cut), (40, 40 * wide.rows, 0));
}

#[test]
fn padding_comes_first_where_the_file_says_so() {
    let text = fs::read_to_string(super::folder().join("wordpiece.json")).unwrap();
    let left = text.replace("\"direction\":\"Right\",\"pad_to", "\"direction\":\"Left\",\"pad_to");
    assert_ne!(text, left);
    let dir = tempfile::tempdir().unwrap();
    let left = left.replace("\"pad_id\":0", "\"pad_id\":4");
    fs::write(dir.path().join("tokenizer.json"), left).unwrap();
    let path = dir.path().join("lines.txt");
    fs::write(&path, "a\n\na network").unwrap();
    let tokenizer = secateur::data::Tokenizer::open(dir.path()).unwrap();
    let rows = tokenizer.encode_rows(&path, Some(12)).unwrap();
    assert_eq!(rows.rows, 3);
    for (ids, mask) in rows.ids.chunks(12).zip(rows.mask.chunks(12)) {
        let padding = mask.iter().filter(|&&m| m == 0).count();
        assert!(padding > 0 && ids[..padding].iter().all(|&id| id == 4));
        assert!(mask[padding..].iter().all(|&m| m == 1));
        assert_eq!((ids[padding], ids[11]), (2, 3), "[CLS] and [SEP] around the text");
    }
}

#[test]
fn rows_without_room_or_lines_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    fs::write(&path, "").unwrap();
    fails(open("wordpiece").encode_rows(&path, None), &["lines.txt: has 0 lines"]);
    fs::write(&path, "\n").unwrap();
    let empty = open("wordpiece").encode_rows(&path, None).unwrap();
    assert_eq!((empty.rows, empty.length, &*empty.ids), (1, 2, &[2, 3][..]));
    for length in 0..3 {
        let parts = [&*format!("`length`: {length}; a row has 2 tokens"), "needs 3 or more"];
        fails(open("wordpiece").encode_rows(&path, Some(length)), &parts);
    }
    let nothing = open("bpe").encode_rows(&path, None).unwrap();
    assert_eq!((nothing.rows, nothing.length, &*nothing.mask), (1, 1, &[0][..]));
}
