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
use super::subject::{self, Past, Subject};

/// What to train.
pub struct Asked {
    pub recipe: Recipe,
    pub data: Split,
    pub subject: Subject,
    /// Whether the logdir has a run already, which this one continues.
    pub continues: bool,
    /// What the checkpoint says that it goes on from, where there is one.
    pub past: Option<Past>,
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
    past: Option<Past>,
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
        let Asked { recipe, continues, past, .. } = asked.insert(known);
        let (recipe, continues, past) = (toml::to_string(recipe)?, *continues, past.clone());
        Ok(Told { recipe, schema, continues, past })
    })?;
    match asked {
        Some(asked) => Ok(asked),
        None => {
            let chiefs: Recipe = toml::from_str(&told.recipe)?;
            let mut recipe = chiefs.clone();
            let subject = Subject::of(&mut recipe)?;
            check_alike(&chiefs, &recipe)?;
            let data = subject.open_data(&recipe, told.schema.as_ref())?;
            let Told { continues, past, .. } = told;
            Ok(Asked { recipe, data, subject, continues, past })
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
    let begins = recipe.init.is_some();
    ensure!(!(begins && args.options.has("model")), "--model: the layers are those of --init");
    ensure!(
        !(begins && fits_steps && args.data.data.is_none()),
        "--data is missing: what the model of --init is trained on, like text:FILE"
    );
    let subject = Subject::of(&mut recipe)?;
    match &past {
        Some(past) => {
            check_folder(args, past, &recipe)?;
            check(args, &past.differences(&recipe))?;
        }
        None if args.override_ || (args.drop_masks && !begins) => output::note(
            "there is no run to go on with: --override and --drop-masks change nothing here",
        ),
        None => {}
    }
    let logdir = args.logdir.as_deref().filter(|_| past.is_some());
    let manifest = logdir.map(checkpoint::newest_manifest).transpose()?.flatten();
    let (schema, last) = match manifest {
        Some(manifest) => (manifest.schema, Some(Past { pruning: manifest.pruning })),
        None => (None, None),
    };
    let data = subject.open_data(&recipe, schema.as_ref())?;
    // A folder learns from all of its data once, where nobody says how long.
    let once = (begins && fits_steps && !args.options.has("steps")).then_some(1);
    if let Some(epochs) = args.epochs.or(once) {
        let batches = Batches::new(data.train.clone(), recipe.batch, None)?;
        let batches = batches.streams(data.train.is_text()).drop_last(recipe.drop_last)?;
        let batches = epochs.saturating_mul(batches.batches_per_epoch());
        let gradients = ranks.gradients(&args.replicas)? * recipe.accumulate.max(1);
        let steps = batches.div_ceil(gradients as u64);
        let known = (recipe.init.take(), recipe.model.clone(), recipe.distill.take());
        recipe = changed(args, base, Some(steps), fits_steps)?;
        (recipe.init, recipe.model, recipe.distill) = known;
    }
    Ok((Asked { recipe, data, subject, continues: past.is_some(), past: last }, schema))
}

/// The recipe that the options say, without a look at data and logdir.
pub fn written(args: &Train) -> Result<Recipe> {
    let base = args.recipe.as_deref().map(Recipe::read).transpose()?;
    let fits_steps = base.is_none();
    let mut recipe = changed(args, base.unwrap_or_else(|| built_in(args)), None, fits_steps)?;
    if recipe.init.is_some() {
        Subject::of(&mut recipe)?;
    }
    Ok(recipe)
}

/// The recipe that runs where neither a file nor a logdir says one.
fn built_in(args: &Train) -> Recipe {
    if args.options.has("init") {
        return subject::recipe();
    }
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

/// That the folders that a run began with are what they were then.
fn check_folder(args: &Train, past: &Recipe, recipe: &Recipe) -> Result<()> {
    for (was, is) in [(&past.init, &recipe.init), (&past.distill, &recipe.distill)] {
        let (Some(was), Some(is)) = (was, is) else { continue };
        let same = was.folder != is.folder || was.fingerprint == is.fingerprint;
        ensure!(
            same || args.override_,
            "{} has changed since the run in {} began: fingerprint {} then, {} now; bring back \
             what was there, choose another logdir, or add --override to go on",
            is.folder.display(),
            args.logdir.as_deref().unwrap_or(Path::new(".")).display(),
            was.fingerprint,
            is.fingerprint
        );
    }
    Ok(())
}

/// That a rank finds the folders that the chief has.
fn check_alike(chiefs: &Recipe, recipe: &Recipe) -> Result<()> {
    for (chiefs, own) in [(&chiefs.init, &recipe.init), (&chiefs.distill, &recipe.distill)] {
        let (Some(chiefs), Some(own)) = (chiefs, own) else { continue };
        ensure!(
            chiefs.fingerprint == own.fingerprint,
            "{} is not what rank 0 has there: fingerprint {}, {} there; give every rank the same \
             folder",
            own.folder.display(),
            own.fingerprint,
            chiefs.fingerprint
        );
    }
    Ok(())
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

/// Whether a logdir has the recipe of a run.
pub fn is_in(logdir: &Path) -> bool {
    logdir.join(RECIPE).is_file()
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
