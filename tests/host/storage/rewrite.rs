//! Outputs whose tensors have other shapes.
use std::collections::HashMap;
use std::fs;

use secateur::storage::{Folder, Header, Rewrite};
use serde_json::Value;

use super::{Raw, SHARDS, bf16s, message, model, names, write};

fn shapes(of: &[(&str, &[usize])]) -> HashMap<String, Vec<usize>> {
    of.iter().map(|&(name, shape)| (name.to_owned(), shape.to_vec())).collect()
}

#[test]
fn tensors_get_new_shapes_and_all_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (model(dir.path()), dir.path().join("out"));
    let new = shapes(&[("a.weight", &[1, 3]), ("b.bias", &[1]), ("b.weight", &[2, 2])]);
    let mut rewrite = Rewrite::begin(&input, &out, false, &new).unwrap();
    // In whatever order; what is returned is what was written.
    assert_eq!(rewrite.put("b.bias", &[3.0]).unwrap(), [3.0]);
    let written = rewrite.put("a.weight", &[-0.0, 0.1, -6.0]).unwrap();
    assert_eq!(written, [0.0, 0.100_097_656, -6.0]);
    assert!(names(&out).iter().all(|name| name.starts_with(".tmp-secateur-")));
    rewrite.finish(Some(b"{}")).unwrap();
    let index = "model.safetensors.index.json";
    let all = ["config.json", SHARDS[0], SHARDS[1], index, "tokenizer.json"];
    assert_eq!(names(&out), all);
    let now = Folder::open(&out).unwrap();
    assert_eq!(now.read_f32("a.weight").unwrap(), [0.0, 0.100_097_656, -6.0]);
    assert_eq!(now.read_f32("b.bias").unwrap(), [3.0]);
    for (old, new) in input.tensors().zip(now.tensors()) {
        assert_eq!((&old.name, &old.dtype), (&new.name, &new.dtype));
        match &*old.name {
            "a.weight" => assert_eq!(new.shape, [1, 3]),
            "b.bias" => assert_eq!(new.shape, [1]),
            "ids" => assert_eq!(new.bytes, 8),
            name => assert_eq!(now.read_f32(name).unwrap(), input.read_f32(name).unwrap()),
        }
    }
    let header = Header::open(&out.join(SHARDS[0])).unwrap();
    assert_eq!(header.metadata["format"], "pt");
    assert_eq!(header.bytes.len() % 8, 0);
    assert_eq!(fs::read(out.join("config.json")).unwrap(), b"{}");
    let read = |path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let (old, new) = (read(input.path().join(index)), read(out.join(index)));
    assert_eq!(new["weight_map"], old["weight_map"]);
    assert_eq!(new["metadata"]["total_size"], 88 - 3 * 2 - 4);
    assert_eq!(new["metadata"]["total_parameters"], 26 - 3 - 1);
}

/// With nothing changed the file is what its first writer made of it.
#[test]
fn a_file_that_keeps_its_shapes_keeps_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (model(dir.path()), dir.path().join("out"));
    Rewrite::begin(&input, &out, false, &HashMap::new()).unwrap().finish(None).unwrap();
    for name in names(&out) {
        let [old, new] = [input.path(), out.clone()].map(|f| fs::read(f.join(&name)).unwrap());
        assert!(old == new, "{name}");
    }
    assert_eq!(names(&out).len(), 5);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (model(dir.path()), dir.path().join("out"));
    let begin = |new: &[(&str, &[usize])]| Rewrite::begin(&input, &out, false, &shapes(new));
    assert!(message(begin(&[("nobody", &[1])])).contains("holds no tensor nobody"));
    assert!(message(begin(&[("ids", &[2])])).contains("ids is I64"));
    let said = message(begin(&[("embed", &[usize::MAX, 2])]));
    assert!(said.contains("embed would be") && said.contains("too many elements"), "{said}");
    let mut rewrite = begin(&[("a.weight", &[1, 3]), ("c.weight", &[1])]).unwrap();
    assert!(message(rewrite.put("a.weight", &[1.0; 6])).contains("6 values for [1, 3]"));
    rewrite.put("a.weight", &[1.0; 3]).unwrap();
    let again = message(rewrite.put("a.weight", &[1.0; 3]));
    assert!(again.contains("`a.weight`: was put already"), "{again}");
    assert!(message(rewrite.put("embed", &[f32::NAN; 8])).contains("value 0 of embed"));
    assert!(message(rewrite.finish(None)).contains("`c.weight`: is to be [1], not [2]"));
    assert_eq!(names(dir.path()), ["in"]);
    fs::create_dir(&out).unwrap();
    fs::write(out.join("config.json"), "mine").unwrap();
    assert!(message(begin(&[])).contains("--force"));
    assert_eq!(names(&out), ["config.json"]);
}

/// Readers map elements where they lie, so none may begin between two places.
#[test]
fn elements_stay_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let tensors: [Raw; 2] =
        [("half", "BF16", &[2], bf16s([1.0, 2.0])), ("whole", "F32", &[1], vec![0; 4])];
    write(dir.path(), "model.safetensors", &tensors);
    let input = Folder::open(dir.path()).unwrap();
    let out = dir.path().join("out");
    let said = message(Rewrite::begin(&input, &out, false, &shapes(&[("half", &[1])])));
    assert!(said.contains("whole would begin at byte 2 of the data, between elements"), "{said}");
    assert!(!out.exists());
}
