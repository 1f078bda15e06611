//! Folders of pretrained models that are refused, each by the name of what is wrong, and none of
//! them by a device.
mod generate;
mod trained;

use safetensors::Dtype;
use secateur::kernels::Activation;
use secateur::pretrained::{Config, Input, Pretrained};
use serde_json::{Value, json};

use crate::model_folders::{Copied, Held, model};

/// That the folder is refused, and that the error says all of `what`.
fn refused(copied: &Copied, what: &[&str]) {
    let error = Pretrained::open(copied.write()).expect_err(&format!("{what:?}")).to_string();
    for what in what {
        assert!(error.contains(what), "{error}\nlacks {what}");
    }
}

#[test]
fn every_golden_model_opens() {
    let folder = model("llama");
    let mut opened = 0;
    for folder in std::fs::read_dir(folder.parent().unwrap()).unwrap() {
        let path = folder.unwrap().path();
        Pretrained::open(&path).unwrap_or_else(|e| panic!("{e}"));
        opened += 1;
    }
    assert!(opened >= 13, "only {opened}");
}

#[test]
fn architectures_that_are_not_known_are_named() {
    let llama = || Copied::of("llama");
    refused(&llama().set("model_type", "mamba2"), &["`model_type` is \"mamba2\"", "llama", "vit"]);
    refused(&llama().set("model_type", Value::Null), &["`model_type` is null"]);
    refused(&llama().set("model_type", 7), &["`model_type` is 7", "a text"]);
    let timm = |name: &str| {
        let mut copied = Copied::of("vit");
        copied.config = json!({"architecture": name, "num_classes": 7});
        copied
    };
    refused(&timm("swin_tiny"), &["`architecture` is \"swin_tiny\"", "vit_*"]);
    refused(
        &timm("vit_base_patch16_clip_224"),
        &["vit_base_patch16_clip_224", "vit_SIZE_patchN_N"],
    );
    refused(&timm("resnet50d"), &["`architecture` is \"resnet50d\"", "resnet18"]);
    refused(&timm("vit_base_patch16_224"), &["head.weight is missing"]);
}

#[test]
fn settings_that_are_not_known_are_named() {
    let with = |model: &str, name: &str, value: Value| Copied::of(model).set(name, value);
    for name in ["llama", "gpt2", "bert", "vit", "resnet"] {
        let copied = with(name, "residual_multiplier", json!(0.2));
        refused(&copied, &["`residual_multiplier` is 0.2", "not known"]);
        // What is off or empty changes nothing.
        for off in [json!(false), json!(null), json!([]), json!({}), json!("")] {
            Pretrained::open(with(name, "residual_multiplier", off).write()).unwrap();
        }
    }
    let rope = |value: Value| with("llama", "rope_parameters", value);
    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0});
    refused(&rope(yarn), &["`rope_parameters.rope_type` is \"yarn\"", "llama3"]);
    let odd = json!({"rope_type": "linear", "factor": 4.0, "beta_fast": 32});
    refused(&rope(odd), &["`rope_parameters.beta_fast` is 32"]);
    let missing = json!({"rope_type": "linear", "rope_theta": 10000.0});
    refused(&rope(missing), &["`rope_parameters.factor` is missing"]);
    let older = with("llama", "rope_scaling", json!({"type": "dynamic", "factor": 2.0}));
    refused(
        &older.set("rope_parameters", Value::Null),
        &["`rope_scaling.type` is \"dynamic\"", "linear"],
    );

    refused(&with("llama", "hidden_act", json!("xielu")), &["`hidden_act` is \"xielu\""]);
    refused(&with("bert", "position_embedding_type", json!("relative_key")), &["\"absolute\""]);
    refused(&with("bert", "is_decoder", json!(true)), &["`is_decoder` is true"]);
    refused(&with("resnet", "layer_type", json!("odd")), &["`layer_type` is \"odd\"", "basic"]);
    let quantised = json!({"quant_method": "gptq", "bits": 4});
    refused(&with("llama", "quantization_config", quantised), &["quantised", "original model"]);
    // Read by nobody, and by an architecture that knows them.
    for name in ["reorder_and_upcast_attn", "n_ctx"] {
        Pretrained::open(with("gpt2", name, json!(1)).write()).unwrap();
        refused(&with("llama", name, json!(1)), &[name]);
    }
}

/// The exact GELU and GPT-2's are nearer to each other than outputs of tiny networks show.
#[test]
fn activations_have_the_names_of_transformers() {
    for (name, wanted) in [
        ("relu", Activation::Relu),
        ("gelu", Activation::Gelu),
        ("gelu_new", Activation::GeluTanh),
        ("gelu_pytorch_tanh", Activation::GeluTanh),
        ("silu", Activation::Silu),
        ("tanh", Activation::Tanh),
    ] {
        let copied = Copied::of("bert").set("hidden_act", name);
        let config = Config::open(copied.write()).unwrap();
        assert_eq!(config.activation("hidden_act", "relu").unwrap(), wanted, "{name}");
        assert_eq!(config.activation("activation", name).unwrap(), wanted, "{name}");
    }
}

#[test]
fn settings_that_do_not_fit_each_other_are_named() {
    let with = |model: &str, name: &str, value: Value| Copied::of(model).set(name, value);
    let heads = with("llama", "num_key_value_heads", json!(4));
    refused(&heads, &["`num_key_value_heads` is 4", "the 6 heads of queries"]);
    let heads = with("llama", "num_attention_heads", json!(10)).set("head_dim", Value::Null);
    refused(&heads.set("num_key_value_heads", 2), &["`hidden_size` is 48", "10 heads"]);
    refused(&with("llama", "head_dim", json!(7)), &["`head_dim` is 7", "an even number"]);
    refused(&with("llama", "head_dim", json!(1 << 30)), &["`head_dim`", "65536 at most"]);
    refused(&with("gpt2", "n_head", json!(7)), &["`n_embd` is 40", "7 of `n_head`"]);
    refused(&with("bert", "num_attention_heads", json!(5)), &["`hidden_size` is 36", "5 of"]);
    refused(&with("vit", "num_attention_heads", json!(5)), &["`hidden_size` is 32", "5 of"]);
    refused(&with("resnet", "depths", json!([1, 2, 1])), &["`depths` is [1,2,1]", "4 `hidden_"]);
    let kinds = json!(["full_attention"]);
    refused(&with("qwen2", "layer_types", kinds), &["it has 1 entries for 2 blocks"]);
    let kinds = json!(["full_attention", "chunked_attention"]);
    refused(&with("qwen2", "layer_types", kinds), &["`layer_types`", "sliding_attention"]);
    for value in [json!(0), json!(-2), json!(1.5), json!("2"), json!(5_000_000_000_u64)] {
        let copied = with("llama", "num_hidden_layers", value.clone());
        refused(&copied, &[&format!("`num_hidden_layers` is {value}"), "a whole number"]);
    }
    for (model, name) in
        [("llama", "num_hidden_layers"), ("gpt2", "n_layer"), ("vit", "num_hidden_layers")]
    {
        let copied = with(model, name, json!(4_000_000_000_u32));
        refused(&copied, &[&format!("`{name}` is 4000000000"), "tensors"]);
    }
    for (model, name) in [("llama", "hidden_size"), ("gpt2", "n_embd"), ("vit", "image_size")] {
        refused(&with(model, name, json!(4_294_967_280_u32)), &["4294967"]);
    }
    refused(&with("llama", "rms_norm_eps", json!(0)), &["`rms_norm_eps` is 0", "above 0"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let without = |model: &str, name: &str| {
        let mut copied = Copied::of(model);
        copied.tensors.remove(name).unwrap_or_else(|| panic!("no {name}"));
        copied
    };
    let q = "model.layers.1.self_attn.q_proj.weight";
    refused(&without("llama", q), &["1 tensors of a \"llama\"", "are missing: model.layers.1", q]);
    refused(
        &without("llama", "model.embed_tokens.weight"),
        &["model.embed_tokens.weight or embed"],
    );
    refused(&without("llama", "lm_head.weight"), &["are missing: lm_head.weight"]);
    refused(&without("vit", "classifier.weight"), &["classifier.weight is missing"]);
    refused(&without("resnet", "classifier.1.weight"), &["classifier.1.weight is missing"]);
    let moment = "resnet.encoder.stages.1.layers.0.shortcut.normalization.running_var";
    refused(&without("resnet", moment), &["are missing", moment]);
    let pooler = without("bert_classes", "bert.pooler.dense.weight");
    refused(&pooler, &["classifier.weight is there without a pooler"]);
    refused(
        &Copied::of("llama").set("num_hidden_layers", 3),
        &["9 tensors", "model.layers.2", "..."],
    );

    let zeros = |shape: &[usize]| Held::floats(shape, &vec![0.0; shape.iter().product()]);
    let wide = Copied::of("llama").put(q, zeros(&[48, 47]));
    refused(&wide, &[q, "[48, 47] in the file and [48, 48] by config.json"]);
    let turned = "transformer.h.0.mlp.c_fc.weight";
    refused(&Copied::of("gpt2").put(turned, zeros(&[160, 40])), &[turned, "[160, 40] in the file"]);
    refused(&Copied::of("gpt2").set("n_inner", 150), &["[40, 160] in the file and [40, 150]"]);
    refused(&Copied::of("bert").set("type_vocab_size", 3), &["[2, 36] in the file and [3, 36]"]);

    let more = Copied::of("llama").put("model.layers.0.self_attn.sinks", zeros(&[6]));
    refused(&more, &["1 tensors belong to nothing", "model.layers.0.self_attn.sinks"]);
    refused(
        &Copied::of("llama").set("num_hidden_layers", 1),
        &["9 tensors belong to nothing", "..."],
    );
    refused(&Copied::of("bert").put("qa_outputs.weight", zeros(&[2, 36])), &["qa_outputs.weight"]);
    // A copy of a table that is not tied would be one.
    let copy = Copied::of("llama3_rope").put("lm_head.weight", zeros(&[97, 64]));
    Pretrained::open(copy.write()).unwrap();
}

#[test]
fn values_that_cannot_be_used_are_named_when_they_are_read() {
    let read = |copied: &Copied, name: &str| {
        let model = Pretrained::open(copied.write()).unwrap();
        let sources = model.whole(1, 2).unwrap().sources;
        let source = sources.iter().find(|source| source.tensors[0].0 == name).unwrap();
        model.parameter(source).map_err(|e| e.to_string())
    };
    let name = "model.layers.0.mlp.up_proj.weight";
    let mut values = Copied::of("llama").tensors[name].values();
    assert_eq!(read(&Copied::of("llama"), name).unwrap(), values);
    values[17] = f32::NAN;
    let nan = Copied::of("llama").put(name, Held::floats(&[96, 48], &values));
    let error = read(&nan, name).expect_err("it is refused");
    assert!(error.contains(name) && error.contains("NaN at element 17"), "{error}");
    let bytes = vec![0; 96 * 48];
    let quantised = Held { dtype: Dtype::I8, shape: vec![96, 48], bytes };
    let quantised = Copied::of("llama").put(name, quantised);
    refused(&quantised, &[name, "I8", "before it was quantised"]);
}

/// A configured length is what a model can, not what it takes room for.
#[test]
fn a_configured_length_takes_no_memory() {
    let folder = |positions: u32| {
        let copied = Copied::of("llama").set("max_position_embeddings", positions);
        copied.write();
        copied
    };
    let peak = |copied: &Copied| {
        let path = copied.write().to_owned();
        let mut opened = None;
        let memory =
            allocation_counter::measure(|| opened = Some(Pretrained::open(&path).unwrap()));
        (memory.bytes_max, opened.unwrap())
    };
    let ((short, _), (long, model)) = (peak(&folder(64)), peak(&folder(131_072)));
    let Input::Tokens { positions, .. } = model.architecture().input() else { panic!() };
    assert_eq!(positions, 131_072);
    // A table of turns alone would take 131,072 * 8 * 4 bytes.
    assert!(long < short + 4096, "{long} bytes, {short} with 64 positions");
    // What a graph has is of the length that is asked for.
    let memory = allocation_counter::measure(|| drop(model.whole(1, 128).unwrap()));
    assert!(memory.bytes_max < 1 << 20, "{} bytes", memory.bytes_max);
}
