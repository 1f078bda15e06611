//! Floor 8: pages that people read: what runs have left in their logdirs, as one file of HTML and
//! SVG that needs no network and no script.
//!
//! [`Page::of`] reads logdirs only, so a page can be made of any run, at any time, wherever it was
//! trained. `secateur train` makes one at the end of each run.
mod chart;
mod html;
mod logdir;
mod number;
mod page;
mod pruned;
mod sweep;

use std::path::{Path, PathBuf};

pub use logdir::RESULT_FILE;
pub use page::{PAGE_FILE, Page};
pub use pruned::{numbers_of, page_of};
pub use sweep::{Group, SWEEP_FILE, Sweep, Trial, TrialOutcome};

use crate::Result;

/// Bytes of the weights in the newest checkpoint of `logdir`: as a dense file, and in the exact
/// format of `secateur export` that takes the fewest; `None` where there is no checkpoint.
///
/// # Errors
/// [`Error::File`](crate::Error::File) and [`Error::Io`](crate::Error::Io) name the file.
pub fn sizes(logdir: &Path) -> Result<Option<[u64; 2]>> {
    Ok(logdir::Tensors::newest(logdir)?.map(|tensors| tensors.dense_and_packed()))
}

/// Where a page of `inputs` goes where nobody says it: into the only logdir, else into the working
/// folder.
pub fn default_output(inputs: &[PathBuf]) -> PathBuf {
    match inputs {
        [only] if pruned::numbers(only).is_some() && !logdir::Run::is_at(only) => page_of(only),
        [only] if only.is_dir() => only.join(PAGE_FILE),
        _ => PathBuf::from(PAGE_FILE),
    }
}
