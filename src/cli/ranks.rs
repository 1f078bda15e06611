//! The ranks that a launcher has started, of which this process is one. The chief decides, says
//! what there is to say, and writes files.
use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use secateur::Error;
use secateur::comm::{Comm, LocalComm, connect};
use secateur::train::TrainOptions;
use secateur::train::replicas::agree::{Item, compare};
use secateur::train::replicas::{SyncReplicas, Watchdog};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::args::{Common, Train};
use super::data::Data;
use super::output;
use super::replicas::Replicas;

/// How long a rank that another one has ended stays: launchers give the exit code of the first
/// that goes.
const AFTER_YOU: Duration = Duration::from_secs(1);

/// This process and those that train with it, if any.
#[derive(Default)]
pub struct Ranks {
    /// Of several ranks only.
    comm: Option<Arc<dyn Comm>>,
    /// The others know that this rank has failed.
    told: Cell<bool>,
    patience: Cell<Option<Duration>>,
}

impl Ranks {
    /// Before other threads are started.
    pub fn connect() -> Result<Self> {
        let comm = connect()?.filter(|comm| comm.size() > 1);
        if let Some(rank) = comm.as_ref().map(|comm| comm.rank()).filter(|rank| *rank > 0) {
            output::errors_only(rank);
            log::set_max_level(log::LevelFilter::Error);
            std::panic::set_hook(Box::new(|panic| output::error(panic)));
        }
        Ok(Self { comm, ..Self::default() })
    }

    /// How the ranks talk, one alone to itself.
    pub fn comm(&self) -> Arc<dyn Comm> {
        self.comm.clone().unwrap_or_else(|| Arc::new(LocalComm::default()))
    }

    pub fn size(&self) -> usize {
        self.comm.as_ref().map_or(1, |comm| comm.size())
    }

    pub fn is_chief(&self) -> bool {
        self.comm.as_ref().is_none_or(|comm| comm.rank() == 0)
    }

    /// Of several ranks, this one's number on its machine.
    pub fn local_rank(&self) -> Option<usize> {
        self.comm.as_ref().map(|comm| comm.local_rank())
    }

    /// Refuses ranks that were started with different programs or options.
    pub fn agree(&self, args: &Train) -> Result<()> {
        let patience = Duration::try_from_secs_f64(args.replicas.watchdog).ok();
        self.patience.set(patience.filter(|patience| !patience.is_zero()));
        let Some(comm) = &self.comm else {
            let changes = changes_nothing(&args.replicas);
            if !changes.is_empty() {
                let changes = changes.join(", ");
                output::note(format_args!("one process trains alone: {changes} changes nothing"));
            }
            return Ok(());
        };
        let program = std::env::current_exe().and_then(std::fs::read);
        let program =
            program.context("cannot read the program, to compare it with other ranks'")?;
        let mut items = vec![("program".to_owned(), format!("{:016x}", xxh3_64(&program)))];
        items.extend(said(args));
        self.known_to_all(compare(&**comm, &items))
    }

    /// What the chief decides, on every rank.
    pub fn chiefs<T: Serialize + DeserializeOwned>(
        &self,
        decide: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let Some(comm) = &self.comm else { return decide() };
        if self.is_chief() {
            let decided = decide()?;
            comm.all_gather_bytes(&serde_json::to_vec(&decided)?)?;
            return Ok(decided);
        }
        let all = comm.all_gather_bytes(&[])?;
        serde_json::from_slice(&all[0]).context("what the chief decides cannot be read")
    }

    /// Waits for all ranks to come here.
    pub fn meet(&self) -> Result<()> {
        self.highest(0).map(drop)
    }

    /// The highest number that a rank has.
    pub fn highest(&self, number: u8) -> Result<u8> {
        let Some(comm) = &self.comm else { return Ok(number) };
        let all = comm.all_gather_bytes(&[number])?;
        Ok(all.into_iter().flatten().max().unwrap_or(number))
    }

    /// Gradients that make an update.
    pub fn gradients(&self, args: &Replicas) -> Result<usize> {
        Ok(self.sync(args).map_or(Ok(1), |sync| sync.aggregate(self.size()))?)
    }

    fn sync(&self, args: &Replicas) -> Option<SyncReplicas> {
        let asked = args.replicas_to_aggregate.is_some() || self.comm.is_some();
        let sync = SyncReplicas::default().replicas_to_aggregate(args.replicas_to_aggregate);
        (asked && !args.async_).then(|| sync.carried(args.carry.into()))
    }

    /// Options of a run of all ranks.
    pub fn options<'a>(&self, args: &Replicas) -> TrainOptions<'a> {
        TrainOptions::default()
            .comm(self.comm.clone())
            .sync_optimizer(self.sync(args))
            .startup_delay_steps(args.startup_delay_steps)
            .max_staleness(args.max_staleness)
            .share_adapter(args.share_adapter)
            .watchdog(self.patience.get())
    }

    /// What became of what all ranks have done alike: an error is known to the others too, which
    /// may have something to save yet.
    pub fn known_to_all<T>(&self, outcome: secateur::Result<T>) -> Result<T> {
        self.told.set(outcome.is_err());
        Ok(outcome?)
    }

    /// The end of a rank that failed for `error`, of which `said` is to be said.
    pub fn fail(self, error: &anyhow::Error, said: &str, code: u8) {
        let ended = matches!(error.downcast_ref(), Some(Error::Peer { .. }));
        // Who ended the job has said it, and the chief says who it was.
        if !(ended && output::is_silent()) {
            output::error(said);
        }
        let Some(comm) = &self.comm else { return };
        if !ended && !self.told.get() {
            return comm.abort(code.into(), said);
        }
        if let Ok(watchdog) = Watchdog::new(comm, self.patience.get()) {
            watchdog.doing("the end of other ranks");
            // Whatever comes of it, this is the end.
            self.meet().ok();
        }
        drop(self);
        if ended {
            thread::sleep(AFTER_YOU);
        }
    }

    /// The end of a rank that panicked.
    pub fn panicked(&self, code: u8) {
        if let Some(comm) = &self.comm {
            comm.abort(code.into(), "it panicked");
        }
    }
}

/// Options that are for several ranks only.
fn changes_nothing(args: &Replicas) -> Vec<&'static str> {
    let default = Replicas::default();
    let given = [
        ("--async", args.async_),
        ("--carry", args.carry != default.carry && args.replicas_to_aggregate.is_none()),
        ("--share-adapter", args.share_adapter),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

/// What was asked for on the command line, by option. The adapter is each rank's own.
fn said(args: &Train) -> Vec<Item> {
    let Train {
        recipe,
        data: Data { data, options: opened },
        options,
        epochs,
        logdir,
        override_,
        drop_masks,
        output,
        force,
        plan,
        init_recipe,
        recipe_schema,
        trace,
        // How it is shown is the chief's own, too.
        tui: _,
        baseline,
        no_baseline,
        min_test_accuracy,
        replicas,
        common: Common { adapter: _, adapter_index: _, precision, memory_budget, json },
    } = args;
    let given = opened.all().iter().chain(options.all());
    let given = given.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let others: [(&str, &dyn Debug); 19] = [
        ("recipe", recipe),
        ("data", data),
        ("epochs", epochs),
        ("logdir", logdir),
        ("override", override_),
        ("drop_masks", drop_masks),
        ("output", output),
        ("force", force),
        ("plan", plan),
        ("init_recipe", init_recipe),
        ("recipe_schema", recipe_schema),
        ("trace", trace),
        ("baseline", baseline),
        ("no_baseline", no_baseline),
        ("min_test_accuracy", min_test_accuracy),
        ("replicas", replicas),
        ("precision", precision),
        ("memory_budget", memory_budget),
        ("json", json),
    ];
    let others = others.map(|(name, value)| (name.to_owned(), format!("{value:?}")));
    given.chain(others).collect()
}
