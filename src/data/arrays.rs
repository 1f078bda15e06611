//! Arrays of files as features and answers.
use super::{Answers, Dataset, Features, OpenOptions, Schema, Task};
use crate::{Error, Result};
use half::{bf16, f16};
use std::path::Path;

/// An array in row-major order.
#[derive(Debug)]
pub(super) struct Array {
    /// As errors call it.
    pub(super) name: String,
    /// The first extent counts rows; none is 0.
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    F32(Vec<f32>),
    U8(Vec<u8>),
    Whole(Vec<i64>),
}

impl Array {
    /// Reads `bytes` as numbers of `dtype`: a letter (f float, g bfloat16, u unsigned, i signed, b
    /// boolean) and bytes of each.
    ///
    /// # Errors
    /// In words, for another number of bytes than `shape` needs and for a type that is none of
    /// these.
    pub(super) fn new(
        name: String,
        shape: Vec<usize>,
        dtype: (char, usize),
        big_endian: bool,
        bytes: &[u8],
    ) -> Result<Self, String> {
        if shape.is_empty() || shape.contains(&0) {
            return Err(format!(
                "`{name}` has shape {shape:?}; there must be rows, and none empty"
            ));
        }
        let needed = shape.iter().try_fold(dtype.1, |n: usize, &size| n.checked_mul(size));
        if needed != Some(bytes.len()) {
            let (found, size) = (bytes.len(), dtype.1);
            return Err(format!(
                "`{name}` is {shape:?} values of {size} bytes, and there are {found} bytes of it"
            ));
        }
        let values = Values::of(dtype, big_endian, bytes).ok_or_else(|| {
            format!("`{name}` holds numbers of a type that is not read; convert it to float32")
        })?;
        Ok(Self { name, shape, values })
    }

    /// From the order in which the first extent runs fastest.
    pub(super) fn transposed(self) -> Self {
        let values = match self.values {
            Values::F32(values) => Values::F32(transposed(&values, &self.shape)),
            Values::U8(values) => Values::U8(transposed(&values, &self.shape)),
            Values::Whole(values) => Values::Whole(transposed(&values, &self.shape)),
        };
        Self { values, ..self }
    }

    fn per_row(&self) -> usize {
        self.shape[1..].iter().product()
    }

    fn is_whole(&self) -> bool {
        !matches!(self.values, Values::F32(_))
    }

    fn features(self) -> Result<Features, String> {
        let width = self.per_row();
        match self.values {
            Values::F32(values) => Ok(Features::F32(values)),
            Values::U8(bytes) => Ok(Features::U8 { bytes, scale: 1.0 }),
            Values::Whole(values) => floats(&self.name, &values, width).map(Features::F32),
        }
    }

    /// As class numbers, below those of `task` where that has some.
    fn classes(self, task: Option<Task>) -> Result<Answers, String> {
        let (width, name) = (self.per_row(), self.name);
        let labels: Vec<u32> = match self.values {
            Values::U8(values) => values.into_iter().map(u32::from).collect(),
            Values::Whole(values) => {
                let label = |(i, &value): (usize, &i64)| {
                    u32::try_from(value).ok().filter(|&label| label < u32::MAX).ok_or_else(|| {
                        format!("`{name}`, row {}: {value} is no class, counted from 0", i / width)
                    })
                };
                values.iter().enumerate().map(label).collect::<Result<_, _>>()?
            }
            Values::F32(_) => {
                return Err(format!(
                    "`{name}` holds floats, class numbers are whole; convert it to integers, or \
                     say that they are `targets`"
                ));
            }
        };
        let most = labels.iter().max().copied().unwrap_or(0);
        let classes = task.and_then(|task| task.classes()).unwrap_or((most + 1).max(2));
        if let Some(i) = labels.iter().position(|&label| label >= classes) {
            return Err(format!(
                "`{name}`, row {}: class {} is not one of the {classes} that the model knows",
                i / width,
                labels[i]
            ));
        }
        Ok(Answers::Classes { labels, classes })
    }

    /// As numbers to predict, or as flags.
    fn targets(self, flags: bool) -> Result<Answers, String> {
        let width = self.per_row();
        let values = match self.values {
            Values::F32(values) => values,
            Values::U8(values) => values.into_iter().map(f32::from).collect(),
            Values::Whole(values) => floats(&self.name, &values, width)?,
        };
        Ok(match flags {
            true => Answers::Labels { flags: values, labels: width },
            false => Answers::Values { values, outputs: width },
        })
    }
}

impl Values {
    fn of(dtype: (char, usize), big_endian: bool, bytes: &[u8]) -> Option<Self> {
        Some(match dtype {
            ('f', 2) => Self::F32(words(bytes, big_endian, |w| f16::from_le_bytes(w).to_f32())),
            ('g', 2) => Self::F32(words(bytes, big_endian, |w| bf16::from_le_bytes(w).to_f32())),
            ('f', 4) => Self::F32(words(bytes, big_endian, f32::from_le_bytes)),
            ('f', 8) => Self::F32(words(bytes, big_endian, |w| f64::from_le_bytes(w) as f32)),
            ('u' | 'b', 1) => Self::U8(bytes.to_vec()),
            ('i', 1) => Self::Whole(words(bytes, big_endian, |w| i8::from_le_bytes(w).into())),
            ('i', 2) => Self::Whole(words(bytes, big_endian, |w| i16::from_le_bytes(w).into())),
            ('i', 4) => Self::Whole(words(bytes, big_endian, |w| i32::from_le_bytes(w).into())),
            ('i', 8) => Self::Whole(words(bytes, big_endian, i64::from_le_bytes)),
            ('u', 2) => Self::Whole(words(bytes, big_endian, |w| u16::from_le_bytes(w).into())),
            ('u', 4) => Self::Whole(words(bytes, big_endian, |w| u32::from_le_bytes(w).into())),
            // What does not fit is beyond every class and every whole f32, and refused as such.
            ('u', 8) => Self::Whole(words(bytes, big_endian, |w| {
                i64::try_from(u64::from_le_bytes(w)).unwrap_or(i64::MAX)
            })),
            _ => return None,
        })
    }
}

fn words<const N: usize, T>(bytes: &[u8], big_endian: bool, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let word = |&word: &[u8; N]| {
        let mut word = word;
        if big_endian {
            word.reverse();
        }
        read(word)
    };
    bytes.as_chunks().0.iter().map(word).collect()
}

/// Whole numbers as the floats that are equal to them.
fn floats(name: &str, values: &[i64], width: usize) -> Result<Vec<f32>, String> {
    let float = |(i, &value): (usize, &i64)| match value as f32 {
        float if value.unsigned_abs() <= 1 << 24 => Ok(float),
        _ => Err(format!(
            "`{name}`, row {}, column {}: {value} is beyond 2^24, up to which an f32 holds every \
             whole number; scale it and save it as floats",
            i / width,
            i % width
        )),
    };
    values.iter().enumerate().map(float).collect()
}

fn transposed<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut steps = vec![1; shape.len()];
    (1..shape.len()).for_each(|axis| steps[axis] = steps[axis - 1] * shape[axis - 1]);
    let (mut index, mut from) = (vec![0; shape.len()], 0);
    let mut next = || {
        let value = values[from];
        for axis in (0..shape.len()).rev() {
            (index[axis], from) = (index[axis] + 1, from + steps[axis]);
            if index[axis] < shape[axis] {
                break;
            }
            (index[axis], from) = (0, from - shape[axis] * steps[axis]);
        }
        value
    };
    (0..values.len()).map(|_| next()).collect()
}

/// Names under which files hold features and answers; targets are never classes.
pub(super) const FEATURES: &[&str] = &["features", "x"];
pub(super) const ANSWERS: &[&str] = &["labels", "y", "targets"];

/// Which answers are asked for, by name: those that `options` names, which must be there, or the
/// first of [`ANSWERS`] that `has` finds.
pub(super) fn answers_of(
    options: &OpenOptions,
    has: impl Fn(&str) -> bool,
) -> Result<Option<String>> {
    match (&options.label, &options.targets[..]) {
        (Some(_), [_, ..]) => {
            let message = "cannot be given beside `targets`; a row has a class or targets";
            Err(Error::argument("label", message))
        }
        (Some(name), []) | (None, [name]) => Ok(Some(name.clone())),
        (None, []) => Ok(ANSWERS.iter().find(|name| has(name)).map(|&name| name.to_owned())),
        (None, more) => {
            let message = format!("{} names; one array holds all targets", more.len());
            Err(Error::argument("targets", message))
        }
    }
}

/// The rows of `features` with those answers.
pub(super) fn dataset(
    path: &Path,
    features: Array,
    answers: Option<Array>,
    options: &OpenOptions,
    schema: Option<&Schema>,
) -> Result<Dataset> {
    let shape = match &features.shape[1..] {
        [] => vec![1],
        shape => shape.to_vec(),
    };
    let rows = features.shape[0];
    let (whole, called) = (features.name.clone(), path.file_name().unwrap_or_default());
    let name = called.to_string_lossy().into_owned();
    let answers = match answers {
        None => Ok(Answers::None),
        Some(answers) if answers.shape[0] != rows => Err(format!(
            "`{}` has {} rows, and `{whole}` has {rows}; give both as many",
            answers.name, answers.shape[0]
        )),
        Some(answers) => match schema.map(|schema| schema.task) {
            Some(task @ Task::Classification { .. }) => answers.classes(Some(task)),
            Some(task) => answers.targets(matches!(task, Task::MultiLabel { .. })),
            None if options.multi_label => answers.targets(true),
            None if options.label.is_some() => answers.classes(None),
            None if !options.targets.is_empty() || answers.name == "targets" => {
                answers.targets(false)
            }
            None if answers.is_whole() => answers.classes(None),
            None => answers.targets(false),
        },
    };
    let refused = |message| Error::file(path, message);
    Dataset::new(name, &shape, features.features().map_err(refused)?, answers.map_err(refused)?)
        .map_err(|error| Error::file(path, error.to_string()))
}
