//! Damaged tokenizers are errors by name, never a panic.
use super::{FORMS, fails, folder, golden};
use secateur::Error;
use secateur::data::Tokenizer;
use std::fs;
use std::panic;

#[test]
fn what_is_no_tokenizer_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    for text in ["", "{", "{}", "[]", "null", "{\"version\":\"2.0\"}", "\u{0}\u{1}"] {
        fs::write(&path, text).unwrap();
        fails(Tokenizer::open(dir.path()), &["tokenizer.json: is no tokenizer"]);
    }
    fs::write(&path, "{\"version\":\"2.0\"}").unwrap();
    fails(Tokenizer::open(dir.path()), &["is no tokenizer: ", "Unknown tokenizer version '2.0'"]);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    fs::write(&path, pointer).unwrap();
    fails(Tokenizer::open(dir.path()), &["is no tokenizer but a Git LFS pointer"]);
    let empty = "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{},\"unk_token\":\"\"}}";
    fs::write(&path, empty).unwrap();
    fails(Tokenizer::open(dir.path()), &["without a token"]);
}

#[test]
fn a_panic_of_the_library_is_an_error() {
    // A table of characters that is none, which version 0.23 panics on.
    let text = fs::read_to_string(folder().join("bpe.json")).unwrap();
    let precompiled = r#""normalizer":{"type":"Precompiled","precompiled_charsmap":"!"}"#;
    let damaged = text.replace(r#""normalizer":null"#, precompiled);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), damaged).unwrap();
    fails(Tokenizer::open(dir.path()), &["tokenizer.json: is damaged", "`tokenizers` panicked"]);
}

#[test]
fn damaged_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let texts = golden().texts;
    let (mut seed, mut refused, mut read) = (1_u64, 0, 0);
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for form in FORMS {
        let whole = fs::read(folder().join(format!("{form}.json"))).unwrap();
        for round in 0..80 {
            let mut bytes = whole.clone();
            match round % 4 {
                0 => bytes.truncate(draw(whole.len())),
                1 => bytes[draw(whole.len())] = draw(256) as u8,
                2 => {
                    // A number or a word becomes another one.
                    let at = draw(whole.len());
                    bytes.splice(at..at + 1, *b"4294967295");
                }
                _ => {
                    let at = draw(whole.len());
                    let end = (at + 1 + draw(60)).min(whole.len());
                    bytes.drain(at..end);
                }
            }
            fs::write(&path, &bytes).unwrap();
            let opened = panic::catch_unwind(|| {
                let tokenizer = Tokenizer::open(dir.path())?;
                texts.iter().take(11).try_for_each(|text| tokenizer.encode(text).map(|_| ()))?;
                tokenizer.check(1 << 20)
            });
            match opened.unwrap_or_else(|_| panic!("{form}, round {round} panicked")) {
                Ok(()) => read += 1,
                Err(Error::File { path: at, .. }) if at == path => refused += 1,
                Err(error) => panic!("{form}, round {round}: {error}"),
            }
        }
    }
    assert!(refused > 100 && read > 5, "{refused} refused, {read} read");
}
