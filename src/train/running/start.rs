//! What a network starts from: a checkpoint, or its initial values.
use std::path::PathBuf;

use super::supervisor::Supervisor;
use crate::checkpoint::{self, Checkpoint, Manifest};
use crate::data::{BatchSource, Cursor, Schema};
use crate::optim::{Multiplier, Training};
use crate::prune::MaskUpdateOp;
use crate::session::Session;
use crate::train::guard::guarded;
use crate::train::options::InitOp;
use crate::train::record::summary::Hparam;
use crate::train::train_op::TrainOp;
use crate::{Error, Result};

/// Where a run goes on from.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) global_step: u64,
    pub(super) last_mask_update: u64,
    /// The checkpoint's folder.
    pub(super) restored: Option<PathBuf>,
}

impl Supervisor<'_> {
    /// A session as the newest checkpoint has it, or with initial values where there is none.
    pub(super) fn session(&mut self) -> Result<(Session, State)> {
        let newest = self.logdir.as_ref().map(|l| checkpoint::newest(&l.path)).transpose()?;
        let newest = self.as_the_chief(newest.flatten())?;
        if let Some(found) = newest.as_ref().filter(|_| !self.options.drop_masks) {
            self.hold_masks(found)?;
        }
        let plans = self.train_op.plans(&self.mask_update_op, self.logdir.is_some())?;
        let (gpu, network) = (&self.train_op.gpu, &self.train_op.network);
        let (training, seed) = (self.train_op.training.clone(), self.train_op.seed);
        let mut session = Session::build(gpu, network, training, plans, seed)?;
        session.set_schema(self.train_op.batches.schema());
        let state = match newest {
            Some(found) => self.restore(&mut session, &found)?,
            None => self.initialise(&mut session)?,
        };
        if let Some(init) = &mut self.options.local_init_op {
            guarded("local_init_op", || init(&mut session))?;
        }
        if !session.uninitialised().is_empty() {
            let missing = session.uninitialised().join(", ");
            let message = format!("nothing gave these a value: {missing}; see init_op");
            return Err(Error::argument("ready_op", message));
        }
        if let Some(ready) = &mut self.options.ready_op {
            guarded("ready_op", || ready(&mut session))?;
        }
        Ok((session, state))
    }

    /// The checkpoint that every rank goes on from: the chief's `newest`.
    fn as_the_chief(&self, newest: Option<Checkpoint>) -> Result<Option<Checkpoint>> {
        let Some(group) = self.group.as_ref().filter(|group| group.size() > 1) else {
            return Ok(newest);
        };
        let own = newest.as_ref().map(Checkpoint::to_bytes).transpose()?;
        let bytes = group.of_chief(&own.unwrap_or_default())?;
        match newest {
            None if !bytes.is_empty() => Checkpoint::from_bytes(&bytes).map(Some),
            newest => Ok(newest),
        }
    }

    /// Where the run has no pruning and `found` has masks: keeps the pruned weights pruned.
    fn hold_masks(&mut self, found: &Checkpoint) -> Result<()> {
        let Some(pruning) = &found.manifest.pruning else { return Ok(()) };
        if self.mask_update_op.spec().is_some() {
            return Ok(());
        }
        let held = pruning.parse().and_then(MaskUpdateOp::held);
        self.mask_update_op = held.map_err(|e| {
            let message = format!(
                "its pruning, {pruning}, cannot be read ({e}), so that its masks cannot be held; \
                 train with that pruning, or drop the masks (drop_masks)"
            );
            Error::file(&found.path, message)
        })?;
        log::warn!(
            "not pruned further: what is pruned in {} stays pruned; drop the masks (drop_masks) to \
             let it grow again",
            found.path.display()
        );
        Ok(())
    }

    fn restore(&mut self, session: &mut Session, found: &Checkpoint) -> Result<State> {
        for skipped in &found.skipped {
            log::warn!("skipped {skipped}");
        }
        let manifest = &found.manifest;
        self.check_same_run(manifest).map_err(|message| Error::file(&found.path, message))?;
        session.restore_as(found, self.options.override_run)?;
        // The checkpoint has the chief's.
        let others = self.group.as_ref().is_some_and(|group| group.size() > 1);
        if others && session.forget_states() {
            log::warn!("states that are carried from batch to batch begin at 0 on every rank");
        }
        let cursor = Cursor { epoch: manifest.epoch, row: manifest.cursor };
        match self.go_on(cursor, &manifest.returned) {
            // Other rows or batches: the next epoch begins.
            Err(_) if self.options.override_run => {
                self.go_on(Cursor { epoch: manifest.epoch + 1, row: 0 }, &[])?;
            }
            gone => gone?,
        }
        if manifest.begun_unix > 0 {
            self.begun_unix = manifest.begun_unix;
        }
        log::info!("restored {}", found.path.display());
        Ok(State {
            global_step: manifest.global_step,
            last_mask_update: manifest.last_mask_update_step,
            restored: Some(found.path.clone()),
        })
    }

    /// The next batches are those at `returned`, then those from `cursor` on.
    fn go_on(&mut self, cursor: Cursor, returned: &[Cursor]) -> Result<()> {
        let batches = &mut self.train_op.batches;
        batches.seek(cursor)?;
        if returned.is_empty() {
            return Ok(());
        }
        batches.shard(batches.rank(), batches.ranks(), returned).map(|_| ())
    }

    /// A checkpoint of another model or seed would not continue the run that it began.
    fn check_same_run(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        let (network, seed) = (&self.train_op.network.name, self.train_op.seed);
        if manifest.model != *network {
            let model = &manifest.model;
            return Err(format!("holds {model}, this run trains {network}; choose another logdir"));
        }
        let overridden = self.options.override_run;
        if manifest.seed != seed && !overridden {
            let other = manifest.seed;
            return Err(format!(
                "was trained with seed {other}, this run has seed {seed}; \
                 use that seed or another logdir"
            ));
        }
        let (there, here) = (&manifest.data, self.fingerprint());
        if let (Some(there), Some(here)) = (there, &here)
            && there != here
            && !overridden
        {
            let name = self.train_op.batches.name();
            return Err(format!(
                "was trained on other rows (fingerprint {there}) than those of {name} ({here}); \
                 train on the same data, choose another logdir, or override (override_run)"
            ));
        }
        let schema = self.train_op.batches.schema();
        match &manifest.schema {
            Some(other) if *other != schema => Err(format!(
                "was trained on other rows, {}; train on the same data, or choose another logdir",
                difference(other, &schema)
            )),
            _ => Ok(()),
        }
    }

    /// Of the rows, as manifests have it.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.train_op.batches.fingerprint().map(|hash| format!("{hash:016x}"))
    }

    fn initialise(&mut self, session: &mut Session) -> Result<State> {
        // A run that is started again has read some.
        if self.train_op.batches.cursor() != self.first_batch {
            self.train_op.batches.seek(self.first_batch)?;
        }
        if self.options.init_op == InitOp::Seed {
            session.initialise(&self.train_op.network, self.train_op.seed);
        }
        for (name, values) in &self.options.init_feed_dict {
            session.set_weights(name, values)?;
        }
        if let Some(init) = &mut self.options.init_fn {
            guarded("init_fn", || init(session))?;
        }
        Ok(State::default())
    }

    /// What TensorBoard compares runs by.
    pub(super) fn hparams(&self) -> Vec<(String, Hparam)> {
        let TrainOp { network, batches, seed, training, .. } = &self.train_op;
        let mut all = vec![
            ("model".to_owned(), Hparam::Text(network.name.clone())),
            ("batch".to_owned(), Hparam::Number(batches.batch_size() as f64)),
            ("seed".to_owned(), Hparam::Number(*seed as f64)),
        ];
        let Training { optimizer, schedule, clip, multipliers, average } = training;
        all.extend(
            average.map(|decay| ("average".to_owned(), Hparam::Number(shortest(decay.into())))),
        );
        for Multiplier { name, factor } in multipliers {
            all.push((format!("multipliers.{name}"), Hparam::Number(shortest(f64::from(*factor)))));
        }
        let [optimizer, schedule, clip] = [
            serde_json::to_value(optimizer),
            serde_json::to_value(schedule),
            serde_json::to_value(clip),
        ];
        let pruning = self.mask_update_op.spec().map(serde_json::to_value);
        for (prefix, fields) in [
            ("optimizer", Some(optimizer)),
            ("schedule", Some(schedule)),
            ("clip", Some(clip)),
            ("pruning", pruning),
        ] {
            let Some(Ok(serde_json::Value::Object(fields))) = fields else { continue };
            for (name, value) in fields {
                let value = match value {
                    serde_json::Value::Bool(flag) => Hparam::Bool(flag),
                    serde_json::Value::Number(number) => {
                        Hparam::Number(shortest(number.as_f64().unwrap_or(f64::NAN)))
                    }
                    serde_json::Value::String(text) => Hparam::Text(text),
                    other => Hparam::Text(other.to_string()),
                };
                all.push((format!("{prefix}.{name}"), value));
            }
        }
        all
    }
}

/// 0.002 for what an f32 makes of it.
fn shortest(number: f64) -> f64 {
    let short = number as f32;
    if f64::from(short) == number { short.to_string().parse().unwrap_or(number) } else { number }
}

/// What first differs between the rows of a checkpoint and those of a run.
fn difference(checkpoint: &Schema, run: &Schema) -> String {
    let pairs = [
        ("shape", format!("{:?}", checkpoint.shape), format!("{:?}", run.shape)),
        ("task", checkpoint.task.to_string(), run.task.to_string()),
        ("columns", checkpoint.columns.join(","), run.columns.join(",")),
        ("targets", checkpoint.targets.join(","), run.targets.join(",")),
        ("classes", checkpoint.class_names.join(","), run.class_names.join(",")),
        ("alphabet", format!("{:?}", checkpoint.alphabet), format!("{:?}", run.alphabet)),
    ];
    match pairs.into_iter().find(|(_, a, b)| a != b) {
        Some((what, a, b)) => format!("{what} {a:.200} there, {b:.200} here"),
        None => "scaled by other means and deviations".to_owned(),
    }
}
