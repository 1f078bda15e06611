//! Tables of numbers as text, with the names of their columns in the first line.
use super::classes::Classes;
use super::file::{self, refused};
use super::{Answers, Dataset, OpenOptions, Schema, Task};
use crate::{Error, Result};
use ::csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord, Trim};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// All rows of a file: what `options` or `schema` name as label or targets, and the rest features.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let reader = file::open(path)?;
    let reader = reader.ok_or_else(|| Error::file(path, "is missing; name a file of rows"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tabs = name.trim_end_matches(".gz").ends_with(".tsv");
    let delimiter = if tabs { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).from_reader(reader);
    let header = header(path, &mut reader)?;
    let columns = Columns::of(path, &header, options, schema)?;

    let (mut features, mut targets) = (Vec::new(), Vec::new());
    let mut classes = Classes::new(schema);
    let mut record = StringRecord::new();
    let mut dropped = 0_u64;
    while reader.read_record(&mut record).map_err(|error| malformed(path, error))? {
        if options.drop_missing && columns.used().any(|column| is_missing(&record[column])) {
            dropped += 1;
            continue;
        }
        let refused = |column: usize, what: String| {
            let message = format!(
                "line {}, column `{}`: {what}",
                line(path, record.position()),
                &header[column]
            );
            Error::file(path, message)
        };
        for &column in &columns.features {
            features.push(number(&record[column]).map_err(|what| refused(column, what))?);
        }
        for &column in &columns.targets {
            let value = number(&record[column]).map_err(|what| refused(column, what))?;
            if columns.flags && !(0.0..=1.0).contains(&value) {
                let what = format!("{value} must be in 0 to 1, as the targets are flags");
                return Err(refused(column, what));
            }
            targets.push(value);
        }
        if let Some(column) = columns.label {
            classes.push(&record[column]).map_err(|what| refused(column, what))?;
        }
    }
    if features.is_empty() {
        let message = match dropped {
            0 => "has a line of names and no row; add rows below it".to_owned(),
            _ => format!("lacks a value in each of its {dropped} rows; ignore the column without"),
        };
        return Err(Error::file(path, message));
    }
    if dropped > 0 {
        let all = dropped + (features.len() / columns.features.len()) as u64;
        log::warn!("{name}: {dropped} of {all} rows lack a value and are left out");
    }

    let named = |columns: &[usize]| columns.iter().map(|&i| header[i].to_owned()).collect();
    let mut class_names = Vec::new();
    let outputs = columns.targets.len();
    let answers = match (columns.label, outputs) {
        (Some(_), _) => {
            let (labels, count) = classes.finish(&mut class_names);
            Answers::Classes { labels, classes: count }
        }
        (None, 0) => Answers::None,
        (None, _) if columns.flags => Answers::Labels { flags: targets, labels: outputs },
        (None, _) => Answers::Values { values: targets, outputs },
    };
    let answered: Vec<usize> = columns.label.into_iter().chain(columns.targets).collect();
    let data = Dataset::new(name, &[columns.features.len()], features, answers)
        .map_err(|error| Error::file(path, error.to_string()))?
        .with_columns(named(&columns.features))?
        .with_target_names(named(&answered))?;
    if class_names.is_empty() { Ok(data) } else { data.with_class_names(class_names) }
}

fn header<R: Read>(path: &Path, reader: &mut Reader<R>) -> Result<StringRecord> {
    let header = reader.headers().map_err(|error| malformed(path, error))?.clone();
    if header.is_empty() {
        return Err(Error::file(path, "is empty; the first line names the columns"));
    }
    if header.iter().all(|name| name.parse::<f64>().is_ok()) {
        let message = "line 1 must name the columns, and holds numbers only; add a line of names";
        return Err(Error::file(path, message));
    }
    for (i, name) in header.iter().enumerate() {
        if name.is_empty() {
            let message = format!(
                "line 1: column {} of {} has no name; name it, or remove it if it only numbers the rows",
                i + 1,
                header.len()
            );
            return Err(Error::file(path, message));
        }
        if header.iter().take(i).any(|other| other == name) {
            let message = format!("line 1: two columns are called `{name}`; rename one");
            return Err(Error::file(path, message));
        }
    }
    Ok(header)
}

/// What each column is for, by its place in the file.
struct Columns {
    /// In the order of a row.
    features: Vec<usize>,
    label: Option<usize>,
    targets: Vec<usize>,
    /// Whether targets are flags.
    flags: bool,
}

impl Columns {
    fn of(
        path: &Path,
        header: &StringRecord,
        options: &OpenOptions,
        schema: Option<&Schema>,
    ) -> Result<Self> {
        if options.label.is_some() && !options.targets.is_empty() {
            let message = "cannot be given beside `targets`; a row has a class or targets";
            return Err(Error::argument("label", message));
        }
        if options.multi_label && options.targets.is_empty() {
            let message = "needs `targets`: the columns that hold the flags";
            return Err(Error::argument("multi_label", message));
        }
        let all = header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let find = |name: &str| header.iter().position(|other| other == name);
        let needed = |name: &str| {
            let missing = || Error::file(path, format!("has no column `{name}`; it has {all}"));
            find(name).ok_or_else(missing)
        };
        let (mut label, mut targets) = (None, Vec::new());
        let flags = match schema.map(|schema| (schema, schema.task)) {
            None => {
                label = options.label.as_deref().map(needed).transpose()?;
                targets =
                    options.targets.iter().map(|name| needed(name)).collect::<Result<Vec<_>>>()?;
                options.multi_label
            }
            Some((schema, Task::Classification { .. })) => {
                let name = schema.targets.first().or(options.label.as_ref());
                label = name.and_then(|name| find(name));
                false
            }
            Some((schema, task)) => {
                let known = !schema.targets.is_empty();
                let names = if known { &schema.targets } else { &options.targets };
                // All of them, or none: rows to predict.
                if names.iter().any(|name| find(name).is_some()) {
                    targets = names.iter().map(|name| needed(name)).collect::<Result<Vec<_>>>()?;
                }
                matches!(task, Task::MultiLabel { .. })
            }
        };
        for (i, target) in targets.iter().enumerate() {
            if targets[..i].contains(target) {
                let message = format!("`{}` is named twice; name it once", &header[*target]);
                return Err(Error::argument("targets", message));
            }
        }
        let answers = |column: &usize| label == Some(*column) || targets.contains(column);
        let mut ignored = Vec::new();
        for name in &options.ignore {
            // Rows to predict may lack what training ignored.
            match (find(name), schema) {
                (Some(column), _) if answers(&column) => {
                    let message = format!("`{name}` is the label or a target; it cannot be both");
                    return Err(Error::argument("ignore", message));
                }
                (Some(column), _) => ignored.push(column),
                (None, Some(_)) => {}
                (None, None) => {
                    needed(name)?;
                }
            }
        }
        let is_rest = |column: &usize| !answers(column) && !ignored.contains(column);
        let rest: Vec<usize> = (0..header.len()).filter(is_rest).collect();
        let names = schema.map_or(&[][..], |schema| &schema.columns);
        let features = if names.is_empty() {
            rest
        } else {
            let unknown = rest.iter().find(|&&column| !names.iter().any(|n| *n == header[column]));
            if let Some(&column) = unknown {
                let message = format!(
                    "column `{}` is not one that the model was trained on; `ignore` it, or remove it (it knows \
                     {})",
                    &header[column],
                    names.join(", ")
                );
                return Err(Error::file(path, message));
            }
            names.iter().map(|name| needed(name)).collect::<Result<Vec<_>>>()?
        };
        if features.is_empty() {
            let message = format!("has no column of features beside {all}; add some");
            return Err(Error::file(path, message));
        }
        Ok(Self { features, label, targets, flags })
    }

    /// All that are read.
    fn used(&self) -> impl Iterator<Item = usize> + '_ {
        self.features.iter().chain(&self.label).chain(&self.targets).copied()
    }
}

/// Whether a cell says that there is no value.
fn is_missing(field: &str) -> bool {
    ["", "na", "n/a", "nan", "null", "?"].contains(&field.to_ascii_lowercase().as_str())
}

/// A finite number, or what is wrong with it.
fn number(field: &str) -> Result<f32, String> {
    match field.parse::<f32>() {
        _ if field.is_empty() => {
            Err("is empty; fill it in, or leave out such rows by `drop_missing`".into())
        }
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(format!("`{field}` is not finite as an f32; repair it or remove the row")),
        Err(_) if is_missing(field) => Err(format!(
            "`{field}` is no number; fill it in, or leave out such rows by `drop_missing`"
        )),
        Err(_) => Err(format!(
            "`{field}` is no number; write it as numbers, `ignore` the column, or name it as the label"
        )),
    }
}

/// The line on which a record begins. The reader's own count is that of the lines before the empty
/// ones that it skips, so they are counted again, where there is an error to tell.
fn line(path: &Path, position: Option<&Position>) -> u64 {
    let begin = position.map_or(0, Position::byte);
    let Ok(Some(reader)) = file::open(path) else { return position.map_or(0, Position::line) };
    let (mut lines, mut at) = (1, 0);
    for byte in BufReader::new(reader).bytes().map_while(io::Result::ok) {
        if at >= begin && !matches!(byte, b'\r' | b'\n') {
            break;
        }
        lines += u64::from(byte == b'\n');
        at += 1;
    }
    lines
}

fn malformed(path: &Path, error: ::csv::Error) -> Error {
    match error.into_kind() {
        ErrorKind::Io(error) => refused(path)(error),
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = line(path, pos.as_ref());
            let message = format!(
                "line {line} has {len} fields, the line of names has {expected_len}; repair it"
            );
            Error::file(path, message)
        }
        ErrorKind::Utf8 { pos, err } => {
            let line = line(path, pos.as_ref());
            Error::file(path, format!("line {line} is not UTF-8 ({err}); save the file as UTF-8"))
        }
        kind => Error::file(path, format!("{kind:?}")),
    }
}
