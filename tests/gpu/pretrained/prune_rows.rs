//! Pruning by texts with padding and by images, with convolutions among the weights.
use std::collections::HashMap;

use secateur::Result;
use secateur::pretrained::{
    Allocate, Input, Method, Pretrained, PruneOptions, PruneReport, Rows, Sink,
};
use serde_json::Value;

use super::Golden;
use crate::common::gpu;
use crate::models::Copied;
use crate::paths::golden;

/// Pruned weights in memory.
#[derive(Default)]
struct Held(HashMap<String, Vec<f32>>);

impl Sink for Held {
    fn done(&self) -> &[String] {
        &[]
    }

    fn remark(&self, _: &str) -> Option<&str> {
        None
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.0[name].clone())
    }

    fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        self.0.insert(name.to_owned(), values.to_vec());
        Ok(values.to_vec())
    }

    fn mark_done(&mut self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}

impl Golden {
    /// Pruned by the rows of its golden file, of which what is called `padding` is put where a text
    /// has none.
    fn pruned(&self, options: &PruneOptions, padding: u32) -> (Held, PruneReport) {
        let (gpu, mut held) = (gpu().expect("asked before"), Held::default());
        let mut prune = |rows: Rows<'_>| {
            let report = self.model.prune_by(gpu, rows, options, &mut held, &mut |_| {});
            report.unwrap_or_else(|e| panic!("{}: {e}", self.name))
        };
        let report = match self.model.architecture().input() {
            Input::Images { .. } => prune(Rows::Images(&self.pixels())),
            _ => {
                let mut texts = self.texts().0;
                for text in &mut texts {
                    let ids = text.ids.iter_mut().zip(&text.seen);
                    ids.filter(|(_, seen)| !**seen).for_each(|(id, _)| *id = padding);
                }
                prune(Rows::Padded(&texts))
            }
        };
        (held, report)
    }

    /// Its masks are those of PyTorch, but for weights whose scores are all but equal: `most` of a
    /// thousand.
    fn check_masks(&self, most: usize) {
        let golden: Value =
            serde_json::from_str(&golden(&format!("models/{}/pruned.json", self.name))).unwrap();
        for method in [Method::Wanda, Method::SparseGpt] {
            let (held, report) = self.pruned(&PruneOptions::new(method, 0.5), 1);
            let kept = golden[method.name()]["kept"].as_object().unwrap();
            assert_eq!(kept.len(), held.0.len(), "{} by {}", self.name, method.name());
            let (mut other, mut all) = (0, 0);
            for (name, kept) in kept {
                // The lowest bit, which is the first weight's, is in the last digit.
                let digits: Vec<u8> = kept.as_str().unwrap().bytes().rev().collect();
                let bit = |i: usize| {
                    let digit = digits.get(i / 4).map_or(0, |&d| (d as char).to_digit(16).unwrap());
                    digit >> (i % 4) & 1 == 1
                };
                let values = held.0[name].iter().enumerate();
                other += values.filter(|&(i, &x)| (x != 0.0) != bit(i)).count();
                all += held.0[name].len();
            }
            let (name, method) = (&self.name, method.name());
            assert!(other * 1000 <= most * all, "{name} by {method}: {other} of {all} differ");
            assert!(report.calibration_perplexity.is_none());
            assert!(report.blocks.iter().all(|b| b.error > 0.0 && b.error < 1.0), "{report:?}");
        }
    }
}

/// Scores of f32 and of f64 are told apart by 2^-20 of themselves, and a pair that is not is two of
/// 10,000 weights.
#[test]
fn masks_of_bert_are_pytorchs_and_padding_does_not_count() {
    if gpu().is_some() {
        Golden::open("bert").check_masks(2);
    }
}

#[test]
fn masks_of_vit_are_pytorchs() {
    if gpu().is_some() {
        Golden::open("vit").check_masks(2);
    }
}

/// Kernels of 1 x 1 and of 3 x 3, with strides, in blocks of several sizes. Of its 2,000 weights a
/// single pair is one in a thousand.
#[test]
fn masks_of_resnet_are_pytorchs() {
    if gpu().is_some() {
        Golden::open("resnet_early").check_masks(2);
    }
}

/// What stands in padding reaches no statistic, whatever the method.
#[test]
fn padding_changes_no_bit() {
    if gpu().is_none() {
        return;
    }
    let bert = Golden::open("bert");
    for method in [Method::Wanda, Method::Admm] {
        let options = PruneOptions::new(method, 0.5);
        let [one, other] = [1, 60].map(|padding| bert.pruned(&options, padding));
        assert_eq!(one.0.0, other.0.0, "{}", method.name());
        let errors = |report: &PruneReport| report.blocks.iter().map(|b| b.error).sum::<f64>();
        assert_eq!(errors(&one.1), errors(&other.1), "{}", method.name());
    }
}

/// Blocks with more outliers lose less, and padding has none.
#[test]
fn sparsity_differs_by_block_of_texts_and_images() {
    if gpu().is_none() {
        return;
    }
    for name in ["bert", "vit", "resnet_early"] {
        let of = Golden::open(name);
        let owl = Allocate::Owl { above: 2.0, range: 0.2 };
        let options = PruneOptions::new(Method::Wanda, 0.5).allocate(owl);
        let [(held, report), (other, _)] = [1, 60].map(|padding| of.pruned(&options, padding));
        assert_eq!(held.0, other.0, "{name}");
        let (mut far, mut zeros, mut all) = (0.0_f64, 0.0, 0.0);
        for block in &report.blocks {
            let asked = block.asked.unwrap();
            far = far.max((asked - 0.5).abs());
            let len: u64 = block.weights.iter().map(|w| w.len).sum();
            zeros += block.sparsity() * len as f64;
            all += len as f64;
            for other in &report.blocks {
                let more = block.outliers > other.outliers;
                assert!(!more || block.asked < other.asked, "{name}: {report:?}");
            }
        }
        assert!((far - 0.2).abs() < 1e-9, "{name}: {far}");
        // Half a unit's weight of each unit of the last matrix may be too many or too few.
        let last = report.blocks.last().and_then(|block| block.weights.last()).unwrap();
        let units = of.model.files().info(&last.name).unwrap().shape[0];
        assert!((zeros - 0.5 * all).abs() <= units as f64 / 2.0 + 1.0, "{name}: {zeros} of {all}");
    }
}

#[test]
fn convolutions_lose_as_many_of_each_unit_and_are_brought_back() {
    let Some(gpu) = gpu() else { return };
    let resnet = Golden::open("resnet_early");
    let logits =
        |model: &Pretrained| model.outputs(gpu, Rows::Images(&resnet.pixels())).unwrap().concat();
    let dense = logits(&resnet.model);
    let far = |method| {
        let options = PruneOptions::new(method, 0.5);
        let (held, report) = resnet.pruned(&options, 0);
        for (name, values) in &held.0 {
            let inputs: usize =
                resnet.model.files().info(name).unwrap().shape[1..].iter().product();
            for unit in values.chunks(inputs) {
                let kept = unit.iter().filter(|&&x| x != 0.0).count();
                assert_eq!(kept * 2, inputs, "{name} by {}", method.name());
            }
        }
        let planned = resnet.model.prune_memory(0, &options, gpu.target()).unwrap();
        assert_eq!(report.device_bytes, planned.peak(), "{}", method.name());
        let copied = held.0.iter().fold(Copied::of("resnet_early"), |copied, (name, values)| {
            let shape = &resnet.model.files().info(name).unwrap().shape;
            copied.put(name, crate::models::Held::floats(shape, values))
        });
        let pruned = logits(&Pretrained::open(copied.write()).unwrap());
        pruned.iter().zip(&dense).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
    };
    let [wanda, admm] = [Method::Wanda, Method::Admm].map(far);
    assert!(admm < wanda, "{admm} by admm, {wanda} by wanda");
}
