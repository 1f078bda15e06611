//! Llama and what is laid out like it: Mistral, which llama.cpp knows as Llama, Qwen2 and Qwen3.
use super::format::Entry;
use super::tensors::{Order, Plan, Planned};
use crate::Result;
use crate::graph::{RotaryScaling, rotary_frequencies};
use crate::kernels::Activation;
use crate::pretrained::{Config, Input, Pretrained};

/// Layers of a block: here, and in the folder.
const LAYERS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

pub(super) fn plan(model: &Pretrained) -> Result<Plan> {
    let (config, architecture) = (model.config(), model.architecture());
    let name = if model.kind() == "mistral" { "llama" } else { model.kind() };
    check(config, name)?;
    let Input::Tokens { vocabulary, positions, width, .. } = architecture.input() else {
        return Err(config.wrong("model_type", "reads no tokens"));
    };
    let heads = config.count("num_attention_heads")?;
    let kv_heads = config.count_or_none("num_key_value_heads")?.unwrap_or(heads);
    let size = config.count_or_none("head_dim")?.unwrap_or(width / heads);
    let key = |of: &str| format!("{name}.{of}");
    let count = |of: &str, value| Entry::count(&key(of), value);
    let epsilon = config.positive("rms_norm_eps")?;
    let mut entries = vec![
        count("vocab_size", vocabulary),
        count("context_length", positions),
        count("embedding_length", width),
        count("block_count", architecture.blocks()),
        count("feed_forward_length", config.count("intermediate_size")?),
        count("attention.head_count", heads),
        count("attention.head_count_kv", kv_heads),
        count("attention.key_length", size),
        count("attention.value_length", size),
        count("rope.dimension_count", size),
        Entry::float(&key("attention.layer_norm_rms_epsilon"), epsilon),
    ];
    let table = architecture.table().unwrap_or_default();
    let prefix = table.strip_suffix("embed_tokens.weight").unwrap_or_default().to_owned();
    let mut tensors = vec![Planned::new("token_embd.weight".to_owned(), table, Order::Same)];
    let factors = rotary(config, size, &key, &mut entries)?;
    tensors.extend(factors.map(|factors| {
        let values = Order::Values(factors);
        Planned::new("rope_freqs.weight".to_owned(), String::new(), values)
    }));
    for block in 0..architecture.blocks() {
        let of = architecture.prefix(block);
        for (to, from) in LAYERS {
            // Qwen's pairs lie in llama.cpp as they do in its folder.
            let order = match (name, to) {
                ("llama", "attn_q") => Order::Interleaved(heads as usize),
                ("llama", "attn_k") => Order::Interleaved(kv_heads as usize),
                _ => Order::Same,
            };
            let (to, from) = (format!("blk.{block}.{to}"), format!("{of}{from}"));
            tensors.extend(Planned::layer(model, &to, &from, &order));
        }
    }
    tensors.extend(Planned::layer(model, "output_norm", &format!("{prefix}norm"), &Order::Same));
    // llama.cpp takes the tokens' table where there is no other.
    if !config.flag("tie_word_embeddings", false)? {
        tensors.extend(Planned::layer(model, "output", "lm_head", &Order::Same));
    }
    Ok(Plan { architecture: name.to_owned(), entries, tensors })
}

/// That there is nothing which `name` of llama.cpp computes otherwise.
fn check(config: &Config, name: &str) -> Result<()> {
    if config.activation("hidden_act", "silu")? != Activation::Silu {
        return Err(config.wrong("hidden_act", format!("llama.cpp's {name} has silu")));
    }
    if name == "qwen3" {
        config.only("attention_bias", false)?;
    }
    let is_mistral = config.text("model_type")? == Some("mistral");
    let window = config.count_or_none("sliding_window")?;
    let positions = config.count("max_position_embeddings")?;
    let used = is_mistral || config.flag("use_sliding_window", false)?;
    if window.is_some_and(|window| used && window < positions) {
        let message = format!("llama.cpp's {name} sees all positions; null says that");
        return Err(config.wrong("sliding_window", message));
    }
    let kinds = config.get("layer_types").and_then(|kinds| kinds.as_array());
    if kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind != "full_attention")) {
        return Err(config.wrong("layer_types", format!("llama.cpp's {name} sees all positions")));
    }
    Ok(())
}

/// Says the frequencies of rotary positions in `entries`, and by what each is divided where a key
/// does not say it.
fn rotary(
    config: &Config,
    size: u32,
    key: &dyn Fn(&str) -> String,
    entries: &mut Vec<Entry>,
) -> Result<Option<Vec<f32>>> {
    let both = [config.object("rope_parameters")?, config.object("rope_scaling")?];
    let of = both.iter().flatten().next();
    let base = match of.map(|of| of.number_or("rope_theta", 0.0)).transpose()? {
        Some(base) if base > 0.0 => base,
        _ => config.number_or("rope_theta", 10_000.0)?,
    };
    entries.push(Entry::float(&key("rope.freq_base"), base));
    let Some(of) = of else { return Ok(None) };
    let name = if of.get("rope_type").is_some() { "rope_type" } else { "type" };
    match of.text(name)?.unwrap_or("default") {
        "default" => Ok(None),
        "linear" => {
            entries.push(Entry::text(&key("rope.scaling.type"), "linear"));
            entries.push(Entry::float(&key("rope.scaling.factor"), of.positive("factor")?));
            Ok(None)
        }
        "llama3" => {
            let scaling = RotaryScaling::Llama3 {
                factor: of.positive("factor")?,
                low: of.positive("low_freq_factor")?,
                high: of.positive("high_freq_factor")?,
                length: of.positive("original_max_position_embeddings")?,
            };
            let plain = rotary_frequencies(base, size / 2, RotaryScaling::None);
            let scaled = rotary_frequencies(base, size / 2, scaling);
            Ok(Some(plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled).collect()))
        }
        _ => Err(of.wrong(name, "known are default, linear, llama3")),
    }
}
