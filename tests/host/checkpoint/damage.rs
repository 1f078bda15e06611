//! Damaged checkpoints: detected, named, never loaded, never a panic.
use std::fs;
use std::path::Path;

use secateur::Error;
use secateur::checkpoint::{self, FileEntry, MODEL_FILE, OPTIMIZER_FILE};
use xxhash_rust::xxh3::xxh3_64;

use super::{MANIFEST_FILE, flip, manifest, newest, save};

/// Writes a manifest with a right checksum, whatever it says.
pub(super) fn seal(checkpoint: &Path, line: &str) {
    let text = format!("{line}\n{:016x}", xxh3_64(line.as_bytes()));
    fs::write(checkpoint.join(MANIFEST_FILE), text).unwrap();
}

#[test]
fn newest_skips_and_names_a_damaged_one() {
    type Damage = fn(&Path);
    let damages: [(&str, &str, Damage); 8] = [
        ("truncated", MODEL_FILE, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 4]).unwrap();
        }),
        ("bit of a value", MODEL_FILE, |path| flip(path, |len| len - 6)),
        ("bit of a header", OPTIMIZER_FILE, |path| flip(path, |_| 12)),
        ("bit of the manifest", MANIFEST_FILE, |path| flip(path, |_| 30)),
        ("bit of the manifest's checksum", MANIFEST_FILE, |path| flip(path, |len| len - 1)),
        ("missing", OPTIMIZER_FILE, |path| fs::remove_file(path).unwrap()),
        ("no manifest", MANIFEST_FILE, |path| fs::remove_file(path).unwrap()),
        ("extra zeros", MODEL_FILE, |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.extend([0; 8]);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (what, file, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let good = save(dir.path(), 999);
        let bad = save(dir.path(), 1000);
        damage(&bad.join(file));
        let found = newest(dir.path());
        assert_eq!(found.path, good, "{what}");
        let [skipped] = &found.skipped[..] else { panic!("{what}: {:?}", found.skipped) };
        assert!(skipped.starts_with("ckpt-000000001000: "), "{what}: {skipped}");
        assert!(skipped.contains(file), "{what}: {skipped}");

        damage(&good.join(file));
        let error = checkpoint::newest(dir.path()).unwrap_err();
        let Error::NoValidCheckpoint { skipped, .. } = &error else { panic!("{what}: {error}") };
        assert!(skipped.contains("ckpt-000000000999") && skipped.contains("ckpt-000000001000"));
        assert!(good.exists() && bad.exists(), "{what}: reading must not remove");
    }
}

#[test]
fn a_renamed_checkpoint_is_not_newest() {
    let dir = tempfile::tempdir().unwrap();
    let old = save(dir.path(), 10);
    save(dir.path(), 20);
    let renamed = dir.path().join("ckpt-000000000900");
    fs::rename(old, &renamed).unwrap();
    let found = newest(dir.path());
    assert_eq!(found.manifest.global_step, 20);
    assert_eq!(found.skipped, ["ckpt-000000000900: ckpt-000000000900: holds global step 10"]);
    assert_eq!(checkpoint::load(&renamed).unwrap().manifest.global_step, 10);

    save(dir.path(), 900);
    assert_eq!(newest(dir.path()).manifest.global_step, 900);
}

#[test]
fn any_number_of_damaged_ones_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (1..=5).map(|step| save(dir.path(), step)).collect();
    for left in (1..=4).rev() {
        flip(&paths[left].join(MODEL_FILE), |len| len / 2);
        let found = newest(dir.path());
        assert_eq!((&found.path, found.skipped.len()), (&paths[left - 1], 5 - left));
    }
    flip(&paths[0].join(MODEL_FILE), |len| len / 2);
    let error = checkpoint::newest(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NoValidCheckpoint { .. }), "{error}");
}

#[test]
fn a_consistent_manifest_does_not_hide_a_bad_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), 5);
    let header = br#"{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}"#;
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let overflow = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    let half = br#"{"x":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}"#;
    let half = [&(half.len() as u64).to_le_bytes()[..], half, &[0; 8]].concat();
    let short = [&2u64.to_le_bytes()[..], b"{}", &[0; 8]].concat();
    for bytes in [huge, overflow, half, short, b"{}".to_vec(), Vec::new()] {
        fs::write(path.join(MODEL_FILE), &bytes).unwrap();
        let mut manifest = manifest(5);
        manifest.format = 1;
        manifest.files = [MODEL_FILE, OPTIMIZER_FILE]
            .map(|name| {
                let bytes = fs::read(path.join(name)).unwrap();
                FileEntry {
                    name: name.into(),
                    bytes: bytes.len() as u64,
                    xxh3: format!("{:016x}", xxh3_64(&bytes)),
                }
            })
            .into();
        seal(&path, &serde_json::to_string(&manifest).unwrap());
        let error = checkpoint::load(&path).unwrap_err().to_string();
        assert!(error.contains(MODEL_FILE), "{error}");
    }
}

#[test]
fn a_later_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), 5);
    let text = fs::read_to_string(path.join(MANIFEST_FILE)).unwrap();
    let text = text.replace("\"format\":1", "\"format\":2");
    seal(&path, text.lines().next().unwrap());
    let error = checkpoint::newest(dir.path()).unwrap_err().to_string();
    assert!(error.contains("format 2") && error.contains("format 1"), "{error}");
}
