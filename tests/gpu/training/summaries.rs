//! What a run tells a summary writer, and when.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secateur::checkpoint::newest;
use secateur::kernels::Pruned;
use secateur::optim::{Momentum, Optimizer};
use secateur::prune::MaskUpdateOp;
use secateur::storage::TensorData;
use secateur::train::histogram::Histogram;
use secateur::train::summary::{Hparam, SummaryWriter};
use secateur::train::{Event, StepEvent, Summaries, SummaryFn, TrainOptions, train};
use secateur::{Error, Gpu, Pruning, Result};

use super::{pruning, spec, steps, train_op};
use crate::common::gpu;
use crate::shared::Shared;

fn go(gpu: &Gpu, logdir: Option<&Path>, op: MaskUpdateOp, options: TrainOptions<'_>) -> Result<()> {
    train(train_op(gpu, Optimizer::adam(0.01)), logdir, op, options).map(|_| ())
}

/// What a writer was told: every call as a line, and the values.
#[derive(Default)]
pub struct Seen {
    lines: Vec<String>,
    /// By tag and step.
    pub scalars: BTreeMap<(String, u64), f32>,
    histograms: BTreeMap<String, Histogram>,
}

impl Seen {
    pub fn has_histogram(&self, tag: &str) -> bool {
        self.histograms.contains_key(tag)
    }
}

/// A writer that only remembers.
#[derive(Default)]
pub struct Notes {
    pub seen: Arc<Shared<Seen>>,
    /// Whether its disk is full.
    full: bool,
}

impl Notes {
    /// Into `seen`.
    pub fn of(seen: &Arc<Shared<Seen>>) -> Self {
        Self { seen: Arc::clone(seen), full: false }
    }

    fn line(&self, line: String) -> Result<()> {
        self.seen.borrow_mut().lines.push(line);
        Ok(())
    }
}

impl SummaryWriter for Notes {
    fn start(&mut self, step: u64) -> Result<()> {
        self.line(format!("start {step}"))
    }

    fn hparams(&mut self, hparams: &[(&str, Hparam)]) -> Result<()> {
        hparams.iter().try_for_each(|(name, value)| self.line(format!("hparam {name} {value:?}")))
    }

    fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()> {
        if self.full {
            let full = std::io::ErrorKind::StorageFull.into();
            return Err(Error::io("write", "events")(full));
        }
        self.seen.borrow_mut().scalars.insert((tag.to_owned(), step), value);
        self.line(format!("{tag} {step}"))
    }

    fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()> {
        self.seen.borrow_mut().histograms.insert(tag.to_owned(), histogram.clone());
        let count: u64 = histogram.counts.iter().sum();
        self.line(format!("{tag} {step}: {count}"))
    }

    fn checkpoint(&mut self, step: u64, path: &Path) -> Result<()> {
        assert!(path.is_dir());
        self.line(format!("checkpoint {step}"))
    }

    fn flush(&mut self) -> Result<()> {
        self.line("flush".to_owned())
    }

    fn close(&mut self, step: u64) -> Result<()> {
        self.line(format!("close {step}"))
    }
}

/// The lines that begin with `prefix`.
fn of<'a>(lines: &'a [String], prefix: &str) -> Vec<&'a str> {
    lines.iter().filter(|n| n.starts_with(prefix)).map(String::as_str).collect()
}

#[test]
fn a_writer_of_ones_own_gets_everything_and_the_logdir_no_events() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let notes = Notes::default();
    let seen = Arc::clone(&notes.seen);
    let options = steps(12)
        .summary_writer(Summaries::Own(Box::new(notes)))
        .save_summaries_steps(Some(5))
        .summary_op(Some(Box::new(|session, step, writer| {
            assert_eq!(session.weights("fc3.bias")?.len(), 3);
            writer.scalar("mine", step, 1.0)
        })));
    go(gpu, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    let seen = &seen.borrow().lines;
    let of = |prefix: &str| of(seen, prefix);
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
    let options = steps(3).summary_writer(Summaries::Off);
    go(gpu, Some(folder.path()), pruning(Pruned::Zero), options).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["LOCK", "ckpt-000000000003"]);
}

/// The layers differ in size, so a mean over them is not the share of all weights.
#[test]
fn summaries_hold_the_values_of_the_events() {
    let Some(gpu) = gpu() else { return };
    let (notes, events) = (Notes::default(), Shared::new(Vec::<StepEvent>::new()));
    let seen = Arc::clone(&notes.seen);
    let options = steps(20)
        .summary_writer(Summaries::Own(Box::new(notes)))
        .save_summaries_steps(Some(1))
        .on_event(Some(Box::new(|event| {
            if let Event::Step(step) = event {
                events.borrow_mut().push(step.clone());
            }
        })))
        // Nothing that is written lies closer together.
        .summary_op(Some(Box::new(|_, _, _| {
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        })));
    let spec = spec(Pruned::Freeze).name("mine".to_owned());
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    go(gpu, None, op, options).unwrap();
    let scalars = &seen.borrow().scalars;
    let value = |tag: &str, step: u64| scalars[&(tag.to_owned(), step)];
    let events = events.into_inner();
    assert_eq!((events.len(), events[0].seconds), (20, 0.0));
    for event in &events {
        let step = event.step;
        assert_eq!(value("loss", step), event.loss);
        assert_eq!(value("accuracy", step), event.accuracy().unwrap() as f32);
        assert_eq!(value("learning_rate", step), 0.01);
        if step > 1 {
            let rate = value("steps_per_second", step);
            assert!(
                event.seconds > 0.0 && rate > 0.0 && rate <= 200.0,
                "{step}: {rate} per second"
            );
        }
        let Some(masks) = &event.masks else { continue };
        let mine = |tag: &str| value(&format!("mine_summaries/{tag}"), step);
        assert_eq!(mine("sparsity"), masks.asked as f32);
        assert_eq!(mine("last_mask_update_step"), step as f32);
        for mask in &masks.tensors {
            let of = |what| mine(&format!("{}/{what}", mask.name));
            assert_eq!(of("mask/sparsity"), mask.sparsity as f32);
            assert_eq!(of("threshold"), mask.threshold);
        }
        let pruned = masks.tensors.iter().map(|m| m.sparsity * f64::from(m.len)).sum::<f64>();
        let total = masks.tensors.iter().map(|m| f64::from(m.len)).sum::<f64>();
        assert_eq!(mine("mask_sparsity"), (pruned / total) as f32);
    }
    assert_eq!(events.iter().filter(|e| e.masks.is_some()).count(), 7, "3, 6, ... 18, and 16");
}

/// By the clock never, or at every step: the first at once and the last in any case.
#[test]
fn summaries_by_the_clock() {
    let Some(gpu) = gpu() else { return };
    for (seconds, written) in [(0.0, vec![1, 4]), (1e-9, vec![1, 2, 3, 4])] {
        let notes = Notes::default();
        let seen = Arc::clone(&notes.seen);
        let options =
            steps(4).summary_writer(Summaries::Own(Box::new(notes))).save_summaries_secs(seconds);
        go(gpu, None, MaskUpdateOp::none(), options).unwrap();
        let want: Vec<String> = written.iter().map(|step| format!("loss {step}")).collect();
        let lines = &seen.borrow().lines;
        assert_eq!(of(lines, "loss"), want);
        // Each can be seen at once, as can the start.
        assert_eq!(of(lines, "flush").len(), written.len() + 1);
    }
}

/// Magnitudes are those of raw values, which are not zero where pruned; a threshold of anything but
/// |w| divides nothing.
#[test]
fn histograms_of_magnitudes_have_an_edge_at_a_threshold_of_magnitudes() {
    let Some(gpu) = gpu() else { return };
    for (more, divided) in [
        ("score=magnitude", true),
        ("score=saliency", false),
        ("block_width=3", false),
        ("pattern=channel,last_layer_sparsity=0.5", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes::default();
        let seen = Arc::clone(&notes.seen);
        let writer = Summaries::Own(Box::new(notes));
        let options = steps(12).summary_writer(writer);
        let text = format!("{more},schedule=constant,pruning_frequency=3,pruned=revive");
        let op = Pruning::new(text.parse().unwrap()).unwrap().conditional_mask_update_op();
        go(gpu, Some(folder.path()), op, options).unwrap();
        let found = newest(folder.path()).unwrap().unwrap();
        let threshold = found.optimizer.iter().find(|t| t.name == "fc2.weight/threshold").unwrap();
        let TensorData::F32(threshold) = &threshold.data else { panic!("thresholds are f32") };
        let all = &seen.borrow().histograms;
        let (weights, magnitudes) = (&all["fc2.weight"], &all["fc2.weight/magnitude"]);
        assert!(weights.min < 0.0 && magnitudes.min > 0.0, "{more}: {magnitudes:?}");
        let edge = magnitudes.limits.contains(&f64::from(threshold[0]));
        assert!(edge == divided && threshold[0] > 0.0, "{more}: {threshold:?} {magnitudes:?}");
    }
}

#[test]
fn hyperparameters_keep_their_kinds() {
    let Some(gpu) = gpu() else { return };
    let notes = Notes::default();
    let seen = Arc::clone(&notes.seen);
    let writer = Summaries::Own(Box::new(notes));
    let options = steps(1).summary_writer(writer);
    let optimizer = Optimizer::Momentum(Momentum::new(0.1).nesterov(true));
    train(train_op(gpu, optimizer), None, MaskUpdateOp::none(), options).unwrap();
    let lines = &seen.borrow().lines;
    assert_eq!(of(lines, "hparam optimizer.nesterov"), ["hparam optimizer.nesterov Bool(true)"]);
    assert_eq!(of(lines, "hparam optimizer.lr"), ["hparam optimizer.lr Number(0.1)"]);
}

/// A full disk costs the summaries, anything else of a writer's or of `summary_op` the run.
#[test]
fn which_errors_of_a_writer_end_the_run() {
    let Some(gpu) = gpu() else { return };
    let run = |writer: Notes, summary_op: SummaryFn<'static>| {
        let summary_writer = Summaries::Own(Box::new(writer));
        let summary_op = Some(summary_op);
        go(
            gpu,
            None,
            MaskUpdateOp::none(),
            steps(3).summary_writer(summary_writer).summary_op(summary_op),
        )
    };
    run(Notes { full: true, ..Default::default() }, Box::new(|_, _, _| Ok(()))).unwrap();
    let error = run(Notes::default(), Box::new(|_, _, _| Err(Error::argument("mine", "no"))));
    assert!(error.unwrap_err().to_string().contains("mine"));
    let error = run(Notes::default(), Box::new(|_, _, _| panic!("no"))).unwrap_err();
    assert!(matches!(error, Error::Panicked { what: "summary_op", .. }), "{error}");
}
