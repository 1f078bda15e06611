//! The arguments of `secateur report` and `secateur sweep`.
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, share};
use crate::cli::data::Data;

#[derive(Debug, ClapArgs)]
pub struct Report {
    /// Logdirs of runs, the folder of a sweep, or a folder that `prune` has written.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// File to write: report.html in the logdir by default; of several runs, in the working folder.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Replace an output that is there, though it is no report.
    #[arg(long)]
    pub force: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Sweep {
    /// The recipe that all runs share.
    pub recipe: PathBuf,
    /// Shares of the weights to prune, like 0.5,0.9 or 50%,90%; 0 is a dense run.
    #[arg(long, value_delimiter = ',', value_parser = share, value_name = "SHARE,...")]
    pub sparsity: Vec<f64>,
    /// Runs of each setting, with seeds from the recipe's on.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seeds: u64,
    /// Values of a key of the recipe, each with all others: lr=0.01,0.001 or
    /// pruning.pattern=element,2:4. Commas within brackets or quotes belong to a value.
    #[arg(long = "set", value_name = "KEY=VALUE,...")]
    pub sets: Vec<String>,
    #[command(flatten)]
    pub data: Data,
    /// Folder for the runs, a folder each, and what they came to; logs/sweep-RECIPE by default. Runs
    /// that are there and have ended are not made again; one that was interrupted goes on.
    #[arg(long, help_heading = "Run")]
    pub logdir: Option<PathBuf>,
    /// Say which runs there would be, and which are done; train nothing.
    #[arg(long, help_heading = "Run")]
    pub plan: bool,
    #[command(flatten, next_help_heading = "Run")]
    pub common: Common,
}
