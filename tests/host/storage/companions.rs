//! What lies beside a model's weights comes along, subfolders included, and weights come once.
use std::fs;
use std::path::Path;

use secateur::storage::{Companions, Folder, Format, PackOptions, Patch, Rewrite, pack_folder};

use super::{Raw, f32s, message, names, write};

/// Writes the file `name`, and the folders that it lies in.
fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A model of one file, as sentence-transformers has it, in the Hub's cache, among what people keep
/// beside models.
fn crowded(folder: &Path) -> Folder {
    let model = folder.join("snapshots/in");
    fs::create_dir_all(&model).unwrap();
    let weight: [Raw; 1] = [("a.weight", "F32", &[2, 2], f32s([1.0, 2.0, 3.0, 4.0]))];
    write(&model, "model.safetensors", &weight);
    let modules = r#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense/"},
        {"path": "../out_of_it"}, {"path": "a/b"}]"#;
    for (name, text) in [
        ("config.json", "{}"),
        ("modules.json", modules),
        ("1_Pooling/config.json", "pooling"),
        ("2_Dense/config.json", "dense"),
        ("2_Dense/model.safetensors", "small"),
        ("2_Dense/pytorch_model.bin", "small"),
        ("2_Dense/.cache", "hidden"),
        ("a/b/model.bin", "another model"),
        ("a/notes.txt", "kept"),
        ("checkpoint-5/config.json", "{}"),
        ("checkpoint-5/model.safetensors", "older"),
        ("checkpoint-5/deep/notes.txt", "of the older one"),
        ("onnx/model.ONNX", "another format"),
        (".git/HEAD", "hidden"),
        ("templates/tools/one.jinja", "kept"),
        ("../elsewhere/secret.txt", "of somebody else"),
        ("../out_of_it/secret.txt", "of somebody else"),
        ("../../blobs/1", "tokens"),
        ("../../blobs/2", "linked"),
    ] {
        put(&model, name, text);
    }
    (0..1001).for_each(|i| put(&model, &format!("many/{i}"), ""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../elsewhere", model.join("elsewhere")).unwrap();
        symlink("../../elsewhere", model.join("templates/elsewhere")).unwrap();
        symlink("..", model.join("templates/tools/round")).unwrap();
        symlink("../../blobs/1", model.join("tokenizer.json")).unwrap();
        symlink("../../../blobs/2", model.join("templates/linked.jinja")).unwrap();
        symlink("../a/notes.txt", model.join("templates/linked.txt")).unwrap();
        symlink("../../elsewhere/secret.txt", model.join("templates/secret.txt")).unwrap();
        symlink("nowhere", model.join("templates/broken")).unwrap();
    }
    Folder::open(&model).unwrap()
}

const COPIED: &[&str] = &[
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "a/notes.txt",
    "config.json",
    "modules.json",
    "templates/linked.jinja",
    "templates/linked.txt",
    "templates/tools/one.jinja",
    "tokenizer.json",
];

/// What is in `out` is what belongs to the model.
fn check(out: &Path, input: &Folder, beside: &Companions) {
    let copied: Vec<&str> =
        COPIED.iter().copied().filter(|name| cfg!(unix) || !name.contains("tok")).collect();
    #[cfg(not(unix))]
    let copied: Vec<&str> = copied.into_iter().filter(|name| !name.contains("linked")).collect();
    assert_eq!(beside.copied, copied);
    let mut all: Vec<String> = copied.iter().map(|&name| name.to_owned()).collect();
    all.push("model.safetensors".to_owned());
    all.sort();
    assert_eq!(files(out), all);
    for name in copied {
        let [a, b] = [input.path().join(name), out.join(name)].map(|p| fs::read(p).unwrap());
        assert_eq!(a, b, "{name}");
        assert!(!out.join(name).is_symlink(), "{name}");
    }
    let mut left = vec![
        (".git", "hidden"),
        ("2_Dense/.cache", "hidden"),
        ("2_Dense/pytorch_model.bin", "the same weights in another format"),
        ("a/b", "has weights of its own"),
        ("checkpoint-5", "has weights of its own"),
        ("many", "over 1000 files"),
        ("onnx", "has weights of its own"),
    ];
    if cfg!(unix) {
        left.extend([
            ("elsewhere", "a link to a folder"),
            ("templates/broken", "it cannot be read"),
            ("templates/elsewhere", "a link to a folder"),
            ("templates/secret.txt", "a link out of the folder"),
            ("templates/tools/round", "a link to a folder"),
        ]);
    }
    left.sort_unstable();
    let mut said = beside.left_out.clone();
    said.sort();
    assert_eq!(said.len(), left.len(), "{said:?}");
    for (said, (name, reason)) in said.iter().zip(left) {
        assert!(said.starts_with(&format!("{name} (")) && said.contains(reason), "{said}");
    }
}

/// Paths of all files in a folder, in their order; what is a link is named as it is.
fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path()).iter().map(|f| format!("{name}/{f}"))),
            false => all.push(name),
        }
    }
    all.sort();
    all
}

#[test]
fn every_way_to_write_a_folder_takes_what_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = crowded(dir.path());
    let out = |name: &str| dir.path().join("deep").join(name);
    let patch = Patch::begin(&input, &out("patch"), false, "job").unwrap();
    check(&out("patch"), &input, &patch.finish(None).unwrap());
    let path = out("rewrite");
    let rewrite = Rewrite::begin(&input, &path, false, &Default::default()).unwrap();
    check(&path, &input, &rewrite.finish(None).unwrap());
    let (_, beside) =
        pack_folder(&input.path(), &out("pack"), &PackOptions::new(Format::Dense)).unwrap();
    check(&out("pack"), &input, &beside);
    // In a folder that is there, file by file, in place of those that are there.
    put(&out("patch"), "1_Pooling/config.json", "old");
    put(&out("patch"), "1_Pooling/more.json", "stays");
    let begin = |force| Patch::begin(&input, &out("patch"), force, "another");
    assert!(message(begin(false)).contains("--force"));
    begin(true).unwrap().finish(None).unwrap();
    assert_eq!(fs::read(out("patch").join("1_Pooling/config.json")).unwrap(), b"pooling");
    assert_eq!(fs::read(out("patch").join("1_Pooling/more.json")).unwrap(), b"stays");
    assert_eq!(files(&out("")).iter().filter(|name| name.contains("unfinished")).count(), 0);
}

/// An output within the input is no part of it, nor is what an interrupted job has left there.
#[test]
fn an_output_in_the_input_does_not_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let input = crowded(dir.path());
    let out = input.path().join("templates/out");
    put(&out, "notes.txt", "of an earlier one");
    let rewrite = Rewrite::begin(&input, &out, false, &Default::default()).unwrap();
    let beside = rewrite.finish(None).unwrap();
    assert!(beside.left_out.contains(&"templates (the output is there)".to_owned()), "{beside:?}");
    assert!(beside.copied.iter().all(|name| !name.starts_with("templates")), "{beside:?}");
}

#[cfg(unix)]
#[test]
fn what_is_not_the_outputs_own_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let input = crowded(dir.path());
    let (out, elsewhere) = (dir.path().join("out"), dir.path().join("snapshots/elsewhere"));
    fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("1_Pooling")).unwrap();
    let said = message(Patch::begin(&input, &out, true, "job"));
    assert!(said.contains("1_Pooling") && said.contains("symbolic link"), "{said}");
    let said = message(Rewrite::begin(&input, &out, true, &Default::default()));
    assert!(said.contains("1_Pooling") && said.contains("symbolic link"), "{said}");
    assert_eq!(files(&elsewhere), ["secret.txt"]);
}

/// The folders that were made for copies go with them.
#[test]
fn a_copy_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (crowded(dir.path()), dir.path().join("out"));
    let rewrite = Rewrite::begin(&input, &out, false, &Default::default()).unwrap();
    fs::remove_file(input.path().join("templates/tools/one.jinja")).unwrap();
    let said = message(rewrite.finish(None));
    assert!(said.contains("one.jinja"), "{said}");
    assert!(!out.exists());
    // All copies are there, and the weights cannot come to their place.
    let rewrite = Rewrite::begin(&input, &out, false, &Default::default()).unwrap();
    fs::create_dir(out.join("model.safetensors")).unwrap();
    assert!(message(rewrite.finish(None)).contains("model.safetensors"));
    assert_eq!(names(&out), ["model.safetensors"]);
}
