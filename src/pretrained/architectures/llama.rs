//! Llama and what is laid out like it: Mistral, SmolLM, TinyLlama, Qwen2, Qwen3.
//!
//! A block: RMS norm, attention with rotary positions and shared heads of keys, RMS norm, a gated
//! feed-forward layer.
use super::rotary::frequencies;
use super::settings::{blocks, prefix, resized};
use super::{Answer, Architecture, Config, Input, Kind, Layers, Names, Settings};
use crate::Result;
use crate::graph::{AttentionOptions, RotaryOptions, Tensor};
use crate::kernels::Activation;

/// Channels of a head, for whose frequencies there is room before any tensor is looked at.
const MOST_CHANNELS: u32 = 1 << 16;

#[derive(Debug)]
struct Llama {
    model_type: String,
    prefix: String,
    width: u32,
    hidden: u32,
    blocks: u32,
    heads: u32,
    kv_heads: u32,
    head_size: u32,
    vocabulary: u32,
    positions: u32,
    epsilon: f64,
    activation: Activation,
    frequencies: Vec<f32>,
    /// Of each block how far a position sees, where that is limited.
    windows: Vec<Option<u32>>,
    /// Of queries, keys and values; of what follows attention; of the feed-forward layers.
    biases: [bool; 3],
    /// Whether queries and keys have norms of their own.
    head_norms: bool,
    /// The head's table: the tokens' or one of its own.
    head: String,
}

pub(super) fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let kind = config.text("model_type")?.unwrap_or_default();
    let [qwen2, qwen3] = ["qwen2", "qwen3"].map(|name| name == kind);
    let prefix = prefix(config, names, &["model.", ""], "embed_tokens.weight")?;
    let (width, heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
    let kv_heads = config.count_or_none("num_key_value_heads")?.unwrap_or(heads);
    if heads % kv_heads != 0 {
        let message = format!("it must divide the {heads} heads of queries");
        return Err(config.wrong("num_key_value_heads", message));
    }
    let head_size = match config.count_or_none("head_dim")? {
        Some(size) => size,
        None if width % heads == 0 => width / heads,
        None => {
            let message = format!("{heads} heads do not divide it; `head_dim` is missing");
            return Err(config.wrong("hidden_size", message));
        }
    };
    if head_size % 2 != 0 || head_size > MOST_CHANNELS {
        let message = format!(
            "{head_size} channels of a head: rotary positions need an even number of \
             {MOST_CHANNELS} at most"
        );
        return Err(config.wrong("head_dim", message));
    }
    let blocks = blocks(config, names, "num_hidden_layers")?;
    let attention_bias = config.flag("attention_bias", false)?;
    let mlp_bias = config.flag("mlp_bias", false)?;
    let tied = config.flag("tie_word_embeddings", false)?;
    let table = format!("{prefix}embed_tokens.weight");
    Ok(Box::new(Llama {
        model_type: kind.to_owned(),
        width,
        hidden: config.count("intermediate_size")?,
        blocks,
        heads,
        kv_heads,
        head_size,
        vocabulary: config.count("vocab_size")?,
        positions: config.count("max_position_embeddings")?,
        epsilon: config.positive("rms_norm_eps")?,
        activation: config.activation("hidden_act", "silu")?,
        frequencies: frequencies(config, head_size)?,
        windows: windows(config, blocks)?,
        biases: [attention_bias || qwen2, attention_bias && !qwen2, mlp_bias],
        head_norms: qwen3,
        head: if tied { table } else { "lm_head.weight".to_owned() },
        prefix,
    }))
}

/// How far the positions of each block see.
fn windows(config: &Config, blocks: u32) -> Result<Vec<Option<u32>>> {
    let mistral = config.text("model_type")? == Some("mistral");
    let window = config.count_or_none("sliding_window")?;
    let used = config.flag("use_sliding_window", mistral)?;
    let window = window.filter(|_| used || mistral);
    // Qwen's blocks before this one see everything.
    let first = config.number_or("max_window_layers", 0.0)? as u32;
    let Some(kinds) = config.get("layer_types") else {
        return Ok((0..blocks).map(|i| window.filter(|_| mistral || i >= first)).collect());
    };
    let kinds = kinds.as_array().map(Vec::as_slice).unwrap_or_default();
    let kind = |kind: &serde_json::Value| match kind.as_str() {
        Some("full_attention") => Ok(None),
        Some("sliding_attention") if window.is_some() => Ok(window),
        _ => Err(config.wrong("layer_types", "known are full_attention, sliding_attention")),
    };
    if kinds.len() != blocks as usize {
        let message = format!("it has {} entries for {blocks} blocks", kinds.len());
        return Err(config.wrong("layer_types", message));
    }
    kinds.iter().map(kind).collect()
}

impl Llama {
    /// Queries or keys, normed head by head where the architecture does, and turned.
    fn turned(&self, layers: &mut Layers, x: Tensor, norm: &str, turns: Tensor) -> Result<Tensor> {
        let mut x = x;
        if self.head_norms {
            let shape = layers.graph.shape(x).clone();
            let heads = shape.elements().unwrap_or(0) / self.head_size;
            let apart = layers.graph.reshape(x, [heads, self.head_size])?;
            let normed = layers.rms_norm(apart, norm, self.epsilon)?;
            x = layers.graph.reshape(normed, shape)?;
        }
        layers.graph.rotary(x, turns, RotaryOptions::new(self.head_size))
    }

    fn attention(&self, layers: &mut Layers, block: u32, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}{part}", self.prefix(block));
        let y = layers.rms_norm(x, &name("input_layernorm"), self.epsilon)?;
        let length = layers.graph.shape(x).dims()[1];
        let turns = layers.turns(&self.frequencies, length)?;
        let [queries, keys] =
            [self.heads, self.kv_heads].map(|heads| heads.saturating_mul(self.head_size));
        let [inner, outer, _] = self.biases;
        let mut linear = |part: &str, outputs| {
            let name = name(&format!("self_attn.{part}"));
            layers.linear(y, &name, outputs, inner, Activation::Identity)
        };
        let (q, k, v) =
            (linear("q_proj", queries)?, linear("k_proj", keys)?, linear("v_proj", keys)?);
        let q = self.turned(layers, q, &name("self_attn.q_norm"), turns)?;
        let k = self.turned(layers, k, &name("self_attn.k_norm"), turns)?;
        let options = AttentionOptions::new(self.heads)
            .kv_heads(Some(self.kv_heads))
            .causal(true)
            .window(self.windows[block as usize]);
        let y = layers.attend(&[q, k, v], &options)?;
        let y =
            layers.linear(y, &name("self_attn.o_proj"), self.width, outer, Activation::Identity)?;
        layers.graph.add(x, y)
    }

    fn feed_forward(&self, layers: &mut Layers, block: u32, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}{part}", self.prefix(block));
        let bias = self.biases[2];
        let y = layers.rms_norm(x, &name("post_attention_layernorm"), self.epsilon)?;
        let gate = layers.linear(y, &name("mlp.gate_proj"), self.hidden, bias, self.activation)?;
        let up = layers.linear(y, &name("mlp.up_proj"), self.hidden, bias, Activation::Identity)?;
        let y = layers.graph.mul(gate, up)?;
        let y = layers.linear(y, &name("mlp.down_proj"), self.width, bias, Activation::Identity)?;
        layers.graph.add(x, y)
    }
}

impl Architecture for Llama {
    fn input(&self) -> Input {
        let &Self { vocabulary, positions, width, .. } = self;
        Input::Tokens { vocabulary, positions, width, types: None }
    }

    fn answer(&self) -> Answer {
        Answer::NextToken
    }

    fn table(&self) -> Option<String> {
        Some(format!("{}embed_tokens.weight", self.prefix))
    }

    fn blocks(&self) -> u32 {
        self.blocks
    }

    fn prefix(&self, block: u32) -> String {
        format!("{}layers.{block}.", self.prefix)
    }

    fn parts(&self, _: u32) -> u32 {
        2
    }

    fn embed(&self, _: &mut Layers, x: Tensor, _: Option<Tensor>) -> Result<Tensor> {
        Ok(x)
    }

    fn part(&self, layers: &mut Layers, block: u32, part: u32, x: Tensor) -> Result<Tensor> {
        match part {
            0 => self.attention(layers, block, x),
            _ => self.feed_forward(layers, block, x),
        }
    }

    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor> {
        let x = layers.rms_norm(x, &format!("{}norm", self.prefix), self.epsilon)?;
        layers.logits(x, &self.head, self.vocabulary)
    }

    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        if kind == Kind::Channels {
            return resized(of, "intermediate_size", kept);
        }
        if self.model_type == "llama" && !self.width.is_multiple_of(kept) {
            let width = self.width;
            return Err(format!("transformers takes divisors of `hidden_size`, {width}, only"));
        }
        resized(of, "head_dim", self.head_size)?;
        resized(of, "num_key_value_heads", kept / (self.heads / self.kv_heads))?;
        resized(of, "num_attention_heads", kept)
    }

    fn is_idle(&self, name: &str) -> bool {
        // A copy of the tokens' table that older files have, and a buffer of theirs.
        let tied = self.head != "lm_head.weight" && name == "lm_head.weight";
        tied || name.ends_with("rotary_emb.inv_freq")
    }
}
