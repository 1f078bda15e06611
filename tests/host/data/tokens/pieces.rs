//! Texts in pieces have the ids of the whole.
use super::{FORMS, golden, open};
use proptest::prelude::*;
use secateur::data::Tokenizer;
use std::fs;
use std::sync::LazyLock;

/// Ids in pieces as small as they can be, and at once.
fn both(tokenizer: &Tokenizer, text: &str) -> [Vec<u32>; 2] {
    let encode = |piece| tokenizer.clone().piece(piece).encode(text).unwrap();
    [encode(1), encode(usize::MAX / 2)]
}

#[test]
fn the_forms_that_are_cut_are_those_that_may_be() {
    let cut = FORMS.map(|form| open(form).in_pieces());
    assert_eq!(cut, [true, true, true, false]);
    let form = |form: &str, from: &str, to: &str| {
        let text = fs::read_to_string(super::folder().join(format!("{form}.json"))).unwrap();
        assert!(text.contains(from), "{from}");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tokenizer.json"), text.replacen(from, to, 1)).unwrap();
        Tokenizer::open(dir.path()).unwrap()
    };
    let prefixed = form("bpe", "\"add_prefix_space\":false", "\"add_prefix_space\":true");
    assert!(!prefixed.in_pieces(), "each piece would begin with a space");
    let no_pattern = form("bpe", "\"use_regex\":true", "\"use_regex\":false");
    assert!(!no_pattern.in_pieces(), "words could reach over the line end");
    let other = form("llama3", "[\\\\r\\\\n]*|", "[\\\\r\\\\n]*\\\\p{L}?|");
    assert!(!other.in_pieces(), "nobody knows this pattern");
    let strip = r#""normalizer":{"type":"Strip","strip_left":true,"strip_right":true}"#;
    let strips = form("bpe", "\"normalizer\":null", strip);
    assert!(!strips.in_pieces(), "each piece would lose its line end");
    let crosses = form("bpe", "\"content\":\"<|im_end|>\"", "\"content\":\"a\\nb\"");
    assert!(!crosses.in_pieces(), "a token reaches over a line end");
    let takes = "\"content\":\"<|im_end|>\",\"single_word\":false,\"lstrip\":false";
    let takes = form("bpe", takes, "\"content\":\"end\",\"single_word\":false,\"lstrip\":true");
    assert!(!takes.in_pieces(), "a token takes the line end before it");
}

#[test]
fn pieces_have_the_ids_of_the_whole() {
    let golden = golden();
    for form in FORMS {
        let tokenizer = open(form);
        // Every text behind some others, with a line end between them and without.
        let all = golden.texts.iter();
        let firsts = [1, 3, 5, 10].map(|i| &golden.texts[i]);
        for (first, second) in all.flat_map(|b| firsts.map(|a| (a, b))) {
            for between in ["", "\n", "\r\n", "x\ny", " \nz", "é\né", "\n\n9"] {
                let text = format!("{first}{between}{second}");
                let [pieces, whole] = both(&tokenizer, &text);
                assert_eq!(pieces, whole, "{form}: {text:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn pieces_of_any_text_have_the_ids_of_the_whole(
        text in "([a-cA-C9é中 .,;'\u{301}\t\r\u{a0}😀_]{0,6}(\n|\n\n|<\\|im_start\\|>|\\[MASK\\]))*",
    ) {
        static OPEN: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| FORMS.map(open).into());
        for (form, tokenizer) in FORMS.iter().zip(&*OPEN) {
            let [pieces, whole] = both(tokenizer, &text);
            prop_assert_eq!(pieces, whole, "{}: {:?}", form, text);
        }
    }
}

#[test]
fn pieces_are_small_where_the_text_has_places_to_cut() {
    let lines = "A line of words, with 2 numbers and 1 end.\n".repeat(2000);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    fs::write(&path, &lines).unwrap();
    let peak = |piece| {
        let tokenizer = open("bpe").piece(piece);
        let mut ids = Vec::new();
        let run = allocation_counter::measure(|| ids = tokenizer.encode_file(&path).unwrap());
        (ids, run.bytes_max)
    };
    let (in_pieces, small) = peak(1024);
    let (at_once, whole) = peak(1 << 20);
    assert_eq!(in_pieces, at_once);
    // 86 KB: their ids, doubled as a vector grows, and a piece's share of what the whole takes.
    let ids = (in_pieces.len() * 4) as u64;
    assert!(small < 3 * ids + whole / 20, "{small} bytes for {ids} of ids, {whole} at once");
}
