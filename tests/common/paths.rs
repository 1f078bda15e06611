//! Where tests find what they read and run. What cargo says at run time comes first, so that test
//! programs can be taken to another machine (`scripts/pack.sh`).
#![allow(dead_code, reason = "no test program needs all of them")]

use std::path::PathBuf;

fn path(variable: &str, built: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| built.into(), PathBuf::from)
}

/// The project's root, with its sources.
pub fn project() -> PathBuf {
    path("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file in `tests/goldens`.
///
/// # Panics
/// Where it is missing.
pub fn golden(name: &str) -> String {
    let path = project().join("tests/goldens").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What drivers and the program keep of compiled shaders: between tests, but not the user's.
pub fn cache() -> PathBuf {
    path("CARGO_TARGET_TMPDIR", env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// The command line.
pub fn program() -> PathBuf {
    // Without the feature `cli` there is none, nor a test of it.
    path("CARGO_BIN_EXE_secateur", option_env!("CARGO_BIN_EXE_secateur").unwrap_or_default())
}
