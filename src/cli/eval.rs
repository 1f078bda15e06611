//! `secateur eval`
use std::path::PathBuf;

use anyhow::Result;
use secateur::prune::MaskUpdateOp;
use serde::Serialize;

use super::args::Eval;
use super::{Verdict, data, output, trained};

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    checkpoint: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_step: Option<u64>,
    data: String,
    test_loss: f64,
    test_accuracy: f64,
}

pub fn run(args: &Eval) -> Result<Verdict> {
    let trained = trained::load(&args.checkpoint)?;
    let data_name = trained.data(args.data.as_ref())?;
    let data = data::open(&data_name, trained.length(args.length))?;
    let gpu = data::gpu(&args.common)?;
    let session =
        trained.session(&gpu, &data, trained.batch(args.batch, &data), &MaskUpdateOp::none())?;
    let evaluation = session.evaluate(&data.test)?;
    let report = Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        checkpoint: trained.path,
        global_step: trained.global_step,
        data: data_name,
        test_loss: evaluation.loss,
        test_accuracy: evaluation.accuracy,
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        let facts = [
            ("checkpoint", report.checkpoint.display().to_string()),
            ("data", report.data.clone()),
            ("test accuracy", output::percent(report.test_accuracy)),
            ("test loss", format!("{:.4}", report.test_loss)),
            ("adapter", format!("{} ({})", report.adapter, report.backend)),
        ];
        for (name, value) in facts {
            output::line(&format!("{name:<14} {value}"))?;
        }
    }
    Ok(Verdict::of(report.test_accuracy, args.min_test_accuracy))
}
