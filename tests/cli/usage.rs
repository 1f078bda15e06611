//! `--help`, `devices`, and pipes that nobody reads.
use std::io::pipe;

use secateur::data::OpenOptions;
use secateur::settings::{Form, Settings};
use secateur::train::Recipe;
use serde_json::Value;

use crate::folder::{Folder, Run};
use crate::inspect::write_model;
use crate::train::train;

#[test]
fn help_shows_an_example_and_the_exit_codes() {
    let folder = Folder::new();
    let help = |args: &str| folder.run(args).ok().out;
    let text = help("--help");
    for part in ["train", "eval", "inspect", "devices", "SECATEUR_ADAPTER", "Exit codes: 0 done"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    for code in ["; 1 ", "; 2 ", "\n70 ", "; 71 ", "\n72 ", "\n73 ", "; 74 "] {
        assert!(text.contains(code), "no exit code `{code}` in {text}");
    }
    for command in ["train", "eval", "inspect", "devices", "bench"] {
        let text = help(&format!("{command} --help"));
        let example = text.split_once("Example").map_or("", |(_, examples)| examples);
        assert!(example.contains(&format!("  secateur {command}")), "no example in {text}");
        assert!(text.contains("--json"), "{command} has --json");
    }
    assert_eq!(help("--version").trim(), concat!("secateur ", env!("CARGO_PKG_VERSION")));
    assert_eq!(folder.list("."), [""; 0], "help writes no files");
}

/// The library's lists give the options: each with its help, under its heading, as what it takes.
#[test]
fn options_come_from_the_lists_of_the_library() {
    let folder = Folder::new();
    let text = folder.run("train --help").ok().out;
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no `{part}` in {text}"));
    let options =
        ["Data:", "--length <N>", "--size <HEIGHTxWIDTH>", "--drop-missing", "--split-seed"];
    let training =
        ["Training:", "--steps <N>", "--optimizer <OPTIMIZER>", "--drop-last", "--lr <LR>"];
    let places: Vec<usize> =
        [&options[..], &training, &["Run:", "--logdir"]].concat().into_iter().map(at).collect();
    assert!(at("Data:") < places[1] && places[4] < at("Training:"), "{text}");
    assert!(at("Training:") < places[6] && at("--lr <LR>") < at("Run:"), "{text}");
    let all = OpenOptions::LIST.iter().map(|s| (s.name, s.help, s.form));
    let recipes = Recipe::LIST.iter().map(|s| (s.name, s.help, s.form));
    for (name, help, form) in all.chain(recipes).filter(|(name, ..)| *name != "data") {
        let option = format!("--{}", name.replace('_', "-"));
        let offered = text.split_whitespace().any(|word| word == option);
        assert_eq!(offered, form != Form::File, "{name}");
        let first = help.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        let first = first.trim_end_matches('.');
        assert!(form == Form::File || text.contains(first), "no `{first}` in {text}");
    }
    folder.run("train --lr -x").fails(2, &["-x"]);
    folder.run("train --size 8").fails(2, &["'8' for '--size <HEIGHTxWIDTH>'", "like 32x32"]);
    folder.run("train --seed -3").fails(2, &["'-3' for '--seed <N>'", "0 or more"]);
}

#[test]
fn devices_pass_their_checks() {
    let Some(folder) = Folder::with_gpu() else { return };
    let report = folder.run("devices --check --json").json();
    let checks = report["checks"].as_array().expect("an array");
    assert!(checks.len() >= 3 && checks.iter().all(|c| c["passed"] == true), "{report}");
    let adapters = report["adapters"].as_array().expect("an array");
    let chosen = |a: &&Value| a["index"] == report["chosen_index"];
    let chosen = adapters.iter().find(chosen).expect("the one that would be taken");
    assert_eq!((&chosen["name"], &chosen["index"]), (&report["chosen"], &0.into()));
    let text = folder.run("devices").ok().out;
    assert!(text.contains(&format!("{}*", report["chosen"].as_str().expect("a name"))), "{text}");
}

/// Runs with a standard output, and then a standard error, whose reader has gone.
pub fn run_unread(folder: &Folder, args: &str) -> [Run; 2] {
    let unread = || {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let mut out = folder.command(args);
    let mut err = folder.command(args);
    // `output` would connect what is not set here.
    [Run::of(out.stdout(unread())), Run::of(err.stderr(unread()))]
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::new();
    write_model(&folder, "model.safetensors");
    for args in ["--help", "inspect model.safetensors", "inspect model.safetensors --json"] {
        for run in run_unread(&folder, args) {
            run.ok();
        }
    }
    for run in run_unread(&folder, "inspect nothing") {
        assert_eq!(run.code, 2, "an error that nobody reads stays one");
    }
}

#[test]
fn a_closed_pipe_does_not_stop_training() {
    let Some(folder) = Folder::with_gpu() else { return };
    for run in run_unread(&folder, &train("--steps 12 --logdir run")) {
        run.ok();
    }
    assert!(folder.path("run/ckpt-000000000012/manifest.json").exists());
}
