//! `mpirun secateur train --init FOLDER`: several ranks train a pretrained model.
use std::fs;
use std::path::Path;
use std::process::Command;

use secateur::storage::Folder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::job;
use crate::paths::project;

/// A golden Llama in the folder `llama` of `folder`, with a tokenizer, and a text in its words.
fn put(folder: &Path) {
    let (from, to) = (project().join("tests/goldens/models/llama"), folder.join("llama"));
    fs::create_dir_all(&to).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let words: serde_json::Map<String, Value> =
        (0..101).map(|i| (format!("w{i}"), json!(i))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"},
    });
    fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let words: Vec<String> = (0..300u32).map(|i| format!("w{}", (7 * i + 3) % 23)).collect();
    fs::write(folder.join("text.txt"), words.join(" ")).unwrap();
}

/// The program alone in `folder`.
fn alone(folder: &Path, args: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secateur"));
    let run = command.args(args.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// Options of a run of the folder `pruned`, of which a part stays as it is.
const TRAIN: &str = "train --init pruned --exclude embed --data text:text.txt --length 12 --batch 2 \
                     --lr 0.002";

fn weights(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name).join("model.safetensors")).unwrap()
}

/// Two ranks that share the batches of an update, and are stopped in between, leave the bits of one
/// that takes them one after the other. Without waiting for each other they leave what is not
/// trained as it was.
#[test]
fn two_ranks_make_of_a_folder_what_one_does() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    put(path);
    let ranks = |args: &str| {
        let ended = job(path, &format!("exec $SECATEUR {args} --share-adapter --json"))?.expect(0);
        Some(serde_json::from_str::<Value>(&ended.stdout).expect("one object, of the chief"))
    };
    alone(path, "prune llama -o pruned --sparsity 0.5");
    let Some(report) = ranks(&format!("{TRAIN} --steps 2 --logdir two")) else { return };
    assert_eq!((&report["ranks"], &report["global_step"]), (&2.into(), &2.into()));
    ranks("train --logdir two --steps 3 -o both");
    alone(path, &format!("{TRAIN} --steps 3 --replicas-to-aggregate 2 --logdir one -o single"));
    assert!(weights(path, "both") == weights(path, "single"));
    assert!(weights(path, "both") != weights(path, "pruned"));
    ranks(&format!("{TRAIN} --steps 4 --async --logdir free -o free-out"));
    let [old, new] = ["pruned", "free-out"].map(|name| Folder::open(&path.join(name)).unwrap());
    for tensor in old.tensors() {
        let [old, new] = [&old, &new].map(|folder| folder.read_f32(&tensor.name).unwrap());
        assert_eq!(old == new, tensor.name.contains("embed"), "{}", tensor.name);
        let kept = old.iter().zip(&new).all(|(old, new)| *old != 0.0 || *new == 0.0);
        assert!(kept, "{}: what was pruned grows", tensor.name);
    }
}

/// Each rank has its own folder at that path.
#[test]
fn a_rank_with_another_folder_is_refused_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    for rank in ["r0", "r1"] {
        put(&folder.path().join(rank));
    }
    let other = folder.path().join("r1/llama/model.safetensors");
    let mut bytes = fs::read(&other).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&other, bytes).unwrap();
    let train = "train --init /proc/self/cwd/llama --data text:/proc/self/cwd/text.txt --length 12";
    let line = format!("cd r$RANK; exec $SECATEUR {train} --logdir run --share-adapter");
    let Some(ended) = job(folder.path(), &line) else { return };
    let ended = ended.expect(2);
    let named = "rank 1: secateur: /proc/self/cwd/llama is not what rank 0 has there: fingerprint";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    assert!(!folder.path().join("r0/run").exists());
}
