//! Texts as the tokens of a pretrained model: its tokenizer, and windows of what it gives.
#[cfg(feature = "text")]
mod cuts;
#[cfg(feature = "text")]
mod decode;
#[cfg(feature = "text")]
mod encode;
#[cfg(feature = "text")]
mod rows;
#[cfg(feature = "text")]
mod tokenizer;
mod windows;

#[cfg(feature = "text")]
pub use decode::TokenText;
#[cfg(feature = "text")]
pub use rows::TokenRows;
#[cfg(feature = "text")]
pub use tokenizer::Tokenizer;
pub use windows::TokenWindows;
