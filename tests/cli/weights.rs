//! Weights as people have them: indices, folders, other types, other formats.
use serde_json::{Value, json};

use crate::folder::Folder;

/// A safetensors file of tensors: name, type, shape and bytes.
pub fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (json!({}), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let begin = data.len();
        data.extend(bytes);
        header[name] = json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, data.len()]});
    }
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn floats(values: std::ops::Range<i32>) -> Vec<u8> {
    values.flat_map(|v| (v as f32).to_le_bytes()).collect()
}

/// Two files of a model in `dir`, and an index of this `weight_map`.
fn sharded(folder: &Folder, dir: &str, second: &str, weight_map: Value) {
    std::fs::create_dir_all(folder.path(dir)).expect("a folder");
    let a = safetensors(&[("a.weight", "F32", &[2, 4], floats(1..9))]);
    let b = safetensors(&[(second, "F32", &[2, 4], floats(1..9)), ("n", "F32", &[1], vec![0; 4])]);
    folder.write(&format!("{dir}/m-1.safetensors"), a);
    folder.write(&format!("{dir}/m-2.safetensors"), b);
    let index = json!({"metadata": {"total_size": 1}, "weight_map": weight_map});
    folder.write(&format!("{dir}/model.safetensors.index.json"), index.to_string());
}

const FIRST: &str = "m-1.safetensors";
const SECOND: &str = "m-2.safetensors";

#[test]
fn an_index_that_does_not_fit_its_files_is_refused() {
    let Some(folder) = Folder::with_gpu() else { return };
    let cases: [(&str, Value, &[&str]); 5] = [
        (
            "b.weight",
            json!({"a.weight": FIRST, "b.weight": SECOND, "n": SECOND, "c.weight": SECOND}),
            &["1 missing in the files: c.weight"],
        ),
        (
            "b.weight",
            json!({"a.weight": FIRST, "b.weight": SECOND}),
            &["1 in the files but not in the index: n (m-2.safetensors)"],
        ),
        (
            "b.weight",
            json!({"a.weight": FIRST, "b.weight": FIRST, "n": SECOND}),
            &["b.weight (m-1.safetensors there, found in m-2.safetensors)"],
        ),
        (
            "a.weight",
            json!({"a.weight": FIRST, "n": SECOND}),
            &["a.weight is in m-1.safetensors and in m-2.safetensors", "leave it in one"],
        ),
        (
            "b.weight",
            json!({"a.weight": FIRST, "b.weight": SECOND, "n": "m-3.safetensors"}),
            &["names m-3.safetensors, which is missing"],
        ),
    ];
    for (second, map, parts) in cases {
        sharded(&folder, "model", second, map);
        for input in ["model", "model/model.safetensors.index.json"] {
            folder.run(&format!("inspect {input}")).fails(2, parts);
            folder.run(&format!("prune {input} -o out --sparsity 0.5")).fails(2, parts);
        }
        assert_eq!(folder.list("."), ["model"], "no folder is left of a refusal");
    }
}

#[test]
fn a_folder_is_pruned_with_what_lies_in_it() {
    let Some(folder) = Folder::with_gpu() else { return };
    sharded(
        &folder,
        "model",
        "b.weight",
        json!({"a.weight": FIRST, "b.weight": SECOND, "n": SECOND}),
    );
    for (name, text) in [
        ("config.json", "{\"architectures\":[]}"),
        ("tokenizer.json", "{}"),
        ("tokenizer.model", "\0\u{1}"),
        ("pytorch_model.bin", "weights"),
        ("pytorch_model.bin.index.json", "{}"),
        (".gitattributes", "*"),
        ("other.safetensors", "weights"),
    ] {
        folder.write(&format!("model/{name}"), text);
    }
    for (name, text) in [("onnx/model.onnx", "weights"), ("1_Pooling/config.json", "{}")] {
        let folder = folder.path("model").join(name);
        std::fs::create_dir(folder.parent().expect("one")).expect("a folder");
        std::fs::write(folder, text).expect("a file");
    }
    let inspected = folder.run("inspect model --json").json();
    assert_eq!(inspected["tensors"].as_array().map(Vec::len), Some(3));
    assert_eq!(inspected["files"], json!(["model/m-1.safetensors", "model/m-2.safetensors"]));
    let report = folder.run("prune model -o out/pruned --sparsity 0.5 --json").json();
    let copied = ["1_Pooling/config.json", "config.json", "tokenizer.json", "tokenizer.model"];
    assert_eq!(report["files"]["copied"], json!(copied));
    let left = report["files"]["left_out"].as_array().expect("an array");
    for (name, reason) in [
        ("pytorch_model.bin ", "another format"),
        ("pytorch_model.bin.index.json ", "index of files"),
        (".gitattributes ", "hidden"),
        ("other.safetensors ", "not among the weights"),
        ("onnx ", "weights of its own"),
    ] {
        let said =
            |v: &&Value| v.as_str().is_some_and(|v| v.starts_with(name) && v.contains(reason));
        assert_eq!(left.iter().filter(said).count(), 1, "{name}: {left:?}");
    }
    assert_eq!(left.len(), 5);
    let mut all = vec!["model.safetensors.index.json", FIRST, SECOND];
    all.extend(["1_Pooling"].iter().chain(&copied[1..]));
    all.sort_unstable();
    assert_eq!(folder.list("out/pruned"), all);
    assert_eq!(folder.read("out/pruned/1_Pooling/config.json"), b"{}");
    for name in ["config.json", "tokenizer.model", "model.safetensors.index.json"] {
        let [a, b] = ["model", "out/pruned"].map(|dir| folder.read(&format!("{dir}/{name}")));
        assert!(a == b, "{name}");
    }
    let inspected = folder.run("inspect out/pruned --json").json();
    assert_eq!(inspected["tensors"][1]["nonzero"].as_u64(), Some(4));
    folder.run("prune model -o out/pruned --sparsity 0.5").fails(2, &["--force"]);
    let text = folder.run("prune model -o out/pruned --sparsity 0.5 --force").ok().out;
    assert!(text.contains("copied: 1_Pooling/config.json, config.json, tokenizer.json"), "{text}");
    assert!(text.contains("not copied: ") && text.contains("pytorch_model.bin (weights"), "{text}");
    folder.run("prune model -o model --sparsity 0.5 --force").fails(2, &["is the input"]);
    folder.run("prune model -o model/config.json --sparsity 0.5").fails(2, &["is a file"]);
}

#[test]
fn a_folder_of_one_file_or_none() {
    let Some(folder) = Folder::with_gpu() else { return };
    let weights = safetensors(&[("a.weight", "F32", &[2, 4], floats(1..9))]);
    std::fs::create_dir(folder.path("m")).expect("a folder");
    folder.run("prune m -o out --sparsity 0.5").fails(2, &["holds no checkpoint", "it is empty"]);
    folder.write("m/pytorch_model.bin", "x");
    let parts = ["no safetensors file: it holds pytorch_model.bin", "as safetensors"];
    folder.run("prune m -o out --sparsity 0.5").fails(2, &parts);
    folder.write("m/adapter.safetensors", &weights);
    let parts = ["out.safetensors would be a folder", "like pruned/"];
    folder.run("prune m -o out.safetensors --sparsity 0.5").fails(2, &parts);
    folder.run("prune m -o out --sparsity 0.5").ok();
    assert_eq!(folder.list("out"), ["adapter.safetensors"]);
    folder.write("m/second.safetensors", &weights);
    let parts = ["holds adapter.safetensors, second.safetensors; name one"];
    folder.run("prune m -o two --sparsity 0.5").fails(2, &parts);
    folder.write("m/model.safetensors", &weights);
    folder.run("prune m -o three --sparsity 0.5").ok();
    assert_eq!(folder.list("three"), ["model.safetensors"]);
}

#[test]
fn a_logdir_is_pruned_as_its_export() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --model mlp:8 --steps 12 --pruning none --logdir run").ok();
    folder.run("export run -o whole.safetensors").ok();
    folder.run("prune whole.safetensors -o a.safetensors --sparsity 0.5").ok();
    folder.run("prune run -o b.safetensors --sparsity 0.5").ok();
    folder.run("prune run/ckpt-000000000012 -o c.safetensors --sparsity 0.5").ok();
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.read(&format!("{name}.safetensors")));
    assert!(a == b && b == c);
    folder.run("eval b.safetensors --data digits").ok();
    folder.run("prune run -o b.safetensors --sparsity 0.5").fails(2, &["--force"]);
}

/// Types of less than a byte, and one that nobody knows, beside a weight.
fn types() -> Vec<u8> {
    safetensors(&[
        ("w.weight", "F32", &[2, 4], floats(1..9)),
        ("f4", "F4", &[2, 3], vec![0x08, 0x21, 0x80]),
        ("f6", "F6_E2M3", &[4], vec![1, 2, 3]),
        ("f8", "F8_E4M3", &[4], vec![0, 0x80, 1, 0x81]),
        ("f8b", "F8_E5M2", &[3], vec![0, 0x80, 4]),
        ("scale", "F8_E8M0", &[2], vec![0, 127]),
        ("fnuz", "F8_E4M3FNUZ", &[2], vec![0, 0x80]),
        ("complex", "C64", &[2], [floats(0..1), vec![0, 0, 0, 0x80], floats(0..2)].concat()),
        ("new", "I4_GROUPED", &[5], vec![9; 13]),
    ])
}

#[test]
fn every_type_is_shown_and_copied() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("m.safetensors", types());
    let expected = json!([
        ["w.weight", "F32", 8],
        ["f4", "F4", 2],
        ["f6", "F6_E2M3", null],
        ["f8", "F8_E4M3", 2],
        ["f8b", "F8_E5M2", 1],
        ["scale", "F8_E8M0", 2],
        ["fnuz", "F8_E4M3FNUZ", 1],
        ["complex", "C64", 1],
        ["new", "I4_GROUPED", null],
    ]);
    let facts = |report: &Value| -> Value {
        let of = |t: &Value| json!([t["name"], t["dtype"], t["nonzero"]]);
        report["tensors"].as_array().expect("an array").iter().map(of).collect()
    };
    let inspected = folder.run("inspect m.safetensors --json").json();
    assert_eq!(facts(&inspected), expected);
    let text = folder.run("inspect m.safetensors").ok().out;
    let line = text.lines().find(|line| line.contains("I4_GROUPED")).expect("its row");
    assert_eq!(line.split_whitespace().filter(|word| *word == "-").count(), 2, "{line}");
    let args = "prune m.safetensors -o p.safetensors --sparsity 0.5 --include ^w --json";
    let run = folder.run(args);
    // A file of quantised weights may be refused for what they are; never read wrongly.
    if run.code != 0 {
        return;
    }
    let (report, mut want) = (run.json(), expected);
    want[0][2] = json!(4);
    assert_eq!(facts(&report), want);
    let (before, after) = (folder.read("m.safetensors"), folder.read("p.safetensors"));
    let start = 8 + u64::from_le_bytes(before[..8].try_into().unwrap()) as usize;
    assert!(before.len() == after.len() && before[..start] == after[..start]);
    assert!(before[start + 32..] == after[start + 32..], "what is no weight is copied");
    assert_eq!(after[start..start + 16], [0; 16]);
}

#[test]
fn a_file_of_another_format_is_named_with_the_way_out() {
    let folder = Folder::new();
    let tar = [vec![b'x'; 257], b"ustar\x0000".to_vec(), vec![0; 300]].concat();
    let cases: [(&str, &[u8], &[&str]); 13] = [
        ("page.safetensors", b"<!DOCTYPE html><html>", &["a web page", "`<!DOCTYPE`", "resolve"]),
        ("xml.safetensors", b"<?xml version=\"1.0\"?><Error>", &["a web page"]),
        (
            "lfs.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
            &["a Git LFS pointer", "git lfs pull"],
        ),
        ("pytorch_model.bin", b"PK\x03\x04\x00\x00archive/data.pkl", &["a zip archive", "PyTorch"]),
        ("old.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j", &["a pickle", "save_file"]),
        ("m.gguf", b"GGUF\x03\x00\x00\x00", &["a GGUF file", "made from"]),
        ("m.h5", b"\x89HDF\r\n\x1a\n\0\0", &["an HDF5 file", "Keras"]),
        ("m.npz", b"PK\x03\x04\x00\x00\x00\x00\x00\x00x.npy", &["a NumPy archive"]),
        ("m.npy", b"\x93NUMPY\x01\x00", &["a NumPy array"]),
        ("m.onnx", b"\x08\x07\x12\x07pytorch", &["an ONNX model"]),
        ("m.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", &["a gzip file", "unpack"]),
        ("m.tar", &tar, &["a tar archive"]),
        ("zeros.safetensors", &[0; 100], &["not finished", "download it again"]),
    ];
    for (name, bytes, parts) in cases {
        folder.write(name, bytes);
        folder.run(&format!("inspect {name}")).fails(2, &[&[name][..], parts].concat());
    }
    folder.write("page.json", "<!DOCTYPE html><html>");
    folder.run("inspect page.json").fails(2, &["is no index of weights", "a web page"]);
    folder.write("config.json", "{\"architectures\":[]}");
    folder.run("inspect config.json").fails(2, &["is no index of weights", "weight_map"]);
}

/// ESC, a line feed, C1's CSI and an override of direction come out as escapes, wherever.
#[test]
fn what_steers_a_terminal_is_not_printed() {
    let Some(folder) = Folder::with_gpu() else { return };
    let name = "w\u{1b}[31m\nfake \u{9b}2J\u{202e}.weight";
    let tensors = [(name, "F32", &[2, 4][..], floats(1..9)), ("b", "F32", &[4, 1], vec![0xff; 16])];
    folder.write("m.safetensors", safetensors(&tensors));
    let clean = |text: &str| {
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(steers), "{text:?}");
    };
    let run = folder.run("inspect m.safetensors").ok();
    clean(&run.out);
    assert!(run.out.contains("w\\u{1b}[31m\\u{a}fake \\u{9b}2J\\u{202e}.weight"), "{}", run.out);
    let run = folder.run("inspect m.safetensors --json");
    clean(&run.out);
    assert_eq!(run.json()["tensors"][0]["name"], name, "the name itself is what JSON means");
    let run = folder.run("prune m.safetensors -o p.safetensors --sparsity 0.5 --exclude b").ok();
    clean(&run.out);
    // In an error, a file's name and a tensor's: its second line does not look like a message.
    let run = folder.run("prune m.safetensors -o q.safetensors --sparsity 0.5 --include nothing");
    clean(&run.err);
    assert!(run.code == 2 && run.err.contains("\\u{1b}[31m\n  fake"), "{}", run.err);
    #[cfg(unix)]
    {
        let file = "bad\u{1b}]0;title\u{7}.safetensors";
        folder.write(file, "no");
        let mut command = folder.command("inspect");
        let run = crate::folder::Run::of(command.arg(file));
        clean(&run.err);
        assert!(run.code == 2 && run.err.contains("bad\\u{1b}]0;title\\u{7}"), "{}", run.err);
    }
}
