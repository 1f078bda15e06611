//! The crate's one error type: each message names the thing, both numbers, and the way out.
use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A number of bytes as people read it: `1.5 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ByteSize::b(self.0).display().iec())
    }
}

impl FromStr for Bytes {
    type Err = String;

    /// `2GiB`, `500 MB`, or a whole number of bytes.
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.parse().map(|bytes: ByteSize| Self(bytes.as_u64()));
        bytes.map_err(|_| format!("`{text}` must be a number of bytes like 2GiB, 500MB or 123456"))
    }
}

/// Ranks, ascending, as messages name them: `rank 3`, `ranks 0 to 2, 5`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranks<'a>(pub(crate) &'a [usize]);

impl fmt::Display for Ranks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &rank in self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == rank => *last = rank,
                _ => runs.push((rank, rank)),
            }
        }
        let run = |&(first, last): &(usize, usize)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first} to {last}"),
        };
        let runs: Vec<_> = runs.iter().map(run).collect();
        let noun = if self.0.len() == 1 { "rank" } else { "ranks" };
        write!(f, "{noun} {}", runs.join(", "))
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter answered.
    #[error(
        "no GPU adapter found{wanted} (backends tried: {tried}; adapters seen: {seen}); \
         install a GPU driver, or run scripts/setup.sh to install a software adapter; \
         on Windows, DirectX 12 needs dxcompiler.dll beside the program or on the PATH"
    )]
    NoAdapter {
        /// ` matching "name"`, or empty.
        wanted: String,
        /// Backends that were asked.
        tried: String,
        /// Adapters that answered but were not wanted, or `none`.
        seen: String,
    },
    /// The device was refused, or rejected what it was given.
    #[error("GPU device: {0}")]
    Device(String),
    /// The device is gone; nothing it held can be read any more.
    #[error(
        "GPU device lost: {0}; run the same command again to resume from the newest checkpoint"
    )]
    DeviceLost(String),
    /// The device did not finish what was submitted.
    #[error(
        "GPU device: no answer within {seconds} s; it hangs, or a step takes longer: \
         set SECATEUR_TIMEOUT to more seconds, or use a smaller batch or model"
    )]
    DeviceHung {
        /// How long it was waited for.
        seconds: f64,
    },
    /// A plan needs more than the memory budget.
    #[error(
        "the plan needs {bytes} bytes on the device ({}), the memory budget is {budget} ({}); the largest tensors: {largest}; \
         use a smaller batch or model, recompute activations (`recompute`), or a larger budget (--memory-budget, SECATEUR_MEMORY)",
        Bytes(*bytes), Bytes(*budget)
    )]
    MemoryBudget {
        /// Bytes that it needs.
        bytes: u64,
        /// Bytes that it may take.
        budget: u64,
        /// The three largest tensors, each with its bytes and whether it is persistent or scratch.
        largest: String,
    },
    /// The device had no room for a tensor.
    #[error(
        "GPU out of memory: no room for {bytes} bytes for {tensor}; use a smaller batch or model"
    )]
    OutOfMemory {
        /// Tensors that share the buffer.
        tensor: String,
        /// Bytes asked for.
        bytes: u64,
    },
    /// A tensor is larger than what the adapter can bind to a shader.
    #[error(
        "{tensor} needs {bytes} bytes in one binding, this adapter's limit is {limit}; \
         make the tensor or the batch smaller, or choose another adapter"
    )]
    TensorTooLarge {
        /// Tensors that share the buffer.
        tensor: String,
        /// Bytes asked for.
        bytes: u64,
        /// Limit of the adapter in bytes.
        limit: u64,
    },
    /// A plan was put together wrongly; the message names kernel and operand.
    #[error("{kernel}: {message}")]
    Plan {
        /// Kernel name.
        kernel: String,
        /// What is wrong with which operand.
        message: String,
    },
    /// Shapes that do not fit together.
    #[error("{op}: {message}")]
    Shape {
        /// Operation or layer.
        op: String,
        /// Both shapes and the rule that they break.
        message: String,
    },
    /// An argument, option or field has a value it cannot have.
    #[error("`{name}`: {message}")]
    Argument {
        /// Name as the user wrote it.
        name: String,
        /// The value, the allowed range, the way out.
        message: String,
    },
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Verb: `read`, `create`, `rename`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with both numbers.
        message: String,
    },
    /// Checkpoints are there, but none can be trusted.
    #[error(
        "{}: no valid checkpoint among those present ({skipped}); \
         move them away to start afresh, or restore them from a backup", logdir.display()
    )]
    NoValidCheckpoint {
        /// The logdir.
        logdir: PathBuf,
        /// Each checkpoint skipped, with the reason.
        skipped: String,
    },
    /// A batch is not what its source said that it gives.
    #[error("batch {batch} of `{source_name}`: {message}")]
    Batch {
        /// What the source is called.
        source_name: String,
        /// Number of the batch, counted as the caller counts.
        batch: u64,
        /// Which row is wrong, with both numbers, and the way out.
        message: String,
    },
    /// Another process works in the logdir.
    #[error("{} is in use by process {pid}; wait for it or choose another logdir", logdir.display())]
    Locked {
        /// The logdir.
        logdir: PathBuf,
        /// The holder, as it wrote itself into the lock file.
        pid: String,
    },
    /// A function of the user's panicked.
    #[error("`{what}` panicked: {message}")]
    Panicked {
        /// Name of the function, as the option that it was given by.
        what: &'static str,
        /// What it said.
        message: String,
    },
    /// Another rank of a job has ended it.
    #[error("rank {rank} ended the job: {message}")]
    Peer {
        /// The rank.
        rank: usize,
        /// What it said.
        message: String,
    },
    /// Ranks that compute the same have come to different values.
    #[error(
        "global step {step}: {tensor} is not the same on all ranks: it differs from the chief's on \
         {}; go on from the newest checkpoint, and where that comes again try the adapters there \
         with `secateur devices --check`",
        Ranks(ranks)
    )]
    Diverged {
        /// Global step.
        step: u64,
        /// First tensor found.
        tensor: String,
        /// Ranks with another value than the chief, ascending.
        ranks: Vec<usize>,
    },
    /// What another rank has sent is no message of this job.
    #[error(
        "a message of rank {from} {message}; start every rank with the same build of the program, \
         on machines of one kind"
    )]
    Message {
        /// The rank.
        from: usize,
        /// What is wrong with it, with both numbers.
        message: String,
    },
    /// A loss or a tensor is NaN or infinite.
    #[error(
        "global step {step}: {tensor} is not finite; lower the learning rate or look at the data \
         (the checkpoints written before this step are kept)"
    )]
    NonFinite {
        /// Global step.
        step: u64,
        /// First tensor found, or `loss`.
        tensor: String,
    },
}

impl Error {
    /// An [`Error::Argument`].
    pub fn argument(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Argument { name: name.into(), message: message.into() }
    }

    /// An [`Error::Shape`].
    pub fn shape(op: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Shape { op: op.into(), message: message.into() }
    }

    /// An [`Error::File`].
    pub fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::File { path: path.into(), message: message.into() }
    }

    /// An [`Error::Panicked`], by what `catch_unwind` caught.
    pub(crate) fn panicked(what: &'static str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Panicked { what, message: text.unwrap_or("no message").to_owned() }
    }

    /// Turns an [`std::io::Error`] into an [`Error::Io`], for `map_err`.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// # Errors
/// [`Error::Argument`] unless `ok`: `value` of `name` must be `range`.
pub(crate) fn check(
    name: &str,
    value: impl std::fmt::Display,
    ok: bool,
    range: &str,
) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::argument(name, format!("{value} must be {range}"))) }
}
