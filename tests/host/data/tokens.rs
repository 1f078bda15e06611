//! Tokenizers against what Hugging Face's library gives (`scripts/make_tokenizers.py`).
use super::fails;
use secateur::data::Tokenizer;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

mod damage;
mod decode;
mod pieces;
mod rows;

const FORMS: [&str; 4] = ["bpe", "llama3", "wordpiece", "unigram"];

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    forms: BTreeMap<String, Form>,
    rows: rows::Golden,
}

#[derive(Deserialize)]
struct Form {
    vocabulary: usize,
    /// Of each text, with what the tokenizer adds and without.
    ids: Vec<Vec<u32>>,
    plain: Vec<Vec<u32>>,
}

fn folder() -> PathBuf {
    crate::paths::project().join("tests/goldens/tokenizers")
}

fn golden() -> Golden {
    serde_json::from_str(&fs::read_to_string(folder().join("ids.json")).unwrap()).unwrap()
}

fn open(form: &str) -> Tokenizer {
    Tokenizer::open(folder().join(format!("{form}.json"))).unwrap()
}

#[test]
fn ids_are_those_of_the_library_for_python() {
    let golden = golden();
    assert_eq!(golden.forms.keys().collect::<Vec<_>>().len(), FORMS.len());
    for form in FORMS {
        let (tokenizer, wanted) = (open(form), &golden.forms[form]);
        assert_eq!(tokenizer.vocabulary(), wanted.vocabulary, "{form}");
        for (text, ids) in golden.texts.iter().zip(&wanted.ids) {
            assert_eq!(&tokenizer.encode(text).unwrap(), ids, "{form}: {text:?}");
        }
        let adds = form != "bpe";
        assert_eq!(wanted.ids != wanted.plain, adds, "{form} adds tokens");
    }
}

#[test]
fn a_file_is_its_text_and_a_folder_has_its_tokenizer() {
    let golden = golden();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    for form in FORMS {
        fs::copy(folder().join(format!("{form}.json")), dir.path().join("tokenizer.json")).unwrap();
        let tokenizer = Tokenizer::open(dir.path()).unwrap();
        assert_eq!(tokenizer.path(), dir.path().join("tokenizer.json"));
        for (text, ids) in golden.texts.iter().zip(&golden.forms[form].ids) {
            fs::write(&path, text).unwrap();
            assert_eq!(&tokenizer.encode_file(&path).unwrap(), ids, "{form}: {text:?}");
            for count in [0, 1, ids.len() / 2, ids.len(), ids.len() + 1] {
                let start = tokenizer.encode_start(&path, count).unwrap();
                assert_eq!(start, ids[..count.min(ids.len())], "{form}: {text:?}: {count}");
            }
        }
    }
}

#[test]
fn a_tokenizer_of_another_vocabulary_is_told() {
    for form in FORMS {
        let tokenizer = open(form);
        let (ids, token) = (0..).map_while(|id| Some((id, name(form, id)?))).last().unwrap();
        tokenizer.check(ids + 1).unwrap();
        tokenizer.check(ids + 100).unwrap();
        let parts = [
            &format!("{form}.json: has tokens up to number {ids} ({token:?})"),
            &*format!("embeddings for {ids}: it is a tokenizer of another vocabulary"),
        ];
        fails(tokenizer.check(ids), &parts);
    }
    // `<extra_id_0>` was added to the model's 140 and more: texts without it need no row for it.
    let tokenizer = open("unigram");
    tokenizer.check(tokenizer.vocabulary() - 1).unwrap();
}

/// The token that is number `id` of the model's own vocabulary.
fn name(form: &str, id: usize) -> Option<String> {
    let text = fs::read_to_string(folder().join(format!("{form}.json"))).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let model = &file["model"]["vocab"];
    match model.as_array() {
        Some(list) => Some(list.get(id)?[0].as_str()?.to_owned()),
        None => {
            let mut tokens = model.as_object()?.iter();
            tokens.find(|(_, at)| **at == id).map(|(token, _)| token.clone())
        }
    }
}

#[test]
fn what_is_no_utf8_is_named_with_its_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin1.txt");
    let mut bytes = "Line one.\n".repeat(40).into_bytes();
    bytes.extend(b"caf\xe9 is latin1\n");
    fs::write(&path, &bytes).unwrap();
    let parts = ["latin1.txt: is no text in UTF-8: byte 403 is 0xe9", "iconv"];
    for form in FORMS {
        // In pieces of all sizes, and whole.
        for piece in [1, 7, 404, 1 << 20] {
            fails(open(form).piece(piece).encode_file(&path), &parts);
        }
        fails(open(form).encode_rows(&path, None), &parts);
    }
    // A character that the end of the file cuts, in a piece of its own.
    fs::write(&path, b"one.\ntwo \xf0\x9f\x98").unwrap();
    fails(open("bpe").piece(1).encode_file(&path), &["byte 9 is 0xf0"]);
    fails(open("bpe").encode_file(dir.path().join("none.txt")), &["cannot open", "none.txt"]);
}

#[test]
fn a_folder_without_the_file_says_how_it_is_made() {
    let dir = tempfile::tempdir().unwrap();
    fails(Tokenizer::open(dir.path()), &["has no tokenizer.json; copy it"]);
    fs::write(dir.path().join("vocab.json"), "{}").unwrap();
    fs::write(dir.path().join("merges.txt"), "").unwrap();
    let parts = ["has no tokenizer.json, only vocab.json and merges.txt", "save_pretrained"];
    fails(Tokenizer::open(dir.path()), &parts);
    fails(Tokenizer::open(dir.path().join("none")), &["cannot read", "none"]);
}

#[test]
fn dropout_of_the_file_is_left_out() {
    let text = fs::read_to_string(folder().join("bpe.json")).unwrap();
    let dropping = text.replace("\"dropout\":null", "\"dropout\":0.9");
    assert_ne!(text, dropping);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), dropping).unwrap();
    let golden = golden();
    let tokenizer = Tokenizer::open(dir.path()).unwrap();
    for (text, ids) in golden.texts.iter().zip(&golden.forms["bpe"].ids) {
        assert_eq!(&tokenizer.encode(text).unwrap(), ids, "{text:?}");
    }
}
