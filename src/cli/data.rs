//! What says which data, and how it is opened.
use clap::Args as ClapArgs;
use secateur::data::OpenOptions;

use super::given::Given;

/// The data, and how it is opened. A recipe has the same in `data` and `[data_options]`.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Data")]
pub struct Data {
    /// `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:PATH`, `text:FILE`, or your own:
    /// `csv:FILE`, `npz:FILE`, `npy:FILE`, `safetensors:FILE`, `images:DIR` (a folder a class).
    /// docs/data.md says what each may hold.
    #[arg(long)]
    pub data: Option<String>,
    #[command(flatten)]
    pub options: Given<OpenOptions>,
}
