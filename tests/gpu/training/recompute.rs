//! Activations computed again for the backward pass: less scratch, and the same bits of everything.
use std::path::Path;

use secateur::data::{BatchSource, Batches};
use secateur::graph::Padding;
use secateur::kernels::{Activation, Pruned};
use secateur::nn::Model;
use secateur::nn::layers::{
    Attention, BatchNorm, Conv, Dropout, Embedding, Flatten, Layer, LayerNorm, Linear, Normalizer,
    Pool, Residual,
};
use secateur::train::{Event, StepReturn, TrainOp, TrainOptions, TrainStepFn, train};

use super::layers::{BATCH, averaged, files, image_model, letters, pictures, sequence_model};
use super::{SEED, blobs, pruning};
use crate::common::gpu;

/// Files of the last checkpoint, losses, scratch in bytes and launches that compute again.
type Outcome = ([Vec<u8>; 2], Vec<u32>, u64, usize);

fn go(
    model: &Model,
    batches: impl BatchSource,
    recompute: usize,
    mode: Pruned,
    accumulates: bool,
) -> Option<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let logdir: &Path = folder.path();
    let op = TrainOp::new(gpu()?, model, averaged(), batches, SEED).unwrap();
    let op = op.recompute(recompute).unwrap();
    let op = if accumulates { op.accumulate_gradients() } else { op };
    let mut losses = Vec::new();
    let twice: TrainStepFn<'_> = Box::new(|context| {
        context.accumulate()?;
        context.accumulate()?;
        context.apply()?;
        Ok(StepReturn::default())
    });
    let options = TrainOptions::default()
        .number_of_steps(Some(12))
        .train_step_fn(accumulates.then_some(twice))
        .on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                losses.push(step.loss.to_bits());
            }
        })));
    let session = train(op, Some(logdir), pruning(mode), options).unwrap().session;
    let again = session.plan().matches("=recomputed/").count();
    let scratch = session.memory().scratch;
    Some((files(logdir), losses, scratch, again))
}

/// Whatever the segments, all bits are those of the run that keeps everything.
fn check<B: BatchSource>(name: &str, model: &Model, new: impl Fn() -> B, segments: &[usize]) {
    for (mode, accumulates) in [(Pruned::Zero, false), (Pruned::Revive, true), (Pruned::Pull, true)]
    {
        let Some(kept) = go(model, new(), 0, mode, accumulates) else { return };
        assert_eq!(kept.3, 0);
        for &layers in segments {
            let again = go(model, new(), layers, mode, accumulates).unwrap();
            let what = format!("{name}, {mode:?}, in segments of {layers}");
            assert!(again.3 > 0, "{what}: nothing is computed again");
            assert_eq!(kept.1, again.1, "{what}: losses");
            assert!(kept.0 == again.0, "{what}: weights, statistics, slots, masks, states");
        }
    }
}

#[test]
fn a_deep_mlp() {
    let new = || Batches::new(blobs(), 16, Some(SEED)).unwrap();
    check("mlp", &Model::mlp(&[20, 13, 20, 13, 20, 13]), new, &[2, 3, 5]);
}

/// Dropout draws the same elements again, and running statistics move once.
#[test]
fn convolutions_with_batch_norm_and_dropout() {
    let new = || Batches::new(pictures(), 16, Some(SEED)).unwrap().augment(true);
    let norm = Conv::new(6, 3).normalizer(Some(Normalizer::BatchNorm));
    let deep = Model::Layers(vec![
        norm.clone().into(),
        Dropout::new(0.3).into(),
        norm.into(),
        Pool::max(2, 2, Padding::Same).into(),
        Conv::new(5, 3).activation(Activation::Gelu).into(),
        BatchNorm::default().into(),
        Dropout::new(0.2).into(),
        Flatten {}.into(),
        Linear::logits().into(),
    ]);
    check("deep", &deep, new, &[2, 4]);
    check("image_model", &image_model(), new, &[1, 3]);
}

#[test]
fn transformer_blocks_with_dropout() {
    let new = || Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true);
    let linear = |outputs, activation| Linear::new(outputs).activation(activation).into();
    let attention: Layer = Attention::new(2).into();
    let block = || -> [Layer; 2] {
        let first = vec![LayerNorm::default().into(), attention.clone(), Dropout::new(0.1).into()];
        let wide = linear(24, Activation::Gelu);
        let second = vec![LayerNorm::default().into(), wide, linear(6, Activation::Identity)];
        [first, second].map(|layers| Residual::new(layers).into())
    };
    let embedding = Embedding::new(6, true).masked(true).into();
    let blocks = (0..3).flat_map(|_| block());
    let head = [LayerNorm::default().into(), Linear::logits().into()];
    let model = Model::Layers([embedding].into_iter().chain(blocks).chain(head).collect());
    check("transformer", &model, new, &[1, 2, 3]);
}

/// Recurrent layers keep their tapes; what is around them is computed again.
#[test]
fn recurrent_layers() {
    let new = || Batches::new(letters(27, 4), BATCH, None).unwrap().streams(true);
    check("sequence_model", &sequence_model(), new, &[1, 2]);
}
