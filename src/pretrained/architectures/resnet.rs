//! ResNet: convolutions with batch norms, and sums with what went into them.
//!
//! A block: two convolutions, or three of which the middle one is narrow; a convolution of 1 x 1
//! where what comes out has another shape. Tensors are called as transformers or as timm and
//! torchvision call them.
use super::settings::{check_head, classes, extents, resized_in, side, timm_classes};
use super::{Answer, Architecture, Config, Input, Kind, Layers, Names, Settings};
use crate::graph::{Conv2dOptions, Padding, PoolOptions, Tensor};
use crate::kernels::{Activation, Pooling};
use crate::{Error, Result};

/// torch's, which no file says.
const EPSILON: f64 = 1e-5;

/// A convolution and its batch norm.
#[derive(Debug)]
struct Convolution {
    name: String,
    norm: String,
    outputs: u32,
    kernel: u32,
    stride: u32,
}

#[derive(Debug)]
struct Block {
    prefix: String,
    convolutions: Vec<Convolution>,
    shortcut: Option<Convolution>,
}

#[derive(Debug)]
struct Resnet {
    side: u32,
    channels: u32,
    stem: Convolution,
    blocks: Vec<Block>,
    activation: Activation,
    head: &'static str,
    classes: u32,
}

/// A convolution as transformers calls it.
fn named(layer: &str, [outputs, kernel, stride]: [u32; 3]) -> Convolution {
    let [name, norm] = ["convolution", "normalization"].map(|part| format!("{layer}.{part}"));
    Convolution { name, norm, outputs, kernel, stride }
}

pub(super) fn read(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let (sizes, depths) = (config.counts("hidden_sizes")?, config.counts("depths")?);
    let layers: u64 = depths.iter().map(|&depth| u64::from(depth)).sum();
    if sizes.len() != depths.len() || layers > names.count() as u64 {
        let (stages, tensors) = (sizes.len(), names.count());
        let message = format!("there are {stages} `hidden_sizes`, and {tensors} tensors");
        return Err(config.wrong("depths", message));
    }
    let bottleneck = match config.text("layer_type")?.unwrap_or("bottleneck") {
        "bottleneck" => true,
        "basic" => false,
        _ => return Err(config.wrong("layer_type", "known are bottleneck, basic")),
    };
    let early = config.flag("downsample_in_bottleneck", false)?;
    let first = config.flag("downsample_in_first_stage", false)?;
    // Of what uses a network's stages for something else.
    config.ignore(&["out_features", "out_indices", "stage_names"]);
    let embedding = config.count("embedding_size")?;
    let (mut blocks, mut inputs) = (Vec::new(), embedding);
    for (stage, (&outputs, &depth)) in sizes.iter().zip(&depths).enumerate() {
        for layer in 0..depth {
            let stride = if layer == 0 && (stage > 0 || first) { 2 } else { 1 };
            let narrow = (outputs / 4).max(1);
            let [one, two] = if early { [stride, 1] } else { [1, stride] };
            let sizes: &[[u32; 3]] = match bottleneck {
                true => &[[narrow, 1, one], [narrow, 3, two], [outputs, 1, 1]],
                false => &[[outputs, 3, stride], [outputs, 3, 1]],
            };
            let convolutions = sizes.iter().enumerate();
            let other = inputs != outputs || stride != 1;
            blocks.push(Block {
                prefix: format!("resnet.encoder.stages.{stage}.layers.{layer}."),
                convolutions: convolutions.map(|(i, &s)| named(&format!("layer.{i}"), s)).collect(),
                shortcut: other.then(|| named("shortcut", [outputs, 1, stride])),
            });
            inputs = outputs;
        }
    }
    check_head(config, names, "classifier.1.weight")?;
    Ok(Box::new(Resnet {
        side: side(config)?,
        channels: config.count("num_channels")?,
        stem: named("resnet.embedder.embedder", [embedding, 7, 2]),
        blocks,
        activation: config.activation("hidden_act", "relu")?,
        head: "classifier.1",
        classes: classes(config)?,
    }))
}

/// timm says the kind by a name, and the sizes by the tensors themselves.
pub(super) fn read_timm(config: &Config, names: &dyn Names) -> Result<Box<dyn Architecture>> {
    let architecture = config.text("architecture")?.unwrap_or_default();
    let known = regex::Regex::new(r"^(resnet(18|26|34|50|101|152)|wide_resnet(50|101)_2)$");
    if !known.is_ok_and(|known| known.is_match(architecture)) {
        let message = "of timm's residual networks resnet18, 26, 34, 50, 101, 152 and \
                       wide_resnet50_2, 101_2 are known";
        return Err(config.wrong("architecture", message));
    }
    let classes = timm_classes(config, names, ["fc.weight", "avg"])?;
    if let Some(of) = config.object("model_args")? {
        // Inner widths, which the tensors say, too.
        of.ignore(&["base_width"]);
        of.check_all_read()?;
    }
    let [outputs, channels, kernel, _] = extents(config, names, "conv1.weight")?;
    let part = |prefix: &str, [name, norm]: [String; 2], stride: u32| {
        let [outputs, _, kernel, _] = extents(config, names, &format!("{prefix}{name}.weight"))?;
        Ok::<_, Error>(Convolution { name, norm, outputs, kernel, stride })
    };
    let mut blocks = Vec::new();
    for stage in 1..=4 {
        for layer in 0.. {
            let prefix = format!("layer{stage}.{layer}.");
            let has = |name: &str| names.has(&format!("{prefix}{name}.weight"));
            if !has("conv1") {
                break;
            }
            let stride = if layer == 0 && stage > 1 { 2 } else { 1 };
            // The second one of three, the first one of two.
            let (count, wide) = if has("conv3") { (3, 2) } else { (2, 1) };
            let convolution = |i: u32| {
                let names = ["conv", "bn"].map(|kind| format!("{kind}{i}"));
                part(&prefix, names, if i == wide { stride } else { 1 })
            };
            let convolutions = (1..=count).map(convolution).collect::<Result<_>>()?;
            let names = ["downsample.0", "downsample.1"].map(str::to_owned);
            let shortcut = has("downsample.0").then(|| part(&prefix, names, stride)).transpose()?;
            blocks.push(Block { prefix, convolutions, shortcut });
        }
    }
    let [name, norm] = ["conv1", "bn1"].map(str::to_owned);
    Ok(Box::new(Resnet {
        side: side(config)?,
        channels,
        stem: Convolution { name, norm, outputs, kernel, stride: 2 },
        blocks,
        activation: Activation::Relu,
        head: "fc",
        classes,
    }))
}

impl Resnet {
    fn convolved(
        &self,
        layers: &mut Layers,
        x: Tensor,
        of: &Convolution,
        at: &str,
    ) -> Result<Tensor> {
        let &Convolution { ref name, ref norm, outputs, kernel, stride } = of;
        let padding = Padding::Explicit([[kernel / 2; 2]; 2]);
        let options = Conv2dOptions { stride: [stride; 2], padding, ..Conv2dOptions::default() };
        let name = format!("{at}{name}");
        let x = layers.convolution(x, &name, [outputs, kernel, kernel], false, options)?;
        layers.batch_norm(x, &format!("{at}{norm}"), EPSILON)
    }
}

impl Architecture for Resnet {
    fn input(&self) -> Input {
        Input::Images { side: self.side, channels: self.channels }
    }

    fn answer(&self) -> Answer {
        Answer::Class { classes: self.classes }
    }

    fn blocks(&self) -> u32 {
        self.blocks.len() as u32
    }

    fn prefix(&self, block: u32) -> String {
        self.blocks[block as usize].prefix.clone()
    }

    fn parts(&self, _: u32) -> u32 {
        1
    }

    fn embed(&self, layers: &mut Layers, x: Tensor, _: Option<Tensor>) -> Result<Tensor> {
        let x = self.convolved(layers, x, &self.stem, "")?;
        let x = layers.graph.activate(x, self.activation);
        let padding = Padding::Explicit([[1; 2]; 2]);
        let options = PoolOptions { window: [3; 2], stride: [2; 2], padding };
        layers.graph.pool(x, Pooling::Max, options)
    }

    fn part(&self, layers: &mut Layers, block: u32, _: u32, x: Tensor) -> Result<Tensor> {
        let Block { prefix, convolutions, shortcut } = &self.blocks[block as usize];
        let mut y = x;
        for (i, of) in convolutions.iter().enumerate() {
            if i > 0 {
                y = layers.graph.activate(y, self.activation);
            }
            y = self.convolved(layers, y, of, prefix)?;
        }
        let x = match shortcut {
            Some(of) => self.convolved(layers, x, of, prefix)?,
            None => x,
        };
        let y = layers.graph.add(x, y)?;
        Ok(layers.graph.activate(y, self.activation))
    }

    fn head(&self, layers: &mut Layers, x: Tensor) -> Result<Tensor> {
        let x = layers.graph.global_mean_pool(x)?;
        layers.linear(x, self.head, self.classes, true, Activation::Identity)
    }

    fn resize(&self, of: &mut Settings, kind: Kind, kept: u32) -> Result<(), String> {
        let bottleneck = self.blocks.iter().all(|block| block.convolutions.len() == 3);
        match (kind, self.head) {
            (Kind::Channels, "fc") if bottleneck => {
                resized_in(of, "model_args", "base_width", kept)
            }
            (Kind::Channels, "fc") => Err("timm's basic blocks have no width of their own".into()),
            (Kind::Channels, _) => {
                Err("transformers takes the inner widths of blocks from `hidden_sizes`".into())
            }
            _ => Err("convolutions have no heads".into()),
        }
    }

    fn is_idle(&self, name: &str) -> bool {
        name.ends_with("num_batches_tracked")
    }
}
