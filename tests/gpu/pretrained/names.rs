//! The same networks with the names that timm and torchvision give to their tensors.
use serde_json::json;

use super::Golden;
use crate::models::{Copied, Held};

#[test]
fn vit_as_timm_calls_it() {
    let name = |name: &str| {
        let name = name.replace("vit.encoder.layer.", "blocks.").replace("vit.", "");
        let pairs = [
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("attention.output.dense", "attn.proj"),
            ("attention.attention.", "attn."),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
            ("layernorm.", "norm."),
            ("classifier", "head"),
        ];
        pairs.iter().fold(name, |name, (from, to)| name.replace(from, to))
    };
    let mut copied = Copied::of("vit").renamed(name);
    for block in 0..2 {
        for (part, shape) in [("weight", vec![96, 32]), ("bias", vec![96])] {
            let mut take = |of: &str| {
                copied.tensors.remove(&format!("blocks.{block}.attn.{of}.{part}")).unwrap().values()
            };
            let fused = [take("query"), take("key"), take("value")].concat();
            let fused = Held::floats(&shape, &fused);
            copied.tensors.insert(format!("blocks.{block}.attn.qkv.{part}"), fused);
        }
    }
    copied.config = json!({
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 7,
        "num_features": 32,
        "global_pool": "token",
        "model_args": {"num_heads": 4, "embed_dim": 32},
        "pretrained_cfg": {"input_size": [3, 24, 24], "mean": [0.5, 0.5, 0.5]},
    });
    Golden::at(copied.write(), "vit of timm").check_images();
}

#[test]
fn resnet_as_timm_and_torchvision_call_it() {
    let of_layer = regex::Regex::new(
        r"^resnet\.encoder\.stages\.(\d)\.layers\.(\d)\.(layer\.(\d)|shortcut)\.(\w+)\.(\w+)$",
    )
    .unwrap();
    let name = |name: &str| {
        let Some(found) = of_layer.captures(name) else {
            return name
                .replace("resnet.embedder.embedder.convolution", "conv1")
                .replace("resnet.embedder.embedder.normalization", "bn1")
                .replace("classifier.1", "fc");
        };
        let stage = found[1].parse::<u32>().unwrap() + 1;
        let convolution = &found[5] == "convolution";
        let part = match found.get(4) {
            Some(i) => {
                let i = i.as_str().parse::<u32>().unwrap() + 1;
                format!("{}{i}", if convolution { "conv" } else { "bn" })
            }
            None => format!("downsample.{}", u8::from(!convolution)),
        };
        format!("layer{stage}.{}.{part}.{}", &found[2], &found[6])
    };
    let mut copied = Copied::of("resnet").renamed(name);
    copied.config = json!({
        "architecture": "resnet50",
        "num_classes": 5,
        "num_features": 40,
        "global_pool": "avg",
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    });
    Golden::at(copied.write(), "resnet of timm").check_images();
}
