//! Jobs that cannot begin say why, and leave nothing.
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::jobs::{Over, STEPS, Training, Way, straight};
use crate::launch::mpirun;
use crate::{mount, paths};

/// Ends a job of two ranks, of which the second is `program` with `arguments`; it must leave
/// nothing.
fn refused(training: &Training, program: &Path, arguments: &[String]) -> Option<Over> {
    let first = mpirun(1)?.program(&paths::program(), &training.arguments());
    let over = training.launch(first.also(1, program, arguments)).end().expect(2);
    assert!(!training.logdir().exists(), "{over:?}");
    Some(over)
}

/// The arguments with another value for `name`.
fn with(training: &Training, name: &str, value: &str) -> Vec<String> {
    let mut arguments = training.arguments();
    match arguments.iter().position(|argument| argument == name) {
        Some(at) => arguments[at + 1] = value.to_owned(),
        None => arguments.extend([name.to_owned(), value.to_owned()]),
    }
    arguments
}

#[test]
fn ranks_with_different_recipes_are_refused_by_name() {
    let Some(training) = Training::new(Way::Async) else { return };
    let recipes = [("--model", "mlp:17", "`model`"), ("--batch", "8", "`batch`")];
    for (name, value, named) in recipes {
        let arguments = with(&training, name, value);
        let Some(over) = refused(&training, &paths::program(), &arguments) else { return };
        over.says(&[named, "the ranks do not agree", value, "on rank 1"]);
    }
}

/// Files of one path and shape, as on two machines: the second rank has its own in that place.
#[test]
fn ranks_with_different_rows_are_refused() {
    let Some(training) = Training::new(Way::InStep) else { return };
    if !mount::run(Command::new("unshare").args(["--mount", "true"])) {
        return;
    }
    let rows = |name: &str, b: usize| {
        let rows: String = (0..200).map(|i| format!("{},{},{}\n", i % 7, i % b, i % 3)).collect();
        fs::write(training.folder().join(name), format!("a,b,label\n{rows}")).unwrap();
    };
    rows("rows.csv", 11);
    rows("others.csv", 13);
    let mut arguments = training.arguments();
    arguments.extend("--data csv:rows.csv --label label".split(' ').map(str::to_owned));
    let line = "mount --bind others.csv rows.csv && exec \"$0\" \"$@\"";
    let mut apart = ["--mount", "sh", "-c", line].map(str::to_owned).to_vec();
    apart.extend([paths::program().display().to_string()]);
    apart.extend(arguments.clone());
    let Some(job) = mpirun(1) else { return };
    let job = job.program(&paths::program(), &arguments);
    let over = training.launch(job.also(1, Path::new("unshare"), &apart)).end().expect(2);
    over.says(&["`data`", "the ranks do not agree", "on rank 1"]);
    assert!(!training.logdir().exists());
}

#[test]
fn ranks_of_different_builds_are_refused() {
    let Some(training) = Training::new(Way::InStep) else { return };
    let other = training.folder().join("secateur");
    fs::copy(paths::program(), &other).unwrap();
    OpenOptions::new().append(true).open(&other).unwrap().write_all(b" ").unwrap();
    let Some(over) = refused(&training, &other, &training.arguments()) else { return };
    over.says(&["`program`", "the ranks do not agree", "on rank 1"]);
}

/// The first, or the second, comes seconds after the other.
#[test]
fn ranks_start_in_any_order() {
    let Some(straight) = straight() else { return };
    for late in [0, 1] {
        let Some(training) = Training::new(Way::InStep) else { return };
        let line = format!(
            "[ ${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}} = {late} ] && sleep 2; exec \"$0\" \"$@\""
        );
        let shell = ["-c".to_owned(), line, paths::program().display().to_string()];
        let arguments: Vec<String> = shell.into_iter().chain(training.arguments()).collect();
        let Some(job) = mpirun(2) else { return };
        training.launch(job.program(Path::new("sh"), &arguments)).end().expect(0);
        assert!(training.files(STEPS) == *straight, "rank {late} is late");
    }
}

#[test]
fn damaged_checkpoints_are_the_jobs_error() {
    let Some(mut training) = Training::new(Way::InStep) else { return };
    let Some(_) = training.complete(1) else { return };
    for entry in fs::read_dir(training.logdir()).unwrap() {
        let model = entry.unwrap().path().join("model.safetensors");
        if let Ok(mut bytes) = fs::read(&model) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&model, bytes).unwrap();
        }
    }
    for way in Way::ALL {
        (training.way, training.more) = (way, "--steps 300".to_owned());
        let Some(job) = training.start(way.ranks()) else { return };
        job.end().expect(73).says(&["secateur: ", "ckpt-"]);
    }
}
