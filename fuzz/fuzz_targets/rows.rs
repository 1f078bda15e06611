//! Any bytes as a table and as arrays: read, split and scaled, or refused.
#![no_main]
use libfuzzer_sys::fuzz_target;
use secateur::data::{OpenOptions, Schema, Task, open, open_rows};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    std::fs::write(&path, bytes).unwrap();
    let mut options = OpenOptions::default();
    let mut schema = Schema::default();
    (schema.shape, schema.task) = (vec![1], Task::classification(3));
    for kind in ["csv", "npy", "npz", "safetensors"] {
        let name = format!("{kind}:{}", path.display());
        (options.label, options.standardise) = (None, false);
        open_rows(&name, &options, None).ok();
        open_rows(&name, &options, Some(&schema)).ok();
        (options.label, options.standardise) = (Some("y".into()), true);
        open(&name, &options).ok();
    }
});
