//! The architectures that are known: one file each, with its layers and the names of its tensors.
mod bert;
mod gpt2;
mod llama;
mod resnet;
mod rotary;
mod settings;
mod vit;

use std::fmt;

use serde_json::{Map, Value};

use super::config::Config;
use super::layers::Layers;
use super::removal::Kind;
use crate::Result;
use crate::graph::Tensor;
use crate::storage::Folder;

/// The settings of `config.json`.
pub type Settings = Map<String, Value>;

/// What the rows of an architecture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Tokens of a text.
    Tokens {
        /// Tokens that there are: rows of the table.
        vocabulary: u32,
        /// Most positions of a row.
        positions: u32,
        /// Channels of a token in the table.
        width: u32,
        /// How many types of tokens there are, where a row also says which positions are padding
        /// and of which type each token is: its features are then `[tokens | seen | types]`.
        types: Option<u32>,
    },
    /// Images `[side, side, channels]`.
    Images {
        /// Height and width.
        side: u32,
        /// Channels.
        channels: u32,
    },
}

impl Input {
    /// As errors say it.
    pub fn name(self) -> String {
        match self {
            Self::Tokens { types: None, .. } => "windows of tokens".to_owned(),
            Self::Tokens { types: Some(_), .. } => "tokens with padding and types".to_owned(),
            Self::Images { side, channels } => {
                format!("images of {side} x {side} pixels with {channels} channels")
            }
        }
    }
}

/// What the last layer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Logits `[batch, length, vocabulary]` of the token that follows each position.
    NextToken,
    /// Logits `[batch, classes]`.
    Class {
        /// Number of classes.
        classes: u32,
    },
    /// Hidden states `[batch, length, width]`: the network has no head.
    Hidden,
}

/// A network of the field as its layers. Each function appends to a graph; the names that it asks
/// [`Layers`] for are those of the file.
///
/// The network is cut where one tensor goes from layer to layer: what tokens or images become, its
/// blocks, and the head. A block is cut once more into parts, each of which adds to what went into
/// it.
pub trait Architecture: fmt::Debug + Send + Sync {
    /// What its rows are.
    fn input(&self) -> Input;

    /// What its head gives.
    fn answer(&self) -> Answer;

    /// The table that tokens are looked up in, where the rows are tokens.
    fn table(&self) -> Option<String> {
        None
    }

    /// Number of blocks.
    fn blocks(&self) -> u32;

    /// What the names of all tensors of a block begin with.
    fn prefix(&self, block: u32) -> String;

    /// Parts of a block.
    fn parts(&self, block: u32) -> u32;

    /// What goes into the first block: `x` are images, or tokens as the table has them `[batch,
    /// length, width]`, and `types [batch, length]` of padded rows.
    ///
    /// # Errors
    /// Of the graph.
    fn embed(&self, layers: &mut Layers, x: Tensor, types: Option<Tensor>) -> Result<Tensor>;

    /// The part `part` of a block.
    ///
    /// # Errors
    /// Of the graph.
    fn part(&self, layers: &mut Layers, block: u32, part: u32, x: Tensor) -> Result<Tensor>;

    /// What the head makes of the last block's output.
    ///
    /// # Errors
    /// Of the graph.
    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor>;

    /// Changes the settings `of` `config.json` to those of the same network with so many `kept`
    /// heads of queries, or channels of the narrowest block, in place of all.
    ///
    /// # Errors
    /// Why its loaders cannot be told of such sizes.
    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        let _ = (of, kept);
        Err(format!("this architecture has no setting for {kind}"))
    }

    /// Whether a tensor that is left over in the file says nothing: buffers, and copies of others.
    fn is_idle(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// Which tensors a file has.
pub trait Names {
    /// The extents of the tensor `name`, where it is there.
    fn extents(&self, name: &str) -> Option<Vec<u32>>;

    /// How many tensors there are.
    fn count(&self) -> usize;

    /// Whether `name` is one of them.
    fn has(&self, name: &str) -> bool {
        self.extents(name).is_some()
    }
}

impl Names for Folder {
    fn count(&self) -> usize {
        self.tensors().count()
    }

    fn extents(&self, name: &str) -> Option<Vec<u32>> {
        let extent = |&d: &usize| u32::try_from(d).unwrap_or(u32::MAX);
        self.get(name).map(|tensor| tensor.shape.iter().map(extent).collect())
    }
}

/// What reads the settings of an architecture.
type Reader = fn(&Config, &dyn Names) -> Result<Box<dyn Architecture>>;

/// Each `model_type` of transformers, and who reads its settings.
const KNOWN: &[(&str, Reader)] = &[
    ("bert", bert::read),
    ("gpt2", gpt2::read),
    ("llama", llama::read),
    ("mistral", llama::read),
    ("qwen2", llama::read),
    ("qwen3", llama::read),
    ("resnet", resnet::read),
    ("vit", vit::read),
];

/// What timm's `architecture` begins with, where there is no `model_type`.
const TIMM: &[(&str, Reader)] =
    &[("resnet", resnet::read_timm), ("wide_resnet", resnet::read_timm), ("vit_", vit::read_timm)];

/// The architecture that `config` names, for a file with such names.
///
/// # Errors
/// [`Error::File`](crate::Error::File) names an architecture or a setting that is not known.
pub fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let reader = match (config.text("model_type")?, config.text("architecture")?) {
        (Some(kind), _) => {
            let known: Vec<&str> = KNOWN.iter().map(|&(name, _)| name).collect();
            let found = KNOWN.iter().find(|(name, _)| *name == kind);
            let wrong = || config.wrong("model_type", format!("known are {}", known.join(", ")));
            found.ok_or_else(wrong)?.1
        }
        (None, Some(of)) => {
            let found = TIMM.iter().find(|(begin, _)| of.starts_with(begin));
            let wrong = || config.wrong("architecture", "of timm vit_* and resnet* are known");
            found.ok_or_else(wrong)?.1
        }
        (None, None) => {
            let message = "it says which architecture the model is of";
            return Err(config.wrong("model_type", message));
        }
    };
    let architecture = reader(config, names)?;
    config.check_all_read()?;
    Ok(architecture)
}
