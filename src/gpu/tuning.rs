//! A tuner's choices on disk, one file per adapter, driver and version of this crate.
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::adapter::AdapterReport;
use super::target::Choices;
use crate::storage::replace;
use crate::{Error, Result};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tuning {
    adapter: String,
    driver: String,
    /// Kernels of another version may be fast elsewhere.
    version: String,
    choices: Choices,
}

impl Tuning {
    fn new(report: &AdapterReport, choices: Choices) -> Self {
        let (adapter, driver) = (report.name.clone(), report.driver.clone());
        Self { adapter, driver, version: env!("CARGO_PKG_VERSION").to_owned(), choices }
    }
}

fn path(dir: &Path, report: &AdapterReport) -> PathBuf {
    dir.join(format!("tuning-{}.json", report.key()))
}

/// What was kept for this adapter; a file that is damaged or another's counts as none.
pub(super) fn load(dir: &Path, report: &AdapterReport) -> Option<Choices> {
    let tuning: Tuning = serde_json::from_slice(&fs::read(path(dir, report)).ok()?).ok()?;
    (tuning == Tuning::new(report, tuning.choices)).then_some(tuning.choices)
}

pub(super) fn store(dir: &Path, report: &AdapterReport, choices: &Choices) -> Result<PathBuf> {
    let path = path(dir, report);
    let text = serde_json::to_string_pretty(&Tuning::new(report, *choices)).expect("plain data");
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    replace(&path, text.as_bytes())?;
    Ok(path)
}
