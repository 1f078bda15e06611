//! Tokens as text, all at once and one after the other.
use super::{golden, open};

/// By byte-level tokenizers a text comes back as it was, but for special tokens.
#[test]
fn tokens_one_by_one_say_what_they_say_together() {
    let golden = golden();
    for form in ["bpe", "llama3", "unigram"] {
        let tokenizer = open(form);
        for (text, ids) in golden.texts.iter().zip(&golden.forms[form].ids) {
            let whole = tokenizer.decode(ids).unwrap();
            if form != "unigram" && !text.contains("<|") {
                assert_eq!(&whole, text, "{form}");
            }
            for begun in [0, 1, ids.len() / 2] {
                let (before, behind) = ids.split_at(begun.min(ids.len()));
                let mut stream = tokenizer.text_behind(before).unwrap();
                let mut told = tokenizer.decode(before).unwrap();
                // A character that is cut stands there as what it is: damaged.
                let cut = told.ends_with('\u{fffd}');
                for &id in behind {
                    told += &stream.push(id).unwrap();
                }
                told += &stream.rest().unwrap();
                if !cut {
                    assert_eq!(told, whole, "{form}, behind {begun} of {text:?}");
                }
            }
        }
    }
}

#[test]
fn a_character_is_told_when_all_its_bytes_are_there() {
    let tokenizer = open("bpe");
    let ids = tokenizer.encode("😀a").unwrap();
    assert!(ids.len() >= 4, "{ids:?} are too few to cut a character");
    let mut stream = tokenizer.text_behind(&[]).unwrap();
    let told: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    let whole = told.iter().position(|text| !text.is_empty()).unwrap();
    assert!(whole >= 1, "{told:?}");
    assert_eq!(told.concat(), "😀a");
    // Where no more comes, what is there is told.
    let mut cut = tokenizer.text_behind(&[]).unwrap();
    assert_eq!(cut.push(ids[0]).unwrap(), "");
    assert_eq!(cut.rest().unwrap(), "\u{fffd}");
    assert_eq!(cut.rest().unwrap(), "");
}

#[test]
fn special_tokens_say_nothing_and_have_names() {
    let tokenizer = open("llama3");
    let ids = tokenizer.encode("weights").unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), "weights");
    let first = tokenizer.token(ids[0]).unwrap();
    assert!(first.contains("begin"), "{first}");
    assert_eq!(tokenizer.token(1 << 30), None);
}
