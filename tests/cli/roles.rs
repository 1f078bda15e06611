//! What `secateur prune` takes for a weight, on files laid out as people's real ones are.
use serde_json::{Value, json};

use crate::folder::{Folder, Run};
use crate::tensors::{Tensor, bytes, f32s, file, floats, is_2_of_4, read, values};

/// GPT-2 as the first files of it are: weights `[in, out]`, and a causal mask of ones as a buffer.
fn gpt2() -> Vec<Tensor> {
    let (n, d) = (12, 16);
    let mask: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i % n <= i / n))).collect();
    vec![
        f32s("wte.weight", &[60, d]),
        f32s("wpe.weight", &[n, d]),
        values("h.0.ln_1.weight", &[d], &[1.0; 16]),
        values("h.0.attn.bias", &[1, 1, n, n], &mask),
        values("h.0.attn.masked_bias", &[], &[-1e4]),
        f32s("h.0.attn.c_attn.weight", &[d, 3 * d]),
        f32s("h.0.attn.c_proj.weight", &[d, d]),
        f32s("h.0.mlp.c_fc.weight", &[d, 4 * d]),
        f32s("h.0.mlp.c_proj.weight", &[4 * d, d]),
    ]
}

const GPT2_WEIGHTS: [(&str, [usize; 2]); 4] = [
    ("h.0.attn.c_attn.weight", [16, 48]),
    ("h.0.attn.c_proj.weight", [16, 16]),
    ("h.0.mlp.c_fc.weight", [16, 64]),
    ("h.0.mlp.c_proj.weight", [64, 16]),
];

/// The entry of a report for one tensor.
fn entry<'a>(report: &'a Value, name: &str) -> &'a Value {
    let tensors = report["tensors"].as_array().expect("tensors");
    tensors.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn zeros(file: &[u8], name: &str) -> usize {
    floats(file, name).iter().filter(|&&v| v == 0.0).count()
}

#[test]
fn the_mask_of_gpt2_is_no_weight() {
    let Some(folder) = Folder::with_gpu() else { return };
    let before = file(&gpt2());
    folder.write("m.safetensors", &before);
    let run = "prune m.safetensors -o p.safetensors --scope global --sparsity 0.9 --json";
    let report = folder.run(run).json();
    let after = folder.read("p.safetensors");
    let pruned: usize = GPT2_WEIGHTS.iter().map(|(name, _)| zeros(&after, name)).sum();
    let all: usize = GPT2_WEIGHTS.iter().map(|(_, [a, b])| a * b).sum();
    assert_eq!((pruned, all), (2765, 3072), "0.9 of the weights, and not all of them");
    assert_eq!(report["sparsity"].as_f64(), Some(2765.0 / 3072.0));
    for tensor in gpt2().iter().filter(|t| !GPT2_WEIGHTS.iter().any(|(name, _)| *name == t.name)) {
        assert!(read(&after, &tensor.name) == tensor.bytes, "{} has changed", tensor.name);
        assert_eq!(entry(&report, &tensor.name)["fate"], "dense");
        assert!(entry(&report, &tensor.name)["threshold"].is_null());
    }
    let mask = entry(&report, "h.0.attn.bias");
    assert_eq!(mask["role"], "buffer");
    assert!(mask["why"].as_str().unwrap().contains("only 0 and 1"), "{mask}");
    let whole = report["whole_sparsity"].as_f64().unwrap();
    let elements = 60 * 16 + 12 * 16 + 16 + 144 + 1 + 3072;
    assert_eq!(whole, (2765.0 + 66.0) / f64::from(elements), "the mask has 66 zeros of its own");
    assert_eq!(report["dense"]["embedding"], json!(["wte.weight"]));
    assert_eq!(report["dense"]["position"], json!(["wpe.weight"]));
}

#[test]
fn groups_of_gpt2_run_along_its_inputs() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", file(&gpt2()));
    let report = folder.run("prune m.safetensors -o p.safetensors --pattern 2:4 --json").json();
    let after = folder.read("p.safetensors");
    assert_eq!(report["sparsity"], json!(0.5));
    for (name, [inputs, outputs]) in GPT2_WEIGHTS {
        let entry = entry(&report, name);
        assert_eq!((&entry["axis"], &entry["fate"]), (&json!(0), &json!("pruned")), "{name}");
        assert!(is_2_of_4(&floats(&after, name), inputs, outputs), "{name}");
        let before = gpt2().into_iter().find(|t| t.name == name).unwrap();
        let before = floats(&file(&[before]), name);
        let gone = before.iter().zip(floats(&after, name)).filter(|(_, after)| *after == 0.0);
        let highest = gone.map(|(before, _)| before.abs()).fold(0.0, f32::max);
        assert_eq!(entry["threshold"].as_f64().map(|t| t as f32), Some(highest), "{name}");
    }
    // Overruled: along the outputs.
    let other = "prune m.safetensors -o q.safetensors --pattern 2:4 --axis -1 --json";
    let report = folder.run(other).json();
    let after = folder.read("q.safetensors");
    for (name, [_, outputs]) in GPT2_WEIGHTS {
        assert_eq!(entry(&report, name)["axis"], json!(1), "{name}");
        assert!(is_2_of_4(&floats(&after, name), outputs, 1), "{name}");
    }
    let wrong = "prune m.safetensors -o r.safetensors --pattern 2:4 --axis 2";
    folder.run(wrong).fails(2, &["axis", "c_attn.weight has 2 axes"]);
}

#[test]
fn convolutions_group_along_their_channels() {
    let Some(folder) = Folder::with_gpu() else { return };
    let tensors = [
        f32s("conv1.weight", &[16, 8, 4, 4]),
        f32s("bn1.running_mean", &[16]),
        values("bn1.running_var", &[16], &[1.0; 16]),
        f32s("fc.weight", &[10, 64]),
    ];
    folder.write("m.safetensors", file(&tensors));
    let report = folder.run("prune m.safetensors -o p.safetensors --pattern 2:4 --json").json();
    let after = folder.read("p.safetensors");
    assert_eq!(entry(&report, "conv1.weight")["axis"], json!(1));
    assert!(is_2_of_4(&floats(&after, "conv1.weight"), 8, 16));
    assert!(!is_2_of_4(&floats(&after, "conv1.weight"), 4, 1), "along the width of a kernel");
    let roles = ["bn1.running_mean", "bn1.running_var", "fc.weight"].map(|name| {
        let same = tensors.iter().any(|t| t.name == name && t.bytes == read(&after, name));
        assert!(same, "{name} has changed");
        entry(&report, name)["role"].as_str().unwrap()
    });
    assert_eq!(roles, ["statistic", "statistic", "head"]);
    let also = "prune m.safetensors -o q.safetensors --sparsity 0.5 --include ^fc --json";
    let report = folder.run(also).json();
    assert_eq!(entry(&report, "fc.weight")["fate"], "pruned");
    assert_eq!(zeros(&folder.read("q.safetensors"), "fc.weight"), 320);
    let only = "prune m.safetensors -o r.safetensors --sparsity 0.5 --include ^fc --only fc --json";
    let report = folder.run(only).json();
    assert_eq!(entry(&report, "conv1.weight")["fate"], "dense");
}

fn llama() -> Vec<Tensor> {
    vec![
        f32s("model.embed_tokens.weight", &[64, 32]),
        f32s("model.layers.0.self_attn.q_proj.weight", &[32, 32]),
        f32s("model.layers.0.mlp.down_proj.weight", &[32, 86]),
        f32s("model.layers.1.mlp.gate.weight", &[8, 32]),
        values("model.norm.weight", &[32], &[1.0; 32]),
        f32s("lm_head.weight", &[64, 32]),
    ]
}

#[test]
fn embeddings_and_heads_are_pruned_when_asked_for() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", file(&llama()));
    let base = "prune m.safetensors -o p.safetensors --sparsity 0.5 --force --json";
    let pruned = |more: &str| -> Vec<String> {
        let report = folder.run(&format!("{base} {more}")).json();
        let tensors = report["tensors"].as_array().unwrap().iter();
        let pruned = tensors.filter(|t| t["fate"] == "pruned");
        pruned.map(|t| t["name"].as_str().unwrap().to_owned()).collect()
    };
    let [down, q] =
        ["model.layers.0.mlp.down_proj.weight", "model.layers.0.self_attn.q_proj.weight"];
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(pruned("")), [down, q]);
    assert_eq!(sorted(pruned("--exclude down")), [q]);
    assert_eq!(sorted(pruned("--include lm_head")), ["lm_head.weight", down, q]);
    let asked = ["lm_head.weight", "model.embed_tokens.weight", down, q];
    assert_eq!(sorted(pruned("--include embed|lm_head")), asked);
    assert_eq!(
        sorted(pruned("--include gate --only layers\\.1")),
        ["model.layers.1.mlp.gate.weight"]
    );
    // What is not there to be left out is no error.
    let run = folder.run(&format!("{base} --exclude nothing_like_it")).ok();
    assert!(
        run.err.contains("warning: --exclude `nothing_like_it` matches none of 6"),
        "{}",
        run.err
    );
    folder
        .run(&format!("{base} --include nothing_like_it"))
        .fails(2, &["matches none of 6 tensors"]);
    let text = folder.run("prune m.safetensors -o t.safetensors --sparsity 0.5").ok().out;
    for part in [
        "left dense: embedding: model.embed_tokens.weight",
        "left dense: head: lm_head.weight",
        "left dense: router: model.layers.1.mlp.gate.weight",
        "50.00 % of 2 tensors pruned, ",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn what_m_does_not_divide_is_listed_at_once() {
    let Some(folder) = Folder::with_gpu() else { return };
    let mut tensors = llama();
    tensors.push(f32s("model.layers.1.mlp.up_proj.weight", &[8, 30]));
    folder.write("m.safetensors", file(&tensors));
    let run = folder.run("prune m.safetensors -o p.safetensors --pattern 2:4 --json").ok();
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let [down, up] = ["model.layers.0.mlp.down_proj.weight", "model.layers.1.mlp.up_proj.weight"];
    let mut skipped: Vec<_> = report["skipped"].as_array().unwrap().iter().collect();
    skipped.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    assert_eq!(skipped, [down, up]);
    assert_eq!(report["sparsity"].as_f64(), Some(0.5), "of what was pruned");
    let after = folder.read("p.safetensors");
    for tensor in tensors.iter().filter(|t| [down, up].contains(&&*t.name)) {
        assert_eq!(entry(&report, &tensor.name)["fate"], "skipped");
        assert!(read(&after, &tensor.name) == tensor.bytes);
    }
    let line = run.err.lines().find(|l| l.contains("2:4 skips")).expect("a warning");
    assert!(line.contains(down) && line.contains(up) && line.contains("[32, 86]"), "{line}");
}

/// Refused, with the scheme and the way out, and nothing written.
#[test]
fn codes_are_refused_by_the_name_of_their_scheme() {
    let Some(folder) = Folder::with_gpu() else { return };
    let fp8 = [
        bytes("model.layers.0.self_attn.o_proj.weight", "F8_E4M3", &[32, 32], 1, 0x31),
        f32s("model.layers.0.self_attn.o_proj.weight_scale_inv", &[2, 2]),
        f32s("model.layers.0.mlp.gate.weight", &[8, 32]),
        f32s("model.layers.0.mlp.up_proj.weight", &[8, 32]),
    ];
    let gptq = [
        bytes("a.q_proj.qweight", "I32", &[4, 32], 4, 0x77),
        bytes("a.q_proj.qzeros", "I32", &[1, 4], 4, 0x77),
        bytes("a.q_proj.scales", "F16", &[1, 32], 2, 0x30),
        bytes("a.q_proj.g_idx", "I32", &[32], 4, 0),
    ];
    let pair = [f32s("fc.weight_orig", &[8, 8]), values("fc.weight_mask", &[8, 8], &[1.0; 64])];
    let doubles = [bytes("fc.weight", "F64", &[8, 8], 8, 0x3f)];
    for (tensors, parts) in [
        (&fp8[..], &["codes of fp8 (F8_E4M3, with scales)", "o_proj.weight", "16 or 32 bits"][..]),
        (&gptq, &["codes of GPTQ", "a.q_proj.qweight", "--exclude"]),
        (&pair, &["torch.nn.utils.prune.remove", "fc.weight_orig"]),
        (&doubles, &["fc.weight (F64)", "convert"]),
    ] {
        folder.write("m.safetensors", file(tensors));
        folder.run("prune m.safetensors -o p.safetensors --sparsity 0.5").fails(2, parts);
        folder.run("prune m.safetensors --sparsity 0.5 --dry-run").fails(2, parts);
        assert_eq!(folder.list("."), ["m.safetensors"]);
    }
    // Left as they are, the rest can be pruned: neither the scales nor the router.
    folder.write("m.safetensors", file(&fp8));
    let rest = "prune m.safetensors -o p.safetensors --sparsity 0.5 --exclude o_proj --json";
    let report = folder.run(rest).json();
    let after = folder.read("p.safetensors");
    assert!(fp8[..3].iter().all(|t| t.bytes == read(&after, &t.name)));
    assert_eq!(zeros(&after, &fp8[3].name), 128);
    assert_eq!(entry(&report, &fp8[1].name)["role"], "scale");
    assert_eq!(entry(&report, &fp8[2].name)["role"], "router");
}

/// It needs no adapter and no output, and says of each tensor why.
#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::new();
    let mut tensors = gpt2();
    tensors.push(f32s("extra.3.weight", &[8, 8]));
    tensors.push(f32s("extra.thing", &[8, 8]));
    tensors.push(values("extra.flags", &[2, 2], &[0.0, 1.0, 1.0, 0.0]));
    folder.write("m.safetensors", file(&tensors));
    let run = |more: &str| {
        let args = format!("prune m.safetensors --pattern 2:4 --dry-run {more}");
        Run::of(folder.command(&args).env("SECATEUR_ADAPTER", "no such adapter")).ok()
    };
    let report: Value = serde_json::from_str(&run("--json").out).unwrap();
    assert_eq!((&report["dry_run"], &report["pattern"]), (&json!(true), &json!("2:4")));
    let fate = |name: &str| {
        let t = entry(&report, name);
        [&t["role"], &t["fate"], &t["axis"]].map(Value::clone)
    };
    assert_eq!(fate("h.0.mlp.c_fc.weight"), [json!("weight"), json!("pruned"), json!(0)]);
    assert_eq!(fate("extra.3.weight"), [json!("weight"), json!("pruned"), json!(1)]);
    assert_eq!(fate("extra.thing"), [json!("unknown"), json!("dense"), Value::Null]);
    assert_eq!(fate("extra.flags"), [json!("buffer"), json!("dense"), Value::Null]);
    assert_eq!(fate("wte.weight"), [json!("embedding"), json!("dense"), Value::Null]);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("extra.3.weight [8, 8]") && warnings.contains("extra.thing"));
    assert!(!warnings.contains("c_fc"), "{warnings}");
    let text = run("");
    assert!(text.out.contains("GPT-2's Conv1D") && text.out.contains("nothing was written"));
    assert!(text.out.contains("3,136 weights in 5 of 12 tensors"), "{}", text.out);
    assert!(text.err.contains("warning: taken for weights by their shape"), "{}", text.err);
    // Names that options speak of are decided.
    let asked = run("--include extra.thing --exclude extra.3");
    assert!(!asked.err.contains("say nothing"), "{}", asked.err);
    folder.run("prune m.safetensors --dry-run").ok();
    assert_eq!(folder.list("."), ["m.safetensors"]);
    folder.run("prune m.safetensors --sparsity 0.5").fails(2, &["--output"]);
}
