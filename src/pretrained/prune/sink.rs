//! Where pruned weights go.
use crate::Result;
use crate::storage::Patch;

/// Takes pruned weights, block after block: the folder that is to come, or what a library's user
/// makes of them.
pub trait Sink {
    /// Names of the blocks that an interrupted work has left complete.
    fn done(&self) -> &[String];

    /// What was remarked of a block when it was done.
    fn remark(&self, block: &str) -> Option<&str>;

    /// The values of a tensor as they are now.
    ///
    /// # Errors
    /// Of the files.
    fn read(&self, name: &str) -> Result<Vec<f32>>;

    /// Puts values in the place of a tensor's, and returns what they are in its dtype.
    ///
    /// # Errors
    /// Of the files.
    fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>>;

    /// Says that all of a block is there.
    ///
    /// # Errors
    /// Of the files.
    fn mark_done(&mut self, block: &str, remark: &str) -> Result<()>;
}

impl Sink for Patch {
    fn done(&self) -> &[String] {
        Self::done(self)
    }

    fn remark(&self, block: &str) -> Option<&str> {
        Self::remark(self, block)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        Self::read(self, name)
    }

    fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        Self::put(self, name, values)
    }

    fn mark_done(&mut self, block: &str, remark: &str) -> Result<()> {
        Self::mark_done(self, block, remark)
    }
}
