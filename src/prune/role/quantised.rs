//! Weights that are stored as codes: each scheme by the tensors that only it writes.
use std::sync::LazyLock;

use regex::Regex;

use super::layout::{File, OUT_IN};
use super::{Role, Taken, is_rankable};
use crate::storage::{Dtype, TensorInfo};

/// The tensors beside codes, in all schemes.
const BESIDE: &str = r"[._](qzeros|scales?|g_idx|absmax|quant_map|nested_\w+|quant_state\.\w+|SCB|weight_format|(weight|input|output|k|v|q|kv)_scale(_inv|_2)?|(weight|input|output)_zero_point|zero_points?|zeros|weight_shape|weight_g_idx|\w*global_scale|_scale|_shift|_weight_scale|_weight_zero_point|suh|svh|SU|SV|row_offsets|bitmask|shape|q_scale_max|q_groups|q_invperm|q_group_map)$";

/// Codes by the end of their names, with the end of what must be beside them.
const SCHEMES: &[(&str, &str, &str)] = &[
    ("._weight_qdata", "._weight_scale", "torchao"),
    (".weight_packed", ".weight_scale", "compressed-tensors"),
    (".compressed", ".bitmask", "compressed-tensors' sparse format"),
    (".W_q", ".scale", "HQQ"),
    (".weight._data", ".weight._scale", "Quanto"),
    ("_blocks", "_scales", "MXFP4"),
    (".codes", ".codebooks", "AQLM"),
    (".Qidxs", ".SU", "QuIP#"),
    (".q_weight", ".q_scale", "EXL2"),
    (".trellis", ".svh", "EXL3"),
    (".indices", ".centroids", "VPTQ"),
];

/// Codes or their scales; `None` for what is as it was trained.
pub(super) fn role(tensor: &TensorInfo, file: &File<'_>) -> Option<Taken> {
    static NAMES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(BESIDE).expect("the expression compiles"));
    if let Some(scheme) = scheme(tensor, file) {
        return Some(Taken::new(Role::Quantised, OUT_IN, format!("codes of {scheme}")));
    }
    // A float `scale` without codes beside it is a layer's own.
    if NAMES.is_match(&tensor.name) && (!is_rankable(&tensor.dtype) || has_codes(tensor, file)) {
        let reason = "a scale, a zero point or an index of quantised weights";
        return Some(Taken::new(Role::Scale, OUT_IN, reason));
    }
    None
}

/// The scheme that `tensor` holds codes of.
fn scheme(tensor: &TensorInfo, file: &File<'_>) -> Option<String> {
    let name = tensor.name.as_str();
    let beside = |end: &str| file.get(&format!("{name}{end}"));
    if let Some(stem) = name.strip_suffix(".qweight") {
        return Some(packed_words(tensor, stem, file).to_owned());
    }
    let has = |(codes, other, _): &&(&str, &str, &str)| {
        let stem = name.strip_suffix(codes);
        stem.is_some_and(|stem| file.get(&format!("{stem}{other}")).is_some())
    };
    if let Some((_, _, scheme)) = SCHEMES.iter().find(has) {
        return Some((*scheme).to_owned());
    }
    if is_rankable(&tensor.dtype) || matches!(tensor.dtype, Dtype::F64 | Dtype::BOOL) {
        return None;
    }
    let stem = name.strip_suffix(".weight").or_else(|| name.strip_suffix("_weight"))?;
    for kind in ["nf4", "fp4"] {
        if beside(&format!(".quant_state.bitsandbytes__{kind}")).is_some() {
            return Some(format!("bitsandbytes {}", kind.to_uppercase()));
        }
    }
    if beside(".absmax").is_some() {
        return Some("bitsandbytes' 4-bit floats".to_owned());
    }
    if file.get(&format!("{stem}.SCB")).is_some() || beside(".SCB").is_some() {
        return Some("bitsandbytes LLM.int8()".to_owned());
    }
    let scale = beside("_scale").or_else(|| beside("_scale_inv"));
    let named = match &tensor.dtype {
        Dtype::U8 if beside("_scale_2").is_some() => "NVFP4".to_owned(),
        Dtype::F4 | Dtype::F6_E2M3 | Dtype::F6_E3M2 => {
            format!("{}: 4 or 6-bit floats", tensor.dtype)
        }
        dtype if format!("{dtype}").starts_with("F8") => {
            let how = if scale.is_some() { "with scales" } else { "without scales" };
            format!("fp8 ({dtype}, {how})")
        }
        Dtype::I64 | Dtype::U64 | Dtype::C64 => return None,
        dtype if is_gguf(name) => format!("GGUF-like blocks ({dtype})"),
        dtype if scale.is_some() => format!("{dtype} with scales (as compressed-tensors has it)"),
        dtype => format!("{dtype} of a scheme that the file does not name"),
    };
    Some(named)
}

/// GPTQ packs along the inputs, `[in / 8, out]`, and AWQ along the outputs, `[in, out / 8]`; both
/// have scales `[groups, out]`.
fn packed_words(codes: &TensorInfo, stem: &str, file: &File<'_>) -> &'static str {
    let scales = file.get(&format!("{stem}.scales")).and_then(|t| t.shape.last());
    let outputs = codes.shape.last();
    let ordered = file.get(&format!("{stem}.g_idx")).is_some();
    match (ordered, scales == outputs) {
        (true, _) | (false, true) => "GPTQ",
        (false, false) => "AWQ",
    }
}

/// Whether it has a name of llama.cpp's.
fn is_gguf(name: &str) -> bool {
    name.starts_with("blk.") || name.starts_with("token_embd.")
}

/// Whether the tensor is beside one of codes: of a name that its own begins with.
fn has_codes(tensor: &TensorInfo, file: &File<'_>) -> bool {
    let mut stem = tensor.name.as_str();
    // Four parts are what the longest of them adds: `.weight.quant_state.x`.
    for _ in 0..4 {
        let Some(at) = stem.rfind(['.', '_']) else { return false };
        stem = &stem[..at];
        let ends = [
            "",
            "._data",
            ".weight",
            ".qweight",
            ".weight_packed",
            "._weight_qdata",
            ".W_q",
            "_blocks",
        ];
        let codes = |end: &&str| {
            let found = file.get(&format!("{stem}{end}"));
            found.is_some_and(|t| scheme(t, file).is_some())
        };
        if ends.iter().any(codes) {
            return true;
        }
    }
    false
}
