//! Language models: Llama with its rotary scaling and biases, Mistral, Qwen2 and 3, GPT-2.
use secateur::pretrained::{Rows, Window};

use super::{APART, Golden, check};
use crate::common::gpu;
use crate::models::{Copied, Held};

impl Golden {
    fn windows(&self) -> Vec<Window> {
        self.rows("input_ids").into_iter().map(Window::new).collect()
    }

    /// Logits and losses that transformers gives, block after block and in one graph.
    fn check_language(&self) {
        let (name, windows) = (&self.name, self.windows());
        let ids: Vec<f32> = self.floats("input_ids").iter().map(|&id| id as f32).collect();
        let length = windows[0].ids.len();
        let Some(ways) = self.outputs(Rows::Tokens(&windows), &ids, length) else { return };
        for rows in ways {
            check(name, &rows[0], &self.floats("logits_row0"));
            let classes = rows[1].len() / length;
            check(name, &rows[1][(length - 1) * classes..], &self.floats("logits_row1_last"));
        }
        let mut cuts = Vec::new();
        let found =
            self.model.perplexity(gpu().unwrap(), &windows, &mut |i, of| cuts.push((i, of)));
        let found = found.unwrap();
        let want = self.golden["mean_next_token_loss"].as_f64().unwrap();
        let near =
            |got: f64| assert!((got - want).abs() <= APART, "{name}: loss {got}, not {want}");
        near(found.perplexity.ln());
        near(found.losses.iter().sum::<f64>() / windows.len() as f64);
        assert_eq!(found.predictions, windows.len() * (length - 1));
        assert_eq!(cuts, [(0, 3), (1, 3), (2, 3)], "{name}");
        assert!(found.device_bytes > 0, "{name}");
    }
}

#[test]
fn llama_with_shared_heads() {
    Golden::open("llama").check_language();
}

#[test]
fn llama_3_with_scaled_frequencies_and_a_tied_table() {
    Golden::open("llama3_rope").check_language();
}

#[test]
fn llama_with_biases_a_head_size_of_its_own_and_linear_scaling() {
    Golden::open("llama_biases").check_language();
}

#[test]
fn mistral_with_its_window() {
    Golden::open("mistral").check_language();
}

#[test]
fn qwen2_with_biases() {
    Golden::open("qwen2").check_language();
}

#[test]
fn qwen3_with_norms_of_heads_and_a_window_in_one_block() {
    Golden::open("qwen3").check_language();
}

#[test]
fn gpt2_with_weights_of_inputs_first() {
    Golden::open("gpt2").check_language();
}

#[test]
fn gpt2_with_a_width_and_scales_of_its_own() {
    Golden::open("gpt2_scaled").check_language();
}

/// As OpenAI's own files are: no prefix, and triangles among the tensors.
#[test]
fn gpt2_without_its_prefix_and_with_its_buffers() {
    let bare = |name: &str| name.strip_prefix("transformer.").unwrap().to_owned();
    let mut copied = Copied::of("gpt2").renamed(bare).set("n_ctx", 64);
    for block in 0..2 {
        let triangle = Held::floats(&[1, 1, 64, 64], &[1.0; 64 * 64]);
        copied = copied.put(&format!("h.{block}.attn.bias"), triangle);
        let low = Held::floats(&[], &[-1e4]);
        copied = copied.put(&format!("h.{block}.attn.masked_bias"), low);
    }
    Golden::at(copied.write(), "gpt2 without a prefix").check_language();
}
