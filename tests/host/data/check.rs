//! A malformed batch is refused before it is uploaded: each rule, and where it is broken.
use super::fails;
use secateur::data::{Batch, Task};

const CLASSES: Task = Task::Classification { classes: 3, positions: 2 };
const FLAGS: Task = Task::MultiLabel { labels: 2 };
const VALUES: Task = Task::Regression { outputs: 2 };

/// A batch of 4 rows of 3 features, 3 of them valid.
fn batch(task: Task) -> Batch {
    let mut batch = Batch::default();
    batch.features = vec![0.5; 12];
    batch.labels = vec![2; 4 * task.positions()];
    batch.targets = vec![1.0; 4 * task.targets()];
    batch.rows = 3;
    batch
}

/// What `change` makes of it is refused in these words.
fn refused(task: Task, change: impl FnOnce(&mut Batch), parts: &[&str]) {
    let mut batch = batch(task);
    batch.check("shards", 7, 4, 3, task).unwrap();
    change(&mut batch);
    let mut all = vec!["batch 7 of `shards`: "];
    all.extend(parts);
    fails(batch.check("shards", 7, 4, 3, task), &all);
}

#[test]
fn good_batches_pass() {
    for task in [CLASSES, FLAGS, VALUES, Task::Unlabelled] {
        for rows in 0..=4 {
            let mut batch = batch(task);
            batch.rows = rows;
            batch.check("shards", 1, 4, 3, task).unwrap();
        }
    }
    let mut all = batch(VALUES);
    all.features =
        vec![f32::MAX, f32::MIN, 0.0, -0.0, f32::MIN_POSITIVE, 1e-45, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    all.targets = vec![f32::MAX, f32::MIN, -0.0, 1e-45, -1.0, 2.0, 1.5, 9.0];
    all.check("shards", 1, 4, 3, VALUES).unwrap();
}

#[test]
fn rows_and_lengths_are_counted() {
    refused(CLASSES, |b| b.rows = 5, &["has 5 valid rows, the batch size is 4"]);
    refused(CLASSES, |b| b.features.truncate(9), &["has 9 features, 4 rows of 3 need 12"]);
    refused(CLASSES, |b| b.features.push(0.0), &["has 13 features", "need 12"]);
    refused(CLASSES, |b| b.labels.truncate(6), &["has 6 labels, 4 rows of 2 need 8"]);
    refused(CLASSES, |b| b.targets.push(0.0), &["has 1 targets, 4 rows of 0 need 0"]);
    refused(FLAGS, |b| b.targets.truncate(7), &["has 7 targets, 4 rows of 2 need 8"]);
    refused(VALUES, |b| b.targets.clear(), &["has 0 targets", "need 8 (regression of 2 values)"]);
    refused(VALUES, |b| b.labels.push(0), &["has 1 labels, 4 rows of 0 need 0"]);
    refused(Task::Unlabelled, |b| b.labels.push(0), &["has 1 labels", "rows without answers"]);
    refused(Task::Unlabelled, |b| b.targets.push(0.0), &["has 1 targets"]);
}

#[test]
fn labels_are_classes() {
    let beyond = "row 2, position 1: label 3 must be below 3";
    refused(CLASSES, |b| b.labels[5] = 3, &[beyond]);
    refused(CLASSES, |b| b.labels[0] = u32::MAX, &["row 0, position 0: label 4294967295"]);
    // Of the padding too: it is uploaded.
    refused(CLASSES, |b| b.labels[7] = 4, &["row 3, position 1: label 4 must be below 3"]);
}

#[test]
fn features_and_targets_are_finite() {
    let values = [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")];
    for (value, name) in values {
        for task in [CLASSES, FLAGS, VALUES, Task::Unlabelled] {
            let feature = format!("row 1, feature 2 is {name}, must be finite");
            refused(task, |b| b.features[5] = value, &[&feature]);
        }
        let target = format!("row 3, target 1 is {name}, must be finite");
        refused(VALUES, |b| b.targets[7] = value, &[&target]);
        let flag = format!("row 0, target 1 is {name}, must be in 0 to 1");
        refused(FLAGS, |b| b.targets[1] = value, &[&flag]);
    }
    refused(FLAGS, |b| b.targets[2] = 1.0001, &["row 1, target 0 is 1.0001, must be in 0 to 1"]);
    refused(FLAGS, |b| b.targets[4] = -0.1, &["row 2, target 0 is -0.1, must be in 0 to 1"]);
}

/// The first fault is found wherever it is: values are looked at in chunks.
#[test]
fn every_place_is_looked_at() {
    for at in [0, 1, 254, 255, 256, 257, 511, 512, 998, 999] {
        let mut batch = Batch::default();
        batch.features = vec![0.0; 1000];
        batch.features[at] = f32::NAN;
        let wanted = format!("row {at}, feature 0 is NaN");
        fails(batch.check("s", 1, 1000, 1, Task::Unlabelled), &[&wanted]);
    }
}
