//! `secateur predict`
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use secateur::Error;
use secateur::data::{Pictures, Schema, Task};
use secateur::session::Prediction;
use secateur::storage::{check_output, replace};
use serde::Serialize;

use super::args::Predict;
use super::model::Trained;
use super::speed::Speed;
use super::{Verdict, adapter, output, pretrained};

#[derive(Debug, Serialize)]
pub struct Report {
    pub adapter: String,
    pub data: String,
    pub rows: usize,
    /// Extents of a row's answer.
    pub shape: Vec<usize>,
    pub output: String,
    /// Of a pretrained model, how many texts lost their ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<usize>,
    /// Of a pretrained model without a head, how a text's vector is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<String>,
    /// Of a network of secateur's own.
    #[serde(flatten)]
    pub speed: Option<Speed>,
}

/// What is answered, and what the answers are.
pub struct Answers<'a> {
    pub prediction: &'a Prediction,
    pub schema: &'a Schema,
    /// Of a text of characters.
    pub alphabet: Option<&'a [char]>,
    /// The file that each row is, where it is one.
    pub files: &'a [String],
}

/// Rows in a batch, where nothing says how many.
const BATCH: usize = 256;

pub fn run(args: &Predict) -> Result<Verdict> {
    if pretrained::is_folder(&args.model) || pretrained::is_run(&args.model) {
        args.weights.check_folder()?;
    }
    if let Some(opened) = pretrained::open(&args.model, &args.data)? {
        return pretrained::predict(args, &opened.model);
    }
    let trained = Trained::open(&args.model)?;
    check(args)?;
    ensure!(
        !args.data.options.has("drop_missing"),
        "--drop-missing would part the answers from the rows that they are for; fill in the values"
    );
    let (name, rows) = trained.rows(&args.data).map_err(of_all_rows)?;
    // Of pictures that were named, not of a run's own, whose rows to test on are drawn.
    let dir = args.data.data.as_deref().and_then(|name| name.strip_prefix("images:"));
    let files = match dir.map(Path::new) {
        Some(dir) => Pictures::to_test(dir)?.names(dir),
        None => Vec::new(),
    };
    let gpu = adapter::gpu(&args.common)?;
    let batch = match rows.is_text() {
        true => trained.batch(None, &rows),
        false => args.batch.unwrap_or(BATCH),
    };
    let session = trained.session(&gpu, batch, (&rows, &name), args.weights.into())?;
    let begun = Instant::now();
    let prediction = session.predict_dataset("output", &rows)?;
    let seconds = begun.elapsed().as_secs_f64();
    // Answers on standard output have no place for it.
    let asked = args.output.is_some();
    let speed = asked.then(|| Speed::of(&session, &rows, batch, seconds)).transpose()?;
    let schema = session.schema().cloned().unwrap_or_else(|| rows.schema());
    let report = Report {
        adapter: gpu.report().name.clone(),
        data: name,
        rows: prediction.rows,
        shape: prediction.shape.clone(),
        output: String::new(),
        cut: None,
        embedding: None,
        speed,
    };
    let alphabet = rows.alphabet();
    told(
        args,
        &Answers { prediction: &prediction, schema: &schema, alphabet, files: &files },
        report,
    )
}

/// An error about a table's rows, without the option that would leave some of them out.
fn of_all_rows(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Error>() {
        Some(Error::File { path, message }) if message.contains("`drop_missing`") => {
            let filled = message.replace(
                "fill it in, or leave out such rows by `drop_missing`",
                "fill it in, as each row gets an answer",
            );
            let filled = filled.replace(": `drop_missing` leaves them out", ", fill these in, too");
            Error::file(path, filled).into()
        }
        _ => error,
    }
}

/// That there is a place for the answers.
pub fn check(args: &Predict) -> Result<()> {
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
    Ok(())
}

/// Writes the answers to where they belong, and says so.
pub fn told(args: &Predict, answers: &Answers<'_>, report: Report) -> Result<Verdict> {
    let Some(path) = &args.output else {
        output::data(csv(answers).trim_end())?;
        return Ok(Verdict::Done);
    };
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => replace(path, csv(answers).as_bytes())?,
        Some("npy") => replace(path, &npy(answers.prediction))?,
        _ => bail!("-o {}: must end in .csv or .npy", path.display()),
    }
    let report = Report { output: path.display().to_string(), ..report };
    if args.common.json {
        output::json(&report)?;
    } else {
        let rows = output::thousands(report.rows as u64);
        output::line(&format!("{rows} rows of {}: {}", report.data, report.output))?;
        for (name, value) in report.speed.iter().flat_map(Speed::facts) {
            output::line(&format!("{name}: {value}"))?;
        }
    }
    Ok(Verdict::Done)
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
/// predicted numbers. Of a text the character that follows each one. Before it the file of the row.
fn csv(answers: &Answers<'_>) -> String {
    let &Answers { prediction, schema, alphabet, files } = answers;
    let mut text = String::new();
    let mut names = ["file"].into_iter().chain(files.iter().map(String::as_str));
    let mut line = |fields: Vec<String>| {
        if !files.is_empty() {
            text.push_str(&quoted(names.next().unwrap_or_default()));
            text.push(',');
        }
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
            let name = |&c: &u32| match alphabet.and_then(|a| a.get(c as usize)) {
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
