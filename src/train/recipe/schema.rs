//! What a recipe may say, as a JSON schema: of the types that read it, with their documentation.
use std::sync::LazyLock;

use regex::Regex;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Recipe;

impl Recipe {
    /// The JSON schema (draft 7, which editors of TOML read) of recipes. It knows keys, types and
    /// names; ranges, and what goes with what, are seen only where a recipe is used.
    pub fn schema() -> Value {
        let generator = SchemaSettings::draft07().into_generator();
        let mut schema = generator.into_root_schema_for::<Self>().to_value();
        tidy(&mut schema);
        also_read(&mut schema);
        if let Some(root) = schema.as_object_mut() {
            root.insert("title".to_owned(), "A recipe of secateur".into());
        }
        schema
    }
}

/// Takes out what is of Rust alone.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            without_null(object);
            // `uint64`: formats of no standard.
            object.retain(|key, value| key != "format" || !value.is_string());
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = plain(text);
            }
            if let Some(value) = object.get_mut("default") {
                shortest(value);
            }
        }
        _ => {}
    }
}

/// TOML has no null: what is left out is none.
fn without_null(object: &mut Map<String, Value>) {
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|schema| !null(schema));
        if let [only] = &any[..] {
            let only = only.clone();
            object.remove("anyOf");
            // Beside a reference, readers of draft 7 see nothing else.
            object.insert("allOf".to_owned(), Value::Array(vec![only]));
        }
    }
}

/// The first paragraph of a text of the documentation, its lines joined, its links as what they say.
fn plain(text: &str) -> String {
    static LINKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[([^\[\]]+)\]\([^)]*\)|\[(`[^`]+`)\]")
            .expect("an expression of the crate's own")
    });
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    LINKS.replace_all(&words.join(" "), "$1$2").into_owned()
}

/// A number of 32 bits with the digits that people gave it.
fn shortest(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(shortest),
        Value::Object(all) => all.values_mut().for_each(shortest),
        Value::Number(number) => {
            let wide = number.as_f64().filter(|_| number.is_f64());
            let single = wide.map(|wide| wide as f32).filter(|&x| Some(f64::from(x)) == wide);
            if let Some(short) = single.and_then(|x| x.to_string().parse::<f64>().ok()) {
                *value = short.into();
            }
        }
        _ => {}
    }
}

/// Names that serde reads beside those that it writes, which the derived schema leaves out.
fn also_read(schema: &mut Value) {
    let definitions = &mut schema["definitions"];
    if let Some(keys) = definitions["PruningSpec"]["properties"].as_object_mut()
        && let Some(score) = keys.get("score").cloned()
    {
        keys.insert("prune_option".to_owned(), score);
    }
    if let Some(names) = definitions["BlockPooling"]["oneOf"].as_array_mut() {
        names.push(serde_json::json!({ "enum": ["AVG", "MAX"] }));
    }
}
