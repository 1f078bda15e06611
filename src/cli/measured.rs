//! What an export has cost: the same rows before and after it.
use std::path::Path;

use anyhow::{Result, bail};
use secateur::session::PackedWeights;
use serde::Serialize;

use super::args::{Eval, Export, OnDevice};
use super::figures::line_of;
use super::model::Trained;
use super::{adapter, output, pretrained};

/// An evaluation before an export, and after it.
#[derive(Debug, Serialize)]
pub struct Compared {
    data: String,
    before: Vec<Figure>,
    after: Vec<Figure>,
}

#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// The value as people read it.
    #[serde(skip)]
    pub text: String,
}

impl Figure {
    pub fn new(name: &str, value: f64, digits: usize) -> Self {
        Self { name: name.to_owned(), value, text: format!("{value:.digits$}") }
    }
}

impl Compared {
    /// Evaluates input and output where data is named.
    pub fn of(args: &Export) -> Result<Option<Self>> {
        let Some(data) = args.data.data.clone() else {
            if let Some((name, _)) = args.data.options.all().first() {
                bail!("--{}: it is for --data", name.replace('_', "-"));
            }
            return Ok(None);
        };
        let [before, after] = [&args.checkpoint, &args.output].map(|path| figures(args, path));
        let (before, after) = (before?, after?);
        Ok(Some(Self { data, before, after }))
    }

    pub fn print(&self) -> Result<()> {
        for (before, after) in self.before.iter().zip(&self.after) {
            let (name, before, after) = (&before.name, &before.text, &after.text);
            let data = &self.data;
            output::line(&format!("{name} on {data}: {before} before, {after} after"))?;
        }
        Ok(())
    }
}

fn figures(args: &Export, path: &Path) -> Result<Vec<Figure>> {
    if let Some(opened) = pretrained::open(path, &args.data)? {
        let args = Eval {
            checkpoint: path.to_owned(),
            data: args.data.clone(),
            samples: args.samples,
            stride: None,
            batch: None,
            weights: OnDevice::default(),
            latencies: None,
            min_test_accuracy: None,
            common: args.common.clone(),
        };
        return pretrained::figures(&args, &opened);
    }
    let gpu = adapter::gpu(&args.common)?;
    let trained = Trained::open(path)?;
    let (name, rows) = trained.rows(&args.data)?;
    let session =
        trained.session(&gpu, trained.batch(None, &rows), (&rows, &name), PackedWeights::Auto)?;
    let evaluation = session.evaluate(&rows)?;
    let mut all = vec![Figure::new("test loss", evaluation.loss, 4)];
    all.extend(evaluation.figures.iter().map(|(metric, value)| {
        let (name, text) = line_of("test", (metric, value));
        Figure { name, value, text }
    }));
    Ok(all)
}
