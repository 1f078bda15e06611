//! `secateur predict`
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use secateur::data::{Dataset, Schema, Task};
use secateur::session::Prediction;
use secateur::storage::{check_output, replace};
use serde::Serialize;

use super::args::Predict;
use super::model::Trained;
use super::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    data: String,
    rows: usize,
    /// Extents of a row's answer.
    shape: Vec<usize>,
    output: String,
}

pub fn run(args: &Predict) -> Result<Verdict> {
    let trained = Trained::open(&args.model)?;
    if let Some(path) = &args.output {
        let name = path.display();
        let extension = path.extension().unwrap_or_default();
        ensure!(extension == "csv" || extension == "npy", "-o {name}: must end in .csv or .npy");
        check_output(path, args.force)?;
    }
    ensure!(
        args.output.is_some() || !args.common.json,
        "--json tells of a file; name it with -o, or leave out --json for the answers themselves"
    );
    ensure!(
        !args.data.options.has("drop_missing"),
        "--drop-missing would part the answers from the rows that they are for; fill in the values"
    );
    let (name, rows) = trained.rows(&args.data)?;
    let gpu = adapter::gpu(&args.common)?;
    let batch = if rows.is_text() { trained.batch(None, &rows) } else { args.batch };
    let session = trained.session(&gpu, batch, &rows, &name)?;
    let prediction = session.predict_dataset("output", &rows)?;
    let schema = session.schema().cloned().unwrap_or_else(|| rows.schema());
    let Some(path) = &args.output else {
        output::data(csv(&prediction, &schema, &rows).trim_end())?;
        return Ok(Verdict::Done);
    };
    write(path, &prediction, &schema, &rows)?;
    let report = Report {
        adapter: gpu.report().name.clone(),
        data: name,
        rows: prediction.rows,
        shape: prediction.shape.clone(),
        output: path.display().to_string(),
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        let rows = output::thousands(report.rows as u64);
        output::line(&format!("{rows} rows of {}: {}", report.data, report.output))?;
    }
    Ok(Verdict::Done)
}

fn write(path: &Path, prediction: &Prediction, schema: &Schema, rows: &Dataset) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => Ok(replace(path, csv(prediction, schema, rows).as_bytes())?),
        Some("npy") => Ok(replace(path, &npy(prediction))?),
        _ => bail!("-o {}: must end in .csv or .npy", path.display()),
    }
}

/// The values as they are: logits of classes and labels, or predicted numbers.
fn npy(prediction: &Prediction) -> Vec<u8> {
    let mut shape = format!("{},", prediction.rows);
    prediction.shape.iter().for_each(|extent| write!(shape, " {extent},").expect("a string"));
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and length are 10 bytes; the values begin at a multiple of 64.
    let padding = (10 + header.len() + 1).next_multiple_of(64) - (10 + header.len() + 1);
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    prediction.values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// A line a row: the class and the probability of each, the probability of each label, or the
/// predicted numbers. Of a text the character that follows each one.
fn csv(prediction: &Prediction, schema: &Schema, rows: &Dataset) -> String {
    let mut text = String::new();
    let mut line = |fields: Vec<String>| {
        text.push_str(&fields.join(","));
        text.push('\n');
    };
    let width = prediction.shape.iter().product::<usize>().max(1);
    match schema.task {
        Task::Classification { positions: 1, .. } if width > 1 => {
            let class =
                |c: usize| schema.class_names.get(c).map_or_else(|| c.to_string(), |n| quoted(n));
            line(
                ["class".to_owned()]
                    .into_iter()
                    .chain((0..width).map(|c| quoted(&format!("p_{}", plain(schema, c)))))
                    .collect(),
            );
            let probabilities = prediction.softmax();
            for (found, p) in prediction.classes().iter().zip(probabilities.chunks_exact(width)) {
                line(
                    [class(*found as usize)]
                        .into_iter()
                        .chain(p.iter().map(ToString::to_string))
                        .collect(),
                );
            }
        }
        Task::Classification { .. } => {
            let classes = prediction.classes();
            let positions = classes.len() / prediction.rows.max(1);
            line((1..=positions).map(|position| format!("class_{position}")).collect());
            let name = |&c: &u32| match rows.alphabet().and_then(|a| a.get(c as usize)) {
                Some(character) => quoted(&character.to_string()),
                None => c.to_string(),
            };
            for row in classes.chunks_exact(positions.max(1)) {
                line(row.iter().map(name).collect());
            }
        }
        task => {
            let flags = matches!(task, Task::MultiLabel { .. });
            let name = |i: usize| match schema.targets.get(i) {
                Some(name) => quoted(&if flags { format!("p_{name}") } else { name.clone() }),
                None => format!("output_{}", i + 1),
            };
            line((0..width).map(name).collect());
            let values = if flags { prediction.sigmoid() } else { prediction.values.clone() };
            for row in values.chunks_exact(width) {
                line(row.iter().map(ToString::to_string).collect());
            }
        }
    }
    text
}

fn plain(schema: &Schema, class: usize) -> String {
    schema.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// In quotes where the field holds what parts fields or lines.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
