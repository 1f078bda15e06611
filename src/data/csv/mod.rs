//! Tables of numbers and words as text, as a rule with the names of their columns in the first
//! line.
mod columns;
mod survey;
#[cfg(feature = "text")]
mod texts;

use self::columns::{Columns, Feature};
use self::survey::Survey;
#[cfg(feature = "text")]
pub(crate) use self::texts::Texts;
use super::classes::Classes;
use super::file::{self, refused};
use super::{Answers, Dataset, OpenOptions, Schema};
use crate::{Error, Result};
use ::csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord, Trim};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// All rows of a file: what `options` or `schema` name as label or targets, and the rest features.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let (mut reader, header) = read_table(path, options.no_header)?;
    let name = name_of(path);
    let columns = Columns::of(path, &header, options, schema)?;

    let (mut rows, mut features, mut targets) = (0_u64, Vec::new(), Vec::new());
    let mut words: Vec<Classes> = columns.words().map(Classes::words).collect();
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
        for feature in &columns.features {
            match *feature {
                Feature::Number(column) => match number(&record[column]) {
                    Ok(number) => features.push(number),
                    Err(what) => {
                        let at = line(path, record.position());
                        let mut survey = Survey::new(&columns, &header, options.drop_missing);
                        survey.row(&record);
                        while reader.read_record(&mut record).unwrap_or(false) {
                            survey.row(&record);
                        }
                        let (name, rest) = (&header[column], survey.rest(column));
                        let message = format!("line {at}, column `{name}`: {what}{rest}");
                        return Err(Error::file(path, message));
                    }
                },
                Feature::Words { column, list } => {
                    words[list].push(&record[column]).map_err(|what| refused(column, what))?;
                }
            }
        }
        rows += 1;
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
    if rows == 0 {
        let message = match dropped {
            0 => "has a line of names and no row; add rows below it".to_owned(),
            _ => format!("lacks a value in each of its {dropped} rows; ignore the column without"),
        };
        return Err(Error::file(path, message));
    }
    if dropped > 0 {
        let all = dropped + rows;
        log::warn!("{name}: {dropped} of {all} rows lack a value and are left out");
    }

    let lists: Vec<(Vec<u32>, Vec<String>)> = words.into_iter().map(listed).collect();
    let (features, names) = columns.spread(features, &lists, &header);
    let categories = columns.categories(&lists, &header);
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
    let answered = columns.label.iter().chain(&columns.targets);
    let answered = answered.map(|&column| header[column].to_owned()).collect();
    let data = Dataset::new(name, &[names.len()], features, answers)
        .map_err(|error| Error::file(path, error.to_string()))?
        .with_columns(names)?
        .with_categories(categories)
        .with_target_names(answered)?;
    if class_names.is_empty() { Ok(data) } else { data.with_class_names(class_names) }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Opens a table, and reads the names of its columns.
fn read_table(path: &Path, no_header: bool) -> Result<(Reader<impl Read>, StringRecord)> {
    let reader = file::open(path)?;
    let reader = reader.ok_or_else(|| Error::file(path, "is missing; name a file of rows"))?;
    let mut reader = BufReader::new(reader);
    let begin = reader.fill_buf().map_err(refused(path))?;
    if let Some(message) = no_table(begin) {
        return Err(Error::file(path, message));
    }
    let delimiter = match name_of(path).trim_end_matches(".gz").ends_with(".tsv") {
        true => b'\t',
        false => delimiter(begin),
    };
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).trim(Trim::All).has_headers(!no_header);
    let mut reader = builder.from_reader(reader);
    let header = header(path, &mut reader, no_header)?;
    Ok((reader, header))
}

/// The words of each row, and all that there are.
fn listed(words: Classes) -> (Vec<u32>, Vec<String>) {
    let mut all = Vec::new();
    (words.finish(&mut all).0, all)
}

/// Why what begins so cannot be a table, where that is plain.
fn no_table(begin: &[u8]) -> Option<&'static str> {
    if begin.trim_ascii_start().starts_with(b"{") || begin.trim_ascii_start().starts_with(b"[{") {
        return Some(
            "is JSON, not a table; write it as CSV, for example with pandas: \
             read_json(FILE).to_csv(TABLE, index=False)",
        );
    }
    // Names may have spaces, so the line below must have as many words.
    let mut lines = begin.split(|&byte| byte == b'\n');
    let mut words = || {
        let line = lines.next()?;
        let parted = line.iter().any(|byte| b",;\t|\"".contains(byte));
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        (!parted).then(|| words.count())
    };
    let [first, second] = [words()?, words()?];
    (first > 1 && first == second).then_some(
        "has spaces between its fields; write commas, semicolons, tabs or | in place of them",
    )
}

/// What parts the fields of a table that begins so: a comma, unless its first line has none and
/// has semicolons, tabs or `|`.
fn delimiter(begin: &[u8]) -> u8 {
    let mut quoted = false;
    let line = begin.iter().take_while(|&&byte| byte != b'\n' && byte != b'\r');
    let plain: Vec<u8> = line
        .copied()
        .filter(|&byte| {
            quoted ^= byte == b'"';
            !quoted
        })
        .collect();
    [b',', b';', b'\t', b'|'].into_iter().find(|byte| plain.contains(byte)).unwrap_or(b',')
}

/// The names of the columns: those of the first line, or `column_1` and so on where it is a row.
fn header<R: Read>(path: &Path, reader: &mut Reader<R>, no_header: bool) -> Result<StringRecord> {
    let header = reader.headers().map_err(|error| malformed(path, error))?.clone();
    if header.is_empty() {
        return Err(Error::file(path, "is empty; the first line names the columns"));
    }
    if no_header {
        return Ok((1..=header.len()).map(|i| format!("column_{i}")).collect::<Vec<_>>().into());
    }
    // Whole numbers among words may be names: `label,0,1,2`.
    let numbers = || header.iter().filter_map(|name| Some((name, name.parse::<f64>().ok()?)));
    let fraction = numbers().find(|(_, number)| number.fract() != 0.0 && number.is_finite());
    let all = numbers().next().filter(|_| numbers().count() == header.len());
    if let Some((number, _)) = fraction.or(all) {
        let message = format!(
            "line 1 must name the columns, and has the number {number}; add a line of names, or \
             say `no_header`: then they are called column_1, column_2, ..."
        );
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
        Err(_) if field.replacen(',', ".", 1).parse::<f32>().is_ok() => {
            Err(format!("`{field}` is no number; write a point in place of the comma"))
        }
        Err(_) => Err(format!(
            "`{field}` is no number; name the column in `categories` to make each word a feature \
             of its own, `ignore` it, or make it the label"
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
                "line {line} has {len} fields, the line of names has {expected_len}; repair it, or \
                 line 1 if it does not name the columns"
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
