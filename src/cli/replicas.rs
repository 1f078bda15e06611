//! How several ranks train together.
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use secateur::train::Carried;

/// How the ranks train together that a launcher has started.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Several ranks (mpirun -n N secateur train ...)")]
pub struct Replicas {
    /// Batches whose gradients make one update; one of each rank by default. Fewer: the first that
    /// come count, and later ones are dropped, so that no update waits for a slow rank. A multiple
    /// of the ranks: each rank gives several. One process alone takes them one after the other.
    #[arg(long, value_name = "N", conflicts_with = "async_")]
    pub replicas_to_aggregate: Option<usize>,
    /// Ranks do not wait for each other: each gradient is an update of its own. Such runs are never
    /// the same twice.
    #[arg(long = "async")]
    pub async_: bool,
    /// With --async: ranks besides the first begin at this global step.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "async_")]
    pub startup_delay_steps: u64,
    /// With --async: drop a gradient that is more than so many updates behind, and do its batch
    /// again; without this none is dropped.
    #[arg(long, value_name = "N", requires = "async_")]
    pub max_staleness: Option<u64>,
    /// Which gradients travel: all, or those of the weights that are kept, which gives the same
    /// results.
    #[arg(long, value_enum, default_value_t, conflicts_with = "async_")]
    pub carry: Carry,
    /// Let several ranks of a machine compute on the same GPU. Software adapters are shared without
    /// that.
    #[arg(long)]
    pub share_adapter: bool,
    /// End the job with exit code 71 where a rank takes no step for so long, or for as long as 20
    /// steps usually take, if that is longer; the first step may take ten times as long. 0 waits
    /// for ever.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    pub watchdog: f64,
}

/// What `--carry` takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Carry {
    #[default]
    All,
    Kept,
}

impl From<Carry> for Carried {
    fn from(carry: Carry) -> Self {
        match carry {
            Carry::All => Self::All,
            Carry::Kept => Self::Kept,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| Duration::try_from_secs_f64(*s).is_ok());
    seconds.ok_or_else(|| "must be a number of seconds, 0 or more".to_owned())
}
