//! The manifest of a checkpoint: one JSON line, and the checksum of that line.
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::data::{Cursor, Schema};
use crate::prune::PruningSpec;
use crate::settings::steps;
use crate::{Error, Result};

/// File name of the manifest within a checkpoint.
pub const MANIFEST_FILE: &str = "manifest.json";

const FILE: &str = MANIFEST_FILE;
const FORMAT: u32 = 1;

steps! {
    /// What a run must know besides its tensors to go on bit for bit.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    pub struct Manifest {
        /// Format version of the checkpoint; filled in by [`save`](super::save).
        pub format: u32,
        /// Version of this crate that wrote it; filled in by [`save`](super::save).
        pub version: String,
        /// Train steps done.
        pub global_step: u64,
        /// Seed of initial values, data order and random choices.
        pub seed: u64,
        /// Passes over the data that are complete.
        pub epoch: u64,
        /// Next row within the epoch.
        pub cursor: u64,
        /// Batches before that one which were given out and not used: the next ones to train on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub returned: Vec<Cursor>,
        /// Global step of the last mask update, 0 before the first.
        pub last_mask_update_step: u64,
        /// What was trained, such as `mlp:300-100`.
        pub model: String,
        /// What the rows are that the model was trained on; `None` in files that do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub schema: Option<Schema>,
        /// Fingerprint of the rows that it was trained on, 16 hexadecimal digits; `None` where
        /// their source has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<String>,
        /// What was pruned and how, where anything was: a
        /// [`PruningSpec`](crate::prune::PruningSpec) as text.
        #[serde(default, deserialize_with = "as_text")]
        pub pruning: Option<String>,
        /// Name of the adapter.
        pub adapter: String,
        /// Name and version of its driver.
        pub driver: String,
        /// When the run was first started, in seconds since 1970, carried over by a run that
        /// resumes; 0 in files that do not say.
        #[serde(default)]
        pub begun_unix: u64,
        /// When this checkpoint was written, in seconds since 1970; filled in by
        /// [`save`](super::save) where it is 0.
        #[serde(default)]
        pub created_unix: u64,
        /// Size and checksum of each file; filled in by [`save`](super::save).
        pub files: Vec<FileEntry>,
    }
}

/// Size and checksum of one file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// File name within the checkpoint.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// XXH3-64 of the content, 16 hexadecimal digits.
    pub xxh3: String,
}

/// A specification as text; earlier manifests have it field by field.
fn as_text<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Fields(Box<PruningSpec>),
    }
    let form = Option::<Form>::deserialize(from)?;
    Ok(form.map(|form| match form {
        Form::Text(text) => text,
        Form::Fields(spec) => spec.to_string(),
    }))
}

impl Manifest {
    /// The entry of the file `name`; `folder` is for the error.
    pub(super) fn entry(&self, folder: &Path, name: &str) -> Result<&FileEntry> {
        self.files.iter().find(|file| file.name == name).ok_or_else(|| {
            Error::file(folder.join(FILE), format!("no entry for {name}; use another checkpoint"))
        })
    }
}

impl FileEntry {
    /// Compares the file in `folder` with this entry, in constant memory.
    pub(super) fn verify(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.name);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut sink = Hashing::new(io::sink());
        io::copy(&mut BufReader::with_capacity(1 << 16, file), &mut sink)
            .map_err(Error::io("read", &path))?;
        let found = sink.entry(&self.name);
        if found == *self {
            return Ok(());
        }
        let describe = |entry: &Self| format!("{} bytes with xxh3 {}", entry.bytes, entry.xxh3);
        Err(damaged(&path, &describe(&found), &describe(self)))
    }
}

/// Counts and checksums what goes into `out`.
pub(super) struct Hashing<W> {
    pub out: W,
    bytes: u64,
    hash: Xxh3Default,
}

impl<W> Hashing<W> {
    pub fn new(out: W) -> Self {
        Self { out, bytes: 0, hash: Xxh3Default::new() }
    }

    /// The entry of a file `name` with the content seen so far.
    pub fn entry(&self, name: &str) -> FileEntry {
        FileEntry { name: name.into(), bytes: self.bytes, xxh3: hex(self.hash.digest()) }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes the manifest into `folder` and makes it durable.
pub(super) fn write(folder: &Path, mut manifest: Manifest) -> Result<()> {
    let path = folder.join(FILE);
    manifest.format = FORMAT;
    manifest.version = env!("CARGO_PKG_VERSION").into();
    if manifest.created_unix == 0 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        manifest.created_unix = now.map_or(0, |time| time.as_secs());
    }
    let line = serde_json::to_string(&manifest)
        .map_err(|error| Error::argument("manifest", error.to_string()))?;
    let text = format!("{line}\n{}", hex(xxh3_64(line.as_bytes())));
    let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", &path))?;
    file.sync_all().map_err(Error::io("sync", &path))
}

/// Reads and checks the manifest in `folder`.
pub(super) fn read(folder: &Path) -> Result<Manifest> {
    let path = folder.join(FILE);
    let text = fs::read(&path).map_err(Error::io("read", &path))?;
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    let sum = hex(xxh3_64(line));
    let stated = rest.get(1..).unwrap_or_default();
    if stated != sum.as_bytes() {
        let stated = stated.escape_ascii().to_string();
        return Err(damaged(&path, &format!("xxh3 {sum}"), &format!("`{stated:.32}`")));
    }
    let manifest: Manifest = serde_json::from_slice(line)
        .map_err(|error| Error::file(&path, format!("{error}; use another checkpoint")))?;
    if manifest.format == FORMAT {
        return Ok(manifest);
    }
    let message = format!(
        "format {}, this version of secateur reads format {FORMAT}; use secateur {}",
        manifest.format, manifest.version
    );
    Err(Error::file(path, message))
}

fn damaged(path: &Path, found: &str, stated: &str) -> Error {
    let message = format!("{found}, stated {stated}; it is damaged, use another checkpoint");
    Error::file(path, message)
}

fn hex(sum: u64) -> String {
    format!("{sum:016x}")
}
