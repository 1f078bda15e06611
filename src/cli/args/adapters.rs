//! The arguments of `secateur devices` and `secateur bench`.
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
    /// cooperative matrices are right here: runs in mixed precision use them only then.
    #[arg(long)]
    pub tune: bool,
    #[command(flatten)]
    pub common: Common,
}

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
    #[command(flatten)]
    pub common: Common,
}
