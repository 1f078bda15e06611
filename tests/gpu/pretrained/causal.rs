//! Language models: Llama with its rotary scaling, Qwen2, GPT-2.
use secateur::graph::{AttentionOptions, RotaryOptions, RotaryScaling, Tensor, rotary_frequencies};
use secateur::kernels::Activation;
use serde_json::Value;

use super::{APART, Pretrained, check, flat};

impl Pretrained {
    /// The batch's tokens, and their values.
    fn tokens(&mut self) -> (Tensor, Vec<f32>) {
        let rows = self.golden["input_ids"].as_array().unwrap().len() as u32;
        let values: Vec<f32> = self.floats("input_ids").iter().map(|&t| t as f32).collect();
        (self.graph.features(rows, values.len() as u32 / rows), values)
    }

    /// The logits by a table of tokens, or by a head of its own.
    fn logits(&mut self, x: Tensor, table: Tensor) -> Tensor {
        let has_head = self.file.contains_key("lm_head.weight");
        let head = if has_head { self.parameter("lm_head.weight") } else { table };
        let head = self.graph.outputs_first(head).unwrap();
        self.graph.linear(x, head, None, Activation::Identity).unwrap()
    }

    fn rotary_scaling(&self) -> RotaryScaling {
        let of = &self.config["rope_parameters"];
        let number = |name: &str| of[name].as_f64().unwrap();
        match of["rope_type"].as_str() {
            Some("default") => RotaryScaling::None,
            Some("llama3") => RotaryScaling::Llama3 {
                factor: number("factor"),
                low: number("low_freq_factor"),
                high: number("high_freq_factor"),
                length: number("original_max_position_embeddings"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Llama's layers, which Qwen2 has with biases.
    fn llama(&mut self, tokens: Tensor) -> Tensor {
        let table = self.parameter("model.embed_tokens.weight");
        let mut x = self.graph.embedding(tokens, table).unwrap();
        let (width, heads) = (self.number("hidden_size"), self.number("num_attention_heads"));
        let kv_heads = self.number("num_key_value_heads");
        let size = self.config["head_dim"].as_u64().map_or(width / heads, |size| size as u32);
        let base = self.config["rope_parameters"]["rope_theta"].as_f64().unwrap();
        let frequencies = rotary_frequencies(base, size / 2, self.rotary_scaling());
        let length = self.graph.shape(tokens).dims()[1];
        let turns = self.graph.rotary_table(&frequencies, length).unwrap();
        let options = AttentionOptions::new(heads).kv_heads(Some(kv_heads)).causal(true);
        let (turned, plain) = (RotaryOptions::new(size), Activation::Identity);
        for layer in 0..self.number("num_hidden_layers") {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let y = self.norm(x, &name("input_layernorm"), "rms_norm_eps");
            let [q, k, v] = ["q_proj", "k_proj", "v_proj"]
                .map(|part| self.linear(y, &name(&format!("self_attn.{part}")), plain));
            let [q, k] = [q, k].map(|x| self.graph.rotary(x, turns, turned).unwrap());
            let y = self.graph.attend(&[q, k, v], &options).unwrap();
            let y = self.linear(y, &name("self_attn.o_proj"), plain);
            x = self.graph.add(x, y).unwrap();
            let y = self.norm(x, &name("post_attention_layernorm"), "rms_norm_eps");
            let gate = self.linear(y, &name("mlp.gate_proj"), Activation::Silu);
            let up = self.linear(y, &name("mlp.up_proj"), plain);
            let y = self.graph.mul(gate, up).unwrap();
            let y = self.linear(y, &name("mlp.down_proj"), plain);
            x = self.graph.add(x, y).unwrap();
        }
        let x = self.norm(x, "model.norm", "rms_norm_eps");
        self.logits(x, table)
    }

    /// GPT-2's layers, whose weights are `[inputs, outputs]`.
    fn gpt2(&mut self, tokens: Tensor) -> Tensor {
        let length = self.graph.shape(tokens).dims()[1];
        let table = self.parameter("transformer.wte.weight");
        let x = self.graph.embedding(tokens, table).unwrap();
        let positions = self.parameter("transformer.wpe.weight");
        let positions = self.graph.slice(positions, 0, 0..length).unwrap();
        let mut x = self.graph.add(x, positions).unwrap();
        let (heads, plain) = (self.number("n_head"), Activation::Identity);
        let conv1d = |model: &mut Self, x, name: &str, activation| {
            let weight = model.parameter(&format!("{name}.weight"));
            model.product(x, weight, name, activation)
        };
        for layer in 0..self.number("n_layer") {
            let name = |part: &str| format!("transformer.h.{layer}.{part}");
            let y = self.norm(x, &name("ln_1"), "layer_norm_epsilon");
            let y = conv1d(self, y, &name("attn.c_attn"), plain);
            let y = self.graph.attention(y, heads, true).unwrap();
            let y = conv1d(self, y, &name("attn.c_proj"), plain);
            x = self.graph.add(x, y).unwrap();
            let y = self.norm(x, &name("ln_2"), "layer_norm_epsilon");
            let y = conv1d(self, y, &name("mlp.c_fc"), Activation::GeluTanh);
            let y = conv1d(self, y, &name("mlp.c_proj"), plain);
            x = self.graph.add(x, y).unwrap();
        }
        let x = self.norm(x, "transformer.ln_f", "layer_norm_epsilon");
        self.logits(x, table)
    }

    /// The logits that transformers gives, and its loss of each row's next tokens.
    fn check_logits(mut self, name: &str, build: impl Fn(&mut Self, Tensor) -> Tensor) {
        let (tokens, values) = self.tokens();
        let logits = build(&mut self, tokens);
        self.check_all_taken();
        let &[_, length, classes] = self.graph.shape(logits).dims() else { panic!("no logits") };
        let (row, classes) = ((length * classes) as usize, classes as usize);
        let Some(got) = self.evaluate((tokens, &values), &[logits]) else { return };
        check(name, &got[0][..row], &self.floats("logits_row0"));
        check(name, &got[0][2 * row - classes..], &self.floats("logits_row1_last"));
        let ids = self.golden["input_ids"].as_array().unwrap();
        let losses: Vec<f64> = ids
            .iter()
            .zip(got[0].chunks(row))
            .flat_map(|(ids, row)| losses(ids, row, classes))
            .collect();
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let want = self.golden["mean_next_token_loss"].as_f64().unwrap();
        assert!((mean - want).abs() <= APART, "{name}: loss {mean}, {want} by transformers");
    }
}

/// Of each position but the last the loss of the token behind it.
fn losses(ids: &Value, logits: &[f64], classes: usize) -> Vec<f64> {
    let next = flat(ids).into_iter().skip(1);
    let of = |(logits, next): (&[f64], f64)| {
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        sum.ln() - logits[next as usize]
    };
    logits.chunks(classes).zip(next).map(of).collect()
}

#[test]
fn llama_with_shared_heads() {
    Pretrained::open("llama").check_logits("llama", Pretrained::llama);
}

#[test]
fn llama_3_with_scaled_frequencies_and_a_tied_table() {
    Pretrained::open("llama3_rope").check_logits("llama3_rope", Pretrained::llama);
}

#[test]
fn qwen2_with_biases() {
    Pretrained::open("qwen2").check_logits("qwen2", Pretrained::llama);
}

#[test]
fn gpt2_with_weights_of_inputs_first() {
    Pretrained::open("gpt2").check_logits("gpt2", Pretrained::gpt2);
}
