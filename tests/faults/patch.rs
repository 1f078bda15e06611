//! A job that writes a model's folder block by block, whatever befalls it: it goes on to the same
//! bytes, and until then nothing is at the output's name.
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use secateur::Result;
use secateur::storage::{Folder, Patch};

use crate::child::tell;

mod disk;
mod kills;
mod order;
mod power;

/// The folder whose job the child does.
const FOLDER: &str = "SECATEUR_FAULTS_PATCH";
const BLOCKS: usize = 3;
/// Elements of a block's matrix.
const WIDE: usize = 3_000;
const NARROW: usize = 100;
const CONFIG: &[u8] = b"{\"pruned\": true}";

/// What the job makes of the model where nothing befalls it; and, with the variable set, the
/// child that something befalls.
#[test]
fn nothing_befalls_the_job() {
    if let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) {
        tell("ready".into());
        return match job(&folder) {
            Ok(()) => tell("finished".into()),
            Err(error) => tell(format!("failed: {error}")),
        };
    }
    let dir = model();
    job(dir.path()).unwrap();
    let [old, new] = ["in", "out"].map(|name| Folder::open(&dir.path().join(name)).unwrap());
    for block in 0..BLOCKS {
        let [old, new] = [&old, &new].map(|f| f.read_f32(&format!("{block}.weight")).unwrap());
        let zeros = new.iter().filter(|v| v.to_bits() == 0).count();
        assert!(zeros > WIDE / 3 && old != new, "{zeros} of {WIDE}");
    }
    let kept = old.read_f32("embed").unwrap();
    assert!(kept.len() == NARROW && kept == new.read_f32("embed").unwrap());
    assert_eq!(fs::read(dir.path().join("out").join("config.json")).unwrap(), CONFIG);
}

/// A folder with a model in its folder `in`: a file for the first block and one for all others.
fn model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    fs::create_dir(&input).unwrap();
    let of =
        |block: usize| vec![(format!("{block}.bias"), NARROW), (format!("{block}.weight"), WIDE)];
    let mut others = vec![("embed".to_owned(), NARROW)];
    others.extend((1..BLOCKS).flat_map(of));
    let mut map = serde_json::Map::new();
    for (file, tensors) in [("1.safetensors", of(0)), ("2.safetensors", others)] {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, len) in tensors {
            let from = data.len();
            let value = |i: usize| ((i * 7919) % 1000) as f32 / 100.0 - 5.0;
            data.extend((0..len).flat_map(|i| half::bf16::from_f32(value(i)).to_le_bytes()));
            let entry = serde_json::json!(
                {"dtype": "BF16", "shape": [len], "data_offsets": [from, data.len()]}
            );
            header.insert(name.clone(), entry);
            map.insert(name, file.into());
        }
        let header = serde_json::to_vec(&header).unwrap();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        fs::write(input.join(file), bytes).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
    fs::write(input.join("model.safetensors.index.json"), index).unwrap();
    fs::write(input.join("config.json"), "{}").unwrap();
    fs::write(input.join("tokenizer.json"), "{}").unwrap();
    fs::create_dir(input.join("1_Pooling")).unwrap();
    fs::write(input.join("1_Pooling/config.json"), "{}").unwrap();
    dir
}

/// Prunes the model in `folder/in` to `folder/out`: what becomes of a block depends on what became
/// of those before it, and on the input's values.
fn job(folder: &Path) -> Result<()> {
    let input = Folder::open(&folder.join("in"))?;
    let mut patch = Patch::begin(&input, &folder.join("out"), false, "job")?;
    let mut carried = 1.0;
    for block in 0..BLOCKS {
        let [bias, weight] = ["bias", "weight"].map(|kind| format!("{block}.{kind}"));
        let [mut b, mut w] = [patch.read(&bias)?, patch.read(&weight)?];
        if !patch.done().contains(&block.to_string()) {
            w.iter_mut().for_each(|v| *v = if v.abs() < 2.5 { 0.0 } else { *v * 1.1 + carried });
            b.iter_mut().for_each(|v| *v += carried);
            w = patch.put(&weight, &w)?;
            b = patch.put(&bias, &b)?;
            patch.mark_done(&block.to_string(), "")?;
            tell(format!("done {block}"));
        }
        carried = (w.iter().sum::<f32>() + b.iter().sum::<f32>()) / WIDE as f32;
    }
    patch.finish(Some(CONFIG)).map(drop)
}

/// Makes `command`, which ends with this binary, the job in `folder`.
fn dress<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.args(["patch::nothing_befalls_the_job", "--exact", "--nocapture"]).env(FOLDER, folder)
}

/// All files in `folder`, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => all.extend(files(&path).into_iter().map(|(f, b)| (format!("{name}/{f}"), b))),
            false => drop(all.insert(name, fs::read(&path).unwrap())),
        }
    }
    all
}

/// A model, and the files that the job makes of it.
struct Truth {
    dir: tempfile::TempDir,
    files: BTreeMap<String, Vec<u8>>,
}

impl Truth {
    fn new() -> Self {
        let dir = model();
        job(dir.path()).unwrap();
        let out = dir.path().join("out");
        let files = files(&out);
        assert_eq!(files.len(), 6, "{:?}", files.keys());
        fs::remove_dir_all(out).unwrap();
        Self { dir, files }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Nothing half written is at the output's name; with `all`, the whole of it is.
    fn check(&self, out: &Path, all: bool, what: &str) {
        if !all && !out.exists() {
            return;
        }
        let mut found = files(out);
        // A journal that is still there is no part of what others read.
        if !all {
            found.remove(".secateur-job");
        }
        let (keys, expected) = (found.keys().collect::<Vec<_>>(), self.files.keys());
        assert_eq!(keys, expected.collect::<Vec<_>>(), "{what}");
        assert!(found == self.files, "{what}: other bytes");
    }

    /// The job in `folder` goes on to its end, and leaves nothing but its output, which goes.
    /// Whether there was anything left to do.
    fn goes_on(&self, folder: &Path, what: &str) -> bool {
        let out = folder.join("out");
        self.check(&out, false, what);
        let finished = out.exists() && !out.join(".secateur-job").exists();
        if !finished {
            job(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        self.check(&out, true, what);
        fs::remove_dir_all(out).unwrap();
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = entries.filter(|name| name != "lost+found").collect();
        assert_eq!(left, ["in"], "{what}");
        !finished
    }
}

/// A child that does the job in `folder`, and its lines after the first, which it has said.
fn start(folder: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut command = Command::new(env::current_exe().unwrap());
    dress(&mut command, folder).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    assert_eq!(said.next().as_deref(), Some("ready"));
    (child, said)
}
