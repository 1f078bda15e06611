//! The arguments of `secateur bench`.
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

#[derive(Debug, ClapArgs)]
pub struct Bench {
    /// The roofline as a picture: a file *.svg, replaced if it is there.
    #[arg(long)]
    pub plot: Option<PathBuf>,
    /// Sizes so small that it takes seconds, to see that everything runs; the figures mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// What the ranks that a launcher has started pay for the exchange of gradients, instead:
    /// `mpirun -n 4 secateur bench --exchange`. Needs no GPU.
    #[arg(long, conflicts_with_all = ["plot", "adapter", "adapter_index", "precision", "memory_budget"])]
    pub exchange: bool,
    /// What a card could reach at most, by a model of each kernel and the card's public figures,
    /// instead: h100, 4090, 7900xtx, m3max or b580. Needs no GPU and measures nothing.
    #[arg(
        long,
        value_name = "CARD",
        num_args = 0..=1,
        default_missing_value = "h100",
        conflicts_with_all = ["plot", "quick", "exchange", "adapter", "adapter_index", "precision", "memory_budget"]
    )]
    pub model: Option<String>,
    /// With --model: only workloads with this in their names.
    #[arg(long, value_name = "TEXT", requires = "model", default_value = "")]
    pub only: String,
    #[command(flatten)]
    pub common: Common,
}
