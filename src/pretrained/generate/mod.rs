//! Text of language models, token by token: all of the model is on the device, and keys and values
//! of the sequence so far are in caches.
mod end;
mod generation;
mod generator;
mod options;
mod plan;
mod sampler;
mod token_weights;
mod weights;

pub use generation::{Generation, Stop};
pub use generator::Generator;
pub use options::{GenerateOptions, Sampling};
pub use sampler::Sampler;
pub use token_weights::TokenWeight;
