//! The models that have names, as layers.
use super::layers::{
    Attention, Conv, Embedding, Flatten, Layer, LayerNorm, Linear, LocalResponseNorm, Lstm, Pool,
    Residual,
};
use crate::graph::{Init, Padding};
use crate::kernels::Activation;

/// Fully connected layers with ReLU between them.
pub(super) fn mlp(hidden: &[u32]) -> Vec<Layer> {
    let layers = hidden.iter().map(|&outputs| Linear::new(outputs).into());
    [Flatten {}.into()].into_iter().chain(layers).chain([Linear::logits().into()]).collect()
}

/// LeNet-5 as Han et al. 2015 prune it: 430,500 weights on images of 28x28.
pub(super) fn lenet5() -> Vec<Layer> {
    let conv = |outputs| Conv { padding: Padding::Valid, ..Conv::new(outputs, 5) };
    let pool = || Pool::max(2, 2, Padding::Valid).into();
    vec![
        conv(20).into(),
        pool(),
        conv(50).into(),
        pool(),
        Flatten {}.into(),
        Linear::new(500).into(),
        Linear::logits().into(),
    ]
}

/// Upstream's CIFAR-10 example: 1,067,584 masked weights on images of 24x24 in three colours.
pub(super) fn cifar10() -> Vec<Layer> {
    let normal = |deviation| Init::TruncatedNormal(deviation);
    let conv = |name: &str, bias_init| Conv {
        name: Some(name.to_owned()),
        init: normal(0.05),
        bias_init,
        ..Conv::new(64, 5)
    };
    let pool = || Pool::max(3, 2, Padding::Same).into();
    let norm = || LocalResponseNorm { radius: 4, bias: 1.0, alpha: 0.001 / 9.0, beta: 0.75 }.into();
    let local = |name: &str, outputs| Linear {
        name: Some(name.to_owned()),
        init: normal(0.04),
        bias_init: 0.1,
        weight_decay: 0.004,
        ..Linear::new(outputs)
    };
    vec![
        conv("conv1", 0.0).into(),
        pool(),
        norm(),
        conv("conv2", 0.1).into(),
        norm(),
        pool(),
        Flatten {}.into(),
        local("local3", 384).into(),
        local("local4", 192).into(),
        Linear {
            name: Some("softmax_linear".to_owned()),
            init: normal(1.0 / 192.0),
            ..Linear::logits()
        }
        .into(),
    ]
}

/// Characters through an embedding and layers of LSTM.
pub(super) fn charlstm(units: u32, depth: u32) -> Vec<Layer> {
    let embedding = Embedding { init: Init::Glorot, ..Embedding::new(units, false) };
    let layers = (0..depth).map(|_| Lstm::new(units).into());
    [embedding.into()].into_iter().chain(layers).chain([Linear::logits().into()]).collect()
}

/// Characters through a small GPT: blocks of attention and a wide layer, each normalised before and
/// added to what it read.
pub(super) fn chargpt(width: u32, blocks: u32, heads: u32) -> Vec<Layer> {
    // GPT-2's: what is added to the residual connection begins smaller the more is added.
    let [init, last] = [0.02, 0.02 / (2.0 * blocks.max(1) as f32).sqrt()].map(Init::Normal);
    let linear = |outputs, init, activation| Linear { init, activation, ..Linear::new(outputs) };
    let block = |_| {
        let attention = Attention { init, ..Attention::new(heads) };
        let wide = width.saturating_mul(4);
        let parts: [Vec<Layer>; 2] = [
            vec![LayerNorm::default().into(), attention.into()],
            vec![
                LayerNorm::default().into(),
                linear(wide, init, Activation::GeluTanh).into(),
                linear(width, last, Activation::Identity).into(),
            ],
        ];
        parts.map(|layers| Layer::from(Residual { layers }))
    };
    let embedding = Embedding::new(width, true).into();
    let head = Linear { init, bias: false, ..Linear::logits() };
    [embedding]
        .into_iter()
        .chain((0..blocks).flat_map(block))
        .chain([LayerNorm::default().into(), head.into()])
        .collect()
}
