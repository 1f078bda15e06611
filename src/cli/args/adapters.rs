//! The arguments of `secateur devices`, `secateur selftest` and `secateur bench`.
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

#[derive(Debug, ClapArgs)]
pub struct Devices {
    /// Run the self-test on the adapter that would be taken.
    #[arg(long)]
    pub check: bool,
    /// Measure which kernels are the fastest on the adapter, for a minute, and keep the choices for
    /// all further runs; results stay the same to the bit. With --precision mixed also try whether
    /// cooperative matrices are right here, and which tiles on them are the fastest: runs in mixed
    /// precision use them only then.
    #[arg(long)]
    pub tune: bool,
    #[command(flatten)]
    pub common: Common,
}

pub const SELF_TEST_EXAMPLES: &str = "\
Takes less than a minute: kernels of each kind against sums of the host in 64 bits, selections of
exact counts, the same launches again to the same bits, and a small training that prunes. Exits
with 1 where a check fails.

Examples:
  secateur selftest
  secateur selftest -o selftest.json";

#[derive(Debug, ClapArgs)]
pub struct SelfTest {
    /// File to write for a bug report, as JSON: the adapter, its driver and limits, and each check
    /// with its worst error, its tolerance and its seconds.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Replace an output that is there.
    #[arg(long, requires = "output")]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, ClapArgs)]
pub struct Bench {
    /// The roofline, or with --sparse the speed-ups, as a picture: a file *.svg, replaced if it is
    /// there.
    #[arg(long)]
    pub plot: Option<PathBuf>,
    /// Sizes so small that it takes seconds, to see that everything runs; the figures mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// What the ranks that a launcher has started pay for the exchange of gradients, instead:
    /// `mpirun -n 4 secateur bench --exchange`. Needs no GPU.
    #[arg(long, conflicts_with_all = ["sparse", "plot", "adapter", "adapter_index", "precision", "memory_budget"])]
    pub exchange: bool,
    /// How much faster layers are whose weight has many zeros and is packed, instead: over sparsity,
    /// for each form and batch, with its bound.
    #[arg(long)]
    pub sparse: bool,
    /// What a card could reach at most, by a model of each kernel and the card's public figures,
    /// instead: h100, 4090, 7900xtx, m3max or b580. Needs no GPU and measures nothing.
    #[arg(
        long,
        value_name = "CARD",
        num_args = 0..=1,
        default_missing_value = "h100",
        conflicts_with_all = [
            "plot", "quick", "exchange", "sparse", "adapter", "adapter_index", "precision",
            "memory_budget",
        ]
    )]
    pub model: Option<String>,
    /// With --model: only workloads with this in their names.
    #[arg(long, value_name = "TEXT", requires = "model", default_value = "")]
    pub only: String,
    #[command(flatten)]
    pub common: Common,
}
