//! The native half of the Python package `secateur`: its command line, and networks that are
//! trained on arrays and answer for arrays.
#![deny(unsafe_code)]

// The command line is the binary's own; here it is compiled a second time.
mod arrays;
#[path = "../../src/cli/mod.rs"]
mod cli;
mod errors;
mod model;
mod train;

use pyo3::prelude::*;

/// What `secateur/__init__.py` makes its functions of; there they are described.
#[pymodule]
mod _secateur {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::errors::{ArgumentError, DeviceError, Error, FileError};
    #[pymodule_export]
    use crate::model::{Model, load};
    #[pymodule_export]
    use crate::train::train;

    /// Runs the command line `args`, whose first word is the program's name; its exit code. The words
    /// of `program` start it once more.
    #[pyfunction]
    fn main(py: Python<'_>, args: Vec<OsString>, program: Vec<OsString>) -> u8 {
        py.detach(|| crate::cli::run(args, program))
    }
}
