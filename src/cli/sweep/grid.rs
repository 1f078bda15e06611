//! The runs of a sweep: each value of each axis with all others, and each seed.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use secateur::Error;
use secateur::data::{self, OpenOptions};
use secateur::report::Trial;
use secateur::settings::{Form, Settings, nearest};
use secateur::train::Recipe;
use toml::{Table, Value};

use crate::cli::args::Sweep as Args;

/// Most runs of a sweep: more are a slip of the finger.
const MOST: usize = 10_000;
/// Characters of a run's name.
const NAME: usize = 100;

/// A key of the recipe, and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub key: String,
    pub values: Vec<String>,
}

/// The axes that are asked for, without the seed.
pub fn axes(args: &Args) -> Result<Vec<Axis>> {
    let mut axes = Vec::new();
    if !args.sparsity.is_empty() {
        let values = args.sparsity.iter().map(ToString::to_string).collect();
        axes.push(Axis { key: "sparsity".to_owned(), values });
    }
    for set in &args.sets {
        let (key, values) = set
            .split_once('=')
            .filter(|(key, values)| !key.trim().is_empty() && !values.trim().is_empty())
            .with_context(|| format!("--set {set}: must be KEY=VALUE,VALUE like lr=0.01,0.001"))?;
        let key = key.trim().replace('-', "_");
        ensure!(key != "seed", "--set seed: the seeds are those of --seeds, from the recipe's on");
        ensure!(axes.iter().all(|axis: &Axis| axis.key != key), "{key} is given twice");
        axes.push(Axis { key, values: parted(values) });
    }
    for Axis { key, values } in &axes {
        let again = (1..values.len()).find(|&at| values[..at].contains(&values[at]));
        if let Some(at) = again {
            bail!("{key}: {} is there twice", values[at]);
        }
    }
    Ok(axes)
}

/// Values parted by commas that are in no brackets and no quotes.
fn parted(text: &str) -> Vec<String> {
    let (mut values, mut depth, mut quoted) = (vec![String::new()], 0i32, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            ',' if depth <= 0 && !quoted => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = values.last_mut() {
            last.push(c);
        }
    }
    values.into_iter().map(|value| value.trim().to_owned()).collect()
}

/// All runs: of each setting one a seed.
pub fn runs(base: &Recipe, axes: &[Axis], seeds: u64) -> Result<Vec<(Trial, Recipe)>> {
    ensure!(seeds > 0, "--seeds 0: a setting has one run or more");
    let settings = axes.iter().map(|axis| axis.values.len()).product::<usize>();
    let count = settings.saturating_mul(usize::try_from(seeds).unwrap_or(usize::MAX));
    ensure!(count <= MOST, "{count} runs: a sweep has {MOST} at most");
    let mut all: Vec<(Trial, Recipe)> = Vec::new();
    for at in 0..settings {
        let (mut rest, mut chosen, mut recipe) = (at, BTreeMap::new(), base.clone());
        let mut name = Vec::new();
        // The last axis changes the fastest.
        let mut picks: Vec<(&Axis, &String)> = Vec::new();
        for axis in axes.iter().rev() {
            picks.push((axis, &axis.values[rest % axis.values.len()]));
            rest /= axis.values.len();
        }
        for (axis, value) in picks.into_iter().rev() {
            recipe = set(&recipe, &axis.key, value)?;
            chosen.insert(axis.key.clone(), value.clone());
            name.push(format!("{}-{value}", axis.key));
        }
        for seed in 0..seeds {
            let recipe = recipe.clone().seed(base.seed.wrapping_add(seed));
            let name = folder(&[&name[..], &[format!("seed-{}", recipe.seed)]].concat());
            let taken = |name: &str| all.iter().any(|(trial, _)| trial.name == name);
            let name = match taken(&name) {
                false => name,
                true => (2..).map(|n| format!("{name}-{n}")).find(|n| !taken(n)).unwrap_or(name),
            };
            all.push((Trial::new(&name, chosen.clone(), recipe.seed), recipe));
        }
    }
    Ok(all)
}

/// A name that every file system takes.
fn folder(parts: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' };
    let parts = parts.iter().map(|part| part.chars().map(plain).collect::<String>());
    let name = parts.collect::<Vec<_>>().join("_");
    name.chars().take(NAME).collect::<String>().trim_end_matches('.').to_owned()
}

/// The recipe with another value of `key`: an option of `train`, or a key of its file, with those
/// of the tables that it is in before it.
pub fn set(recipe: &Recipe, key: &str, value: &str) -> Result<Recipe> {
    let mut changed = recipe.clone();
    let setting = Recipe::LIST.iter().find(|s| s.name == key);
    if key == "sparsity" && value.parse() == Ok(0.0) {
        return Ok(changed.pruning(None));
    }
    if setting.is_some_and(|s| s.form != Form::File) {
        changed.set(key, value)?;
        return Ok(changed);
    }
    ensure!(
        !key.starts_with("pruning.") || recipe.pruning.is_some(),
        "{key}: the recipe prunes nothing; add --sparsity, or a [pruning] to it"
    );
    let mut table: Table = toml::to_string(recipe)?.parse()?;
    let parsed = format!("x = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("x"));
    put(&mut table, key, parsed.unwrap_or_else(|| Value::String(value.to_owned())))?;
    table.try_into().map_err(|e: toml::de::Error| unknown(key, e.message()))
}

/// Puts `value` where `key` says, in tables that are made where they are missing.
fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => put(inner, rest, value)?,
                other => bail!("{first}.{rest}: {first} is no table, it is {other}"),
            }
        }
    }
    Ok(())
}

/// What is wrong with a key, with the known one that is nearest to it.
fn unknown(key: &str, message: &str) -> anyhow::Error {
    let message = message.trim();
    if !message.contains("unknown field") {
        return Error::argument(key, message.to_owned()).into();
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let prefix = &key[..key.len() - last.len()];
    // The message names the keys that there are; a recipe's options are keys too.
    let named = message.split('`').skip(1).step_by(2).filter(|name| *name != last);
    let options = Recipe::LIST.iter().map(|s| s.name).filter(|_| prefix.is_empty());
    let known: Vec<&str> = named.chain(options).collect();
    let advice = match nearest(last, known.iter().copied()) {
        Some(near) => format!("did you mean {prefix}{near}?"),
        None => format!("known are {prefix}{}", known.join(&format!(", {prefix}"))),
    };
    let message = format!("a recipe has no such key; {advice}");
    Error::argument(key, message).into()
}

/// The recipe at `path` with the data of the command line in its place.
pub fn base(args: &Args, path: &Path) -> Result<Recipe> {
    let mut recipe = Recipe::read(path)?;
    let kind = |data: &str| data.split(':').next().unwrap_or(data).to_owned();
    if let Some(data) = &args.data.data {
        // What another kind of data was opened by does not apply.
        if kind(data) != kind(&recipe.data) {
            recipe.data_options = OpenOptions::default();
        }
        recipe.data.clone_from(data);
    }
    args.data.options.change(&mut recipe.data_options)?;
    let (data, options) = data::absolute(&recipe.data, &recipe.data_options)?;
    Ok(recipe.data(data).data_options(options))
}
