//! `secateur eval`
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Data, OnDevice};

#[derive(Debug, ClapArgs)]
pub struct Eval {
    /// A checkpoint, a logdir (its newest valid checkpoint), a file that `export` wrote, or the
    /// folder of a pretrained model: of language, which takes --data text:FILE, or of images, which
    /// takes --data images:DIR, a folder a class.
    pub checkpoint: PathBuf,
    #[command(flatten)]
    pub data: Data,
    /// Of a language model, how many windows of the text; all by default. --length says how many
    /// tokens each has, 2048 by default.
    #[arg(long)]
    pub samples: Option<usize>,
    /// Of a language model, tokens from one window to the next: fewer than its length give each
    /// token the context of the windows before it. The length by default.
    #[arg(long)]
    pub stride: Option<usize>,
    /// Rows in a batch. Of a text they are streams side by side, and states go on along each: the
    /// recipe's number by default, else 256, and 16 images of a pretrained model.
    #[arg(long)]
    pub batch: Option<usize>,
    /// Of a pretrained model, time so many batches alone, block after block. Networks of secateur's
    /// own are timed anyway.
    #[arg(long, value_name = "N")]
    pub latencies: Option<usize>,
    /// Of a packed file, which matrices stay packed on the device.
    #[arg(long, value_enum, default_value_t)]
    pub weights: OnDevice,
    /// Exit with 1 when the test accuracy is below this fraction.
    #[arg(long)]
    pub min_test_accuracy: Option<f64>,
    #[command(flatten)]
    pub common: Common,
}
