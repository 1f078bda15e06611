//! Random damage to the files of a checkpoint: never loaded, no panic, no memory beyond reason.
use std::fs;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use secateur::Result;
use secateur::checkpoint::{
    self, Checkpoint, FileEntry, MODEL_FILE, Manifest, OPTIMIZER_FILE, Retention,
};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::fixture::tensors;
use crate::needs::say;

const MANIFEST_FILE: &str = "manifest.json";
/// 64 KiB in each file: the loader's buffers are no larger.
const WORDS: usize = 1 << 14;

#[test]
fn two_thousand_mutations_are_refused() {
    Patient::new().refuses(2_000);
}

#[test]
#[ignore = "slow: 20,000 mutations"]
fn twenty_thousand_mutations_are_refused() {
    Patient::new().refuses(20_000);
}

/// The checksums are made right again, so that what is behind them has to cope.
#[test]
fn damage_behind_right_checksums_is_no_panic_and_takes_no_memory() {
    let mut patient = Patient::new();
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let file = patient.below(2);
        let bytes = patient.mutated(file);
        replace(&patient.files[file].0, &bytes);
        patient.seal();
        match patient.load() {
            Ok(_) => loaded += 1,
            Err(_) => refused += 1,
        }
        patient.heal(file);
    }
    assert!(loaded > 100 && refused > 100, "{loaded} loaded, {refused} refused");
}

/// A checkpoint that is damaged and healed in turn.
struct Patient {
    _logdir: TempDir,
    folder: PathBuf,
    manifest: Manifest,
    /// Path and right content of model, optimizer and manifest.
    files: [(PathBuf, Vec<u8>); 3],
    random: ChaCha8Rng,
}

impl Patient {
    fn new() -> Self {
        let logdir = tempfile::tempdir().unwrap();
        let [model, optimizer] = tensors(77, WORDS);
        let manifest = Manifest::default().global_step(77);
        let retention = Retention::newest(1);
        let folder =
            checkpoint::save(logdir.path(), manifest, &model, &optimizer, retention).unwrap();
        let files = [MODEL_FILE, OPTIMIZER_FILE, MANIFEST_FILE].map(|name| {
            let path = folder.join(name);
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        });
        let manifest = checkpoint::load(&folder).unwrap().manifest;
        let random = ChaCha8Rng::seed_from_u64(0);
        Self { _logdir: logdir, folder, manifest, files, random }
    }

    fn refuses(mut self, count: usize) {
        for tried in 0..count {
            let file = self.below(3);
            let bytes = self.mutated(file);
            let path = &self.files[file].0;
            replace(path, &bytes);
            assert!(self.load().is_err(), "mutation {tried}, of {}", path.display());
            self.heal(file);
        }
        self.load().unwrap();
        say(&format!("{count} mutations, all refused"));
    }

    /// Loads it in less than twice the memory that its files take on the disk.
    fn load(&self) -> Result<Checkpoint> {
        let mut result = None;
        let memory = allocation_counter::measure(|| result = Some(checkpoint::load(&self.folder)));
        let size: usize = self.files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(memory.bytes_max < 2 * size as u64, "{} of {size} bytes", memory.bytes_max);
        result.unwrap()
    }

    /// The content of a file with one thing wrong.
    fn mutated(&mut self, file: usize) -> Vec<u8> {
        let right = self.files[file].1.clone();
        loop {
            let mut bytes = right.clone();
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => {
                    let end = bytes.len().min(at + 4096);
                    bytes[at..end].fill(0);
                }
                3 => bytes[self.below(right.len().min(100))] = self.below(256) as u8,
                4 => bytes.extend((0..=self.below(32)).map(|_| self.below(256) as u8)),
                _ => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
            }
            if bytes != right {
                return bytes;
            }
        }
    }

    /// Writes a manifest that is right for the files as they are.
    fn seal(&self) {
        let entry = |name: &str| {
            let bytes = fs::read(self.folder.join(name)).unwrap();
            let xxh3 = format!("{:016x}", xxh3_64(&bytes));
            FileEntry { name: name.into(), bytes: bytes.len() as u64, xxh3 }
        };
        let files = [MODEL_FILE, OPTIMIZER_FILE].map(entry).into();
        let manifest = self.manifest.clone().files(files);
        let line = serde_json::to_string(&manifest).unwrap();
        let text = format!("{line}\n{:016x}", xxh3_64(line.as_bytes()));
        replace(&self.folder.join(MANIFEST_FILE), text.as_bytes());
    }

    fn heal(&self, file: usize) {
        let (path, bytes) = &self.files[file];
        replace(path, bytes);
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random.next_u64() % end as u64) as usize
    }
}

/// A new file: emptying the old one would make ext4 write it to the disk at once.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}
