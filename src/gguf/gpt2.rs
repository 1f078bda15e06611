//! GPT-2.
use super::format::Entry;
use super::tensors::{Order, Plan, Planned};
use crate::Result;
use crate::kernels::Activation;
use crate::pretrained::{Input, Pretrained};

/// Layers of a block: here, in the folder, and whether they are `[inputs, outputs]` there.
const LAYERS: [(&str, &str, bool); 6] = [
    ("attn_norm", "ln_1", false),
    ("attn_qkv", "attn.c_attn", true),
    ("attn_output", "attn.c_proj", true),
    ("ffn_norm", "ln_2", false),
    ("ffn_up", "mlp.c_fc", true),
    ("ffn_down", "mlp.c_proj", true),
];

pub(super) fn plan(model: &Pretrained) -> Result<Plan> {
    let (config, architecture) = (model.config(), model.architecture());
    if config.activation("activation_function", "gelu_new")? != Activation::GeluTanh {
        return Err(config.wrong("activation_function", "llama.cpp's GPT-2 has gelu_new"));
    }
    config.only("scale_attn_weights", true)?;
    config.only("scale_attn_by_inverse_layer_idx", false)?;
    let Input::Tokens { vocabulary, positions, width, .. } = architecture.input() else {
        return Err(config.wrong("model_type", "reads no tokens"));
    };
    let hidden = config.count_or_none("n_inner")?.unwrap_or(width.saturating_mul(4));
    let key = |name: &str| format!("gpt2.{name}");
    let count = |name: &str, value| Entry::count(&key(name), value);
    let entries = vec![
        count("vocab_size", vocabulary),
        count("context_length", positions),
        count("embedding_length", width),
        count("feed_forward_length", hidden),
        count("block_count", architecture.blocks()),
        count("attention.head_count", config.count("n_head")?),
        Entry::float(&key("attention.layer_norm_epsilon"), config.positive("layer_norm_epsilon")?),
    ];
    let table = architecture.table().unwrap_or_default();
    let prefix = table.strip_suffix("wte.weight").unwrap_or_default().to_owned();
    let positions = format!("{prefix}wpe.weight");
    let mut tensors = vec![
        Planned::new("token_embd.weight".to_owned(), table, Order::Same),
        Planned {
            wide: true,
            ..Planned::new("position_embd.weight".to_owned(), positions, Order::Same)
        },
    ];
    for block in 0..architecture.blocks() {
        let of = architecture.prefix(block);
        for (to, from, turned) in LAYERS {
            let order = if turned { Order::Transposed } else { Order::Same };
            let (to, from) = (format!("blk.{block}.{to}"), format!("{of}{from}"));
            tensors.extend(Planned::layer(model, &to, &from, &order));
        }
    }
    tensors.extend(Planned::layer(model, "output_norm", &format!("{prefix}ln_f"), &Order::Same));
    if !config.flag("tie_word_embeddings", true)? {
        tensors.extend(Planned::layer(model, "output", "lm_head", &Order::Same));
    }
    Ok(Plan { architecture: "gpt2".to_owned(), entries, tensors })
}
