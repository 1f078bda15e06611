//! How good a network is on test rows while it trains.
use std::sync::Arc;

use anyhow::Result;
use secateur::data::Dataset;
use secateur::train::{Recipe, SummaryFn};

use super::dashboard::Shared;
use super::subject::Subject;

/// Evaluations in a run where nobody says how many.
const TIMES: u64 = 20;
/// Of the rows that a run takes between two of them, so many times fewer are evaluated: a forward
/// pass is a third of a step, so that is some 3 % of the time.
const SHARE: u64 = 10;

/// Summaries `test/loss` and the like: of all test rows every `eval_steps` of the recipe, or of
/// some rows a few times in the run. `None` where nothing is to be evaluated on the way.
/// `board` takes them in as well.
pub fn summaries<'a>(
    recipe: &Recipe,
    subject: &Subject,
    test: &Arc<Dataset>,
    board: Shared,
) -> Result<Option<SummaryFn<'a>>> {
    let (every, rows) = match recipe.eval_steps {
        Some(0) => return Ok(None),
        Some(every) => (every, Arc::clone(test)),
        // Each row takes a pass through a large model.
        None if subject.folder().is_some() => return Ok(None),
        None => {
            let every = (recipe.steps / TIMES).max(1);
            let taken = every.saturating_mul(recipe.batch as u64 * recipe.accumulate.max(1) as u64);
            let rows = usize::try_from(taken / SHARE).unwrap_or(usize::MAX).min(test.rows());
            // A part of a batch takes as long as a batch.
            if rows < recipe.batch.min(test.rows()) || rows == 0 {
                return Ok(None);
            }
            (every, Arc::new(test.head(rows)?))
        }
    };
    let mut last = None;
    Ok(Some(Box::new(move |session, step, writer| {
        let interval = step / every;
        if last.replace(interval).is_some_and(|last| last >= interval) {
            return Ok(());
        }
        let evaluation = session.evaluate(&rows)?;
        board.lock().evaluated(step, &evaluation);
        writer.scalar("test/loss", step, evaluation.loss as f32)?;
        evaluation.figures.iter().try_for_each(|(metric, value)| {
            writer.scalar(&format!("test/{}", metric.name()), step, value as f32)
        })
    })))
}
