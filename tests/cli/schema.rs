//! `train --recipe-schema`: the JSON schema of recipes. What it takes and refuses is seen by
//! `scripts/check_schema.py`.
use secateur::data::OpenOptions;
use secateur::nn::layers::Layer;
use secateur::prune::{PruningSpec, Score};
use secateur::settings::Settings;
use secateur::train::Recipe;
use serde_json::Value;

use crate::folder::Folder;

/// Keys of a table in the schema.
fn keys(table: &Value) -> Vec<&str> {
    assert_eq!(table["additionalProperties"], false, "what is misspelt is refused: {table}");
    let keys = table["properties"].as_object().expect("properties").keys();
    keys.map(String::as_str).collect()
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn the_schema_has_every_key_and_name() {
    let folder = Folder::new();
    let text = folder.run("train --recipe-schema").ok().out;
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let fields = Recipe::LIST.iter().filter(|setting| setting.is_field).map(|s| s.name);
    assert_eq!(sorted(keys(&schema).into_iter()), sorted(fields));
    let of = |name: &str| &schema["definitions"][name];
    let options = OpenOptions::LIST.iter().filter(|setting| setting.is_field).map(|s| s.name);
    assert_eq!(sorted(keys(of("OpenOptions")).into_iter()), sorted(options));
    let pruning = PruningSpec::HELP.iter().map(|(name, _)| *name);
    // Upstream's name of the score is read, too.
    let pruning = pruning.chain(["prune_option"]);
    assert_eq!(sorted(keys(of("PruningSpec")).into_iter()), sorted(pruning));

    let alternatives = of("Layer")["oneOf"].as_array().expect("kinds");
    let kind = |layer: &Value| layer["properties"]["kind"]["const"].as_str().map(str::to_owned);
    let kinds: Vec<String> = alternatives.iter().filter_map(kind).collect();
    assert_eq!(kinds, Layer::KINDS);
    let scores = of("Score").to_string();
    for score in Score::built_in() {
        assert!(scores.contains(&format!("\"{}\"", score.name())), "{score}: {scores}");
    }
    assert!(scores.contains("\"weight\""), "upstream's name of the magnitude: {scores}");

    let said = schema["properties"]["recompute"]["description"].as_str().expect("a text");
    assert!(said.starts_with("Keep less for the backward pass"), "{said}");
    let optimizers = of("Optimizer")["oneOf"].as_array().expect("optimizers");
    let adam = optimizers.iter().find(|one| one["properties"]["name"]["const"] == "adam");
    let adam = &adam.expect("Adam")["properties"];
    assert_eq!(adam["beta2"]["default"], 0.999, "as people write it: {adam}");
    assert_eq!(folder.list("."), [""; 0], "standard output alone");
    folder.run("train --recipe-schema --plan").fails(2, &["--recipe-schema", "--plan"]);
}
