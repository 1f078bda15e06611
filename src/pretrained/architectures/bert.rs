//! BERT: each position sees all others that are no padding; tokens have types.
//!
//! A block: attention and a layer norm of its sum, a feed-forward layer and a layer norm of its
//! sum.
use super::settings::{blocks, classes, prefix, resized, shared, unsaid_heads};
use super::{Answer, Architecture, Config, Input, Kind, Layers, Names, Settings};
use crate::graph::{AttentionOptions, Tensor};
use crate::kernels::Activation;
use crate::{Error, Result};

#[derive(Debug)]
struct Bert {
    prefix: String,
    width: u32,
    hidden: u32,
    blocks: u32,
    heads: u32,
    vocabulary: u32,
    positions: u32,
    types: u32,
    epsilon: f64,
    activation: Activation,
    /// Of a head that says what a text is, by its pooled first position.
    classes: Option<u32>,
}

pub(super) fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let prefix = prefix(config, names, &["bert.", ""], "embeddings.word_embeddings.weight")?;
    let (width, heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
    shared(config, [("hidden_size", width), ("num_attention_heads", heads)])?;
    config.only("position_embedding_type", "absolute")?;
    // How memory is saved, tables of heads that are not read, and what TensorFlow's files say.
    config.ignore(&["chunk_size_feed_forward", "tie_word_embeddings", "directionality"]);
    let pooler = ["fc_size", "num_attention_heads", "num_fc_layers", "size_per_head", "type"];
    config.ignore(&pooler.map(|of| format!("pooler_{of}")));
    let classifies = names.has("classifier.weight");
    if classifies && !names.has(&format!("{prefix}pooler.dense.weight")) {
        let message = "classifier.weight is there without a pooler: heads that name tokens are \
                       not known, those that name texts are";
        return Err(Error::file(config.path(), message));
    }
    Ok(Box::new(Bert {
        prefix,
        width,
        hidden: config.count("intermediate_size")?,
        blocks: blocks(config, names, "num_hidden_layers")?,
        heads,
        vocabulary: config.count("vocab_size")?,
        positions: config.count("max_position_embeddings")?,
        types: config.count_or_none("type_vocab_size")?.unwrap_or(2),
        epsilon: config.positive_or("layer_norm_eps", 1e-12)?,
        activation: config.activation("hidden_act", "gelu")?,
        classes: if classifies { Some(classes(config)?) } else { None },
    }))
}

impl Architecture for Bert {
    fn input(&self) -> Input {
        let &Self { vocabulary, positions, width, types, .. } = self;
        Input::Tokens { vocabulary, positions, width, types: Some(types) }
    }

    fn answer(&self) -> Answer {
        self.classes.map_or(Answer::Hidden, |classes| Answer::Class { classes })
    }

    fn table(&self) -> Option<String> {
        Some(format!("{}embeddings.word_embeddings.weight", self.prefix))
    }

    fn blocks(&self) -> u32 {
        self.blocks
    }

    fn prefix(&self, block: u32) -> String {
        format!("{}encoder.layer.{block}.", self.prefix)
    }

    fn parts(&self, _: u32) -> u32 {
        2
    }

    fn embed(&self, layers: &mut Layers, x: Tensor, types: Option<Tensor>) -> Result<Tensor> {
        let name = |part: &str| format!("{}embeddings.{part}", self.prefix);
        let mut x = x;
        if let Some(types) = types {
            let table = name("token_type_embeddings.weight");
            let table = layers.parameter(&table, &[self.types, self.width])?;
            let kinds = layers.graph.embedding(types, table)?;
            x = layers.graph.add(x, kinds)?;
        }
        let x = layers.add_positions(x, &name("position_embeddings.weight"), self.positions)?;
        layers.layer_norm(x, &name("LayerNorm"), self.epsilon)
    }

    fn part(&self, layers: &mut Layers, block: u32, part: u32, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}{part}", self.prefix(block));
        let (y, of) = if part == 0 {
            let names = ["self.query", "self.key", "self.value", "output.dense"];
            let names = names.map(|part| name(&format!("attention.{part}")));
            let options = AttentionOptions::new(self.heads).seen(layers.seen);
            (layers.attention(x, names, [true; 2], &options)?, "attention.output")
        } else {
            let inner = name("intermediate.dense");
            let y = layers.linear(x, &inner, self.hidden, true, self.activation)?;
            let plain = Activation::Identity;
            (layers.linear(y, &name("output.dense"), self.width, true, plain)?, "output")
        };
        let y = layers.graph.add(x, y)?;
        layers.layer_norm(y, &name(&format!("{of}.LayerNorm")), self.epsilon)
    }

    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor> {
        let Some(classes) = self.classes else { return Ok(x) };
        let x = layers.first_position(x)?;
        let pooler = format!("{}pooler.dense", self.prefix);
        let x = layers.linear(x, &pooler, self.width, true, Activation::Tanh)?;
        layers.linear(x, "classifier", classes, true, Activation::Identity)
    }

    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        match kind {
            Kind::Channels => resized(of, "intermediate_size", kept),
            _ => Err(unsaid_heads("hidden_size", self.width)),
        }
    }

    fn is_idle(&self, name: &str) -> bool {
        // Heads of the tasks that BERT was trained on, of which hidden states know nothing; a
        // pooler that nothing asks; the numbers of positions.
        let pooler = format!("{}pooler.", self.prefix);
        let unasked = self.classes.is_none() && name.starts_with(&pooler);
        unasked || name.starts_with("cls.") || name.ends_with("embeddings.position_ids")
    }
}
