//! The recipe that the command line asks for.
use anyhow::Result;
use secateur::data::OpenOptions;
use secateur::optim::Optimizer;
use secateur::train::Recipe;

use super::args::{Pruning, Train};

/// The recipe of `args`: the named or built-in one, with the options in its place.
pub fn of(args: &Train) -> Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::built_in(),
    };
    if args.recipe.is_none() && (args.data.data.is_some() || args.model.is_some()) {
        // The built-in schedule is made for the digits; elsewhere it must be asked for.
        recipe.pruning = None;
        recipe.trace_every_n_steps = None;
    }
    let Train { model, steps, batch, seed, trace_every_n_steps, .. } = args;
    if let Some(data) = &args.data.data {
        // What another data set was opened by does not apply.
        recipe.data.clone_from(data);
        recipe.data_options = OpenOptions::default();
    }
    set(&mut recipe.length, args.data.length.as_ref());
    args.data.change(&mut recipe.data_options);
    set(&mut recipe.model, model.as_ref());
    set(&mut recipe.steps, steps.as_ref());
    set(&mut recipe.batch, batch.as_ref());
    set(&mut recipe.seed, seed.as_ref());
    set(&mut recipe.recompute, args.recompute.as_ref());
    recipe.trace_every_n_steps = trace_every_n_steps.or(recipe.trace_every_n_steps);
    match &args.pruning {
        Some(Pruning::None) => recipe.pruning = None,
        Some(Pruning::Spec(spec)) => recipe.pruning = Some((**spec).clone()),
        None => {}
    }
    let lr = args.lr.unwrap_or(recipe.optimizer.learning_rate());
    recipe.optimizer = match &args.optimizer {
        Some(name) => Optimizer::named(name, lr)?,
        None => recipe.optimizer.with_learning_rate(lr),
    };
    recipe.average = args.average.or(recipe.average);
    recipe.clip.global_norm = args.clip_norm.or(recipe.clip.global_norm);
    Ok(recipe)
}

fn set<T: Clone>(field: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}
