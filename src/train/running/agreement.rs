//! What a run is refused for, and what its ranks must have in common.
use std::path::Path;

use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::data::{Batch, BatchSource};
use crate::gpu::Target;
use crate::prune::MaskUpdateOp;
use crate::session::Plans;
use crate::train::guard::guarded;
use crate::train::options::{TrainOptions, Way};
use crate::train::replicas::agree::Item;
use crate::train::replicas::{Group, agree, cards};
use crate::train::train_op::TrainOp;
use crate::{Error, Result};

/// Checks the options and the plan of a run before it leaves a trace; where several ranks train
/// together also that they are about to do the same, each on a card of its own. Gives the mask
/// update that fits the network.
///
/// # Errors
/// What this rank cannot do. On every rank alike: [`Error::Argument`](crate::Error::Argument) with
/// what is not the same; [`Error::Peer`](crate::Error::Peer) where another rank cannot begin.
pub(super) fn reach(
    train_op: &mut TrainOp<'_>,
    logdir: Option<&Path>,
    mask_update_op: MaskUpdateOp,
    options: &TrainOptions<'_>,
    group: Option<&Group>,
) -> Result<MaskUpdateOp> {
    options.validate(logdir)?;
    // Gradients are taken out and put back between the halves of a step.
    train_op.accumulates |= group.is_some();
    train_op.exchanges = group.is_some();
    let network = &train_op.network;
    let free = matches!(options.way()?, Way::Free { .. });
    if let Some(state) = network.graph.parameters().iter().find(|p| free && p.carried) {
        let message = format!(
            "{} goes on from batch to batch, so every rank must take part in each step; train in \
             step, with as many replicas_to_aggregate as there are ranks",
            state.name
        );
        return Err(Error::argument("sync_optimizer", message));
    }
    let mask_update_op = mask_update_op.resolve(&network.graph, network.batch())?;
    train_op.plans(&mask_update_op, logdir.is_some())?;
    if let Some(group) = group {
        let comm = &**group.comm();
        let first = first_rows(train_op)?;
        let mut items = items(train_op, &mask_update_op, options)?;
        items.push(("first_rows".to_owned(), first));
        agree::compare(comm, &items)?;
        cards::compare(comm, train_op.gpu.report(), options.share_adapter)?;
    }
    Ok(mask_update_op)
}

fn items(
    train_op: &TrainOp<'_>,
    mask_update_op: &MaskUpdateOp,
    options: &TrainOptions<'_>,
) -> Result<Vec<Item>> {
    let TrainOp { gpu, network, training, batches, seed, accumulates, .. } = train_op;
    let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), |n| n.to_string());
    let spec = mask_update_op.spec().map_or("none".to_owned(), ToString::to_string);
    let sync = options.sync_optimizer.as_ref();
    let mut items = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    items.extend([
        ("network", network.name.clone()),
        ("batch_size", batches.batch_size().to_string()),
        ("number_of_steps", limit(options.number_of_steps)),
        ("seed", seed.to_string()),
        ("schema", json(&batches.schema())),
        ("data", batches.fingerprint().map_or("unknown".to_owned(), |hash| format!("{hash:016x}"))),
        ("first_batch", json(&batches.cursor())),
        ("training", json(training)),
        ("pruning", spec),
        ("sync_optimizer", sync.map_or("none".to_owned(), |sync| format!("{sync:?}"))),
        ("max_staleness", limit(options.max_staleness)),
        ("startup_delay_steps", options.startup_delay_steps.to_string()),
        ("share_adapter", options.share_adapter.to_string()),
        ("train_step_fn", options.train_step_fn.is_some().to_string()),
        ("precision", gpu.precision().to_string()),
        // Another build may launch something else. Not for this adapter, which may be the rank's
        // own: for any.
        ("plan", {
            let target = Target { precision: gpu.precision(), ..Target::default() };
            let plans = Plans::new(network, training, mask_update_op, *accumulates, target)?;
            format!("{:016x}", xxh3_64(plans.plan.to_string().as_bytes()))
        }),
    ]);
    Ok(items.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Of the first batch, which tells other orders of the same rows, and sources that say nothing of
/// theirs.
fn first_rows(train_op: &mut TrainOp<'_>) -> Result<String> {
    let batches = &mut train_op.batches;
    let (at, mut batch) = (batches.cursor(), Batch::default());
    guarded("batches", || batches.next_batch(&mut batch))?;
    batches.seek(at)?;
    let Batch { features, labels, targets, rows, .. } = &batch;
    let mut hash = Xxh3Default::new();
    hash.update(bytemuck::cast_slice(features));
    hash.update(bytemuck::cast_slice(labels));
    hash.update(bytemuck::cast_slice(targets));
    hash.update(&(*rows as u64).to_le_bytes());
    Ok(format!("{:016x}", hash.digest()))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| e.to_string())
}
