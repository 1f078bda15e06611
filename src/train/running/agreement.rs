//! What a run is refused for, and what its ranks must have in common.
use std::path::Path;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;
use crate::gpu::Target;
use crate::prune::MaskUpdateOp;
use crate::session::Plans;
use crate::train::options::TrainOptions;
use crate::train::replicas::agree::Item;
use crate::train::replicas::{agree, cards};
use crate::train::train_op::TrainOp;

/// Checks the options and the plan of a run before it leaves a trace; where several ranks train
/// together also that they are about to do the same, each on a card of its own. Gives the mask
/// update that fits the network.
///
/// # Errors
/// What this rank cannot do. On every rank alike: [`Error::Argument`](crate::Error::Argument) with
/// what is not the same; [`Error::Peer`](crate::Error::Peer) where another rank cannot begin.
pub(super) fn reach(
    train_op: &TrainOp<'_>,
    logdir: Option<&Path>,
    mask_update_op: MaskUpdateOp,
    options: &TrainOptions<'_>,
) -> Result<MaskUpdateOp> {
    let prepare = || {
        options.validate(logdir)?;
        let network = &train_op.network;
        let mask_update_op = mask_update_op.resolve(&network.graph, network.batch())?;
        train_op.plans(&mask_update_op, logdir.is_some())?;
        Ok(mask_update_op)
    };
    let Some(comm) = options.comm.as_deref() else { return prepare() };
    let prepared = prepare().and_then(|op| items(train_op, &op, options).map(|items| (op, items)));
    let (mask_update_op, items) = agree::all_well(comm, prepared)?;
    agree::compare(comm, &items)?;
    cards::compare(comm, train_op.gpu.report(), options.share_adapter)?;
    Ok(mask_update_op)
}

fn items(
    train_op: &TrainOp<'_>,
    mask_update_op: &MaskUpdateOp,
    options: &TrainOptions<'_>,
) -> Result<Vec<Item>> {
    let TrainOp { gpu, network, training, batches, seed, accumulates } = train_op;
    let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), |n| n.to_string());
    let spec = mask_update_op.spec().map_or("none".to_owned(), ToString::to_string);
    let sync = options.sync_optimizer.as_ref();
    let mut items = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let own = options.agree_on.iter().cloned();
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
    Ok(items.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(own).collect())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| e.to_string())
}
