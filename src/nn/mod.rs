//! Floor 5: models by name, and initial values by seed.
mod dead;
mod init;
mod input;
pub mod layers;
mod metric;
mod model;
mod network;
mod shrink;
mod takes;
mod zoo;

pub use dead::{Living, ShrunkLayer, remove_dead};
pub use init::initial_values;
pub use input::Input;
pub use metric::{Figures, Metric};
pub use model::Model;
pub use network::{Ends, Network};
pub use shrink::{Dense, Shrunk, shrink};
pub(crate) use takes::Takes;
