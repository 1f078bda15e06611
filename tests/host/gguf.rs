//! GGUF files of golden models: names, keys, elements, and what they cannot say. That others read
//! them is checked by `scripts/check_gguf.py`.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use secateur::gguf::{GgufReport, write_gguf};
use secateur::pretrained::Pretrained;
use secateur::storage::Values;

use crate::model_folders::{Copied, model};
use crate::paths::project;

/// A file as its bytes say: keys with their values as text, and tensors with their elements.
struct File {
    keys: BTreeMap<String, String>,
    tensors: BTreeMap<String, (Vec<u64>, u32, Vec<u8>)>,
}

struct Bytes<'a>(&'a [u8], usize);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.1 += N;
        self.0[self.1 - N..self.1].try_into().unwrap()
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn text(&mut self) -> String {
        let len = self.long() as usize;
        self.1 += len;
        String::from_utf8(self.0[self.1 - len..self.1].to_vec()).unwrap()
    }

    fn value(&mut self, kind: u32) -> String {
        match kind {
            4 => self.word().to_string(),
            5 => (self.word() as i32).to_string(),
            6 => f32::from_bits(self.word()).to_string(),
            7 => (self.take::<1>() == [1]).to_string(),
            8 => self.text(),
            9 => {
                let (kind, len) = (self.word(), self.long());
                (0..len).map(|_| self.value(kind)).collect::<Vec<_>>().join("|")
            }
            other => panic!("a value of the type {other}"),
        }
    }
}

fn read(path: &Path) -> File {
    let all = fs::read(path).unwrap();
    let mut bytes = Bytes(&all, 0);
    assert_eq!((bytes.take(), bytes.word()), (*b"GGUF", 3));
    let (tensors, keys) = (bytes.long(), bytes.long());
    let keys = (0..keys).map(|_| {
        let (key, kind) = (bytes.text(), bytes.word());
        (key, bytes.value(kind))
    });
    let keys = keys.collect();
    let infos: Vec<_> = (0..tensors)
        .map(|_| {
            let (name, rank) = (bytes.text(), bytes.word());
            let extents: Vec<u64> = (0..rank).map(|_| bytes.long()).collect();
            (name, extents, bytes.word(), bytes.long() as usize)
        })
        .collect();
    let begin = bytes.1.next_multiple_of(32);
    let (mut end, mut tensors) = (begin, BTreeMap::new());
    for (name, extents, kind, offset) in infos {
        let size = if kind == 0 { 4 } else { 2 };
        let len = extents.iter().product::<u64>() as usize * size;
        assert_eq!(begin + offset, end, "{name}");
        end = (end + len).next_multiple_of(32);
        let data = all[begin + offset..begin + offset + len].to_vec();
        tensors.insert(name, (extents, kind, data));
    }
    assert_eq!(end, all.len());
    File { keys, tensors }
}

fn written(folder: &Path, values: Option<Values>) -> (GgufReport, File) {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("model.gguf");
    let report = write_gguf(&Pretrained::open(folder).unwrap(), &out, values, false).unwrap();
    assert_eq!(report.bytes, fs::metadata(&out).unwrap().len());
    (report, read(&out))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Rows of the queries of a head are in pairs of neighbours there, and in halves here.
#[test]
fn a_llama_is_written_as_llama_cpp_reads_it() {
    let folder = model("llama");
    let (report, file) = written(&folder, None);
    let files = Pretrained::open(&folder).unwrap();
    let config = files.config().settings();
    let heads = config["num_attention_heads"].as_u64().unwrap() as usize;
    let key = |name: &str| file.keys[name].as_str();
    assert_eq!(key("general.architecture"), "llama");
    assert_eq!(key("general.file_type"), "0");
    assert_eq!(key("llama.attention.head_count"), heads.to_string());
    assert_eq!(key("llama.embedding_length"), config["hidden_size"].to_string());
    assert_eq!(key("tokenizer.ggml.model"), "none");
    assert_eq!((report.architecture.as_str(), report.tokenizer), ("llama", None));
    let of = |name: &str| files.files().read_f32(name).unwrap();
    let (extents, kind, data) = &file.tensors["token_embd.weight"];
    let shape = &files.files().info("model.embed_tokens.weight").unwrap().shape;
    assert_eq!(*extents, [shape[1] as u64, shape[0] as u64]);
    assert_eq!((*kind, data), (0, &floats(&of("model.embed_tokens.weight"))));
    let name = "model.layers.1.self_attn.q_proj.weight";
    let (before, shape) = (of(name), &files.files().info(name).unwrap().shape);
    let (size, width) = (shape[0] / heads, shape[1]);
    let mut wanted = vec![0.0; before.len()];
    for head in 0..heads {
        for (half, i) in (0..2).flat_map(|half| (0..size / 2).map(move |i| (half, i))) {
            let (to, from) = (head * size + 2 * i + half, head * size + half * (size / 2) + i);
            wanted[to * width..][..width].copy_from_slice(&before[from * width..][..width]);
        }
    }
    assert_ne!(wanted, before);
    assert_eq!(file.tensors["blk.1.attn_q.weight"].2, floats(&wanted));
    assert_eq!(report.tensors.len(), file.tensors.len());
    // Norms stay wide.
    let (_, file) = written(&folder, Some(Values::F16));
    assert_eq!(file.keys["general.file_type"], "1");
    assert_eq!(
        (file.tensors["blk.0.attn_q.weight"].1, file.tensors["blk.0.attn_norm.weight"].1),
        (1, 0)
    );
    let (_, file) = written(&folder, Some(Values::Bf16));
    assert_eq!(
        (file.keys["general.file_type"].as_str(), file.tensors["blk.0.ffn_up.weight"].1),
        ("32", 30)
    );
}

/// Weights `[inputs, outputs]` are turned, and positions stay wide.
#[test]
fn a_gpt2_is_written_as_llama_cpp_reads_it() {
    let folder = model("gpt2");
    let (_, file) = written(&folder, Some(Values::F16));
    let files = Pretrained::open(&folder).unwrap();
    let name = files.files().tensors().map(|t| t.name.clone());
    let name = name.into_iter().find(|name| name.ends_with("h.0.attn.c_attn.weight")).unwrap();
    let (before, shape) =
        (files.files().read_f32(&name).unwrap(), files.files().info(&name).unwrap());
    let &[inputs, outputs] = &shape.shape[..] else { panic!() };
    let wanted = (0..outputs).flat_map(|o| (0..inputs).map(move |i| i * outputs + o));
    let wanted = wanted.flat_map(|at| half::f16::from_f32(before[at]).to_le_bytes());
    let (extents, kind, data) = &file.tensors["blk.0.attn_qkv.weight"];
    assert_eq!((&extents[..], *kind), (&[inputs as u64, outputs as u64][..], 1));
    assert_eq!(*data, wanted.collect::<Vec<u8>>());
    assert_eq!(file.tensors["position_embd.weight"].1, 0);
    assert!(!file.tensors.contains_key("output.weight"));
}

/// A table of ids, the merges, and how a text begins.
#[test]
fn tokenizers_are_written_as_tables() {
    let folder = Copied::of("llama");
    let rows = folder.config["vocab_size"].as_u64().unwrap();
    let path = folder.write();
    let tokenizer = |text: &str| fs::write(path.join("tokenizer.json"), text).unwrap();
    let json = |pre: &str, model: &str| {
        format!(
            r#"{{"normalizer":null,"pre_tokenizer":{pre},"model":{model},
            "added_tokens":[{{"id":3,"content":"<s>","special":true}},
                {{"id":4,"content":"<tool>","special":false}}],
            "post_processor":{{"type":"TemplateProcessing","single":[
                {{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}}],
                "special_tokens":{{"<s>":{{"id":"<s>","ids":[3],"tokens":["<s>"]}}}}}}}}"#
        )
    };
    let bytes = r#"{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"#;
    let model = r#"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}"#;
    tokenizer(&json(bytes, model));
    let (report, file) = written(path, None);
    assert_eq!(report.tokenizer.as_deref(), Some("gpt-2"));
    let key = |name: &str| file.keys[&format!("tokenizer.ggml.{name}")].as_str();
    assert_eq!((key("model"), key("pre"), key("merges")), ("gpt2", "gpt-2", "a b"));
    let padding: Vec<String> = (5..rows).map(|id| format!("[PAD{id}]")).collect();
    assert_eq!(key("tokens"), format!("a|b|ab|<s>|<tool>|{}", padding.join("|")));
    assert_eq!(key("token_type"), format!("1|1|1|3|4{}", "|5".repeat(rows as usize - 5)));
    let begins = folder.config["bos_token_id"].as_u64();
    assert_eq!(key("add_bos_token"), (begins == Some(3)).to_string());
    let out = path.join("out.gguf");
    let model_of = || Pretrained::open(path).unwrap();
    let refused = |text: &str, what: &str| {
        tokenizer(text);
        let error = write_gguf(&model_of(), &out, None, false).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json") && error.contains(what), "{what}: {error}");
        assert!(!out.exists());
    };
    refused("[", "no JSON");
    refused(&json(r#"{"type":"Metaspace"}"#, model), "Metaspace");
    refused(&json(bytes, r#"{"type":"Unigram","vocab":[]}"#), "Unigram");
    refused(&json(bytes, r#"{"type":"BPE","vocab":{"a":9999},"merges":[]}"#), "the id 9999");
    refused(&json(bytes, r#"{"type":"BPE","vocab":{},"merges":["a b c"]}"#), "no pair");
    let falls = r#"{"type":"BPE","vocab":{},"merges":[],"byte_fallback":true}"#;
    refused(&json(bytes, falls), "falls back");
    for name in ["unigram.json", "wordpiece.json"] {
        let text = fs::read_to_string(project().join("tests/goldens/tokenizers").join(name));
        refused(&text.unwrap(), "normalizer");
    }
}

#[test]
fn what_a_file_cannot_say_is_refused_by_name() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("model.gguf");
    let refused = |folder: &Path, values, parts: &[&str]| {
        let model = Pretrained::open(folder).unwrap();
        let error = write_gguf(&model, &out, values, false).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!out.exists());
    };
    refused(&model("bert"), None, &["model_type", "bert", "gpt2, llama, mistral, qwen2, qwen3"]);
    refused(&model("vit"), None, &["model_type"]);
    refused(&model("mistral"), None, &["sliding_window"]);
    refused(&model("llama"), Some(Values::Int8), &["int8", "f16"]);
    let scaled = Copied::of("gpt2_scaled").set("activation_function", "gelu_new");
    refused(scaled.write(), None, &["scale_attn"]);
    let gelu = Copied::of("llama").set("hidden_act", "gelu");
    refused(gelu.write(), None, &["hidden_act", "silu"]);
    let large = Copied::of("llama");
    let name = "model.layers.0.mlp.up_proj.weight";
    let (shape, mut values) = (large.tensors[name].shape.clone(), large.tensors[name].values());
    values[7] = 1e6;
    let held = crate::model_folders::Held::floats(&shape, &values);
    let large = large.put(name, held);
    refused(large.write(), Some(Values::F16), &["mlp.up_proj.weight", "element 7", "wider"]);
    fs::write(&out, "here").unwrap();
    let there = write_gguf(&Pretrained::open(&model("llama")).unwrap(), &out, None, false);
    assert!(there.unwrap_err().to_string().contains("--force"));
}
