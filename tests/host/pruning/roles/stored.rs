//! What only the way that tensors are stored says: codes, pairs, networks of ours.
use secateur::data::{Schema, Task};
use secateur::prune::{OwnModel, Role::*, roles};
use secateur::storage::Dtype;

use super::{floats, taken, tensor};

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
    assert!(taken(&plain).iter().all(|t| ![Scale, Quantised].contains(&t.role)));
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
