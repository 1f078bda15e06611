//! What tensors are taken for: a row for each layout of the field.
use secateur::data::{Schema, Task};
use secateur::prune::{OwnModel, Role, Taken, roles};
use secateur::storage::Dtype;
use secateur::storage::TensorInfo;

use Role::*;

fn tensor(name: &str, dtype: Dtype, shape: &[usize]) -> TensorInfo {
    TensorInfo { name: name.to_owned(), dtype, shape: shape.to_vec(), offset: 0, bytes: 0 }
}

fn floats(all: &[(&str, &[usize])]) -> Vec<TensorInfo> {
    all.iter().map(|(name, shape)| tensor(name, Dtype::F32, shape)).collect()
}

fn taken(all: &[TensorInfo]) -> Vec<Taken> {
    roles(&all.iter().collect::<Vec<_>>(), None)
}

/// Each as `(name, shape, role, axis of the inputs)`, whose axis counts for weights only, all of
/// one file and each decided by its name.
fn check(rows: &[(&str, &[usize], Role, usize)]) {
    let all: Vec<_> = rows.iter().map(|&(name, shape, ..)| (name, shape)).collect();
    for (&(name, shape, role, axis), taken) in rows.iter().zip(taken(&floats(&all))) {
        assert_eq!(taken.role, role, "{name} {shape:?}: {}", taken.reason);
        assert!(role != Weight || taken.axis == axis, "{name} {shape:?}: axis {}", taken.axis);
        assert!(taken.certain, "{name} {shape:?}: {}", taken.reason);
        assert!(!taken.reason.is_empty());
    }
}

#[test]
fn llama_and_its_kin() {
    check(&[
        ("model.embed_tokens.weight", &[64, 32], Embedding, 0),
        ("model.layers.0.self_attn.q_proj.weight", &[32, 32], Weight, 1),
        ("model.layers.0.self_attn.q_proj.bias", &[32], Bias, 0),
        ("model.layers.0.self_attn.k_proj.weight", &[8, 32], Weight, 1),
        ("model.layers.0.self_attn.qkv_proj.weight", &[96, 32], Weight, 1),
        ("model.layers.0.self_attn.o_proj.weight", &[32, 32], Weight, 1),
        ("model.layers.0.self_attn.q_norm.weight", &[4, 8], Norm, 0),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", &[16], Buffer, 0),
        ("model.layers.0.mlp.gate_proj.weight", &[86, 32], Weight, 1),
        ("model.layers.0.mlp.up_proj.weight", &[86, 32], Weight, 1),
        ("model.layers.0.mlp.down_proj.weight", &[32, 86], Weight, 1),
        ("model.layers.0.input_layernorm.weight", &[32], Vector, 0),
        ("model.norm.weight", &[32], Vector, 0),
        ("lm_head.weight", &[64, 32], Head, 0),
    ]);
    // As Meta and llama.cpp name them.
    check(&[
        ("tok_embeddings.weight", &[64, 32], Embedding, 0),
        ("layers.0.attention.wq.weight", &[32, 32], Weight, 1),
        ("layers.0.feed_forward.w1.weight", &[86, 32], Weight, 1),
        ("token_embd.weight", &[64, 32], Embedding, 0),
        ("blk.0.attn_q.weight", &[32, 32], Weight, 1),
        ("blk.0.ffn_up.weight", &[86, 32], Weight, 1),
        ("output.weight", &[64, 32], Head, 0),
    ]);
}

#[test]
fn gpt2_has_its_inputs_first() {
    check(&[
        ("wte.weight", &[60, 32], Embedding, 0),
        ("wpe.weight", &[48, 32], Position, 0),
        ("h.0.ln_1.weight", &[32], Vector, 0),
        ("h.0.attn.bias", &[1, 1, 48, 48], Bias, 0),
        ("h.0.attn.masked_bias", &[], Buffer, 0),
        ("h.0.attn.c_attn.weight", &[32, 96], Weight, 0),
        ("h.0.attn.c_proj.weight", &[32, 32], Weight, 0),
        ("h.0.mlp.c_fc.weight", &[32, 128], Weight, 0),
        ("h.0.mlp.c_proj.weight", &[128, 32], Weight, 0),
    ]);
    // The same names of linear layers: nanoGPT, Qwen, StarCoder.
    check(&[
        ("transformer.h.0.attn.c_attn.weight", &[96, 32], Weight, 1),
        ("transformer.h.0.attn.c_proj.weight", &[32, 32], Weight, 1),
        ("transformer.h.0.mlp.c_fc.weight", &[128, 32], Weight, 1),
        ("transformer.h.0.mlp.c_proj.weight", &[32, 128], Weight, 1),
    ]);
    // Alone nothing does, or its bias.
    assert!(!taken(&floats(&[("h.0.mlp.c_proj.weight", &[128, 32])]))[0].certain);
    check(&[
        ("h.0.mlp.c_proj.weight", &[128, 32], Weight, 0),
        ("h.0.mlp.c_proj.bias", &[32], Bias, 0),
    ]);
}

#[test]
fn convolutions_and_their_norms() {
    check(&[
        ("conv1.weight", &[16, 3, 7, 7], Weight, 1),
        ("bn1.weight", &[16], Vector, 0),
        ("bn1.running_mean", &[16], Statistic, 0),
        ("bn1.running_var", &[16], Statistic, 0),
        ("layer1.0.conv1.weight", &[16, 16, 3, 3], Weight, 1),
        ("layer1.0.downsample.0.weight", &[32, 16, 1, 1], Weight, 1),
        ("layer1.0.downsample.1.weight", &[32], Vector, 0),
        ("fc.weight", &[10, 32], Head, 0),
        ("fc.bias", &[10], Bias, 0),
    ]);
    check(&[
        ("features.0.weight", &[64, 3, 11, 11], Weight, 1),
        ("classifier.1.weight", &[128, 256], Weight, 1),
        ("classifier.4.weight", &[128, 128], Weight, 1),
        ("classifier.6.weight", &[10, 128], Head, 0),
        ("stages.0.blocks.0.gamma", &[32, 1, 1], Norm, 0),
    ]);
    // A transposed convolution: the bias has as many values as the second axis.
    check(&[
        ("up.0.deconv.weight", &[64, 32, 2, 2], Weight, 0),
        ("up.0.deconv.bias", &[32], Bias, 0),
        ("conv.weight", &[64, 32, 3], Weight, 1),
        ("conv.bias", &[64], Bias, 0),
    ]);
    // Alone it is a layer as any other, with no head to spare.
    check(&[("fc.weight", &[10, 4], Weight, 1)]);
}

#[test]
fn encoders_and_vision() {
    check(&[
        ("bert.embeddings.word_embeddings.weight", &[50, 32], Embedding, 0),
        ("bert.embeddings.position_embeddings.weight", &[16, 32], Position, 0),
        ("bert.embeddings.token_type_embeddings.weight", &[2, 32], Embedding, 0),
        ("bert.embeddings.LayerNorm.weight", &[32], Vector, 0),
        ("bert.encoder.layer.0.attention.self.query.weight", &[32, 32], Weight, 1),
        ("bert.encoder.layer.0.attention.output.dense.weight", &[32, 32], Weight, 1),
        ("bert.encoder.layer.0.intermediate.dense.weight", &[64, 32], Weight, 1),
        ("bert.pooler.dense.weight", &[32, 32], Weight, 1),
        ("cls.predictions.transform.dense.weight", &[32, 32], Weight, 1),
        ("cls.predictions.decoder.weight", &[50, 32], Head, 0),
        ("classifier.weight", &[2, 32], Head, 0),
        ("distilbert.transformer.layer.0.attention.q_lin.weight", &[32, 32], Weight, 1),
    ]);
    check(&[
        ("cls_token", &[1, 1, 32], Token, 0),
        ("reg_token", &[1, 4, 32], Token, 0),
        ("pos_embed", &[1, 17, 32], Position, 0),
        ("patch_embed.proj.weight", &[32, 3, 8, 8], Weight, 1),
        ("blocks.0.attn.qkv.weight", &[96, 32], Weight, 1),
        ("blocks.0.attn.relative_position_bias_table", &[169, 4], Position, 0),
        ("blocks.0.attn.rel_pos_h", &[27, 8], Position, 0),
        ("blocks.0.mlp.fc1.weight", &[64, 32], Weight, 1),
        ("blocks.0.ls1.gamma", &[32], Vector, 0),
        ("head.weight", &[10, 32], Head, 0),
    ]);
    check(&[
        ("vit.embeddings.cls_token", &[1, 1, 32], Token, 0),
        ("vit.embeddings.position_embeddings", &[1, 17, 32], Position, 0),
        ("vit.embeddings.patch_embeddings.projection.weight", &[32, 3, 8, 8], Weight, 1),
        ("encoder.pos_embedding", &[1, 17, 32], Position, 0),
        ("encoder.layers.encoder_layer_0.self_attention.in_proj_weight", &[96, 32], Weight, 1),
        ("heads.head.weight", &[10, 32], Head, 0),
    ]);
    check(&[
        ("text_model.embeddings.token_embedding.weight", &[50, 32], Embedding, 0),
        ("text_model.embeddings.position_embedding.weight", &[16, 32], Position, 0),
        ("vision_model.embeddings.class_embedding", &[32], Vector, 0),
        ("vision_model.embeddings.patch_embedding.weight", &[32, 3, 8, 8], Weight, 1),
        ("visual_projection.weight", &[16, 32], Weight, 1),
        ("text_projection", &[32, 16], Weight, 0),
        ("positional_embedding", &[16, 32], Position, 0),
        ("mask_decoder.mask_tokens.weight", &[4, 32], Token, 0),
        ("prompt_encoder.point_embeddings.0.weight", &[1, 32], Embedding, 0),
        ("unet.time_embedding.linear_1.weight", &[128, 32], Weight, 1),
        ("unet.blocks.0.attn1.to_out.0.weight", &[32, 32], Weight, 1),
        ("unet.blocks.0.ff.net.2.weight", &[32, 128], Weight, 1),
    ]);
}

#[test]
fn t5_and_whisper() {
    check(&[
        ("shared.weight", &[64, 32], Embedding, 0),
        ("encoder.embed_tokens.weight", &[64, 32], Embedding, 0),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", &[32, 32], Weight, 1),
        (
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            &[32, 8],
            Position,
            0,
        ),
        ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", &[64, 32], Weight, 1),
        ("encoder.block.0.layer.1.DenseReluDense.wo.weight", &[32, 64], Weight, 1),
        ("lm_head.weight", &[64, 32], Head, 0),
    ]);
    check(&[
        ("model.encoder.conv1.weight", &[32, 80, 3], Weight, 1),
        ("model.encoder.embed_positions.weight", &[150, 32], Position, 0),
        ("model.decoder.embed_tokens.weight", &[64, 32], Embedding, 0),
        ("model.decoder.layers.0.encoder_attn.k_proj.weight", &[32, 32], Weight, 1),
        ("model.decoder.layers.0.fc1.weight", &[128, 32], Weight, 1),
        ("proj_out.weight", &[64, 32], Head, 0),
    ]);
}

#[test]
fn experts_and_state_spaces() {
    check(&[
        ("model.layers.0.block_sparse_moe.gate.weight", &[8, 32], Router, 0),
        ("model.layers.0.block_sparse_moe.experts.0.w1.weight", &[64, 32], Weight, 1),
        ("model.layers.1.mlp.router.weight", &[8, 32], Router, 0),
        ("model.layers.1.mlp.shared_expert_gate.weight", &[1, 32], Router, 0),
        ("model.layers.3.moe.gate.wg.weight", &[8, 32], Router, 0),
        ("model.layers.1.mlp.gate.e_score_correction_bias", &[8], Bias, 0),
        ("model.layers.1.mlp.experts.gate_up_proj", &[8, 32, 96], Weight, 1),
        ("model.layers.1.mlp.experts.down_proj", &[8, 48, 32], Weight, 1),
        ("model.layers.2.mlp.experts.gate_up_proj", &[8, 96, 32], Weight, 2),
        ("model.layers.2.mlp.experts.down_proj", &[8, 32, 48], Weight, 2),
        ("model.layers.2.mlp.experts.gate_up_proj_bias", &[8, 96], Bias, 0),
    ]);
    check(&[
        ("backbone.embeddings.weight", &[64, 32], Embedding, 0),
        ("backbone.layers.0.mixer.A_log", &[64, 16], State, 0),
        ("backbone.layers.0.mixer.D", &[64], State, 0),
        ("backbone.layers.0.mixer.conv1d.weight", &[64, 1, 4], State, 0),
        ("backbone.layers.0.mixer.dt_proj.weight", &[64, 2], State, 0),
        ("backbone.layers.0.mixer.in_proj.weight", &[128, 32], Weight, 1),
        ("backbone.layers.0.mixer.x_proj.weight", &[34, 64], Weight, 1),
        ("backbone.layers.0.mixer.out_proj.weight", &[32, 64], Weight, 1),
        ("rwkv.blocks.0.attention.time_mix_key", &[1, 1, 32], State, 0),
        ("rwkv.blocks.0.attention.key.weight", &[32, 32], Weight, 1),
    ]);
}

#[test]
fn other_ways_to_store_a_weight() {
    check(&[
        ("rnn.weight_ih_l0", &[64, 8], Weight, 1),
        ("rnn.weight_hh_l0_reverse", &[64, 16], Weight, 1),
        ("rnn.bias_ih_l0", &[64], Bias, 0),
        ("conv.parametrizations.weight.original0", &[32, 1, 1], Norm, 0),
        ("conv.parametrizations.weight.original1", &[32, 16, 3], Weight, 1),
        ("conv_pre.weight_g", &[32, 1, 1], Norm, 0),
        ("conv_pre.weight_v", &[32, 16, 3], Weight, 1),
        ("base.q_proj.lora_A.default.weight", &[8, 32], Adapter, 0),
        ("state.0.exp_avg", &[32, 32], State, 0),
    ]);
    // Flax and Keras.
    check(&[
        ("params/dense/kernel", &[32, 16], Weight, 0),
        ("params/conv/kernel", &[3, 3, 8, 16], Weight, 2),
        ("params/attention/query/kernel", &[32, 4, 8], Weight, 0),
        ("params/embed/embedding", &[64, 32], Embedding, 0),
        ("conv2d/kernel:0", &[3, 3, 8, 16], Weight, 2),
    ]);
}

#[test]
fn what_no_name_decides_is_said() {
    let all =
        floats(&[("part.7.weight", &[8, 4]), ("part.7.thing", &[8, 4]), ("x.weight", &[4; 4])]);
    let taken = taken(&all);
    let said: Vec<_> = taken.iter().map(|t| (t.role, t.certain)).collect();
    assert_eq!(said, [(Weight, false), (Unknown, false), (Weight, true)]);
    assert!(taken[0].is_suspect(&all[0]) && taken[1].is_suspect(&all[1]));
    assert!(!taken[2].is_suspect(&all[2]), "four axes are a convolution's");
    let gated = floats(&[("mlp.gate.weight", &[64, 32])]);
    assert_eq!((self::taken(&gated)[0].role, self::taken(&gated)[0].certain), (Weight, false));
    let ids = [tensor("buffer.weight", Dtype::I64, &[4, 4])];
    assert_eq!(self::taken(&ids)[0].role, Buffer);
}

/// Each scheme by the tensors that only it writes: `(name, dtype, shape)`, its codes first.
#[test]
fn quantised_weights_have_the_name_of_their_scheme() {
    type Row = (&'static str, Dtype, &'static [usize]);
    const Q: &str = "codes of ";
    let cases: [(&str, &[Row]); 15] = [
        (
            "GPTQ",
            &[
                ("q.qweight", Dtype::I32, &[4, 64]),
                ("q.qzeros", Dtype::I32, &[1, 8]),
                ("q.scales", Dtype::F16, &[1, 64]),
                ("q.g_idx", Dtype::I32, &[32]),
            ],
        ),
        (
            "AWQ",
            &[
                ("q.qweight", Dtype::I32, &[32, 8]),
                ("q.qzeros", Dtype::I32, &[1, 8]),
                ("q.scales", Dtype::F16, &[1, 64]),
            ],
        ),
        (
            "bitsandbytes NF4",
            &[
                ("q.weight", Dtype::U8, &[512, 1]),
                ("q.weight.absmax", Dtype::F32, &[16, 2]),
                ("q.weight.quant_map", Dtype::F32, &[16]),
                ("q.weight.quant_state.bitsandbytes__nf4", Dtype::U8, &[80]),
            ],
        ),
        (
            "bitsandbytes LLM.int8()",
            &[("q.weight", Dtype::I8, &[32, 32]), ("q.SCB", Dtype::F32, &[32])],
        ),
        (
            "fp8 (F8_E4M3, with scales)",
            &[
                ("q.weight", Dtype::F8_E4M3, &[32, 32]),
                ("q.weight_scale_inv", Dtype::F32, &[2, 2]),
                ("q.input_scale", Dtype::F32, &[]),
            ],
        ),
        (
            "compressed-tensors",
            &[
                ("q.weight_packed", Dtype::I32, &[32, 4]),
                ("q.weight_scale", Dtype::BF16, &[32, 1]),
                ("q.weight_shape", Dtype::I64, &[2]),
            ],
        ),
        (
            "compressed-tensors' sparse format",
            &[("q.compressed", Dtype::BF16, &[512]), ("q.bitmask", Dtype::U8, &[32, 4])],
        ),
        (
            "MXFP4",
            &[
                ("mlp.experts.gate_up_proj_blocks", Dtype::U8, &[2, 8, 1, 16]),
                ("mlp.experts.gate_up_proj_scales", Dtype::U8, &[2, 8, 1]),
            ],
        ),
        (
            "NVFP4",
            &[
                ("q.weight", Dtype::U8, &[32, 16]),
                ("q.weight_scale", Dtype::F8_E4M3, &[32, 2]),
                ("q.weight_scale_2", Dtype::F32, &[]),
            ],
        ),
        (
            "torchao",
            &[
                ("q._weight_qdata", Dtype::F8_E4M3, &[32, 32]),
                ("q._weight_scale", Dtype::F32, &[32, 1]),
            ],
        ),
        (
            "HQQ",
            &[
                ("q.W_q", Dtype::U8, &[32, 16]),
                ("q.scale", Dtype::F16, &[32, 1]),
                ("q.zero", Dtype::F16, &[32]),
            ],
        ),
        (
            "Quanto",
            &[("q.weight._data", Dtype::I8, &[32, 32]), ("q.weight._scale", Dtype::F32, &[32, 1])],
        ),
        ("GGUF-like blocks (U8)", &[("blk.0.attn_q.weight", Dtype::U8, &[32, 18])]),
        ("F4: 4 or 6-bit floats", &[("q.weight", Dtype::F4, &[32, 32])]),
        (
            "I8 of a scheme that the file does not name",
            &[("q.weight", Dtype::I8, &[32, 32]), ("q.bias", Dtype::F32, &[32])],
        ),
    ];
    for (scheme, rows) in cases {
        let all: Vec<_> =
            rows.iter().map(|(n, dtype, shape)| tensor(n, dtype.clone(), shape)).collect();
        let taken = taken(&all);
        assert_eq!(taken[0].role, Quantised, "{scheme}: {}", taken[0].reason);
        assert_eq!(taken[0].reason, format!("{Q}{scheme}"));
        for (t, info) in taken.iter().zip(&all).skip(1) {
            assert!(![Weight, Unknown].contains(&t.role), "{scheme}: {}: {:?}", info.name, t.role);
            assert!(info.shape.len() < 2 || t.role == Scale, "{scheme}: {}", info.name);
        }
    }
    // The same names without codes beside them are a layer's own.
    let plain = floats(&[("block.scale", &[8, 8]), ("q.indices", &[4])]);
    assert!(self::taken(&plain).iter().all(|t| ![Scale, Quantised].contains(&t.role)));
}

#[test]
fn pairs_of_torchs_pruning_are_known() {
    let both = floats(&[("fc.weight_orig", &[8, 4]), ("fc.weight_mask", &[8, 4])]);
    assert_eq!(taken(&both).iter().map(|t| t.role).collect::<Vec<_>>(), [Pair, Buffer]);
    // A spectral norm has values of this name too, and no mask.
    let alone = floats(&[("fc.weight_orig", &[8, 4]), ("fc.weight_u", &[8])]);
    assert_eq!(taken(&alone)[0].role, Weight);
}

/// Each kind of our layers, as its network says, whatever the names look like.
#[test]
fn networks_of_ours_say_it_themselves() {
    let schema = |shape: &[usize], classes, positions| {
        let mut schema = Schema::default();
        schema.shape = shape.to_vec();
        schema.task = Task::Classification { classes, positions };
        schema
    };
    let role = |model: &str, schema: Option<&Schema>, name: &str, shape: &[usize]| {
        let own = OwnModel::of(model, schema).expect("a model of ours");
        let tensor = tensor(name, Dtype::F32, shape);
        let taken = roles(&[&tensor], Some(&own)).remove(0);
        (taken.role, taken.axis, taken.certain)
    };
    let image = schema(&[8, 8], 10, 1);
    let norms = r#"layers:[{"kind":"conv","outputs":16,"kernel":[3,3],"normalizer":"batch_norm"},
        {"kind":"flatten"},{"kind":"linear","masked":false,"outputs":8},{"kind":"linear"}]"#;
    for schema in [Some(&image), None] {
        let role = |name: &str, shape: &[usize]| role(norms, schema, name, shape);
        assert_eq!(role("conv1.weight", &[3, 3, 1, 16]), (Weight, 2, true));
        assert_eq!(role("conv1.norm.running", &[2, 16]).0, Statistic);
        assert_eq!(role("fc1.weight", &[1024, 8]).0, Dense, "its layer says masked = false");
        assert_eq!(role("fc2.weight", &[8, 10]), (Weight, 0, true));
        assert_eq!(role("fc2.bias", &[10]).0, Vector);
        assert_eq!(role("fc9.weight", &[8, 10]), (Unknown, 1, false));
    }
    let text = schema(&[16], 30, 16);
    let gpt = |name: &str, shape: &[usize]| role("chargpt:32x1x4", Some(&text), name, shape).0;
    assert_eq!(gpt("embed1.weight", &[30, 32]), Dense);
    assert_eq!(gpt("embed1.positions", &[16, 32]), Dense);
    assert_eq!(gpt("attention1.qkv.weight", &[32, 96]), Weight);
    let lstm = r#"layers:[{"kind":"embedding","outputs":3},
        {"kind":"lstm","units":8,"peepholes":true,"projection":4},{"kind":"linear"}]"#;
    let lstm = |name: &str, shape: &[usize]| role(lstm, Some(&text), name, shape).0;
    assert_eq!(lstm("lstm1.weight", &[7, 32]), Weight);
    assert_eq!(lstm("lstm1.peepholes", &[3, 8]), Dense);
    assert_eq!(lstm("lstm1.projection", &[8, 4]), Dense);
    // Made by hand: the name is no model, but there is a schema; without one it is not ours.
    assert_eq!(role("mine", Some(&image), "a.weight", &[8, 4]), (Weight, 0, false));
    assert!(OwnModel::of("llama", None).is_none());
}
