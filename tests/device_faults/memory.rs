//! A device without memory: an error that says what it was for, or a run that goes on; never a
//! panic.
use std::process::Command;

use tempfile::TempDir;

use crate::child::{trained, training};
use crate::layer::Layer;
use crate::needs::say;

/// 15 matrices of 70 MB, each with a gradient and two slots of the optimizer: an allocation for
/// each, and none is touched before all are made.
const LARGE: &str = "train --model \
    mlp:4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200-4200 --batch 1 \
    --steps 1 --optimizer adam --pruning none --logdir";

#[test]
fn a_buffer_without_memory_is_named_or_got_over() {
    let Some(layer) = Layer::get() else { return };
    let told = buffers(layer, [1, 2, 3, 4, 9].into_iter().chain(32..=44).chain([60]), 0);
    for what in ["could not be opened: ", "for step;", "for the uniforms", "for a readback;"] {
        assert!(told.iter().any(|message| message.contains(what)), "{what} is not in {told:?}");
    }
}

#[test]
fn buffers_without_memory_for_good_are_named() {
    let Some(layer) = Layer::get() else { return };
    buffers(layer, [1, 9, 33, 37, 60], 1);
}

#[test]
#[ignore = "slow: every place of 100, some 60 s"]
fn a_buffer_without_memory_anywhere_is_named_or_got_over() {
    let Some(layer) = Layer::get() else { return };
    buffers(layer, 1..=100, 0);
    buffers(layer, (1..=100).step_by(7), 1);
}

#[test]
fn an_allocation_that_fails_is_named() {
    allocations([1, 2, 3, 5, 8, 13, 21, 34, 55], 0);
    allocations([21], 1);
}

#[test]
#[ignore = "slow: every place of 60"]
fn an_allocation_that_fails_anywhere_is_named() {
    allocations(1..=60, 0);
}

#[test]
fn a_save_without_memory_does_not_end_the_run() {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    let [straight, once, always] =
        ["straight", "once", "always"].map(|name| folder.path().join(name));
    layer.run(training(&straight), &[]);
    // So large are one of wgpu's own buffers, and the staging that everything is saved through.
    let staging = [("BUFFER_OOM", 2), ("BUFFER_BYTES", 50_000)];
    let run = layer.run(training(&once), &staging);
    let failed: Vec<_> = run.lines("save failed: ").collect();
    assert_eq!((run.code, failed.len(), run.faults()), (0, 1, 1), "{}", run.err);
    assert!(names_what_for(failed[0]), "{}", failed[0]);
    assert!(trained(&once) == trained(&straight), "{}", run.err);

    let run = layer.run(training(&always), &[&staging[..], &[("OOM_STICKY", 1)]].concat());
    assert!(run.lines("save failed: ").count() > 1, "{}", run.err);
    assert!(names_what_for(run.error()), "{}", run.err);
    assert_eq!(run.lines("lost: ").count(), 0, "{}", run.err);
}

#[test]
fn a_plan_over_the_budget_is_refused_before_anything_is_allocated() {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    // Whatever is allocated after wgpu's own three buffers strikes.
    let within = |budget: u64, faults: &[(&str, u64)]| {
        let mut command = training(&folder.path().join("run"));
        command.env("SECATEUR_MEMORY", budget.to_string());
        layer.run(command, faults)
    };
    let allocating = [("BUFFER_OOM", 4), ("OOM_STICKY", 1)];
    let refused = |budget: u64| {
        let run = within(budget, &allocating);
        assert_eq!(run.faults(), 0, "{}", run.err);
        let needed = run.error().split(' ').find_map(|word| word.parse().ok()).unwrap_or(0);
        let both = [
            format!("needs {needed} bytes on the device ("),
            format!("memory budget is {budget} ("),
        ];
        assert!(both.iter().all(|part| run.error().contains(part)), "{}", run.err);
        needed
    };
    let needed = refused(10_000);
    assert_eq!(refused(needed - 1), needed);
    assert_eq!(within(needed, &allocating).faults(), 1, "what fits is allocated");
    assert_eq!(within(needed, &[]).code, 0);
}

/// Lets the n-th buffer find no memory, for each n of `places`; what the runs told of it.
fn buffers(layer: &Layer, places: impl IntoIterator<Item = u64>, sticky: u64) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let straight = folder.path().join("straight");
    layer.run(training(&straight), &[]);
    let mut told = Vec::new();
    let (mut refused, mut recovered, mut unsaved) = (0, 0, 0);
    for place in places {
        let logdir = folder.path().join(place.to_string());
        let run = layer.run(training(&logdir), &[("BUFFER_OOM", place), ("OOM_STICKY", sticky)]);
        assert!(run.faults() > 0, "buffer {place} is in the run: {}", run.err);
        let message = if run.code != 0 {
            let lost = sticky == 0 && run.err.contains("device lost");
            assert!(!lost, "buffer {place} is a loss to recover from: {}", run.err);
            refused += 1;
            run.error()
        } else {
            assert_eq!((sticky, run.faults()), (0, 1), "buffer {place}: {}", run.err);
            assert!(trained(&logdir) == trained(&straight), "buffer {place}: {}", run.err);
            let (lost, failed) = (run.lines("lost: ").next(), run.lines("save failed: ").next());
            recovered += lost.iter().count();
            unsaved += failed.iter().count();
            lost.or(failed).unwrap_or("")
        };
        assert!(names_what_for(message), "buffer {place}: {}", run.err);
        told.push(message.to_owned());
    }
    say(&format!(
        "buffers without memory (sticky {sticky}): {refused} errors, {recovered} runs recovered, \
         {unsaved} saves failed"
    ));
    told
}

/// Lets the n-th allocation of a large network fail, for each n of `places`.
fn allocations(places: impl IntoIterator<Item = u64>, sticky: u64) {
    let Some(layer) = Layer::get() else { return };
    let folder = TempDir::new().unwrap();
    for place in places {
        let mut command = Command::new(crate::paths::program());
        command.args(LARGE.split_whitespace()).arg(folder.path().join("large"));
        let run = layer.run(command, &[("ALLOC_OOM", place), ("OOM_STICKY", sticky)]);
        assert!(run.faults() > 0, "allocation {place} is in the run: {}", run.err);
        assert!(names_what_for(run.error()), "allocation {place}: {}", run.err);
        let large = run.error().contains("no room for 70560000 bytes for ");
        assert!(large || place < 3, "allocation {place}: {}", run.err);
    }
}

/// Whether `message` says what memory was for, and how many bytes where that is known.
fn names_what_for(message: &str) -> bool {
    let sized = |before: &str| {
        let words = message.split_once(before).map(|(_, rest)| rest.split(' '));
        words.is_some_and(|mut words| {
            let bytes = words.next().and_then(|n| n.parse().ok()).is_some_and(|n: u64| n > 0);
            bytes && words.next() == Some("bytes") && words.next() == Some("for")
        })
    };
    sized("no room for ") || sized("uploading ") || message.contains("could not be opened: ")
}
