//! Floor 9: the supervised training loop, and what it leaves in its logdir.
mod guard;
mod options;
mod recipe;
mod record;
#[doc(hidden)]
pub mod replicas;
mod running;
mod step_fn;
mod train_op;

pub use options::{InitOp, Observer, SessionFn, Summaries, TrainOptions};
pub use recipe::{Difference, Init, Recipe};
pub use record::event::{Event, StepEvent};
pub use record::summary::SummaryFn;
pub use record::{histogram, summary, timeline};
pub use replicas::{Carried, SyncReplicas};
#[doc(hidden)]
pub use replicas::{Exchange, Header, aggregate, token};
pub use running::{End, TrainOutcome, train};
pub use step_fn::{StepContext, StepReturn, TrainStepFn};
pub use train_op::TrainOp;
