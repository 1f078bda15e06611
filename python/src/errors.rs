//! The library's errors as exceptions.
use pyo3::PyErr;
use pyo3::exceptions::PyException;

pyo3::create_exception!(
    secateur,
    Error,
    PyException,
    "What secateur cannot do; the message says why, and the way out."
);
pyo3::create_exception!(
    secateur,
    ArgumentError,
    Error,
    "A setting, an array or a shape that cannot be taken."
);
pyo3::create_exception!(
    secateur,
    FileError,
    Error,
    "A file that cannot be read or written, or does not hold what it should."
);
pyo3::create_exception!(
    secateur,
    DeviceError,
    Error,
    "No adapter, one without room, or one that was lost."
);

/// `error` as an exception, for `map_err`.
pub fn raised(error: secateur::Error) -> PyErr {
    use secateur::Error as E;
    let message = error.to_string();
    match error {
        E::Argument { .. } | E::Shape { .. } | E::Batch { .. } | E::MemoryBudget { .. } => {
            ArgumentError::new_err(message)
        }
        E::Io { .. } | E::File { .. } | E::NoValidCheckpoint { .. } | E::Locked { .. } => {
            FileError::new_err(message)
        }
        E::NoAdapter { .. }
        | E::Device(_)
        | E::DeviceLost(_)
        | E::DeviceHung { .. }
        | E::OutOfMemory { .. }
        | E::TensorTooLarge { .. } => DeviceError::new_err(message),
        _ => Error::new_err(message),
    }
}
