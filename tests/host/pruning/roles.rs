//! What tensors are taken for: a row for each layout of the field.
mod codes;
mod stored;

use secateur::prune::{Role, Taken, roles};
use secateur::storage::{Dtype, TensorInfo};

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
    // So it is with linear layers; where both fit, they are as PyTorch has them.
    check(&[
        ("proj.weight", &[8, 32], Weight, 0),
        ("proj.bias", &[32], Bias, 0),
        ("dense.weight", &[32, 32], Weight, 1),
        ("dense.bias", &[32], Bias, 0),
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
