//! GPT-2: learnt positions, queries, keys and values of one weight, all weights `[inputs,
//! outputs]`.
//!
//! A block: layer norm, attention, layer norm, a feed-forward layer.
use super::settings::{blocks, prefix, resized, shared, unsaid_heads};
use super::{Answer, Architecture, Config, Input, Kind, Layers, Names, Settings};
use crate::Result;
use crate::graph::{AttentionOptions, Tensor};
use crate::kernels::Activation;

#[derive(Debug)]
struct Gpt2 {
    prefix: String,
    width: u32,
    hidden: u32,
    blocks: u32,
    heads: u32,
    vocabulary: u32,
    positions: u32,
    epsilon: f64,
    activation: Activation,
    /// What the scores of attention are multiplied with, in the first block.
    scale: f64,
    /// Whether that is divided by the block's number, from 1 on.
    scale_by_block: bool,
    /// Whether the table of tokens also makes the logits.
    tied: bool,
}

pub(super) fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let prefix = prefix(config, names, &["transformer.", ""], "wte.weight")?;
    let (width, heads) = (config.count("n_embd")?, config.count("n_head")?);
    let head_size = shared(config, [("n_embd", width), ("n_head", heads)])?;
    // Of the heads of other tasks, the older name of `n_positions`, and how half floats are kept
    // from overflowing: nothing of the logits.
    let summary = ["type", "use_proj", "activation", "proj_to_labels"];
    config.ignore(&summary.map(|of| format!("summary_{of}")));
    config.ignore(&["n_ctx", "reorder_and_upcast_attn"]);
    let scaled = config.flag("scale_attn_weights", true)?;
    Ok(Box::new(Gpt2 {
        prefix,
        width,
        hidden: config.count_or_none("n_inner")?.unwrap_or(width.saturating_mul(4)),
        blocks: blocks(config, names, "n_layer")?,
        heads,
        vocabulary: config.count("vocab_size")?,
        positions: config.count("n_positions")?,
        epsilon: config.positive("layer_norm_epsilon")?,
        activation: config.activation("activation_function", "gelu_new")?,
        scale: if scaled { f64::from(head_size).sqrt().recip() } else { 1.0 },
        scale_by_block: config.flag("scale_attn_by_inverse_layer_idx", false)?,
        tied: config.flag("tie_word_embeddings", true)?,
    }))
}

impl Architecture for Gpt2 {
    fn input(&self) -> Input {
        let &Self { vocabulary, positions, width, .. } = self;
        Input::Tokens { vocabulary, positions, width, types: None }
    }

    fn answer(&self) -> Answer {
        Answer::NextToken
    }

    fn table(&self) -> Option<String> {
        Some(format!("{}wte.weight", self.prefix))
    }

    fn blocks(&self) -> u32 {
        self.blocks
    }

    fn prefix(&self, block: u32) -> String {
        format!("{}h.{block}.", self.prefix)
    }

    fn parts(&self, _: u32) -> u32 {
        2
    }

    fn embed(&self, layers: &mut Layers, x: Tensor, _: Option<Tensor>) -> Result<Tensor> {
        layers.add_positions(x, &format!("{}wpe.weight", self.prefix), self.positions)
    }

    fn part(&self, layers: &mut Layers, block: u32, part: u32, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}{part}", self.prefix(block));
        let plain = Activation::Identity;
        let y = if part == 0 {
            let y = layers.layer_norm(x, &name("ln_1"), self.epsilon)?;
            let y = layers.conv1d(y, &name("attn.c_attn"), self.width.saturating_mul(3), plain)?;
            let number = if self.scale_by_block { f64::from(block) + 1.0 } else { 1.0 };
            let scale = Some((self.scale / number) as f32);
            let options = AttentionOptions::new(self.heads).causal(true).scale(scale);
            let y = layers.attend(&[y], &options)?;
            layers.conv1d(y, &name("attn.c_proj"), self.width, plain)?
        } else {
            let y = layers.layer_norm(x, &name("ln_2"), self.epsilon)?;
            let y = layers.conv1d(y, &name("mlp.c_fc"), self.hidden, self.activation)?;
            layers.conv1d(y, &name("mlp.c_proj"), self.width, plain)?
        };
        layers.graph.add(x, y)
    }

    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor> {
        let x = layers.layer_norm(x, &format!("{}ln_f", self.prefix), self.epsilon)?;
        let table = match self.tied {
            true => format!("{}wte.weight", self.prefix),
            false => "lm_head.weight".to_owned(),
        };
        layers.logits(x, &table, self.vocabulary)
    }

    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        match kind {
            Kind::Channels => resized(of, "n_inner", kept),
            _ => Err(unsaid_heads("n_embd", self.width)),
        }
    }

    fn is_idle(&self, name: &str) -> bool {
        // Triangles of which positions see which, and a copy of the tokens' table.
        let buffer = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
        buffer || (self.tied && name == "lm_head.weight")
    }
}
