//! Checkpoints: bit for bit, never half, never damaged.
use std::fs;
use std::path::{Path, PathBuf};

use secateur::Error;
use secateur::checkpoint::{
    self, Checkpoint, Lock, MODEL_FILE, Manifest, OPTIMIZER_FILE, Retention,
};
use secateur::data::Cursor;
use secateur::storage::{Tensor, TensorData};

mod damage;
mod retention;

const MANIFEST_FILE: &str = "manifest.json";

fn f32s(name: &str, shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { name: name.into(), shape: shape.into(), data: TensorData::F32(values) }
}

fn u32s(name: &str, shape: &[usize], values: Vec<u32>) -> Tensor {
    Tensor { name: name.into(), shape: shape.into(), data: TensorData::U32(values) }
}

fn model() -> Vec<Tensor> {
    // Quiet and signalling NaNs with payloads, infinities, both zeros, a subnormal.
    let hard = [0x7fc0_1234, 0xffa0_0001, 0x7f80_0000, 0xff80_0000, 0, 0x8000_0000, 1, 0x3f80_0000];
    vec![
        f32s("b \"quoted\"\n/weights", &[2, 4], hard.map(f32::from_bits).to_vec()),
        f32s("a/weights", &[3, 7], (0..21).map(|i| i as f32 * 0.1 - 1.0).collect()),
        f32s("scalar", &[], vec![0.25]),
        f32s("empty", &[0, 5], vec![]),
    ]
}

fn optimizer() -> Vec<Tensor> {
    vec![
        u32s("mask", &[4], vec![u32::MAX, 0, 0xdead_beef, 1]),
        f32s("momentum", &[5], vec![1.5, -2.5, 3.5, f32::MIN_POSITIVE, f32::MAX]),
    ]
}

fn manifest(step: u64) -> Manifest {
    Manifest::default()
        .global_step(step)
        .seed(u64::MAX)
        .epoch(3)
        .cursor(1437)
        .last_mask_update_step(step.saturating_sub(1))
        .model("mlp:300-100".into())
        .pruning(Some("target_sparsity=0.9,name=x\ny".into()))
        .adapter("llvmpipe".into())
        .driver("Mesa 25".into())
        .begun_unix(1_700_000_000)
        .created_unix(1_700_003_600)
}

fn save(logdir: &Path, step: u64) -> PathBuf {
    checkpoint::save(logdir, manifest(step), &model(), &optimizer(), Retention::newest(5)).unwrap()
}

/// Names and bits, sorted by name, since NaNs compare unequal.
fn bits(tensors: &[Tensor]) -> Vec<(String, Vec<usize>, &'static str, Vec<u32>)> {
    let mut all: Vec<_> = tensors
        .iter()
        .map(|tensor| {
            let (kind, words) = match &tensor.data {
                TensorData::F32(v) => ("f32", v.iter().map(|x| x.to_bits()).collect()),
                TensorData::U32(v) => ("u32", v.clone()),
            };
            (tensor.name.clone(), tensor.shape.clone(), kind, words)
        })
        .collect();
    all.sort();
    all
}

fn newest(logdir: &Path) -> Checkpoint {
    checkpoint::newest(logdir).unwrap().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| name(e.unwrap())).collect();
    names.sort();
    names
}

fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn returned_batches_come_back_and_where_there_are_none_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let text = |path: &Path| fs::read_to_string(path.join(MANIFEST_FILE)).unwrap();
    // So is every manifest until now.
    assert!(!text(&save(dir.path(), 1)).contains("returned"));
    assert_eq!(newest(dir.path()).manifest.returned, []);
    let returned = vec![Cursor { epoch: 2, row: 1436 }, Cursor { epoch: 3, row: u64::MAX }];
    let manifest = manifest(2).returned(returned.clone());
    let path = checkpoint::save(dir.path(), manifest, &model(), &optimizer(), Retention::newest(5));
    let list = r#""returned":[{"epoch":2,"row":1436},{"epoch":3,"row":18446744073709551615}]"#;
    assert!(text(&path.unwrap()).contains(list));
    assert_eq!(newest(dir.path()).manifest.returned, returned);
}

/// One that was written before there were returned batches, the seed of a fuzz target.
#[test]
fn an_earlier_checkpoint_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let seeds = crate::paths::project().join("fuzz/seeds/checkpoint");
    let files = [("model", MODEL_FILE), ("optimizer", OPTIMIZER_FILE), ("manifest", MANIFEST_FILE)];
    for (seed, file) in files {
        // The first byte says which file it is.
        fs::write(dir.path().join(file), &fs::read(seeds.join(seed)).unwrap()[1..]).unwrap();
    }
    let manifest = checkpoint::load(dir.path()).unwrap().manifest;
    assert_eq!((manifest.global_step, manifest.cursor, manifest.returned), (20, 1280, vec![]));
}

#[test]
fn round_trip_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), 12_000);
    assert_eq!(path, dir.path().join("ckpt-000000012000"));
    assert_eq!(names(dir.path()), ["ckpt-000000012000"]);
    assert_eq!(names(&path), [MANIFEST_FILE, MODEL_FILE, OPTIMIZER_FILE]);

    let found = newest(dir.path());
    assert_eq!(found.path, path);
    assert!(found.skipped.is_empty());
    assert_eq!(bits(&found.model), bits(&model()));
    assert_eq!(bits(&found.optimizer), bits(&optimizer()));
    let order: Vec<_> = found.model.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(order, ["a/weights", "b \"quoted\"\n/weights", "empty", "scalar"]);

    let version = env!("CARGO_PKG_VERSION").into();
    let files = found.manifest.files.clone();
    assert_eq!(found.manifest, manifest(12_000).format(1).version(version).files(files));
    for (file, name) in found.manifest.files.iter().zip([MODEL_FILE, OPTIMIZER_FILE]) {
        assert_eq!(file.name, name);
        assert_eq!(file.bytes, fs::metadata(path.join(name)).unwrap().len());
        assert_eq!(file.xxh3.len(), 16);
    }
    assert_eq!(found.manifest.files.len(), 2);
}

/// Manifests had the specification field by field once: such checkpoints still load.
#[test]
fn a_pruning_is_read_in_both_forms() {
    let text = "target_sparsity=0.75,pruning_frequency=7,pruned=revive";
    let spec: secateur::PruningSpec = text.parse().unwrap();
    let whole = serde_json::to_value(manifest(3).pruning(Some(spec.to_string()))).unwrap();
    let mut fields = whole.clone();
    fields["pruning"] = serde_json::to_value(&spec).unwrap();
    assert!(fields["pruning"].is_object());
    let read = |json| serde_json::from_value::<Manifest>(json).unwrap();
    assert_eq!(read(fields), read(whole.clone()));
    assert_eq!(
        read(whole.clone()).pruning.unwrap().parse::<secateur::PruningSpec>().unwrap(),
        spec
    );
    let mut none = whole;
    none["pruning"] = serde_json::Value::Null;
    assert_eq!(read(none).pruning, None);
}

#[test]
fn other_readers_understand_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(save(dir.path(), 1).join(OPTIMIZER_FILE)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mask = file.tensor("mask").unwrap();
    assert_eq!((mask.dtype(), mask.shape()), (safetensors::Dtype::U32, &[4][..]));
    assert_eq!(mask.data()[8..12], 0xdead_beef_u32.to_le_bytes());
    // Values start at a multiple of 8 bytes, whatever the length of the names.
    for length in 1..=8 {
        let tensor = [u32s(&"n".repeat(length), &[1], vec![7])];
        let path = checkpoint::save(
            dir.path(),
            manifest(length as u64 + 1),
            &tensor,
            &[],
            Retention::newest(1),
        );
        let bytes = fs::read(path.unwrap().join(MODEL_FILE)).unwrap();
        assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0);
        assert_eq!(bytes.len() % 8, 4);
    }
}

#[test]
fn larger_than_every_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<u32> = (0..300_001u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let tensors = [u32s("x", &[300_001], values)];
    checkpoint::save(dir.path(), manifest(1), &tensors, &[], Retention::newest(1)).unwrap();
    assert_eq!(newest(dir.path()).model, tensors);
}

#[test]
fn newest_of_nothing_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for name in
        ["ckpt-12", "ckpt-0000000000001", "ckpt-00000000000x", ".tmp-secateur-ckpt-000000000001-1"]
    {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    assert!(checkpoint::newest(dir.path()).unwrap().is_none());
    let missing = dir.path().join("missing");
    assert!(matches!(checkpoint::newest(&missing), Err(Error::Io { .. })));
}

#[test]
fn retention_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    for step in [1, 2, 3, 4, 5] {
        checkpoint::save(dir.path(), manifest(step), &model(), &optimizer(), Retention::newest(3))
            .unwrap();
    }
    let kept = ["ckpt-000000000003", "ckpt-000000000004", "ckpt-000000000005"];
    assert_eq!(names(dir.path()), kept);

    // The one just written stays, and so do later ones, even where few are kept.
    fs::write(dir.path().join(kept[2]).join(MODEL_FILE), "damaged").unwrap();
    let after = dir.path().join(kept[1]);
    fs::remove_dir_all(after).unwrap();
    checkpoint::save(dir.path(), manifest(4), &model(), &optimizer(), Retention::newest(0))
        .unwrap();
    assert_eq!(names(dir.path()), kept[1..]);
    assert_eq!(newest(dir.path()).manifest.global_step, 4);
}

#[test]
fn saving_a_step_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), 8);
    let other = [f32s("other", &[1], vec![1.0])];
    assert_eq!(
        checkpoint::save(dir.path(), manifest(8), &other, &[], Retention::newest(5)).unwrap(),
        path
    );
    assert_eq!(bits(&newest(dir.path()).model), bits(&model()));

    flip(&path.join(MODEL_FILE), |len| len - 1);
    assert_eq!(
        checkpoint::save(dir.path(), manifest(8), &other, &[], Retention::newest(5)).unwrap(),
        path
    );
    assert_eq!(newest(dir.path()).model, other);
    assert_eq!(names(dir.path()), ["ckpt-000000000008"]);
}

#[test]
fn leftovers_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), 8);
    for name in [".tmp-secateur-ckpt-000000000009-1", ".trash-ckpt-000000000007-1"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join(MODEL_FILE), "half").unwrap();
    }
    fs::write(dir.path().join(".tmp-secateur-timeline-5.json-1"), "half").unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    checkpoint::sweep(dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["ckpt-000000000008", "notes.txt"]);

    // A dead process with this one's id may have left its folder; no sweep is needed for it.
    let own = format!(".tmp-secateur-ckpt-000000000010-{}", std::process::id());
    fs::create_dir(dir.path().join(&own)).unwrap();
    fs::write(dir.path().join(own).join(MODEL_FILE), "half").unwrap();
    save(dir.path(), 10);
    assert_eq!(names(dir.path()), ["ckpt-000000000008", "ckpt-000000000010", "notes.txt"]);
}

#[test]
fn a_failed_save_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), 1);
    let try_save = |logdir: &Path, step, model: &[Tensor]| {
        checkpoint::save(logdir, manifest(step), model, &optimizer(), Retention::newest(1))
            .unwrap_err()
    };
    let missing = try_save(&dir.path().join("missing"), 2, &model());
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(try_save(&file, 2, &model()), Error::Io { .. }));
    fs::remove_file(file).unwrap();

    let twice = [f32s("x", &[1], vec![1.0]), f32s("x", &[1], vec![2.0])];
    let error = try_save(dir.path(), 2, &twice);
    assert!(matches!(&error, Error::Argument { name, .. } if name == "x"), "{error}");
    let error = try_save(dir.path(), 2, &[f32s("__metadata__", &[], vec![1.0])]);
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    for shape in [&[2, 3][..], &[usize::MAX, 2]] {
        let error = try_save(dir.path(), 2, &[f32s("x", shape, vec![0.0; 5])]);
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
    let error = try_save(dir.path(), 1_000_000_000_000, &model());
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert_eq!(names(dir.path()), ["ckpt-000000000001"]);
    assert_eq!(newest(dir.path()).manifest.global_step, 1);
}

/// Permissions do not stop root; /proc refuses everyone.
#[cfg(target_os = "linux")]
#[test]
fn a_save_into_a_read_only_place_is_an_io_error() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let refused = fs::write(dir.path().join("probe"), "").is_err();
    let place = if refused { dir.path() } else { Path::new("/proc/self") };
    let error = checkpoint::save(place, manifest(1), &model(), &optimizer(), Retention::newest(1))
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(names(place).iter().all(|name| !name.starts_with(".tmp-")));
}

#[test]
fn one_process_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Lock::acquire(dir.path()).unwrap();
    let error = Lock::acquire(dir.path()).unwrap_err();
    let Error::Locked { logdir, pid } = &error else { panic!("{error}") };
    assert_eq!(logdir, dir.path());
    let expected = if cfg!(windows) { "unknown".into() } else { std::process::id().to_string() };
    assert_eq!(*pid, expected);
    drop(lock);
    // What a longer-lived holder wrote is gone, whole.
    fs::write(dir.path().join("LOCK"), "123456789012345\n").unwrap();
    let _again = Lock::acquire(dir.path()).unwrap();
    let error = Lock::acquire(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::Locked { pid, .. } if *pid == expected), "{error}");
    let missing = Lock::acquire(&dir.path().join("missing")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}
