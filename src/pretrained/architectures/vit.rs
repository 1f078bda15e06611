//! The vision transformer: patches of an image as tokens, behind a class token that answers.
//!
//! A block: layer norm, attention, layer norm, a feed-forward layer. Tensors are called as
//! transformers or as timm calls them.
use super::settings::{
    blocks, check_head, classes, extents, resized, resized_in, shared, timm_classes, unsaid_heads,
};
use super::{Answer, Architecture, Config, Input, Kind, Layers, Names, Settings};
use crate::graph::{AttentionOptions, Conv2dOptions, Padding, Tensor};
use crate::kernels::Activation;
use crate::{Error, Result};

/// What tensors are called: those of a block behind its prefix.
#[derive(Debug)]
struct Naming {
    patches: &'static str,
    token: &'static str,
    positions: &'static str,
    blocks: &'static str,
    norms: [&'static str; 2],
    /// Queries, keys and values: three weights, or one.
    attention: &'static [&'static str],
    projection: &'static str,
    feed_forward: [&'static str; 2],
    norm: &'static str,
    head: &'static str,
}

const TRANSFORMERS: Naming = Naming {
    patches: "vit.embeddings.patch_embeddings.projection",
    token: "vit.embeddings.cls_token",
    positions: "vit.embeddings.position_embeddings",
    blocks: "vit.encoder.layer",
    norms: ["layernorm_before", "layernorm_after"],
    attention: &[
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
    ],
    projection: "attention.output.dense",
    feed_forward: ["intermediate.dense", "output.dense"],
    norm: "vit.layernorm",
    head: "classifier",
};
const TIMM: Naming = Naming {
    patches: "patch_embed.proj",
    token: "cls_token",
    positions: "pos_embed",
    blocks: "blocks",
    norms: ["norm1", "norm2"],
    attention: &["attn.qkv"],
    projection: "attn.proj",
    feed_forward: ["mlp.fc1", "mlp.fc2"],
    norm: "norm",
    head: "head",
};
/// Heads of timm's sizes.
const HEADS: &[(&str, u32)] =
    &[("tiny", 3), ("small", 6), ("base", 12), ("large", 16), ("huge", 16)];

#[derive(Debug)]
struct Vit {
    naming: &'static Naming,
    width: u32,
    hidden: u32,
    blocks: u32,
    heads: u32,
    head_size: u32,
    side: u32,
    patch: u32,
    channels: u32,
    epsilon: f64,
    activation: Activation,
    /// Whether queries, keys and values have biases.
    biases: bool,
    classes: u32,
}

pub(super) fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let (width, heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
    let head_size = match config.count_or_none("head_dim")? {
        Some(size) => size,
        None => shared(config, [("hidden_size", width), ("num_attention_heads", heads)])?,
    };
    // A decoder's, and a pooler's beside the class token, which no classifier asks.
    config.ignore(&["encoder_stride", "pooler_act", "pooler_output_size"]);
    check_head(config, names, "classifier.weight")?;
    Ok(Box::new(Vit {
        naming: &TRANSFORMERS,
        width,
        hidden: config.count("intermediate_size")?,
        blocks: blocks(config, names, "num_hidden_layers")?,
        heads,
        head_size,
        side: config.count("image_size")?,
        patch: config.count("patch_size")?,
        channels: config.count("num_channels")?,
        epsilon: config.positive_or("layer_norm_eps", 1e-12)?,
        activation: config.activation("hidden_act", "gelu")?,
        biases: config.flag("qkv_bias", true)?,
        classes: classes(config)?,
    }))
}

/// timm says the sizes by a name and by the tensors themselves.
pub(super) fn read_timm(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let architecture = config.text("architecture")?.unwrap_or_default();
    let form = regex::Regex::new(r"^vit_([a-z]+)_patch\d+_\d+$").ok();
    let size = form.and_then(|form| Some(form.captures(architecture)?.get(1)?.as_str()));
    let known = size.and_then(|size| HEADS.iter().find(|(name, _)| *name == size));
    let Some(&(_, mut heads)) = known else {
        let message = "of timm's vision transformers vit_SIZE_patchN_N are known, of the sizes \
                       tiny, small, base, large, huge";
        return Err(config.wrong("architecture", message));
    };
    let classes = timm_classes(config, names, ["head.weight", "token"])?;
    if let Some(of) = config.object("model_args")? {
        heads = of.count_or_none("num_heads")?.unwrap_or(heads);
        // What the tensors say, too.
        of.ignore(&["img_size", "patch_size", "embed_dim", "depth", "mlp_ratio", "num_classes"]);
        of.check_all_read()?;
    }
    let [width, channels, patch, _] = extents(config, names, "patch_embed.proj.weight")?;
    let [hidden, _] = extents(config, names, "blocks.0.mlp.fc1.weight")?;
    let [_, rows, _] = extents(config, names, "pos_embed")?;
    if width % heads != 0 {
        return Err(config.wrong("architecture", format!("{heads} heads do not divide {width}")));
    }
    let places = (rows - 1).isqrt();
    if places * places != rows - 1 {
        let message = format!("pos_embed has {rows} rows, which are no square and a class token");
        return Err(Error::file(config.path(), message));
    }
    let block = |i: &u32| names.has(&format!("blocks.{i}.norm1.weight"));
    Ok(Box::new(Vit {
        naming: &TIMM,
        width,
        hidden,
        blocks: (0..).take_while(block).count() as u32,
        heads,
        head_size: width / heads,
        side: places.saturating_mul(patch),
        patch,
        channels,
        epsilon: 1e-6,
        activation: Activation::Gelu,
        biases: true,
        classes,
    }))
}

impl Architecture for Vit {
    fn input(&self) -> Input {
        Input::Images { side: self.side, channels: self.channels }
    }

    fn answer(&self) -> Answer {
        Answer::Class { classes: self.classes }
    }

    fn blocks(&self) -> u32 {
        self.blocks
    }

    fn prefix(&self, block: u32) -> String {
        format!("{}.{block}.", self.naming.blocks)
    }

    fn parts(&self, _: u32) -> u32 {
        2
    }

    fn embed(&self, layers: &mut Layers, x: Tensor, _: Option<Tensor>) -> Result<Tensor> {
        let batch = layers.graph.shape(x).dims()[0];
        let (&Self { width, patch, side, .. }, naming) = (self, &self.naming);
        let stride = [patch; 2];
        let options = Conv2dOptions { stride, padding: Padding::Valid, ..Conv2dOptions::default() };
        let x = layers.convolution(x, naming.patches, [width, patch, patch], true, options)?;
        let places = (side / patch).saturating_mul(side / patch);
        let x = layers.graph.reshape(x, [batch, places, width])?;
        let token = layers.parameter(naming.token, &[1, 1, width])?;
        let x = layers.graph.prepend(x, token)?;
        let rows = places.saturating_add(1);
        let positions = layers.parameter_as(naming.positions, [rows, width], &[1, rows, width])?;
        layers.graph.add(x, positions)
    }

    fn part(&self, layers: &mut Layers, block: u32, part: u32, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}{part}", self.prefix(block));
        let (naming, plain) = (self.naming, Activation::Identity);
        let y = layers.layer_norm(x, &name(naming.norms[part.min(1) as usize]), self.epsilon)?;
        let y = if part == 0 {
            let fused = 3 / naming.attention.len() as u32;
            let mut inputs = Vec::new();
            for of in naming.attention {
                let outputs = self.heads.saturating_mul(self.head_size).saturating_mul(fused);
                inputs.push(layers.linear(y, &name(of), outputs, self.biases, plain)?);
            }
            let y = layers.graph.attend(&inputs, &AttentionOptions::new(self.heads))?;
            layers.linear(y, &name(naming.projection), self.width, true, plain)?
        } else {
            let [up, down] = naming.feed_forward.map(name);
            let y = layers.linear(y, &up, self.hidden, true, self.activation)?;
            layers.linear(y, &down, self.width, true, plain)?
        };
        layers.graph.add(x, y)
    }

    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor> {
        let x = layers.layer_norm(x, self.naming.norm, self.epsilon)?;
        let x = layers.first_position(x)?;
        layers.linear(x, self.naming.head, self.classes, true, Activation::Identity)
    }

    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        match (kind, self.naming.head) {
            (Kind::Channels, "head") => {
                // timm multiplies and rounds towards zero.
                let ratio = (f64::from(kept) + 0.5) / f64::from(self.width);
                resized_in(of, "model_args", "mlp_ratio", ratio)
            }
            (Kind::Channels, _) => resized(of, "intermediate_size", kept),
            (_, "head") => Err(unsaid_heads("embed_dim", self.width)),
            _ => {
                resized(of, "head_dim", self.head_size)?;
                resized(of, "num_attention_heads", kept)
            }
        }
    }

    fn is_idle(&self, name: &str) -> bool {
        name.starts_with("vit.pooler.") || name == "vit.embeddings.mask_token"
    }
}
