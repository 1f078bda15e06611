//! Floor 4: models by name, and initial values by seed.
mod init;
mod input;
pub mod layers;
mod model;
mod network;
mod shrink;
mod zoo;

pub use init::initial_values;
pub use input::Input;
pub use model::Model;
pub use network::Network;
pub use shrink::{Dense, Shrunk, shrink};
