//! Training on arrays, or on the data that a recipe names.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use secateur::data::{Batches, Dataset, Prefetch, Scaling, Task};
use secateur::nn::Input;
use secateur::settings::Settings;
use secateur::train::{Event, Recipe, StepEvent, TrainOp, TrainOptions};
use secateur::{MaskUpdateOp, Pruning};

use crate::arrays::{Answered, Rows, dataset};
use crate::errors::{ArgumentError, raised};
use crate::model::{Model, gpu};

/// Trains by the recipe at `path`, or the built-in one, with `settings` in its place: on arrays, or
/// where there are none on the recipe's own data.
#[pyfunction]
#[pyo3(signature = (path, settings, arrays, class_names, standardise, logdir, callback))]
pub fn train<'py>(
    py: Python<'py>,
    path: Option<PathBuf>,
    settings: Vec<(String, String)>,
    arrays: Option<(Rows<'py>, Answered<'py>)>,
    class_names: Vec<String>,
    standardise: bool,
    logdir: Option<PathBuf>,
    callback: Option<Py<PyAny>>,
) -> PyResult<Model> {
    let recipe = recipe(path, &settings, arrays.is_some())?;
    let arrays =
        arrays.map(|(features, answers)| dataset("arrays", &features, Some(&answers), None));
    let data = arrays.transpose()?;
    let named = |data: Dataset| match class_names.is_empty() {
        true => Ok(data),
        false => data.with_class_names(class_names).map_err(raised),
    };
    let data = data.map(named).transpose()?;
    // An exception of the callback, or an interrupt: the run ends after the step in hand, with a
    // checkpoint where it has a logdir.
    let stop = Arc::new(AtomicBool::new(false));
    let mut raise = None;
    let mut told = |event: &Event| {
        let Event::Step(step) = event else { return };
        let heard = Python::attach(|py| {
            py.check_signals()?;
            match &callback {
                Some(callback) => callback.call1(py, (figures(py, step)?,)).map(|_| ()),
                None => Ok(()),
            }
        });
        if let Err(exception) = heard {
            stop.store(true, Ordering::Relaxed);
            raise.get_or_insert(exception);
        }
    };
    let session = py.detach(|| {
        let gpu = gpu()?;
        let rows = match data {
            Some(data) => Arc::new(scaled(data, standardise).map_err(raised)?),
            None => recipe.open_data().map_err(raised)?.train,
        };
        let batches = Batches::new(Arc::clone(&rows), recipe.batch, Some(recipe.seed))
            .and_then(|batches| batches.drop_last(recipe.drop_last))
            .map_err(raised)?;
        let batches = Prefetch::new(batches.augment(true).streams(rows.is_text()));
        let mut network =
            recipe.model.network(recipe.batch, &Input::from(&*rows)).map_err(raised)?;
        network.graph.recompute(recipe.recompute).map_err(raised)?;
        let masks = match &recipe.pruning {
            Some(spec) => Pruning::new(spec.clone()).map_err(raised)?.conditional_mask_update_op(),
            None => MaskUpdateOp::none(),
        };
        let mut op = TrainOp::from_network(&gpu, network, recipe.training(), batches, recipe.seed)
            .map_err(raised)?;
        if recipe.accumulate > 1 {
            op = op.accumulate_gradients();
        }
        let options = TrainOptions::default()
            .number_of_steps(Some(recipe.steps))
            .log_every_n_steps(None)
            .stop(Some(Arc::clone(&stop)))
            .save_interval_secs(recipe.save_secs.unwrap_or(600.0))
            .save_every_n_steps(recipe.save_steps)
            .trace_every_n_steps(recipe.trace_every_n_steps)
            .on_event(Some(Box::new(&mut told)));
        let outcome = secateur::train(op, logdir.as_deref(), masks, options).map_err(raised)?;
        Ok::<_, PyErr>(outcome.session)
    });
    match (raise, session) {
        (Some(exception), _) => Err(exception),
        (None, session) => session.map(Model::of),
    }
}

/// The recipe of `settings`, each a name and its value as command lines have it.
fn recipe(path: Option<PathBuf>, settings: &[(String, String)], arrays: bool) -> PyResult<Recipe> {
    let mut recipe = match path {
        Some(path) => Recipe::read(&path).map_err(raised)?,
        // Its schedule is made for the digits; elsewhere it must be asked for.
        None if arrays => Recipe::default().pruning(None),
        None => Recipe::default(),
    };
    let known = |name: &str| Recipe::LIST.iter().position(|setting| setting.name == name);
    let mut ordered: Vec<_> = settings.iter().collect();
    // A schedule is made for the steps, so these go first; an unknown name is refused below.
    ordered.sort_by_key(|(name, _)| known(name));
    for (name, value) in ordered {
        if let "init" | "distill" = name.as_str() {
            let message = format!("`{name}`: folders are trained by the command line so far");
            return Err(ArgumentError::new_err(message));
        }
        recipe.set(name, value).map_err(raised)?;
    }
    Ok(recipe)
}

/// `data` with features and targets at mean 0 and deviation 1, where that is asked for.
fn scaled(data: Dataset, standardise: bool) -> secateur::Result<Dataset> {
    if !standardise {
        return Ok(data);
    }
    let features = Scaling::of(&data);
    let data = data.scaled(features)?;
    match data.task() {
        Task::Regression { .. } => {
            let targets = Scaling::of_targets(&data)?;
            data.with_scaled_targets(targets)
        }
        _ => Ok(data),
    }
}

/// What a callback is given.
fn figures<'py>(py: Python<'py>, step: &StepEvent) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("step", step.step)?;
    figures.set_item("loss", step.loss)?;
    figures.set_item("learning_rate", step.learning_rate)?;
    figures.set_item("seconds", step.seconds)?;
    if let Some((metric, value)) = step.metric {
        figures.set_item(metric.name(), value)?;
    }
    if let Some(masks) = &step.masks {
        figures.set_item("sparsity", masks.sparsity())?;
    }
    Ok(figures)
}
