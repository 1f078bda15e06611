//! Outputs whose values are replaced in place: what they hold, what is refused, and jobs that were
//! interrupted.
use std::fs;
use std::path::Path;

use half::f16;
use secateur::storage::{Folder, Header, Patch};

use super::{Raw, SHARDS, bf16s, f16s, f32s, f64s, message, model, names, write};

const ALL: [&str; 5] =
    ["config.json", SHARDS[0], SHARDS[1], "model.safetensors.index.json", "tokenizer.json"];

/// Begins the job `job` of the folder `out`.
fn begin(folder: &Path, input: &Folder, job: &str) -> secateur::Result<Patch> {
    Patch::begin(input, &folder.join("out"), false, job)
}

fn bytes_of(folder: &Path, shard: &str, tensor: &str) -> Vec<u8> {
    let header = Header::open(&folder.join(shard)).unwrap();
    let info = header.tensors.iter().find(|t| t.name == tensor).unwrap();
    let mut bytes = vec![0; info.bytes as usize];
    header.read(info.offset, &mut bytes).unwrap();
    bytes
}

#[test]
fn values_are_replaced_and_all_else_is_the_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let input = model(dir.path());
    let out = dir.path().join("deep").join("out");
    let mut patch = Patch::begin(&input, &out, false, "job").unwrap();
    assert!(!out.exists() && patch.done().is_empty());
    assert_eq!(names(&dir.path().join("deep")), ["out.unfinished"]);
    let now = patch.put("a.weight", &[0.1, -0.0, 3.0, 0.0, 1.003_906_3, -6.0]).unwrap();
    assert_eq!(now, [0.100_097_656, 0.0, 3.0, 0.0, 1.0, -6.0]);
    assert!(now.iter().all(|v| *v != 0.0 || v.is_sign_positive()));
    assert_eq!(patch.read("a.weight").unwrap(), now);
    assert_eq!(patch.weights().read_rows("a.weight", [1]).unwrap(), now[3..]);
    patch.mark_done("a", "0.5 of it").unwrap();
    assert_eq!(
        patch.put("b.weight", &[0.1, 0.0, 0.0, -1e-9]).unwrap(),
        [0.099_975_586, 0.0, 0.0, 0.0]
    );
    assert_eq!(patch.put("c.weight", &[-0.0, 0.3]).unwrap(), [0.0, 0.3]);
    assert_eq!(patch.put("b.bias", &[-0.0, 1e-40]).unwrap(), [0.0, 1e-40]);
    patch.mark_done("b", "").unwrap();
    assert_eq!(
        (patch.done(), patch.remark("a")),
        (&["a".into(), "b".into()][..], Some("0.5 of it"))
    );
    assert_eq!(patch.remark("c"), None);
    let beside = patch.finish(None).unwrap();
    assert_eq!(beside.copied, ["config.json", "tokenizer.json"]);
    assert_eq!(beside.left_out.len(), 2, "{:?}", beside.left_out);
    assert_eq!(names(&dir.path().join("deep")), ["out"]);
    assert_eq!(names(&out), ALL);
    let same = |name: &str| {
        fs::read(out.join(name)).unwrap() == fs::read(input.path().join(name)).unwrap()
    };
    assert!(same(ALL[0]) && same(ALL[3]) && same(ALL[4]) && !same(ALL[1]) && !same(ALL[2]));
    for (old, shard) in input.files().iter().zip(SHARDS) {
        assert_eq!(Header::open(&out.join(shard)).unwrap().bytes, old.bytes);
    }
    let expected = [
        (0, "a.bias", f32s([0.5, -1.5, 2.5])),
        (0, "a.weight", bf16s([0.1, 0.0, 3.0, 0.0, 1.0, -6.0])),
        (0, "embed", bf16s((0..8).map(|i| i as f32))),
        (1, "c.weight", f64s([0.0, f64::from(0.3f32)])),
        (1, "ids", vec![7; 8]),
        (1, "b.bias", f32s([0.0, 1e-40])),
        (1, "b.weight", f16s([0.1, 0.0, 0.0, 0.0])),
    ];
    for (shard, tensor, bytes) in expected {
        assert_eq!(bytes_of(&out, SHARDS[shard], tensor), bytes, "{tensor}");
    }
}

/// More than is written at once, and one file without an index.
#[test]
fn a_tensor_of_many_pieces_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let tensors: [Raw; 2] = [
        ("first", "BF16", &[1], bf16s([7.0])),
        ("long", "BF16", &[600_001], bf16s((0..600_001).map(|i| i as f32))),
    ];
    write(dir.path(), "model.safetensors", &tensors);
    let input = Folder::open(dir.path()).unwrap();
    let values: Vec<f32> = (0..600_001).map(|i| (i % 253) as f32).collect();
    let mut patch = begin(dir.path(), &input, "job").unwrap();
    assert!(patch.put("long", &values).unwrap() == values);
    patch.finish(Some(b"{\"changed\": 1}")).unwrap();
    let out = Folder::open(&dir.path().join("out")).unwrap();
    assert!(out.read_f32("long").unwrap() == values);
    assert_eq!(out.read_f32("first").unwrap(), [7.0]);
    assert_eq!(fs::read(dir.path().join("out").join("config.json")).unwrap(), b"{\"changed\": 1}");
}

#[test]
fn a_value_without_a_finite_neighbour_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let input = model(dir.path());
    let mut patch = begin(dir.path(), &input, "job").unwrap();
    let most = f32::from_bits(65520f32.to_bits() - 1);
    assert_eq!(patch.put("b.weight", &[most, -most, 0.0, 0.0]).unwrap()[..2], [65504.0, -65504.0]);
    assert!(f16::from_f32(65520.0).is_infinite());
    let said = message(patch.put("b.weight", &[0.0, 0.0, 0.0, -65520.0]));
    assert!(
        said.contains("value 3 of b.weight")
            && said.contains("-6.552e4 is over 6.5504e4, the largest F16"),
        "{said}"
    );
    let near = f32::from_bits(0x7f7f_7fff);
    assert_eq!(patch.put("embed", &[near; 8]).unwrap(), [f32::from_bits(0x7f7f_0000); 8]);
    let said = message(patch.put("embed", &[f32::MAX; 8]));
    assert!(said.contains("value 0 of embed") && said.contains("the largest BF16"), "{said}");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let said = message(patch.put("b.bias", &[f32::MAX, bad]));
        assert!(
            said.contains("value 1 of b.bias cannot be written") && said.contains("is not finite"),
            "{said}"
        );
    }
    // What was refused is not there.
    assert_eq!(patch.read("b.bias").unwrap(), [8.0, 9.0]);
    let said = message(patch.put("b.bias", &[1.0]));
    assert!(said.contains("b.bias: 1 values for [2]"), "{said}");
    assert!(message(patch.put("ids", &[1.0])).contains("ids is I64"));
    assert!(message(patch.put("b.bais", &[1.0])).contains("the nearest is b.bias"));
    patch.mark_done("b", "").unwrap();
    let said = message(patch.put("b.weight", &[0.0; 4]));
    assert!(said.contains("b.weight is of b, which is done"), "{said}");
    assert!(message(patch.mark_done("b", "")).contains("b is done already"));
    patch.discard().unwrap();
    assert_eq!(names(dir.path()), ["in"]);
}

#[test]
fn a_job_goes_on_where_it_was_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let input = model(dir.path());
    drop(begin(dir.path(), &input, "job").unwrap());
    assert_eq!(names(dir.path()), ["in"], "nothing is done, so nothing stays");
    let mut patch = begin(dir.path(), &input, "job").unwrap();
    patch.put("a.weight", &[1.0; 6]).unwrap();
    patch.mark_done("a", "remark").unwrap();
    patch.put("b.weight", &[1.0; 4]).unwrap();
    patch.put("c.weight", &[1.0; 2]).unwrap();
    let said = message(begin(dir.path(), &input, "job"));
    assert!(said.contains("another process is at work on it"), "{said}");
    drop(patch);
    let said = message(begin(dir.path(), &input, "other"));
    for part in ["out.unfinished: holds what another job", "(1 blocks)", "drop it with --force"] {
        assert!(said.contains(part), "{said}");
    }
    // A note that was cut off, or of which only the room is there, is none.
    let journal = dir.path().join("out.unfinished").join(".secateur-job");
    let notes = fs::read_to_string(&journal).unwrap();
    let end = notes.find('\0').unwrap();
    let torn = format!("{}{}", &notes[..end], r#"00000000 {"done":{"block":"b","remark":""}}"#);
    fs::write(&journal, torn + "\n").unwrap();

    let mut patch = begin(dir.path(), &input, "job").unwrap();
    assert_eq!((patch.done(), patch.remark("a")), (&["a".to_owned()][..], Some("remark")));
    for (name, shard) in [("b.weight", 1), ("c.weight", 1), ("embed", 0)] {
        let path = dir.path().join("out.unfinished");
        let same =
            bytes_of(&path, SHARDS[shard], name) == bytes_of(&input.path(), SHARDS[shard], name);
        assert!(same, "{name}");
    }
    assert_eq!(patch.read("a.weight").unwrap(), [1.0; 6]);
    let said = message(patch.put("a.weight", &[2.0; 6]));
    assert!(said.contains("a.weight is of a, which is done"), "{said}");
    // What was in work belongs to no block now.
    patch.put("c.weight", &[3.0; 2]).unwrap();
    patch.mark_done("c", "").unwrap();
    patch.put("b.weight", &[2.0; 4]).unwrap();
    patch.mark_done("b", "").unwrap();
    drop(patch);
    let patch = begin(dir.path(), &input, "job").unwrap();
    assert_eq!(patch.done(), ["a", "c", "b"]);
    patch.finish(None).unwrap();
    let out = Folder::open(&dir.path().join("out")).unwrap();
    assert_eq!(out.read_f32("b.weight").unwrap(), [2.0; 4]);
    assert_eq!(out.read_f32("c.weight").unwrap(), [3.0; 2]);
    assert_eq!(names(dir.path()), ["in", "out"]);
}

#[test]
fn another_jobs_output_goes_by_force_only() {
    let dir = tempfile::tempdir().unwrap();
    let input = model(dir.path());
    let mut patch = begin(dir.path(), &input, "old").unwrap();
    patch.put("a.weight", &[1.0; 6]).unwrap();
    patch.mark_done("a", "").unwrap();
    drop(patch);
    let patch = Patch::begin(&input, &dir.path().join("out"), true, "new").unwrap();
    assert_eq!(patch.done(), [""; 0]);
    assert_eq!(patch.read("a.weight").unwrap(), input.read_f32("a.weight").unwrap());
    drop(patch);
    // Somebody's folder is nobody's output.
    let other = dir.path().join("out.unfinished");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis"), "").unwrap();
    for force in [false, true] {
        let said = message(Patch::begin(&input, &dir.path().join("out"), force, "job"));
        assert!(said.contains("no unfinished output of this program; move it away"), "{said}");
    }
    // A journal that begins with nothing readable is a job's that nobody knows.
    fs::write(other.join(".secateur-job"), "?").unwrap();
    assert!(
        message(begin(dir.path(), &input, "job"))
            .contains("journal is damaged; drop it with --force")
    );
    let forced = Patch::begin(&input, &dir.path().join("out"), true, "job").unwrap();
    assert!(!other.join("thesis").exists());
    drop(forced);
    // One that was killed at its first step holds nothing else.
    fs::create_dir(&other).unwrap();
    fs::write(other.join(".secateur-job"), "").unwrap();
    begin(dir.path(), &input, "job").unwrap().finish(None).unwrap();
    assert_eq!(names(dir.path()), ["in", "out"]);
    assert_eq!(names(&dir.path().join("out")), ALL);
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (model(dir.path()), dir.path().join("out"));
    let begin = |output: &Path, force| Patch::begin(&input, output, force, "job");
    assert!(message(begin(&input.path(), true)).contains("is the input"));
    assert!(message(begin(&dir.path().join("a.safetensors"), true)).contains("would be a folder"));
    assert!(message(begin(Path::new("/"), true)).contains("not a folder's name"));
    fs::write(&out, "").unwrap();
    assert!(message(begin(&out, true)).contains("out: is a file, which a folder would replace"));
    fs::remove_file(&out).unwrap();
    fs::create_dir(&out).unwrap();
    for name in ["tokenizer.json", SHARDS[1], "config.json", "mine"] {
        fs::write(out.join(name), "mine").unwrap();
        if name != "mine" {
            let said = message(begin(&out, false));
            assert!(said.contains(name) && said.contains("--force"), "{said}");
            fs::remove_file(out.join(name)).unwrap();
        }
    }
    // What comes to be there meanwhile is as little overwritten, and the job can go on.
    let mut patch = begin(&out, false).unwrap();
    patch.put("a.bias", &[1.0; 3]).unwrap();
    patch.mark_done("a", "").unwrap();
    fs::write(out.join(SHARDS[0]), "mine").unwrap();
    let said = message(patch.finish(None));
    assert!(said.contains(SHARDS[0]) && said.contains("--force"), "{said}");
    fs::write(out.join("config.json"), "mine").unwrap();
    let patch = begin(&out, true).unwrap();
    assert_eq!(patch.done(), ["a"]);
    patch.finish(None).unwrap();
    let all: Vec<&str> = ALL[..1].iter().chain(&["mine"]).chain(&ALL[1..]).copied().collect();
    assert_eq!(names(&out), all);
    assert_eq!(fs::read(out.join("mine")).unwrap(), b"mine");
    assert_eq!(Folder::open(&out).unwrap().read_f32("a.bias").unwrap(), [1.0; 3]);
    assert_eq!(names(dir.path()), ["in", "out"]);
}
