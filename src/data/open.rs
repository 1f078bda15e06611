//! Data sets by name: what kinds there are, and how their rows become a split.
use super::options::Test;
use super::{Dataset, OpenOptions, Scaling, Schema, Split, Task};
use super::{cifar10, csv, digits, idx_folder, image_folder, npy, npz, safetensors, text};
use crate::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// Opens the data set `name` to train on: `digits`, or a kind and a path, as in `csv:iris.csv`.
///
/// | name | what it is |
/// |---|---|
/// | `digits` | [`digits`] |
/// | `mnist:DIR`, `fashion-mnist:DIR` | [`idx_folder`] |
/// | `cifar10:PATH` | [`cifar10`] |
/// | `text:FILE` | [`text`]; takes `length` |
/// | `csv:FILE` | rows of numbers, with names in the first line; `.tsv` has tabs, and either may end in `.gz` |
/// | `npy:FILE` | an array of rows, and another one of answers (`label` or `targets`) |
/// | `npz:FILE` | the arrays `x` or `features`, and `y`, `labels` or `targets` |
/// | `safetensors:FILE` | tensors of the same names |
/// | `images:DIR` | a folder of PNG and JPEG files for each class, named as the class is |
///
/// Of the last five `test` says what is kept for testing: a share (0.2 by default, of every class
/// in proportion), or a second file. `standardise` scales by the rows to train on alone.
///
/// # Errors
/// [`Error::Argument`] for an unknown kind and for an option that does not apply to it or asks for
/// what is not there; [`Error::File`] names the file and what is wrong in which line, row or array;
/// [`Error::Io`] when the operating system refuses to read it.
pub fn open(name: &str, options: &OpenOptions) -> Result<Split> {
    open_by(name, options, None)
}

/// Opens the data set `name` to train a model further that was trained on rows of `schema`:
/// columns, classes and characters are found by their names, and features are scaled as they were.
///
/// # Errors
/// Those of [`open`]; [`Error::File`] also for a column, class or character that the schema does
/// not know, and [`Error::Shape`] for rows of another shape or task.
pub fn open_for(name: &str, options: &OpenOptions, schema: &Schema) -> Result<Split> {
    open_by(name, options, Some(schema))
}

fn open_by(name: &str, options: &OpenOptions, schema: Option<&Schema>) -> Result<Split> {
    let (kind, path) = find(name)?;
    options.only(kind.options, name)?;
    match (kind.halves, kind.rows) {
        (Some(halves), _) => halves(path, options, schema),
        (None, Some(rows)) => split(rows, path, options, schema),
        (None, None) => unreachable!("every kind has a reader"),
    }
}

/// The same data set by absolute paths, so that it is found from any folder: its own, that of
/// `test`, and of an `npy` those of its answers.
///
/// # Errors
/// [`Error::Argument`] for an unknown kind; [`Error::Io`] where the working folder is gone.
pub fn absolute(name: &str, options: &OpenOptions) -> Result<(String, OpenOptions)> {
    let (kind, path) = find(name)?;
    let whole = |path: &Path| -> Result<String> {
        let whole = std::path::absolute(path).map_err(Error::io("find", path))?;
        Ok(whole.to_string_lossy().into_owned())
    };
    let mut options = options.clone();
    if let (Some(_), Test::Second(second)) = (&options.test, options.tested_on()) {
        options.test = Some(whole(&second)?);
    }
    if kind.name == "npy" {
        for file in options.label.iter_mut().chain(&mut options.targets) {
            *file = whole(Path::new(file.as_str()))?;
        }
    }
    match kind.path {
        "" => Ok((name.to_owned(), options)),
        _ => Ok((format!("{}:{}", kind.name, whole(path)?), options)),
    }
}

/// Opens the data set `name` to evaluate or to predict, as `schema` says: the test half of
/// `digits`, `mnist`, `fashion-mnist` and `cifar10` and of images with folders `train` and `test`,
/// else all rows of the file or folder.
///
/// With a schema columns are found by their names and classes by theirs, and features and targets
/// are scaled as they were in training. Rows whose label or targets the file does not hold are
/// [`Task::Unlabelled`]. Without a schema the rows are what `options` says.
///
/// # Errors
/// Those of [`open`]; [`Error::File`] also for a column, class or character that the schema does
/// not know, and [`Error::Shape`] for rows of another shape or task.
pub fn open_rows(
    name: &str,
    options: &OpenOptions,
    schema: Option<&Schema>,
) -> Result<Arc<Dataset>> {
    let (kind, path) = find(name)?;
    options.only(kind.options, name)?;
    let rows = match (kind.rows, kind.halves) {
        (Some(rows), _) => rows(&image_folder::test_half(kind.name, path), options, schema)?,
        (None, Some(halves)) => Arc::unwrap_or_clone(halves(path, options, schema)?.test),
        (None, None) => unreachable!("every kind has a reader"),
    };
    let Some(schema) = schema else {
        if options.standardise {
            let message = "needs the scaling of the rows that a model was trained on; open those \
                           first, and these by their schema";
            return Err(Error::argument("standardise", message));
        }
        return Ok(Arc::new(rows));
    };
    fits(&rows, schema)?;
    let rows = match &schema.scaling {
        Some(scaling) => rows.scaled(scaling.clone())?,
        None => rows,
    };
    let rows = match (&schema.target_scaling, rows.task()) {
        (Some(scaling), Task::Regression { .. }) => rows.with_scaled_targets(scaling.clone())?,
        _ => rows,
    };
    Ok(Arc::new(rows))
}

/// Reads a path in two halves, by a schema where there is one.
type Halves = fn(&Path, &OpenOptions, Option<&Schema>) -> Result<Split>;
/// Reads all rows of a path, by a schema where there is one.
type Rows = fn(&Path, &OpenOptions, Option<&Schema>) -> Result<Dataset>;

struct Kind {
    name: &'static str,
    /// What follows the name and a colon.
    path: &'static str,
    /// The options that apply.
    options: &'static [&'static str],
    /// Of data that bring their own halves.
    halves: Option<Halves>,
    rows: Option<Rows>,
}

const COLUMNS: &[&str] = &["label", "targets", "multi_label", "test", "standardise", "split_seed"];
const TABLE: &[&str] = &[
    "label",
    "targets",
    "multi_label",
    "ignore",
    "categories",
    "no_header",
    "drop_missing",
    "test",
    "standardise",
    "split_seed",
];
const IMAGES: &[&str] = &["test", "size", "standardise", "split_seed"];

/// Add a kind of data by its line here, and its file.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind { name: "digits", path: "", options: &[], halves: Some(|_, _, _| Ok(digits())), rows: None },
    Kind { name: "mnist", path: "DIR", options: &[], halves: Some(|dir, _, _| idx_folder(dir, "mnist")), rows: None },
    Kind { name: "fashion-mnist", path: "DIR", options: &[], halves: Some(|dir, _, _| idx_folder(dir, "fashion-mnist")), rows: None },
    Kind { name: "cifar10", path: "PATH", options: &[], halves: Some(|path, _, _| cifar10(path)), rows: None },
    Kind { name: "text", path: "FILE", options: &["length"], halves: Some(text::halves), rows: Some(text::rows) },
    Kind { name: "csv", path: "FILE", options: TABLE, halves: None, rows: Some(csv::rows) },
    Kind { name: "npy", path: "FILE", options: COLUMNS, halves: None, rows: Some(npy::rows) },
    Kind { name: "npz", path: "FILE", options: COLUMNS, halves: None, rows: Some(npz::rows) },
    Kind { name: "safetensors", path: "FILE", options: COLUMNS, halves: None, rows: Some(safetensors::rows) },
    Kind { name: "images", path: "DIR", options: IMAGES, halves: None, rows: Some(image_folder::rows) },
];

fn find(name: &str) -> Result<(&'static Kind, &Path)> {
    let (kind, path) = name.split_once(':').unwrap_or((name, ""));
    match KINDS.iter().find(|k| k.name == kind && k.path.is_empty() == path.is_empty()) {
        Some(kind) => Ok((kind, Path::new(path))),
        None => {
            let all = KINDS.iter().map(|kind| match kind.path {
                "" => kind.name.to_owned(),
                path => format!("{}:{path}", kind.name),
            });
            let all = all.collect::<Vec<_>>().join(", ");
            let message = match likely(Path::new(name)) {
                Some(kind) => format!(
                    "`{name}` does not say what kind of data it is; write `{kind}:{name}` if it is \
                     that, else one of {all}"
                ),
                None => format!("`{name}` is not one of {all}"),
            };
            Err(Error::argument("data", message))
        }
    }
}

/// The kind that a path without one most likely is, by its ending or what the folder holds.
fn likely(path: &Path) -> Option<&'static str> {
    if path.is_dir() {
        let holds = |name: &str| path.join(name).exists();
        let idx = ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"];
        return Some(if idx.into_iter().any(holds) { "mnist" } else { "images" });
    }
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let ending = Path::new(name.trim_end_matches(".gz")).extension()?.to_str()?;
    match ending {
        "csv" | "tsv" => Some("csv"),
        "npy" => Some("npy"),
        "npz" => Some("npz"),
        "safetensors" => Some("safetensors"),
        "txt" => Some("text"),
        _ => None,
    }
}

/// All rows of a path, of which some are kept for testing, or those of a second one.
fn split(rows: Rows, path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Split> {
    let halves = image_folder::halves(path).filter(|_| options.test.is_none());
    let (first, second) = match (halves, options.tested_on()) {
        (Some([train, test]), _) => (train, Some(test)),
        (None, Test::Second(second)) => (path.to_owned(), Some(second)),
        (None, Test::Share(_)) => (path.to_owned(), None),
    };
    if second.is_some() && options.split_seed != 0 {
        let message = "does not apply to a second file or folder; leave it out";
        return Err(Error::argument("split_seed", message));
    }
    let train = rows(&first, options, schema)?;
    to_train_on(&first, &train)?;
    schema.map_or(Ok(()), |schema| fits(&train, schema))?;
    let Split { mut train, mut test } = match (second, options.tested_on()) {
        (Some(second), _) => {
            let test = rows(&second, options, Some(&train.schema()))?;
            if test.task() == Task::Unlabelled {
                let message = "has rows without answers, which cannot be tested on; give it the \
                               same label or targets as the rows to train on";
                return Err(Error::file(second, message));
            }
            fits(&test, &train.schema())?;
            Split { train: Arc::new(train), test: Arc::new(test) }
        }
        (None, Test::Share(share)) => train.split(share, options.split_seed)?,
        (None, Test::Second(_)) => unreachable!("a second path was found above"),
    };
    let known = schema.map(|schema| (schema.scaling.clone(), schema.target_scaling.clone()));
    let (scaling, of_targets) = match known {
        Some(known) if known.0.is_some() || !options.standardise => known,
        _ if options.standardise => {
            let regresses = matches!(train.task(), Task::Regression { .. });
            let of_targets = regresses.then(|| Scaling::of_targets(&train)).transpose()?;
            (Some(Scaling::of(&train)), of_targets)
        }
        _ => (None, None),
    };
    if let Some(scaling) = scaling {
        train = Arc::new(Arc::unwrap_or_clone(train).scaled(scaling.clone())?);
        test = Arc::new(Arc::unwrap_or_clone(test).scaled(scaling)?);
    }
    if let Some(scaling) = of_targets {
        train = Arc::new(Arc::unwrap_or_clone(train).with_scaled_targets(scaling.clone())?);
        test = Arc::new(Arc::unwrap_or_clone(test).with_scaled_targets(scaling)?);
    }
    Ok(Split { train, test })
}

fn to_train_on(path: &Path, data: &Dataset) -> Result<()> {
    let message = match data.task() {
        Task::Unlabelled => {
            "has rows without answers, which cannot be trained on; say what to predict by `label` \
             (a class) or `targets` (numbers)"
        }
        Task::Classification { classes: ..2, .. } => {
            "has rows of 1 class, 2 or more are needed to tell apart; choose another `label`"
        }
        _ => return Ok(()),
    };
    Err(Error::file(path, message))
}

/// That a model of `schema` takes the rows.
fn fits(rows: &Dataset, schema: &Schema) -> Result<()> {
    // Windows of a text may have any length; their characters were looked up.
    if rows.is_text() && schema.alphabet.is_some() {
        return Ok(());
    }
    if rows.feature_shape() != schema.shape || rows.is_text() != schema.alphabet.is_some() {
        let (have, wanted) = (rows.feature_shape(), &schema.shape);
        let message = format!("rows are {have:?}, the model was trained on rows of {wanted:?}");
        return Err(Error::shape(rows.name(), message));
    }
    let fits = match (rows.task(), schema.task) {
        (Task::Unlabelled, _) => true,
        (
            Task::Classification { classes: a, positions: p },
            Task::Classification { classes: b, positions: q },
        ) => a <= b && p == q,
        (have, wanted) => have == wanted,
    };
    if !fits {
        let (have, wanted) = (rows.task(), schema.task);
        let message = format!("the rows are for {have}, the model was trained for {wanted}");
        return Err(Error::shape(rows.name(), message));
    }
    Ok(())
}
