//! A network on the device, as Python has it.
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::{PyArrayDyn, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use secateur::storage::TensorData;
use secateur::{Gpu, GpuOptions, Session};

use crate::arrays::{Answered, Rows, array, dataset};
use crate::errors::raised;

/// The device of all models of the process; a lost one is opened afresh for the next.
static GPU: Mutex<Option<Gpu>> = Mutex::new(None);

/// The adapter that the environment names, opened once.
pub fn gpu() -> PyResult<Gpu> {
    let mut known = GPU.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = known.as_ref().filter(|gpu| gpu.wait().is_ok()) {
        return Ok(gpu.clone());
    }
    let opened = GpuOptions::from_env().and_then(|options| Gpu::open(&options)).map_err(raised)?;
    Ok(known.insert(opened).clone())
}

#[pyclass(frozen, module = "secateur")]
pub struct Model {
    session: Mutex<Session>,
}

#[pyfunction]
pub fn load(py: Python<'_>, path: PathBuf, batch: usize) -> PyResult<Model> {
    py.detach(|| Session::open(&gpu()?, &path, batch).map_err(raised)).map(Model::of)
}

impl Model {
    pub fn of(session: Session) -> Self {
        Self { session: Mutex::new(session) }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Extents of each weight by its name.
    fn shapes(&self) -> PyResult<Vec<(String, Vec<usize>)>> {
        let file = self.session().model_file().map_err(raised)?;
        Ok(file.weights.into_iter().map(|w| (w.name, w.shape)).collect())
    }
}

#[pymethods]
impl Model {
    #[getter]
    fn network(&self) -> String {
        self.session().network().to_owned()
    }

    #[getter]
    fn adapter(&self) -> String {
        let session = self.session();
        let adapter = session.gpu().report();
        format!("{} ({})", adapter.name, adapter.backend)
    }

    #[getter]
    fn global_step(&self) -> u64 {
        self.session().global_step()
    }

    #[getter]
    fn sparsity(&self, py: Python<'_>) -> PyResult<f64> {
        let layers = py.detach(|| self.session().layers()).map_err(raised)?;
        let count = |shape: &[u32]| shape.iter().map(|&d| u64::from(d)).product::<u64>();
        let total: u64 = layers.iter().map(|layer| count(&layer.shape)).sum();
        let kept: u64 = layers.iter().map(|layer| layer.nonzero).sum();
        Ok(if total == 0 { 0.0 } else { 1.0 - kept as f64 / total as f64 })
    }

    #[getter]
    fn feature_shape(&self) -> Vec<usize> {
        let session = self.session();
        session.schema().map_or_else(|| vec![session.width()], |schema| schema.shape.clone())
    }

    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.session().schema().map(|schema| schema.class_names.clone()).unwrap_or_default()
    }

    fn predict<'py>(
        &self,
        py: Python<'py>,
        features: Rows<'py>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let rows = features.floats();
        let prediction = py.detach(|| self.session().predict(&rows)).map_err(raised)?;
        let shape = [&[prediction.rows], &prediction.shape[..]].concat();
        array(py, &shape, prediction.values)
    }

    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        features: Rows<'py>,
        answers: Answered<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let classes = self.session().task().classes();
        let data = dataset("evaluate", &features, Some(&answers), classes)?;
        let evaluation = py
            .detach(|| {
                let session = self.session();
                let scaling = session.schema().and_then(|s| s.scaling.clone());
                let targets = session.schema().and_then(|s| s.target_scaling.clone());
                let data = match scaling {
                    Some(scaling) => data.scaled(scaling)?,
                    None => data,
                };
                let data = match targets {
                    Some(scaling) => data.with_scaled_targets(scaling)?,
                    None => data,
                };
                session.evaluate(&Arc::new(data))
            })
            .map_err(raised)?;
        let figures = PyDict::new(py);
        figures.set_item("rows", evaluation.rows)?;
        figures.set_item("loss", evaluation.loss)?;
        for (metric, value) in evaluation.figures.iter() {
            figures.set_item(metric.name(), value)?;
        }
        Ok(figures)
    }

    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let file = py.detach(|| self.session().model_file()).map_err(raised)?;
        let weights = PyDict::new(py);
        for weight in file.weights {
            if let TensorData::F32(values) = weight.data {
                weights.set_item(weight.name, array(py, &weight.shape, values)?)?;
            }
        }
        Ok(weights)
    }

    fn masks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = py.detach(|| {
            let masks = self.session().get_masks().map_err(raised)?;
            Ok::<_, PyErr>((masks, self.shapes()?))
        });
        let (bits, shapes) = found?;
        let masks = PyDict::new(py);
        for (name, words) in bits {
            let Some((_, shape)) = shapes.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            let kept = |i: usize| words[i / 32] >> (i % 32) & 1 == 1;
            let mask: Vec<bool> = (0..shape.iter().product()).map(kept).collect();
            masks.set_item(name, array(py, shape, mask)?)?;
        }
        Ok(masks)
    }

    fn set_weight(
        &self,
        py: Python<'_>,
        name: &str,
        values: PyReadonlyArrayDyn<'_, f32>,
    ) -> PyResult<()> {
        let values: Vec<f32> = values.as_array().iter().copied().collect();
        py.detach(|| self.session().set_weights(name, &values)).map_err(raised)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.session().model_file()?.write(&path)).map_err(raised)
    }
}
