//! The recipe that the command line asks for.
use anyhow::Result;
use secateur::data::OpenOptions;
use secateur::train::Recipe;

use super::args::Train;

/// The recipe of `args`: the named or built-in one, with the options in its place.
pub fn of(args: &Train) -> Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::default(),
    };
    if args.recipe.is_none() && (args.data.data.is_some() || args.options.has("model")) {
        // The built-in schedule is made for the digits; elsewhere it must be asked for.
        recipe.pruning = None;
    }
    if let Some(data) = &args.data.data {
        // What another kind of data was opened by does not apply.
        if kind(data) != kind(&recipe.data) {
            recipe.data_options = OpenOptions::default();
        }
        recipe.data.clone_from(data);
    }
    args.data.options.change(&mut recipe.data_options)?;
    args.options.change(&mut recipe)?;
    Ok(recipe)
}

fn kind(data: &str) -> &str {
    data.split(':').next().unwrap_or(data)
}
