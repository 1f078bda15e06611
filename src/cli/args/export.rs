//! The arguments of `secateur export`.
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use secateur::session::PackedWeights;
use secateur::storage;

use super::{Common, Data};

#[derive(Debug, ClapArgs)]
pub struct Export {
    /// A checkpoint, a logdir (its newest valid checkpoint), or a file that `export` wrote. With
    /// --format any safetensors file, or a folder with one.
    pub checkpoint: PathBuf,
    /// File to write: *.safetensors, *.onnx for other engines, or *.gguf of a language model's
    /// folder for llama.cpp; of a folder, and of a pretrained
    /// model that was trained on, a folder like the one that its run began with.
    #[arg(short, long)]
    pub output: PathBuf,
    /// What matrices of many zeros become where that takes fewer bytes: docs/format.md.
    #[arg(long, value_enum)]
    pub format: Option<Packed>,
    /// Type of the values of tensors with two axes and more, rounded to the nearest: int8 has a
    /// scale for each output unit. Each tensor's own where left out.
    #[arg(long, value_enum)]
    pub values: Option<Values>,
    /// With --data, evaluate before and after, and say what rounding has cost.
    #[command(flatten)]
    pub data: Data,
    /// Of a language model, how many windows of the text; all by default.
    #[arg(long)]
    pub samples: Option<usize>,
    /// Cut out hidden units that read nothing or are read by nobody; the network computes the same.
    /// Layers that need all of their units are named.
    #[arg(long, visible_alias = "remove-dead")]
    pub shrink: bool,
    /// Replace an output that is there.
    #[arg(long)]
    pub force: bool,
    /// Time each matrix dense and packed on this adapter, and note in the file which is the faster:
    /// `eval` and `predict` go by it.
    #[arg(long)]
    pub fastest: bool,
    /// Rows in a batch, with --fastest.
    #[arg(long, default_value_t = 1, requires = "fastest")]
    pub batch: usize,
    #[command(flatten)]
    pub common: Common,
}

/// What a file's matrices become.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Packed {
    /// All elements, for every reader of safetensors; packed files become such files again.
    Dense,
    /// The parts of PyTorch's sparse tensors, by elements or by blocks; of a file *.onnx that
    /// format's own sparse tensors, where these take fewer bytes.
    Sparse,
    /// A bit for each element, beside those that are not zero.
    Bitmask,
    /// What takes the fewest bytes, tensor by tensor: secateur's own forms, or those of `sparse`.
    Smallest,
    /// All elements, for llama.cpp and what is made of it: the folder of a language model becomes
    /// one file *.gguf.
    Gguf,
    /// All elements, with the layers between them, for onnxruntime and others: a network of
    /// secateur's own becomes one file *.onnx.
    Onnx,
}

/// Types of values.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Values {
    F32,
    F16,
    Bf16,
    Int8,
}

impl From<Values> for storage::Values {
    fn from(values: Values) -> Self {
        match values {
            Values::F32 => Self::F32,
            Values::F16 => Self::F16,
            Values::Bf16 => Self::Bf16,
            Values::Int8 => Self::Int8,
        }
    }
}

/// Where the packed matrices of a file are multiplied with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OnDevice {
    /// Packed in batches of few rows, and of any where they are pruned in blocks, where that is the
    /// faster, else dense.
    #[default]
    Auto,
    /// Packed, where nothing but fully connected layers reads them.
    Packed,
    /// Dense.
    Dense,
}

impl OnDevice {
    /// Refuses what nobody would heed: the model of a folder is read dense.
    pub fn check_folder(self) -> anyhow::Result<()> {
        let message = "--weights is for files of secateur's own networks; the weights of a folder \
                       are made dense";
        anyhow::ensure!(self == Self::Auto, message);
        Ok(())
    }
}

impl From<OnDevice> for PackedWeights {
    fn from(weights: OnDevice) -> Self {
        match weights {
            OnDevice::Auto => Self::Auto,
            OnDevice::Packed => Self::Always,
            OnDevice::Dense => Self::Never,
        }
    }
}
