//! Floor 4: models by name, and initial values by seed.
mod init;
mod model;
mod network;
mod shrink;

pub use init::initial_values;
pub use model::Model;
pub use network::Network;
pub use shrink::{Dense, Shrunk, shrink};
