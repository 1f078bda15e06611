//! Floor 6: the supervised training loop, and what it leaves in its logdir.
pub mod checkpoint;
mod event;
pub mod histogram;
mod options;
mod plans;
mod saver;
mod saves;
mod scalars;
mod session;
mod snapshot;
pub mod summary;
mod supervisor;
pub mod timeline;
mod trace;
mod train_op;
mod variables;

pub use event::{Event, MaskEvent, MaskSparsity, StepEvent};
pub use options::{Observer, SessionFn, TrainOptions};
pub use plans::plan;
pub use session::{Evaluation, Session, StepResult};
pub use supervisor::{End, TrainOutcome, train};
pub use train_op::TrainOp;
