//! The arguments of `secateur bench`.
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

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
    #[command(flatten)]
    pub common: Common,
}
