//! The layouts of the field, by name: PyTorch, torchvision and timm, Hugging Face, Flax and Keras,
//! Mamba and RWKV. The first rule whose expression is found in a name decides.
use std::sync::LazyLock;

use regex::Regex;

use super::layout::{File, OUT_IN, in_out};
use super::{Role, Taken};
use crate::storage::{Dtype, TensorInfo};

/// Where the inputs of a rule's tensors lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inputs {
    /// As in PyTorch's layers, unless the bias beside it says otherwise.
    Layer,
    /// `[..., in, out]`
    Last,
    /// The first axis.
    First,
}

/// What tensors with such a name are taken for. `~` in an expression stands for the begin of the
/// name or of one of its parts, which `.` or `/` separates.
struct Rule(&'static str, Role, Inputs, &'static str);

use Inputs::{First, Last, Layer};

/// Of any rank.
const ANY_RANK: &[Rule] = &[
    Rule(r"~running_(mean|var|std)$", Role::Statistic, Layer, "running moments of a norm"),
    Rule(r"~moving_(mean|variance)$", Role::Statistic, Layer, "running moments of a norm"),
    Rule(r"~batch_stats~", Role::Statistic, Layer, "running moments of a norm"),
    Rule(
        r"~(original_)?inv_freq$|~(freqs(_\w+)?|(cos|sin)_(cached|cache))$",
        Role::Buffer,
        Layer,
        "frequencies of rotary positions",
    ),
    Rule(
        r"~(position_ids|token_type_ids|num_batches_tracked|relative_position_index|relative_coords_table|attention_bias_idxs)$",
        Role::Buffer,
        Layer,
        "indices or counters",
    ),
    Rule(r"~masked_bias$", Role::Buffer, Layer, "the constant of GPT-2's causal mask"),
    Rule(r"(~|_)(mask|tril)$", Role::Buffer, Layer, "a mask, by its name"),
    Rule(
        r"~(exp_avg|exp_avg_sq|momentum_buffer)$",
        Role::State,
        Layer,
        "the state of an optimizer",
    ),
    Rule(
        r"lora_(A|B|up|down|embedding|magnitude)",
        Role::Adapter,
        Layer,
        "a low-rank adapter: merge it into its weight first",
    ),
    Rule(
        r"~(A_logs?|A|Ds?|dt_bias|log_dt|A_real|A_imag|inv_A_real)$",
        Role::State,
        Layer,
        "how the state of a state-space model goes on (A, D, dt)",
    ),
    Rule(
        r"~dt_projs?(\.weight|_weight)$",
        Role::State,
        Layer,
        "the time steps of a state-space model: narrow, and left dense as A and D are",
    ),
    Rule(
        r"~time_(decay|first|faaaa|(mix|maa)_\w+)$",
        Role::State,
        Layer,
        "how the state of RWKV goes on",
    ),
    Rule(r"(~|_)bias(_[ih]h_l\d+(_reverse)?)?$", Role::Bias, Layer, "a bias, which is added"),
    Rule(r"~attention_biases$", Role::Bias, Layer, "a bias, which is added"),
];

/// Of two axes and more; a vector is none of these.
const FROM_TWO_AXES: &[Rule] = &[
    Rule(
        r"(?i)~(\w*norm(_?\d+)?|(ln|bn)(_?\w+)?)[./](weight|scale|gamma|beta)$",
        Role::Norm,
        Layer,
        "the scale of a norm",
    ),
    Rule(
        r"~((layer_scale\w*|ls\d?|gamma|beta|lambda)(_?\d)?|scale_shift_table|weight_g|parametrizations\.weight\.original0)$",
        Role::Norm,
        Layer,
        "a scale of channels",
    ),
    Rule(
        r"(~|_)(rel(ative)?_pos(ition)?(_bias)?(_table|_[hw])?|relative_attention_bias|position_bias_table)(\.weight)?$",
        Role::Position,
        Layer,
        "a table of relative positions, which is added",
    ),
    Rule(
        r"(~|_)(wpe|pos_(embed|emb|embedding|encoding)|position(al)?_(embeddings?|encoding)|embed_positions|position_embedding_table|positions)(_\w+)?([./](weights?|embedding))?$",
        Role::Position,
        Layer,
        "a table of positions, of which each meets one row",
    ),
    Rule(
        r"(~|_)((cls|class|dist\w*|mask|reg|register|query|storage|summary|bos|eos|sep|null|latent|prefix)_tokens?|query_embed|query_position_embeddings|class_embedding|image_newline|latents|prompt_embeddings?)(\.weight)?$",
        Role::Token,
        Layer,
        "learned inputs, such as a class token",
    ),
    Rule(
        r"~patch_embed(ding)?s?([./]\w+)*[./]weight$",
        Role::Weight,
        Layer,
        "a patch embedding, which multiplies pixels",
    ),
    Rule(
        r"(~|_)(embed(ding)?s?|embed_tokens|wte|tok(en)?_emb(ed|edding|eddings|d)?|emb|embd|embed_in|embedding_table|token_type_embeddings|embeddings[./]\d+|shared)[./](weight|embeddings?)$",
        Role::Embedding,
        Layer,
        "an embedding: each token meets one row of it; where there is no head it is the head too",
    ),
    Rule(r"~embedding$", Role::Embedding, Layer, "an embedding: each token meets one row of it"),
    Rule(
        r"~(router|gate|gating|wg|moe_gate|shared_expert_gate)([./](layer|classifier|wg|linear))?[./](weight|kernel)$",
        Role::Router,
        Layer,
        "a router: it chooses experts, and is small",
    ),
    Rule(
        r"~(lm_head|embed_out|vocab_projector|predictions[./]decoder)([./]decoder)?[./](weight|kernel)$|^(model\.|transformer\.)?(output|proj_out)\.weight$",
        Role::Head,
        Layer,
        "the head, which gives a language model's answers; often tied to the embedding",
    ),
    Rule(
        r"~(classifier|score|qa_outputs|head|heads[./]head|head[./]fc|classification_head[./]\w+|classifier[./]out_proj|last_linear)[./](weight|kernel)$",
        Role::Head,
        Layer,
        "the head, which gives the answers: one-shot papers leave it dense",
    ),
    Rule(
        r"~(in_proj_weight|[qkv]_proj_weight)$|~weight_([ih]h|hr)_l\d+(_reverse)?$|~weight_[ih]h$",
        Role::Weight,
        Layer,
        "a weight of torch's attention or recurrent cells, [out, in]",
    ),
    Rule(
        r"~(weight_v|parametrizations\.weight\.(original1|0?\.?original)|weight_orig)$",
        Role::Weight,
        Layer,
        "the direction of a normalised weight, [out, in, ...]",
    ),
    Rule(
        r"~(text_projection|visual\.proj)$",
        Role::Weight,
        Last,
        "a projection of CLIP, [in, out]",
    ),
    Rule(
        r"~(query|key|value)/kernel$",
        Role::Weight,
        First,
        "a projection of Flax's attention, [in, heads, width]",
    ),
    Rule(r"~(\w+_)?kernel(:0)?$", Role::Weight, Last, "a kernel of Flax or Keras, [..., in, out]"),
];

/// Names of layers that are products, whatever model they are of.
const LAYERS: &str = r"~(c_attn|c_fc|c_proj|q_attn|\w*qkv\w*|\w*(query|key|value|dense|proj|projection|linear|conv)\w*|fc\w*|lin\d*|to_(q|k|v|kv|out)|[qkvo]|w[0-9iovkqgu]|wi_\d|w_[a-z]+|up|down|attn|out(put)?|attn_(q|k|v|output)|ffn_(up|down|gate)|[qkv]_lin|out_lin|reduction|receptance|net[./]\d+|experts[./]\d+|mlp[./]\d+|classifier|ffn?[./]\d+|pooler)([./]\d+)*[./]weight$";

struct Compiled {
    regex: Regex,
    rule: &'static Rule,
}

fn compile(expression: &str) -> Regex {
    let text = expression.replace('~', r"(?:^|[./])");
    Regex::new(&text).expect("the rules compile: a test tries all of them")
}

fn compiled(rules: &'static [Rule]) -> Vec<Compiled> {
    rules.iter().map(|rule| Compiled { regex: compile(rule.0), rule }).collect()
}

/// Whether it has the name of one of GPT-2's layers, which other models have the other way round.
pub(super) fn is_conv1d_name(name: &str) -> bool {
    static NAMES: LazyLock<Regex> =
        LazyLock::new(|| compile(r"~(c_attn|c_fc|c_proj|q_attn)\.weight$"));
    NAMES.is_match(name)
}

/// Those of them whose outputs are more than their inputs.
pub(super) fn widens(name: &str) -> bool {
    is_conv1d_name(name) && !name.ends_with("c_proj.weight")
}

/// What `tensor` is taken for among those of `file`.
pub(super) fn role(tensor: &TensorInfo, file: &File<'_>) -> Taken {
    static ANY: LazyLock<Vec<Compiled>> = LazyLock::new(|| compiled(ANY_RANK));
    static FROM_TWO: LazyLock<Vec<Compiled>> = LazyLock::new(|| compiled(FROM_TWO_AXES));
    let (name, rank) = (tensor.name.as_str(), tensor.shape.len());
    let find = |rules: &[Compiled]| rules.iter().find(|c| c.regex.is_match(name)).map(|c| c.rule);
    if let Some(&Rule(_, role, _, reason)) = find(&ANY) {
        return Taken::new(role, last(tensor), reason);
    }
    let is_float = super::is_rankable(&tensor.dtype) || tensor.dtype == Dtype::F64;
    if !is_float {
        let reason = format!("values of {}: indices or flags", tensor.dtype);
        return Taken::new(Role::Buffer, last(tensor), reason);
    }
    if rank < 2 {
        return Taken::new(Role::Vector, 0, "one axis: a bias, a norm or a scale");
    }
    if let Some(taken) = by_neighbours(tensor, file) {
        return taken;
    }
    match find(&FROM_TWO) {
        // A gate as wide as what it reads is one of a gated layer.
        Some(&Rule(_, Role::Router, ..)) if rank == 2 && tensor.shape[0] >= tensor.shape[1] => {
            layer(tensor, file)
        }
        Some(&Rule(_, Role::Weight, inputs, reason)) => weight(tensor, file, inputs, reason),
        Some(&Rule(_, role, _, reason)) => Taken::new(role, OUT_IN.min(rank - 1), reason),
        None => layer(tensor, file),
    }
}

fn last(tensor: &TensorInfo) -> usize {
    tensor.shape.len().saturating_sub(1)
}

/// What only other tensors of the file can say.
fn by_neighbours(tensor: &TensorInfo, file: &File<'_>) -> Option<Taken> {
    let (name, shape) = (tensor.name.as_str(), &tensor.shape);
    if file.is_last_classifier(name) {
        let reason = "the last layer of the classifier: one-shot papers leave it dense";
        return Some(Taken::new(Role::Head, OUT_IN, reason));
    }
    // Residual networks call their head so; alone it is a layer as any other.
    let root = name.strip_prefix("module.").unwrap_or(name);
    if root == "fc.weight" && file.convolves && shape.len() == 2 {
        let reason = "the head of a network of convolutions: one-shot papers leave it dense";
        return Some(Taken::new(Role::Head, OUT_IN, reason));
    }
    if name.ends_with("conv1d.weight") && shape.len() == 3 && shape[1] == 1 {
        let mixer = name.trim_end_matches("conv1d.weight");
        let reason = "a short filter for each channel of a state-space model";
        let is_mamba = ["A_log", "dt_proj.weight", "dt_bias"];
        let is_mamba = is_mamba.iter().any(|n| file.get(&format!("{mixer}{n}")).is_some());
        return is_mamba.then(|| Taken::new(Role::State, OUT_IN, reason));
    }
    let experts = name.trim_end_matches(".weight");
    let fused = experts.ends_with("gate_up_proj") || experts.ends_with("down_proj");
    if shape.len() == 3 && fused && name.contains("experts") {
        let axis = file.experts_axis(tensor);
        let reason = match axis {
            Some(1) => "the products of all experts, [experts, in, out]",
            Some(_) => "the products of all experts, [experts, out, in]",
            None => "the products of all experts, taken as [experts, in, out]",
        };
        let taken = Taken::new(Role::Weight, axis.unwrap_or(1), reason);
        return Some(Taken { certain: axis.is_some(), ..taken });
    }
    None
}

fn weight(tensor: &TensorInfo, file: &File<'_>, inputs: Inputs, reason: &'static str) -> Taken {
    match inputs {
        Layer => Taken::new(Role::Weight, file.axis(tensor).0, reason),
        Last => Taken::new(Role::Weight, in_out(tensor), reason),
        First => Taken::new(Role::Weight, 0, reason),
    }
}

/// What no rule names: `*.weight` is a layer's, of which the shape says the kind; all else is left.
fn layer(tensor: &TensorInfo, file: &File<'_>) -> Taken {
    static NAMES: LazyLock<Regex> = LazyLock::new(|| compile(LAYERS));
    let (name, rank) = (tensor.name.as_str(), tensor.shape.len());
    if !(name.ends_with(".weight") || name == "weight") {
        let long = tensor.shape.iter().filter(|&&d| d > 1).count();
        if long < 2 {
            return Taken::new(Role::Vector, last(tensor), "one axis that is longer than 1");
        }
        let reason = "its name says nothing, and does not end in .weight";
        return Taken { certain: false, ..Taken::new(Role::Unknown, OUT_IN, reason) };
    }
    let (axis, kind) = file.axis(tensor);
    let named = NAMES.is_match(name) && !file.leaves_open(tensor);
    if named || rank >= 4 {
        return Taken::new(Role::Weight, axis, kind);
    }
    let reason = format!("{kind}, by its shape: its name says nothing");
    Taken { certain: false, ..Taken::new(Role::Weight, axis, reason) }
}

/// Whether every expression compiles.
#[cfg(test)]
mod tests {
    #[test]
    fn all_expressions_compile() {
        for rule in super::ANY_RANK.iter().chain(super::FROM_TWO_AXES) {
            super::compile(rule.0);
        }
        super::compile(super::LAYERS);
    }
}
