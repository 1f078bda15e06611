//! The arguments of `secateur generate`.
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, OnDevice};

pub const GENERATE_EXAMPLES: &str = "\
The text goes to standard output as it comes, what there is to say of it to standard error; with
--json both are one object. Weights stay on the device, so the whole model must fit there.

Examples:
  secateur generate smollm2/ --prompt 'Gravity is'
  secateur generate smollm2/ --prompt 'Once upon a time' --temperature 0.8 --top-p 0.9 --seed 7
  secateur generate smollm2/ --prompt 'Gravity is' --tokens 500 --plan";

#[derive(Debug, ClapArgs)]
pub struct Generate {
    /// The folder of a pretrained language model, dense or packed.
    pub model: PathBuf,
    /// What the text begins with.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: String,
    /// Most tokens to write. Fewer come where the model ends its text, or knows no more positions.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub tokens: u32,
    /// Divide logits by this, and draw each token by the probabilities that follow. Without this and
    /// the next two the most probable token is taken.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Draw from so many tokens, the most probable ones.
    #[arg(long, value_name = "K")]
    pub top_k: Option<u32>,
    /// Draw from the most probable tokens that together have at least this probability.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// The same seed draws the same tokens; 0 by default.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Which weights stay without their zeros on the device: those that the folder has packed (auto),
    /// all that take fewer bytes so (packed), or none (dense).
    #[arg(long, value_enum, default_value_t)]
    pub weights: OnDevice,
    /// Go on behind tokens that end a text.
    #[arg(long)]
    pub ignore_end: bool,
    /// Say what it takes on the device, and exit. Needs no adapter, but plans for the one that
    /// --adapter names.
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub common: Common,
}
