//! Networks whose positions see all others: BERT with padding, the vision transformer.
use secateur::graph::{AttentionOptions, Conv2dOptions, Padding, Tensor};
use secateur::kernels::Activation;

use super::{Pretrained, check};

impl Pretrained {
    /// Attention with its projections: `names` of queries, keys, values and of what follows.
    fn attended(&mut self, x: Tensor, names: [String; 4], options: AttentionOptions) -> Tensor {
        let [q, k, v, out] = names;
        let [q, k, v] = [q, k, v].map(|name| self.linear(x, &name, Activation::Identity));
        let y = self.graph.attend(&[q, k, v], &options).unwrap();
        self.linear(y, &out, Activation::Identity)
    }

    /// The last hidden states, and what the pooler makes of the first position.
    fn bert(&mut self, features: Tensor) -> [Tensor; 2] {
        let &[batch, columns] = self.graph.shape(features).dims() else { panic!("no features") };
        let (length, epsilon) = (columns / 3, "layer_norm_eps");
        let [tokens, seen, types] =
            [0, 1, 2].map(|i| self.graph.slice(features, 1, i * length..(i + 1) * length).unwrap());
        let embedded = |model: &mut Self, name: &str, tokens| {
            let table = model.parameter(&format!("embeddings.{name}_embeddings.weight"));
            model.graph.embedding(tokens, table).unwrap()
        };
        let x = embedded(self, "word", tokens);
        let types = embedded(self, "token_type", types);
        let x = self.graph.add(x, types).unwrap();
        let positions = self.parameter("embeddings.position_embeddings.weight");
        let positions = self.graph.slice(positions, 0, 0..length).unwrap();
        let x = self.graph.add(x, positions).unwrap();
        let mut x = self.norm(x, "embeddings.LayerNorm", epsilon);
        let options = AttentionOptions::new(self.number("num_attention_heads")).seen(Some(seen));
        for layer in 0..self.number("num_hidden_layers") {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let names = ["self.query", "self.key", "self.value", "output.dense"];
            let names = names.map(|part| name(&format!("attention.{part}")));
            let y = self.attended(x, names, options);
            let y = self.graph.add(x, y).unwrap();
            x = self.norm(y, &name("attention.output.LayerNorm"), epsilon);
            let y = self.linear(x, &name("intermediate.dense"), Activation::Gelu);
            let y = self.linear(y, &name("output.dense"), Activation::Identity);
            let y = self.graph.add(x, y).unwrap();
            x = self.norm(y, &name("output.LayerNorm"), epsilon);
        }
        let first = self.graph.slice(x, 1, 0..1).unwrap();
        let width = self.number("hidden_size");
        let first = self.graph.reshape(first, [batch, width]).unwrap();
        [x, self.linear(first, "pooler.dense", Activation::Tanh)]
    }

    /// The logits of images `[batch, height, width, channels]`.
    fn vit(&mut self, images: Tensor) -> Tensor {
        let batch = self.graph.shape(images).dims()[0];
        let [width, patch] = ["hidden_size", "patch_size"].map(|name| self.number(name));
        let (channels, side) = (self.number("num_channels"), self.number("image_size") / patch);
        let (name, epsilon) = ("vit.embeddings.patch_embeddings.projection", "layer_norm_eps");
        // Of [outputs, channels, height, width] the kernel that has the outputs last.
        let kernel = self.parameter_as(
            &format!("{name}.weight"),
            [patch, patch, channels, width],
            |values| {
                let place = [patch * patch, channels, width].map(|d| d as usize);
                let of = |i: usize| {
                    let (o, c, p) =
                        (i % place[2], i / place[2] % place[1], i / place[2] / place[1]);
                    values[(o * place[1] + c) * place[0] + p]
                };
                (0..values.len()).map(of).collect()
            },
        );
        let bias = self.parameter(&format!("{name}.bias"));
        let options = Conv2dOptions {
            stride: [patch; 2],
            padding: Padding::Valid,
            ..Conv2dOptions::default()
        };
        let x =
            self.graph.conv2d(images, kernel, Some(bias), Activation::Identity, options).unwrap();
        let x = self.graph.reshape(x, [batch, side * side, width]).unwrap();
        let token = self.parameter("vit.embeddings.cls_token");
        let x = self.graph.prepend(x, token).unwrap();
        let positions = self.parameter("vit.embeddings.position_embeddings");
        let positions = self.graph.reshape(positions, [side * side + 1, width]).unwrap();
        let mut x = self.graph.add(x, positions).unwrap();
        let options = AttentionOptions::new(self.number("num_attention_heads"));
        for layer in 0..self.number("num_hidden_layers") {
            let name = |part: &str| format!("vit.encoder.layer.{layer}.{part}");
            let names = ["attention.query", "attention.key", "attention.value", "output.dense"];
            let names = names.map(|part| name(&format!("attention.{part}")));
            let y = self.norm(x, &name("layernorm_before"), epsilon);
            let y = self.attended(y, names, options);
            x = self.graph.add(x, y).unwrap();
            let y = self.norm(x, &name("layernorm_after"), epsilon);
            let y = self.linear(y, &name("intermediate.dense"), Activation::Gelu);
            let y = self.linear(y, &name("output.dense"), Activation::Identity);
            x = self.graph.add(x, y).unwrap();
        }
        let x = self.norm(x, "vit.layernorm", epsilon);
        let first = self.graph.slice(x, 1, 0..1).unwrap();
        let first = self.graph.reshape(first, [batch, width]).unwrap();
        self.linear(first, "classifier", Activation::Identity)
    }
}

#[test]
fn bert_with_padding_and_token_types() {
    let mut model = Pretrained::open("bert");
    let rows = |name: &str| {
        let rows = model.golden[name].as_array().unwrap().iter();
        rows.map(super::flat).collect::<Vec<_>>()
    };
    let [ids, seen, types] = ["input_ids", "attention_mask", "token_type_ids"].map(rows);
    let row = |i: usize| [&ids[i], &seen[i], &types[i]].into_iter().flatten();
    let values: Vec<f32> = (0..ids.len()).flat_map(row).map(|&x| x as f32).collect();
    let (batch, length) = (ids.len() as u32, ids[0].len());
    let features = model.graph.features(batch, 3 * length as u32);
    let wanted = model.bert(features);
    model.check_all_taken();
    let width = model.number("hidden_size") as usize;
    let Some(got) = model.evaluate((features, &values), &wanted) else { return };
    let (first, second) = got[0].split_at(length * width);
    check("row 0", first, &model.floats("last_hidden_state_row0"));
    check("row 1", &second[..11 * width], &model.floats("last_hidden_state_row1_first11"));
    check("pooler", &got[1], &model.floats("pooler_output"));
}

#[test]
fn vit_with_a_class_token() {
    let mut model = Pretrained::open("vit");
    let (channels, side) = (model.number("num_channels"), model.number("image_size"));
    let features = model.graph.features(2, channels * side * side);
    let images = model.graph.reshape(features, [2, side, side, channels]).unwrap();
    let logits = model.vit(images);
    model.check_all_taken();
    // sin(0.05 i) in [images, channels, height, width], with the channels last.
    let [channels, place] = [channels, side * side].map(|n| n as usize);
    let at = |i: usize| {
        let (c, p, image) = (i % channels, i / channels % place, i / channels / place);
        let place = (image * channels + c) * place + p;
        (0.05 * place as f64).sin() as f32
    };
    let values: Vec<f32> = (0..2 * channels * place).map(at).collect();
    let Some(got) = model.evaluate((features, &values), &[logits]) else { return };
    check("vit", &got[0], &model.floats("logits"));
}
