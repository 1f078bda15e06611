//! Whether a launcher has started this process among others: the one place that asks.
use std::sync::Arc;

use super::Comm;
use crate::{Error, Result};

/// What launchers tell each process, by what tells most: the number of ranks.
const SIZES: [&str; 4] =
    ["OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];
/// From here on, numbers of Slurm's steps mean shells and scripts, not tasks.
const SLURM_RESERVED: u64 = 4_294_967_280;

/// What the environment says about the launcher that has started this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The environment variable that tells it.
    pub variable: &'static str,
    /// How many ranks there are, where the launcher says so.
    pub ranks: Option<usize>,
}

impl Launch {
    /// By the environment, of which `read` gives a variable; `None` for a process that is alone.
    ///
    /// `SLURM_NTASKS` is not asked: Slurm sets it in shells and scripts too, which are no tasks.
    pub fn found(read: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let shell = number("SLURM_STEP_ID").is_some_and(|step| step >= SLURM_RESERVED);
        let sizes = SIZES.into_iter().filter(|name| !(shell && name.starts_with("SLURM")));
        let told = sizes.map(|variable| (variable, number(variable)));
        if let Some((variable, Some(ranks))) = told.into_iter().find(|(_, n)| n.is_some()) {
            let ranks = usize::try_from(ranks).unwrap_or(usize::MAX);
            return (ranks > 1).then_some(Self { variable, ranks: Some(ranks) });
        }
        number("PMIX_RANK").map(|_| Self { variable: "PMIX_RANK", ranks: None })
    }

    fn error(&self, message: &str) -> Error {
        let Self { variable, ranks } = self;
        let ranks = ranks.map_or("an unknown number of".to_owned(), |n| n.to_string());
        let alone = format!("for runs that know nothing of each other, unset {variable}");
        Error::argument(
            *variable,
            format!("a launcher has started {ranks} ranks, {message}; {alone}"),
        )
    }
}

/// The ranks that a launcher (`mpirun`, `srun`) has started this process among; `None` for a
/// process that is alone.
///
/// Connects once in the life of a process; the job ends when the last handle is dropped. Call it
/// before other threads are started.
///
/// # Errors
/// [`Error::Argument`], named as the environment variable that tells of other ranks, in a build
/// without the feature `mpi`, or where MPI does not find these ranks: otherwise each process would
/// train the whole run by itself.
pub fn connect() -> Result<Option<Arc<dyn Comm>>> {
    Launch::found(|name| std::env::var(name).ok()).map_or(Ok(None), |launch| join(&launch))
}

#[cfg(feature = "mpi")]
fn join(launch: &Launch) -> Result<Option<Arc<dyn Comm>>> {
    let comm = super::MpiComm::init()?;
    let size = comm.size();
    match launch.ranks {
        Some(ranks) if ranks != size => Err(launch.error(&format!(
            "and MPI says {size}: use the launcher of the library that this program was built \
             with ({}), under Slurm `srun --mpi=pmix`",
            comm.engine()
        ))),
        None if size == 1 => Ok(None),
        _ => Ok(Some(Arc::new(comm))),
    }
}

#[cfg(not(feature = "mpi"))]
fn join(launch: &Launch) -> Result<Option<Arc<dyn Comm>>> {
    Err(launch.error(
        "and this program was built without MPI, so that each would train the whole run by \
         itself: build it with `cargo install secateur --features mpi`, or in its own folder \
         `cargo build --release --features mpi`",
    ))
}
