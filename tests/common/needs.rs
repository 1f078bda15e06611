//! What tests need of the machine that they run on. Where it is missing, a test says so in one
//! `SKIPPED` line and does nothing, or fails where the environment says that it must be there.
#![allow(dead_code, reason = "no test program needs all of them")]

use std::fmt::Display;
use std::io::Write;

/// Adapters. What an adapter lacks is [`FEATURES`].
pub const GPU: &str = "SECATEUR_REQUIRE_GPU";
/// Programs, libraries, headers and rights.
pub const TOOLS: &str = "SECATEUR_REQUIRE_TOOLS";
/// What some adapters can and others cannot.
pub const FEATURES: &str = "SECATEUR_REQUIRE_FEATURES";
/// Of these 16-bit floats alone: for adapters that have them, and no cooperative matrices.
pub const HALVES: &str = "SECATEUR_REQUIRE_HALVES";

/// Says that a test is skipped because `what` is missing.
///
/// # Panics
/// Where the variable `required` is 1.
pub fn missing(required: &str, what: impl Display) {
    assert!(!is_set(required), "{required}=1, but {what}");
    say(&format!("SKIPPED: {what}"));
}

/// Whether the variable `required` is 1.
pub fn is_set(required: &str) -> bool {
    std::env::var(required).is_ok_and(|v| v == "1")
}

/// Past the test harness, which hides what a passing test prints through `eprintln!`.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}
