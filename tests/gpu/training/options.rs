//! What a run starts from, whom it tells, and what an error leaves behind.
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use secateur::data::{Batch, BatchSource, Batches, Cursor};
use secateur::kernels::Pruned;
use secateur::optim::Optimizer;
use secateur::prune::MaskUpdateOp;
use secateur::train::checkpoint::newest;
use secateur::train::histogram::Histogram;
use secateur::train::summary::{Hparam, SummaryWriter};
use secateur::train::{InitOp, Summaries, TrainOp, TrainOptions, TrainOutcome, train};
use secateur::{Error, Gpu, Model, Result};

use super::{MODEL, SEED, blobs, pruning, train_op};
use crate::common::gpu;

const ADAM: fn() -> Optimizer = || Optimizer::adam(0.01);

fn go(gpu: &Gpu, logdir: Option<&Path>, options: TrainOptions<'_>) -> Result<TrainOutcome> {
    train(train_op(gpu, ADAM()), logdir, pruning(Pruned::Zero), options)
}

fn steps(number: u64) -> TrainOptions<'static> {
    TrainOptions { number_of_steps: Some(number), ..Default::default() }
}

#[test]
fn without_an_init_op_every_value_must_come_from_somewhere() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let some = || TrainOptions {
        init_op: InitOp::Off,
        init_feed_dict: vec![("fc1.bias".into(), vec![0.0; 20])],
        init_fn: Some(Box::new(|session| session.set_weights("fc3.bias", &[0.0; 3]))),
        ..steps(4)
    };
    let error = go(gpu, Some(folder.path()), some()).unwrap_err();
    assert!(matches!(&error, Error::Argument { name, .. } if name == "ready_op"), "{error}");
    let text = error.to_string();
    for (name, missing) in [
        ("fc1.weight", true),
        ("fc1.bias", false),
        ("fc2.weight", true),
        ("fc2.bias", true),
        ("fc3.weight", true),
        ("fc3.bias", false),
    ] {
        assert_eq!(text.contains(name), missing, "{name}: {text}");
    }
    // A checkpoint has them all.
    go(gpu, Some(folder.path()), steps(3)).unwrap();
    assert_eq!(go(gpu, Some(folder.path()), some()).unwrap().global_step, 4);
}

#[test]
fn a_network_that_is_not_ready_trains_no_step() {
    let Some(gpu) = gpu() else { return };
    let options = TrainOptions {
        ready_op: Some(Box::new(|session| match session.weights("fc3.bias")?[0] {
            0.5 => Ok(()),
            other => Err(Error::argument("fc3.bias", format!("{other} is not 0.5"))),
        })),
        ..steps(2)
    };
    let error = go(gpu, None, options).unwrap_err();
    assert!(error.to_string().contains("0 is not 0.5"), "{error}");
}

/// Notes what it is told.
#[derive(Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl SummaryWriter for Notes {
    fn start(&mut self, step: u64) -> Result<()> {
        self.0.borrow_mut().push(format!("start {step}"));
        Ok(())
    }

    fn hparams(&mut self, hparams: &[(&str, Hparam)]) -> Result<()> {
        for (name, value) in hparams {
            self.0.borrow_mut().push(format!("hparam {name} {value:?}"));
        }
        Ok(())
    }

    fn scalar(&mut self, tag: &str, step: u64, _: f32) -> Result<()> {
        self.0.borrow_mut().push(format!("{tag} {step}"));
        Ok(())
    }

    fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()> {
        let count: u64 = histogram.counts.iter().sum();
        self.0.borrow_mut().push(format!("{tag} {step}: {count}"));
        Ok(())
    }

    fn checkpoint(&mut self, step: u64, path: &Path) -> Result<()> {
        assert!(path.is_dir());
        self.0.borrow_mut().push(format!("checkpoint {step}"));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self, step: u64) -> Result<()> {
        self.0.borrow_mut().push(format!("close {step}"));
        Ok(())
    }
}

#[test]
fn a_writer_of_ones_own_gets_everything_and_the_logdir_no_events() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let notes = Notes::default();
    let seen = Rc::clone(&notes.0);
    let options = TrainOptions {
        summary_writer: Summaries::Own(Box::new(notes)),
        save_summaries_steps: Some(5),
        summary_op: Some(Box::new(|session, step, writer| {
            assert_eq!(session.weights("fc3.bias")?.len(), 3);
            writer.scalar("mine", step, 1.0)
        })),
        ..steps(12)
    };
    go(gpu, Some(folder.path()), options).unwrap();
    let seen = seen.borrow();
    let of = |prefix: &str| {
        seen.iter().filter(|n| n.starts_with(prefix)).map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(seen[0], "start 1");
    assert_eq!(seen.last().unwrap(), "close 12");
    // First at once, then every 5, and at the end.
    assert_eq!(of("loss"), ["loss 1", "loss 5", "loss 10", "loss 12"]);
    assert_eq!(of("mine"), ["mine 1", "mine 5", "mine 10", "mine 12"]);
    assert_eq!(of("checkpoint "), ["checkpoint 12"]);
    assert_eq!(of("checkpoint/s"), ["checkpoint/seconds 12", "checkpoint/stall_seconds 12"]);
    assert_eq!(of("fc2.weight"), ["fc2.weight 12: 260", "fc2.weight/magnitude 12: 260"]);
    assert_eq!(of("fc2.bias"), ["fc2.bias 12: 13"]);
    let threshold = "model_pruning_summaries/fc1.weight/threshold";
    assert_eq!(of(threshold), [3, 6, 9, 12].map(|step| format!("{threshold} {step}")));
    for hparam in [
        "hparam model Text(\"mlp:20-13\")",
        "hparam batch Number(16.0)",
        "hparam seed Number(5.0)",
        "hparam optimizer.name Text(\"adam\")",
        "hparam optimizer.lr Number(0.01)",
        "hparam pruning.target_sparsity Number(0.8)",
    ] {
        assert!(seen.iter().any(|n| n == hparam), "{hparam}: {seen:?}");
    }
    let events = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = events.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.starts_with("events")), "{names:?}");
}

#[test]
fn no_summaries_and_no_events() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { summary_writer: Summaries::Off, ..steps(3) };
    go(gpu, Some(folder.path()), options).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["LOCK", "ckpt-000000000003"]);
}

/// A source that fails at its 8th batch.
struct Breaks(Batches, u64, fn() -> Result<bool>);

impl BatchSource for Breaks {
    fn batch_size(&self) -> usize {
        self.0.batch_size()
    }

    fn width(&self) -> usize {
        self.0.width()
    }

    fn classes(&self) -> u32 {
        self.0.classes()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.1 += 1;
        if self.1 == 8 { self.2() } else { self.0.next_batch(batch) }
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.0.seek(cursor)
    }
}

/// Whatever fails, the steps before it are saved.
#[test]
fn an_error_leaves_a_checkpoint() {
    let Some(gpu) = gpu() else { return };
    let panics: fn() -> Result<bool> = || panic!("no data");
    let fails: fn() -> Result<bool> = || Err(Error::argument("shard-7", "no such file"));
    for (breaks, text) in [(panics, "`batches` panicked: no data"), (fails, "shard-7")] {
        let folder = tempfile::tempdir().unwrap();
        let batches = Breaks(Batches::new(blobs(), 16, Some(SEED)).unwrap(), 0, breaks);
        let op = TrainOp::new(gpu, &Model::mlp(&MODEL), ADAM(), batches, SEED).unwrap();
        let error = train(op, Some(folder.path()), MaskUpdateOp::none(), steps(20)).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        let found = newest(folder.path()).unwrap().unwrap();
        assert_eq!(found.manifest.global_step, 7, "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions {
        on_event: Some(Box::new(|event| {
            assert!(!format!("{event:?}").contains("step: 5,"), "seen enough");
        })),
        ..steps(20)
    };
    let error = go(gpu, Some(folder.path()), options).unwrap_err();
    assert!(error.to_string().contains("`on_event` panicked: seen enough"), "{error}");
    let found = newest(folder.path()).unwrap().unwrap();
    assert!((5..=8).contains(&found.manifest.global_step), "{}", found.manifest.global_step);
}

/// A diverging run ends before a bad value is saved.
#[test]
fn what_is_not_finite_is_never_saved() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { save_every_n_steps: Some(1), ..steps(400) };
    let op = train_op(gpu, Optimizer::Sgd { lr: 1e30, weight_decay: 0.0 });
    let error = train(op, Some(folder.path()), MaskUpdateOp::none(), options).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    if let Some(found) = newest(folder.path()).unwrap() {
        let values = found.model.iter().map(|t| format!("{:?}", t.data));
        assert!(values.into_iter().all(|v| !v.contains("NaN") && !v.contains("inf")));
    }
}

#[test]
fn a_resumed_run_knows_when_it_was_first_begun() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let begun = |number| {
        go(gpu, Some(folder.path()), steps(number)).unwrap();
        let manifest = newest(folder.path()).unwrap().unwrap().manifest;
        assert!(manifest.begun_unix > 0 && manifest.created_unix >= manifest.begun_unix);
        manifest.begun_unix
    };
    let first = begun(3);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(begun(6), first);
}
