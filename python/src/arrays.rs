//! Arrays of numpy as rows, and the other way round.
use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{IntoPyArray, PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use secateur::data::{Answers, Dataset, Features};

use crate::errors::{ArgumentError, raised};

/// Rows of features: bytes stay bytes.
#[derive(FromPyObject)]
pub enum Rows<'py> {
    #[pyo3(transparent)]
    Bytes(PyReadonlyArrayDyn<'py, u8>),
    #[pyo3(transparent)]
    Floats(PyReadonlyArrayDyn<'py, f32>),
}

/// What is to be answered for each row.
#[derive(FromPyObject)]
pub enum Answered<'py> {
    #[pyo3(transparent)]
    Classes(PyReadonlyArrayDyn<'py, i64>),
    #[pyo3(transparent)]
    Values(PyReadonlyArrayDyn<'py, f32>),
}

impl Rows<'_> {
    /// Extents, rows first.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Bytes(array) => array.shape().to_vec(),
            Self::Floats(array) => array.shape().to_vec(),
        }
    }

    /// All features in row-major order, in f32.
    pub fn floats(&self) -> Vec<f32> {
        match self {
            Self::Bytes(array) => array.as_array().iter().map(|&x| f32::from(x)).collect(),
            Self::Floats(array) => array.as_array().iter().copied().collect(),
        }
    }

    fn features(&self) -> Features {
        match self {
            Self::Bytes(array) => {
                Features::U8 { bytes: array.as_array().iter().copied().collect(), scale: 1.0 }
            }
            Self::Floats(_) => Features::F32(self.floats()),
        }
    }
}

impl Answered<'_> {
    /// As the library has them; of at least `classes` classes.
    fn answers(&self, classes: Option<u32>) -> PyResult<Answers> {
        let array = match self {
            Self::Classes(array) => array.as_array(),
            Self::Values(array) => {
                let outputs = array.shape()[1..].iter().product::<usize>();
                let values = array.as_array().iter().copied().collect();
                return Ok(Answers::Values { values, outputs });
            }
        };
        let label = |(i, &label): (usize, &i64)| {
            u32::try_from(label).ok().filter(|&label| label < u32::MAX).ok_or_else(|| {
                ArgumentError::new_err(format!("label {i} is {label}: classes count from 0"))
            })
        };
        let labels: Vec<u32> = array.iter().enumerate().map(label).collect::<PyResult<_>>()?;
        let most = labels.iter().max().map_or(0, |most| most + 1);
        Ok(Answers::Classes { labels, classes: classes.unwrap_or(most.max(2)) })
    }
}

/// The data set of `features` and `answers`, or of features alone.
pub fn dataset(
    name: &str,
    features: &Rows<'_>,
    answers: Option<&Answered<'_>>,
    classes: Option<u32>,
) -> PyResult<Dataset> {
    let shape = features.shape();
    let Some(row @ [_, ..]) = shape.get(1..) else {
        let message = format!("features of shape {shape:?}: the first axis is rows, others follow");
        return Err(ArgumentError::new_err(message));
    };
    let answers = match answers {
        Some(answers) => answers.answers(classes)?,
        None => Answers::None,
    };
    Dataset::new(name, row, features.features(), answers).map_err(raised)
}

/// `values` as an array of `shape`; they are moved, not copied.
///
/// # Errors
/// Where the shape has another number of elements.
pub fn array<'py, T: numpy::Element>(
    py: Python<'py>,
    shape: &[usize],
    values: Vec<T>,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), values);
    Ok(array.map_err(|e| ArgumentError::new_err(e.to_string()))?.into_pyarray(py))
}
