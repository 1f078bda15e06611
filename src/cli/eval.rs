//! `secateur eval`
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use secateur::data::Task;
use serde::Serialize;

use super::args::Eval;
use super::figures::{Figured, line_of};
use super::model::Trained;
use super::speed::Speed;
use super::{Verdict, adapter, output, pretrained};

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    checkpoint: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_step: Option<u64>,
    data: String,
    rows: u64,
    /// Weights that are packed on the device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packed: Vec<String>,
    test_loss: f64,
    /// `test_accuracy` and the like.
    #[serde(flatten)]
    figures: Figured,
    #[serde(flatten)]
    speed: Speed,
}

pub fn run(args: &Eval) -> Result<Verdict> {
    if pretrained::is_folder(&args.checkpoint) || pretrained::is_run(&args.checkpoint) {
        args.weights.check_folder()?;
    }
    if let Some(opened) = pretrained::open(&args.checkpoint, &args.data)? {
        return pretrained::eval(args, &opened);
    }
    ensure!(
        args.samples.is_none() && args.stride.is_none(),
        "--samples and --stride are for the folder of a pretrained language model"
    );
    let trained = Trained::open(&args.checkpoint)?;
    let (name, rows) = trained.rows(&args.data)?;
    ensure!(
        rows.task() != Task::Unlabelled,
        "{name} has rows without answers; secateur predict says what the network answers"
    );
    let gpu = adapter::gpu(&args.common)?;
    let batch = trained.batch(args.batch, &rows);
    let session = trained.session(&gpu, batch, (&rows, &name), args.weights.into())?;
    let begun = Instant::now();
    let evaluation = session.evaluate(&rows)?;
    let speed = Speed::of(&session, &rows, batch, begun.elapsed().as_secs_f64())?;
    let report = Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        checkpoint: trained.file.path.clone(),
        global_step: trained.file.global_step,
        data: name,
        rows: evaluation.rows,
        packed: session.packed_weights().iter().map(|(name, _)| (*name).to_owned()).collect(),
        test_loss: evaluation.loss,
        figures: Figured::new("test", &evaluation.figures),
        speed,
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        let part = match (&args.data.data, rows.is_text()) {
            (None, _) => " kept for testing",
            (Some(_), true) => ", all of it",
            (Some(_), false) => "",
        };
        let mut facts = vec![
            ("checkpoint".to_owned(), report.checkpoint.display().to_string()),
            (
                "data".to_owned(),
                format!("{}, {} rows{part}", report.data, output::thousands(report.rows)),
            ),
        ];
        if !report.packed.is_empty() {
            facts.push(("packed".to_owned(), report.packed.join(", ")));
        }
        facts.extend(evaluation.figures.iter().map(|figure| line_of("test", figure)));
        facts.push(("test loss".to_owned(), format!("{:.4}", report.test_loss)));
        facts.extend(report.speed.facts());
        facts.push(("adapter".to_owned(), format!("{} ({})", report.adapter, report.backend)));
        for (name, value) in facts {
            output::line(&format!("{name:<14} {value}"))?;
        }
    }
    Verdict::of(evaluation.accuracy(), args.min_test_accuracy)
}
