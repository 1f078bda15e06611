//! Folders whose weights are codes.
use secateur::prune::refuse_quantised;
use secateur::storage::Folder;
use serde_json::json;

use crate::storage::{Raw, f32s, message, write};

#[test]
fn a_folder_of_codes_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |tensors: &[Raw]| {
        write(dir.path(), "model.safetensors", tensors);
        Folder::open(dir.path()).unwrap()
    };
    let name = "model.layers.0.self_attn.q_proj.weight";
    let plain: Raw = (name, "F32", &[2, 2], f32s([1.0; 4]));
    let ids: Raw = ("model.position_ids", "I64", &[1], vec![0; 8]);
    let model = folder(&[plain, ids]);
    refuse_quantised(&model, &json!({"model_type": "llama"})).unwrap();
    refuse_quantised(&model, &json!({"quantization_config": null})).unwrap();
    for (key, said) in [("quantization_config", "gptq"), ("compression_config", "int-quantized")] {
        let said_so = message(refuse_quantised(&model, &json!({key: {"quant_method": said}})));
        for part in ["config.json", key, said, "take the model in 16 or 32 bits"] {
            assert!(said_so.contains(part), "{said_so}");
        }
    }
    let scale = "model.layers.0.self_attn.q_proj.weight_scale";
    let codes = folder(&[(name, "I8", &[2, 2], vec![1; 4]), (scale, "F32", &[2], f32s([1.0; 2]))]);
    let said = message(refuse_quantised(&codes, &json!({})));
    for part in [name, "(I8) holds codes of", "take the model in 16 or 32 bits"] {
        assert!(said.contains(part), "{said}");
    }
}
