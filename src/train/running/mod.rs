//! The loop: what outlives a device (`supervisor`), one run on one device (`run`), its steps and
//! its saves.
mod agreement;
mod logdir;
mod outcome;
mod run;
mod saver;
mod saves;
mod server;
mod start;
mod step;
mod supervisor;
mod worker;

use std::path::Path;

pub use outcome::{End, TrainOutcome};

use super::options::{TrainOptions, Way};
use super::replicas::Group;
use super::train_op::TrainOp;
use crate::Result;
use crate::comm::EndsOnPanic;
use crate::prune::MaskUpdateOp;
use run::Run;
use supervisor::Supervisor;

/// Trains until a limit, updating the masks after every step that is due, in the same submission.
///
/// With a logdir: goes on from its newest valid checkpoint, bit for bit where it was left, writes
/// events and traces, and ends with a checkpoint, after an error too where the device still
/// answers. A device that is lost is opened afresh, and the run goes on from the newest checkpoint.
/// `None` trains without files.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) names the option and the way out;
/// [`Error::NonFinite`](crate::Error::NonFinite) the step and tensor;
/// [`Error::Panicked`](crate::Error::Panicked) the function;
/// [`Error::Locked`](crate::Error::Locked) the process that works in the logdir;
/// [`Error::NoValidCheckpoint`](crate::Error::NoValidCheckpoint) when there are checkpoints but
/// none can be trusted.
pub fn train(
    train_op: TrainOp<'_>,
    logdir: Option<&Path>,
    mask_update_op: MaskUpdateOp,
    options: TrainOptions<'_>,
) -> Result<TrainOutcome> {
    let Some(group) = options.group() else {
        return run(train_op, logdir, mask_update_op, options, None);
    };
    let comm = group.comm().clone();
    // They would wait for it for ever.
    let _ends = EndsOnPanic(&*comm);
    let outcome = run(train_op, logdir, mask_update_op, options, Some(group.clone()));
    if let Err(error) = &outcome {
        group.fail(error);
    }
    outcome
}

fn run(
    train_op: TrainOp<'_>,
    logdir: Option<&Path>,
    mask_update_op: MaskUpdateOp,
    options: TrainOptions<'_>,
    group: Option<Group>,
) -> Result<TrainOutcome> {
    let works = match &group {
        Some(group) => !group.is_chief() && matches!(options.way()?, Way::Free { .. }),
        None => false,
    };
    let mut supervisor = Supervisor::open(train_op, logdir, mask_update_op, options, group)?;
    if works {
        return worker::run(supervisor);
    }
    loop {
        match Run::start(&mut supervisor).and_then(Run::complete) {
            Ok(finished) => return Ok(supervisor.outcome(finished)),
            Err(error) => supervisor.retry(error)?,
        }
    }
}
