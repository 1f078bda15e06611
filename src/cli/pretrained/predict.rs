//! `secateur predict FOLDER`: what a pretrained model says of pictures, or makes of texts.
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use secateur::data::{Pictures, Schema, Task};
use secateur::gpu::Gpu;
use secateur::pretrained::{Answer, Input, Pooling, Pretrained, Rows};
use secateur::session::Prediction;

use super::images::Images;
use super::texts::Texts;
use super::{bar, chunk};
use crate::cli::args::Predict;
use crate::cli::predict::{Answers, Report, check, told};
use crate::cli::speed::{Latencies, Speed};
use crate::cli::{Verdict, adapter, output};

/// What is answered, of which rows.
struct Answered {
    /// As `--data` has it.
    data: String,
    prediction: Prediction,
    /// The pictures' files.
    files: Vec<String>,
    cut: Option<usize>,
    /// How a text's vector is made.
    embedding: Option<String>,
    speed: Speed,
}

pub fn run(args: &Predict, model: &Pretrained) -> Result<Verdict> {
    check(args)?;
    let (task, path) = (model.task()?, model.path().display());
    if model.architecture().answer() == Answer::NextToken {
        bail!(
            "{path} is a language model, which answers with the next token of each; secateur eval \
             says its perplexity on a text"
        );
    }
    let (gpu, answered) = match model.architecture().input() {
        Input::Images { .. } => images(args, model)?,
        _ => texts(args, model, task)?,
    };
    let mut schema = Schema::default();
    schema.task = task;
    schema.class_names = model.class_names();
    if task == Task::Unlabelled {
        let width = answered.prediction.shape[0];
        schema.targets = (1..=width).map(|i| format!("embedding_{i}")).collect();
    }
    let Answered { data, prediction, files, cut, embedding, speed } = answered;
    let answers =
        Answers { prediction: &prediction, schema: &schema, alphabet: None, files: &files };
    let report = Report {
        adapter: gpu.report().name.clone(),
        data,
        rows: prediction.rows,
        shape: prediction.shape.clone(),
        output: String::new(),
        cut,
        embedding,
        speed: Some(speed),
    };
    told(args, &answers, report)
}

fn images(args: &Predict, model: &Pretrained) -> Result<(Gpu, Answered)> {
    let images = Images::open(model, &args.data, Pictures::to_test)?;
    let gpu = adapter::gpu(&args.common)?;
    let files = &images.pictures.files;
    let (bar, begun) = (bar("images"), Instant::now());
    bar.set_length(files.len() as u64);
    let (chunk, batch) = chunk(model, 1, args.batch)?;
    let mut rows = Vec::with_capacity(files.len());
    for files in files.chunks(chunk) {
        let pixels = images.prepared(files)?;
        rows.extend(model.outputs_by(&gpu, Rows::Images(&pixels), batch)?.rows);
        bar.inc(files.len() as u64);
    }
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let latencies = args.latencies.map(|n| {
        let pixels = images.prepared(&files[..files.len().min(batch as usize)])?;
        let times = model.latencies(&gpu, Rows::Images(&pixels), batch, n)?;
        Ok::<_, anyhow::Error>(Latencies::new(batch as usize, &times))
    });
    let speed = Speed::new(rows.len(), seconds, latencies.transpose()?);
    output::note(format_args!("images: {}", images.preparation));
    let dir = images.name.strip_prefix("images:").map_or(Path::new(""), Path::new);
    let files = images.pictures.names(dir);
    let prediction = Prediction::of(&rows);
    let data = images.name.clone();
    Ok((gpu, Answered { data, prediction, files, cut: None, embedding: None, speed }))
}

fn texts(args: &Predict, model: &Pretrained, task: Task) -> Result<(Gpu, Answered)> {
    let pooling = (task == Task::Unlabelled).then(|| model.pooling()).transpose()?;
    let texts = Texts::open(model, &args.data)?;
    let gpu = adapter::gpu(&args.common)?;
    // Like lengths go together, so that little of a batch is padding.
    let mut order: Vec<usize> = (0..texts.rows.len()).collect();
    order.sort_by_key(|&i| texts.rows[i].ids.len());
    let (bar, begun) = (bar("texts"), Instant::now());
    bar.set_length(order.len() as u64);
    let mut rows = vec![Vec::new(); order.len()];
    let mut left = &order[..];
    while !left.is_empty() {
        let (mut count, batch) = chunk(model, texts.rows[left[0]].ids.len() as u32, args.batch)?;
        count = count.min(left.len());
        // The last one is the longest.
        let longest = texts.rows[left[count - 1]].ids.len() as u32;
        count = count.min(chunk(model, longest, args.batch)?.0);
        let (now, rest) = left.split_at(count);
        let filled = texts.filled(now);
        let outputs = model.outputs_by(&gpu, Rows::Padded(&filled), batch)?.rows;
        for ((&i, text), output) in now.iter().zip(&filled).zip(outputs) {
            rows[i] = pooled(pooling.as_ref(), &output, &text.seen);
        }
        left = rest;
        bar.inc(now.len() as u64);
    }
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let latencies = args.latencies.map(|n| {
        let batch = args.batch.unwrap_or(16).min(order.len());
        let times =
            model.latencies(&gpu, Rows::Padded(&texts.filled(&order[..batch])), batch as u32, n)?;
        Ok::<_, anyhow::Error>(Latencies::new(batch, &times))
    });
    let speed = Speed::new(rows.len(), seconds, latencies.transpose()?);
    let embedding = pooling.map(|pooling| pooling.to_string());
    if let Some(how) = &embedding {
        output::note(format_args!("a text's vector is {how}"));
    }
    let (data, cut, prediction) = (texts.name.clone(), Some(texts.cut), Prediction::of(&rows));
    Ok((gpu, Answered { data, prediction, files: Vec::new(), cut, embedding, speed }))
}

fn pooled(pooling: Option<&Pooling>, output: &[f32], seen: &[bool]) -> Vec<f32> {
    pooling.map_or_else(|| output.to_vec(), |pooling| pooling.pooled(output, seen))
}
