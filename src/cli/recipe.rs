//! The recipe that the command line asks for, and the one of a run that is continued.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use secateur::checkpoint;
use secateur::data::{self, Batches, OpenOptions, Schema, Split};
use secateur::train::{Difference, Recipe};
use serde::{Deserialize, Serialize};

use super::args::Train;
use super::output;
use super::ranks::Ranks;

/// What to train.
pub struct Asked {
    pub recipe: Recipe,
    pub data: Split,
    /// Whether the logdir has a run already, which this one continues.
    pub continues: bool,
}

const RECIPE: &str = "recipe.toml";

/// What the chief tells the other ranks: they need none of its files but the data.
#[derive(Serialize, Deserialize)]
struct Told {
    /// As in files.
    recipe: String,
    /// What the model knows of its rows, where there is one.
    schema: Option<Schema>,
    continues: bool,
}

/// The recipe of `args`, with its data: that of the run in the logdir, the named or the built-in
/// one, with the options in its place.
///
/// # Errors
/// Where the logdir's run would become another one, and nobody has asked for that.
pub fn of(args: &Train, ranks: &Ranks) -> Result<Asked> {
    let mut asked = None;
    let told = ranks.chiefs(|| {
        let (known, schema) = decide(args, ranks)?;
        let Asked { recipe, continues, .. } = asked.insert(known);
        Ok(Told { recipe: toml::to_string(recipe)?, schema, continues: *continues })
    })?;
    match asked {
        Some(asked) => Ok(asked),
        None => {
            let recipe = toml::from_str(&told.recipe)?;
            let data = open(&recipe, told.schema.as_ref())?;
            Ok(Asked { recipe, data, continues: told.continues })
        }
    }
}

fn decide(args: &Train, ranks: &Ranks) -> Result<(Asked, Option<Schema>)> {
    let past = match &args.logdir {
        Some(logdir) if logdir.join(RECIPE).is_file() => Some(Recipe::read(&logdir.join(RECIPE))?),
        _ => None,
    };
    let base = match (&args.recipe, &past) {
        (Some(path), _) => Recipe::read(path)?,
        (None, Some(past)) => past.clone(),
        (None, None) => built_in(args),
    };
    let fits_steps = args.recipe.is_none() && past.is_none();
    let mut recipe = changed(args, base.clone(), None, fits_steps)?;
    match &past {
        Some(past) => check(args, &past.differences(&recipe))?,
        None if args.override_ || args.drop_masks => output::note(
            "there is no run to go on with: --override and --drop-masks change nothing here",
        ),
        None => {}
    }
    let logdir = args.logdir.as_deref().filter(|_| past.is_some());
    let manifest = logdir.map(checkpoint::newest_manifest).transpose()?.flatten();
    let schema = manifest.and_then(|manifest| manifest.schema);
    let data = open(&recipe, schema.as_ref())?;
    if let Some(epochs) = args.epochs {
        let batches = Batches::new(data.train.clone(), recipe.batch, None)?;
        let batches = batches.streams(data.train.is_text()).drop_last(recipe.drop_last)?;
        let batches = epochs.saturating_mul(batches.batches_per_epoch());
        let steps = batches.div_ceil(ranks.gradients(&args.replicas)? as u64);
        recipe = changed(args, base, Some(steps), fits_steps)?;
    }
    Ok((Asked { recipe, data, continues: past.is_some() }, schema))
}

/// The recipe that runs where neither a file nor a logdir says one.
fn built_in(args: &Train) -> Recipe {
    let recipe = Recipe::default();
    // Its schedule is made for the digits; elsewhere it must be asked for.
    let elsewhere = args.data.data.is_some() || args.options.has("model");
    if elsewhere { recipe.pruning(None) } else { recipe }
}

/// `recipe` with the options in its place. A schedule that nobody has written fits the steps.
fn changed(
    args: &Train,
    mut recipe: Recipe,
    steps: Option<u64>,
    fits_steps: bool,
) -> Result<Recipe> {
    if let Some(data) = &args.data.data {
        // What another kind of data was opened by does not apply.
        if kind(data) != kind(&recipe.data) {
            recipe.data_options = OpenOptions::default();
        }
        recipe.data.clone_from(data);
    }
    args.data.options.change(&mut recipe.data_options)?;
    recipe.steps = steps.unwrap_or(recipe.steps);
    args.options.change(&mut recipe)?;
    if fits_steps && !args.options.has("pruning") {
        recipe.pruning = recipe.pruning.map(|spec| spec.over(recipe.steps));
    }
    (recipe.data, recipe.data_options) = data::absolute(&recipe.data, &recipe.data_options)?;
    Ok(recipe)
}

fn kind(data: &str) -> &str {
    data.split(':').next().unwrap_or(data)
}

/// The recipe's data; for a run that is continued as its model knows them.
fn open(recipe: &Recipe, schema: Option<&Schema>) -> Result<Split> {
    match schema {
        Some(schema) => Ok(data::open_for(&recipe.data, &recipe.data_options, schema)?),
        None => Ok(recipe.open_data()?),
    }
}

/// Shows what is otherwise than in the logdir's recipe, and refuses what makes it another run.
fn check(args: &Train, differences: &[Difference]) -> Result<()> {
    let logdir = args.logdir.as_deref().unwrap_or(Path::new("."));
    let path = logdir.join(RECIPE);
    let mut other = differences.iter().filter(|d| !d.keeps_run).peekable();
    if other.peek().is_some() && !args.override_ {
        let other: Vec<String> = other.map(ToString::to_string).collect();
        ensure!(
            false,
            "{} is of a run with other settings: {}; leave these out to continue it, add \
             --override to go on with them, or choose another logdir",
            path.display(),
            other.join(", ")
        );
    }
    for difference in differences {
        output::note(format_args!("{}: {difference}", path.display()));
    }
    Ok(())
}

/// Writes `recipe` into the logdir of a run that has none yet.
pub fn begin(recipe: &Recipe, logdir: &Path) -> Result<()> {
    match logdir.join(RECIPE).is_file() {
        true => Ok(()),
        false => Ok(recipe.write(logdir)?),
    }
}

/// Writes `recipe` into the logdir of a run that goes on from global step `step`. Where the one
/// that is there is of other settings it stays, under another name.
pub fn keep(recipe: &Recipe, logdir: &Path, step: u64) -> Result<()> {
    let path = logdir.join(RECIPE);
    if path.is_file() {
        let past = Recipe::read(&path).ok();
        // A run that has nothing to do changes nothing.
        if past.as_ref() == Some(recipe) || step >= recipe.steps {
            return Ok(());
        }
        let same = past.is_some_and(|past| past.differences(recipe).iter().all(|d| d.keeps_run));
        let kept = logdir.join(format!("recipe-until-{step}.toml"));
        // One that is there led to this step; what came between has trained nothing.
        if !same && !kept.exists() {
            fs::copy(&path, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
            output::note(format_args!("kept the recipe until here in {}", kept.display()));
        }
    }
    Ok(recipe.write(logdir)?)
}
