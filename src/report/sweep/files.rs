//! What a sweep writes into its folder.
use std::path::{Path, PathBuf};

use super::{SWEEP_FILE, Sweep, TrialOutcome, page};
use crate::report::PAGE_FILE;
use crate::storage::replace;
use crate::{Error, Result};

impl Sweep {
    /// Writes its results into `folder`, with the page and the picture.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let path = |name: &str| folder.join(name);
        let json = serde_json::to_string_pretty(self)
            .map_err(|e| Error::argument("sweep", e.to_string()))?;
        let mut written = vec![path(SWEEP_FILE), path("sweep.csv"), path(PAGE_FILE)];
        replace(&written[0], json.as_bytes())?;
        replace(&written[1], self.csv().as_bytes())?;
        replace(&written[2], page(self).as_bytes())?;
        if let Some(picture) = self.picture() {
            written.push(path("sweep.svg"));
            replace(&path("sweep.svg"), picture.as_bytes())?;
        }
        Ok(written)
    }

    /// A line a run, as CSV.
    fn csv(&self) -> String {
        let mut out = csv::Writer::from_writer(Vec::new());
        let fixed = ["seed", "figure", "value", "sparsity", "bytes", "dense_bytes", "seconds"];
        let head = ["run"].into_iter().chain(self.axes.iter().map(String::as_str));
        // Into memory, which takes all.
        out.write_record(head.chain(fixed).chain(["failed"])).ok();
        for trial in &self.trials {
            let setting = |axis| trial.settings.get(axis).cloned().unwrap_or_default();
            let mut row = vec![trial.name.clone()];
            row.extend(self.axes.iter().map(setting));
            row.push(trial.seed.to_string());
            match &trial.outcome {
                Some(TrialOutcome { figure, value, sparsity, bytes, dense_bytes, seconds }) => {
                    let numbers = [value.to_string(), sparsity.to_string(), bytes.to_string()];
                    row.push(figure.clone());
                    row.extend(numbers);
                    row.extend([dense_bytes.to_string(), seconds.to_string()]);
                }
                None => row.extend(std::iter::repeat_n(String::new(), 6)),
            }
            row.push(trial.failed.clone().unwrap_or_default());
            out.write_record(row).ok();
        }
        String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}
