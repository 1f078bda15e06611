//! Functions of the user's: a panic in one is an error of the run, which can still save.
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// Calls `f`, the user's `what`.
///
/// # Errors
/// [`Error::Panicked`] when it does.
pub(super) fn guarded<T>(what: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    // What it left half done is looked at by the caller: see `Steps::torn`.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| Err(Error::panicked(what, &*panic)))
}
