//! `secateur eval FOLDER --data images:DIR`
use std::time::Instant;

use anyhow::{Result, ensure};
use secateur::data::Pictures;
use secateur::error::Bytes;
use secateur::pretrained::{Classified, MatchedBy, Rows};
use serde::Serialize;

use super::images::Images;
use super::{Opened, bar, chunk};
use crate::cli::args::Eval;
use crate::cli::measured::Figure;
use crate::cli::speed::Latencies;
use crate::cli::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
pub struct Report {
    adapter: String,
    backend: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_step: Option<u64>,
    data: String,
    rows: u64,
    classes: u32,
    /// What said which class a folder is of.
    classes_by: MatchedBy,
    /// What became of pictures before the model saw them.
    images: String,
    test_loss: f64,
    test_accuracy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_top_5_accuracy: Option<f64>,
    seconds: f64,
    images_per_second: f64,
    device_bytes: u64,
    #[serde(flatten)]
    latencies: Option<Latencies>,
}

pub fn run(args: &Eval, opened: &Opened) -> Result<Verdict> {
    let report = measured(args, opened)?;
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Verdict::of(Some(report.test_accuracy), args.min_test_accuracy)
}

impl Report {
    /// What the model is measured by.
    pub fn figures(&self) -> Vec<Figure> {
        let accuracy = Figure {
            name: "test accuracy".to_owned(),
            value: self.test_accuracy,
            text: output::percent(self.test_accuracy),
        };
        vec![accuracy, Figure::new("test loss", self.test_loss, 4)]
    }
}

/// How often the model is right.
pub fn measured(args: &Eval, opened: &Opened) -> Result<Report> {
    let model = &opened.model;
    ensure!(
        args.samples.is_none() && args.stride.is_none(),
        "--samples and --stride are for language models"
    );
    let classes = model.classes()?;
    let images = Images::open(model, &args.data, Pictures::to_test)?;
    let Pictures { files, classes: folders, labels, .. } = &images.pictures;
    ensure!(
        !folders.is_empty(),
        "{} has pictures without classes: a folder for each class holds its own; secateur predict \
         says what the model makes of them",
        images.name
    );
    let matched = model.classes_called(folders)?;
    let taken = match matched.by {
        MatchedBy::Name => None,
        MatchedBy::Number => Some("as the numbers of its classes"),
        MatchedBy::Order => Some("as its classes in their order"),
    };
    if let Some(taken) = taken {
        let count = folders.len();
        output::note(format_args!(
            "no folder is called like a class of the model: the {count} folders are taken {taken}"
        ));
    }
    let gpu = adapter::gpu(&args.common)?;
    let (bar, begun) = (bar("images"), Instant::now());
    bar.set_length(files.len() as u64);
    let (mut classified, mut device_bytes) = (Classified::default(), 0);
    let (chunk, batch) = chunk(model, 1, args.batch)?;
    for (files, labels) in files.chunks(chunk).zip(labels.chunks(chunk)) {
        let pixels = images.prepared(files)?;
        let outputs = model.outputs_by(&gpu, Rows::Images(&pixels), batch)?;
        device_bytes = device_bytes.max(outputs.device_bytes);
        for (logits, &folder) in outputs.rows.iter().zip(labels) {
            classified.add(logits, matched.classes[folder as usize]);
        }
        bar.inc(files.len() as u64);
    }
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let latencies = args.latencies.map(|n| {
        let pixels = images.prepared(&files[..files.len().min(batch as usize)])?;
        let times = model.latencies(&gpu, Rows::Images(&pixels), batch, n)?;
        Ok::<_, anyhow::Error>(Latencies::new(batch as usize, &times))
    });
    Ok(Report {
        adapter: gpu.report().name.clone(),
        backend: gpu.report().backend.clone(),
        model: opened.name.clone(),
        global_step: opened.global_step,
        data: images.name.clone(),
        rows: classified.rows,
        classes,
        classes_by: matched.by,
        images: images.preparation.to_string(),
        test_loss: classified.loss(),
        test_accuracy: classified.accuracy(),
        test_top_5_accuracy: (classes > 5).then(|| classified.top_5_accuracy()),
        seconds,
        images_per_second: classified.rows as f64 / seconds,
        device_bytes,
        latencies: latencies.transpose()?,
    })
}

fn print(report: &Report) -> Result<()> {
    let rows = output::thousands(report.rows);
    let mut facts = vec![
        ("model", report.model.clone()),
        ("data", format!("{}, {rows} images, {} classes", report.data, report.classes)),
        ("images", report.images.clone()),
        ("test accuracy", output::percent(report.test_accuracy)),
    ];
    facts.extend(report.test_top_5_accuracy.map(|top| ("among top 5", output::percent(top))));
    let (speed, seconds) = (report.images_per_second, report.seconds);
    facts.extend([
        ("test loss", format!("{:.4}", report.test_loss)),
        ("speed", format!("{speed:.1} images/s, {seconds:.1} s")),
    ]);
    facts.extend(report.latencies.as_ref().map(|latencies| ("latency", latencies.fact().1)));
    facts.extend([
        ("device memory", Bytes(report.device_bytes).to_string()),
        ("adapter", format!("{} ({})", report.adapter, report.backend)),
    ]);
    for (name, value) in facts {
        output::line(&format!("{name:<14} {value}"))?;
    }
    Ok(())
}
