//! Functions of the user's: a panic in one is an error of the run, which can still save.
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// Calls `f`, the user's `what`.
///
/// # Errors
/// [`Error::Panicked`] when it does.
pub(super) fn guarded<T>(what: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    // What it left half done is looked at by the caller: see `Steps::torn`.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("no message").to_owned();
        Err(Error::Panicked { what, message })
    })
}
