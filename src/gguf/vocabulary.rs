//! The tables of a tokenizer: byte pairs of bytes, as GPT-2 has them, in `tokenizer.json`.
use std::io::Read;

use serde_json::Value;

use super::format::Entry;
use crate::pretrained::Pretrained;
use crate::storage::open_plain;
use crate::{Error, Result};

/// More than any such file has.
const MOST_BYTES: u64 = 256 << 20;

/// What llama.cpp takes a token for.
mod kind {
    pub(super) const NORMAL: i32 = 1;
    /// Never in a text.
    pub(super) const CONTROL: i32 = 3;
    /// In a text as it is.
    pub(super) const ADDED: i32 = 4;
    pub(super) const UNUSED: i32 = 5;
}

/// How Llama 3 splits texts into words.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
/// How Qwen 2 and 3 do.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Adds the tables of the model's tokenizer to `entries`; what splits texts into words, as
/// llama.cpp calls it. Without a tokenizer there is none.
pub(super) fn entries(
    model: &Pretrained,
    vocabulary: u32,
    entries: &mut Vec<Entry>,
) -> Result<Option<String>> {
    let Some(tokenizer) = json(model, "tokenizer.json")? else {
        entries.push(Entry::text("tokenizer.ggml.model", "none"));
        return Ok(None);
    };
    let path = model.path().join("tokenizer.json");
    let refused = |wrong: String| {
        let message = format!("{wrong}; GGUF files are written with byte pairs of bytes only");
        Error::file(&path, message)
    };
    let splits = splits(&tokenizer).map_err(refused)?;
    let Tables { tokens, kinds, merges } = tables(&tokenizer, vocabulary).map_err(refused)?;
    entries.push(Entry::text("tokenizer.ggml.model", "gpt2"));
    entries.push(Entry::text("tokenizer.ggml.pre", splits));
    entries.push(Entry::texts("tokenizer.ggml.tokens", tokens));
    entries.push(Entry::numbers("tokenizer.ggml.token_type", kinds));
    entries.push(Entry::texts("tokenizer.ggml.merges", merges));
    let settings = model.config().settings();
    let id = |name: &str| {
        let value = settings.get(name)?;
        // Several may end a text: the first is its usual end.
        let value = value.as_array().map_or(Some(value), |several| several.first())?;
        u32::try_from(value.as_u64()?).ok().filter(|&id| id < vocabulary)
    };
    for (key, name) in [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")] {
        let id = id(&format!("{name}_token_id"));
        entries.extend(id.map(|id| Entry::count(&format!("tokenizer.ggml.{key}_token_id"), id)));
    }
    let begins = begins(&tokenizer);
    let adds = begins.is_some_and(|begins| Some(begins) == id("bos_token_id"));
    entries.push(Entry::flag("tokenizer.ggml.add_bos_token", adds));
    let template = json(model, "tokenizer_config.json")?;
    let template = template.as_ref().and_then(|config| config.get("chat_template")?.as_str());
    entries.extend(template.map(|text| Entry::text("tokenizer.chat_template", text)));
    Ok(Some(splits.to_owned()))
}

/// The file `name` beside the weights, where there is one.
fn json(model: &Pretrained, name: &str) -> Result<Option<Value>> {
    let path = model.path().join(name);
    if !path.exists() {
        return Ok(None);
    }
    let mut text = String::new();
    let read = open_plain(&path)?.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(Error::io("read", &path))?;
    serde_json::from_str(&text).map_err(|e| Error::file(&path, format!("is no JSON: {e}")))
}

/// What splits texts into words, by its name; or what it is, where there is none.
fn splits(tokenizer: &Value) -> Result<&'static str, String> {
    let normalizer = &tokenizer["normalizer"];
    if !normalizer.is_null() && normalizer["type"] != "NFC" {
        return Err(format!("its normalizer is {}", normalizer["type"]));
    }
    let whole = &tokenizer["pre_tokenizer"];
    let parts = match whole["pretokenizers"].as_array() {
        Some(parts) => parts.clone(),
        None => vec![whole.clone()],
    };
    let bytes = |part: &Value, by_itself: bool| {
        part["type"] == "ByteLevel"
            && part["add_prefix_space"] != true
            && (part["use_regex"] != false) == by_itself
    };
    let by = |part: &Value, pattern: &str| {
        part["type"] == "Split"
            && part["pattern"]["Regex"] == pattern
            && part["behavior"] == "Isolated"
            && part["invert"] != true
    };
    let digits = |part: &Value| part["type"] == "Digits" && part["individual_digits"] == true;
    let ignores = tokenizer["model"]["ignore_merges"] == true;
    match &parts[..] {
        [only] if bytes(only, true) && !ignores => Ok("gpt-2"),
        [first, last] if digits(first) && bytes(last, true) && !ignores => Ok("smollm"),
        [first, last] if by(first, LLAMA3) && bytes(last, false) && ignores => Ok("llama-bpe"),
        [first, last] if by(first, QWEN2) && bytes(last, false) && !ignores => Ok("qwen2"),
        _ => {
            let kinds: Vec<String> = parts.iter().map(|part| part["type"].to_string()).collect();
            Err(format!("its words are split by {}, which has no name there", kinds.join(", ")))
        }
    }
}

struct Tables {
    tokens: Vec<String>,
    kinds: Vec<i32>,
    merges: Vec<String>,
}

fn tables(tokenizer: &Value, vocabulary: u32) -> Result<Tables, String> {
    let model = &tokenizer["model"];
    let prefixed = ["continuing_subword_prefix", "end_of_word_suffix"]
        .into_iter()
        .find(|name| model[name].as_str().is_some_and(|text| !text.is_empty()));
    let (kind, fallback) = (&model["type"], &model["byte_fallback"]);
    // Older files leave the type out.
    if *kind != "BPE" && !(kind.is_null() && model["merges"].is_array()) {
        return Err(format!("its model is {kind}"));
    }
    if let Some(name) = prefixed {
        return Err(format!("its model has a {name}"));
    }
    if *fallback == true {
        return Err("its model falls back to bytes".to_owned());
    }
    let count = vocabulary as usize;
    let mut tokens: Vec<String> = (0..count).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![kind::UNUSED; count];
    let mut put = |id: &Value, text: &str, kind| {
        let place = id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < count);
        let Some(place) = place else {
            return Err(format!("token {text:?} has the id {id}, the model has {count} tokens"));
        };
        (tokens[place], kinds[place]) = (text.to_owned(), kind);
        Ok(())
    };
    let vocab = model["vocab"].as_object().ok_or("its model has no vocab")?;
    for (text, id) in vocab {
        put(id, text, kind::NORMAL)?;
    }
    for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
        let text = added["content"].as_str().ok_or("an added token has no content")?;
        let special = added["special"] == true;
        put(&added["id"], text, if special { kind::CONTROL } else { kind::ADDED })?;
    }
    let merge = |merge: &Value| {
        let text = match merge {
            Value::String(text) => Some(text.clone()),
            Value::Array(pair) => match &pair[..] {
                [Value::String(a), Value::String(b)] => Some(format!("{a} {b}")),
                _ => None,
            },
            _ => None,
        };
        let pair = text.filter(|text| text.split(' ').count() == 2);
        pair.ok_or_else(|| format!("a merge is {merge}, which is no pair"))
    };
    let merges = model["merges"].as_array().ok_or("its model has no merges")?;
    let merges = merges.iter().map(merge).collect::<Result<_, _>>()?;
    Ok(Tables { tokens, kinds, merges })
}

/// The token that every text begins with, if one does.
fn begins(tokenizer: &Value) -> Option<u32> {
    let whole = &tokenizer["post_processor"];
    let all = match whole["processors"].as_array() {
        Some(several) => several.clone(),
        None => vec![whole.clone()],
    };
    let template = all.iter().find(|one| one["type"] == "TemplateProcessing")?;
    let name = template["single"].get(0)?["SpecialToken"]["id"].as_str()?;
    let id = template["special_tokens"][name]["ids"].get(0)?.as_u64()?;
    u32::try_from(id).ok()
}
