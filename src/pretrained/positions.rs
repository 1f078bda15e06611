//! What layers know of the places of positions, and of those before them: tables by position, and
//! attention, of whole sequences or part by part.
use super::layers::Layers;
use crate::graph::{AttentionOptions, Tensor};
use crate::{Error, Result};

/// A sequence that goes through part by part: keys and values stay in caches.
#[derive(Debug, Clone)]
pub(crate) struct Cached {
    /// `[length]`, of each position of a part its number in the sequence, whole numbers as f32.
    pub(crate) positions: Tensor,
    /// Positions that the caches have.
    pub(crate) capacity: u32,
    /// Caches so far, of keys and of values, in the order of the blocks.
    pub(crate) caches: Vec<[Tensor; 2]>,
}

impl Layers {
    /// From here on a row is a part of a sequence, the next `length` positions, and caches have
    /// `capacity` positions. Where the host writes the positions' numbers.
    pub(crate) fn part_by_part(&mut self, length: u32, capacity: u32) -> Result<Tensor> {
        let features = self.graph.features(1, length);
        let positions = self.graph.reshape(features, [length])?;
        self.cached = Some(Cached { positions, capacity, caches: Vec::new() });
        Ok(features)
    }

    /// The table of rotary positions, one for all blocks that ask for the same.
    ///
    /// # Errors
    /// Of [`Graph::rotary_table`](crate::graph::Graph::rotary_table).
    pub fn turns(&mut self, frequencies: &[f32], length: u32) -> Result<Tensor> {
        let known = self.turns.iter().find(|(f, l, _)| f == frequencies && *l == length);
        if let Some(&(_, _, table)) = known {
            return Ok(table);
        }
        let table = match self.cached.as_ref() {
            None => self.graph.rotary_table(frequencies, length)?,
            Some(&Cached { positions, capacity, .. }) => {
                let pairs = frequencies.len() as u32;
                let all = self.graph.rotary_table(frequencies, capacity)?;
                let all = self.graph.reshape(all, [capacity, pairs.saturating_mul(2)])?;
                let rows = self.graph.embedding(positions, all)?;
                self.graph.reshape(rows, [length, pairs, 2])?
            }
        };
        self.turns.push((frequencies.to_vec(), length, table));
        Ok(table)
    }

    /// `x [batch, length, width]` with rows of the table `name [positions, width]`: the first, or of
    /// a part of a sequence its own.
    ///
    /// # Errors
    /// [`Error::Shape`] for another rank, or more positions than there are.
    pub fn add_positions(&mut self, x: Tensor, name: &str, positions: u32) -> Result<Tensor> {
        let &[_, length, width] = self.graph.shape(x).dims() else {
            return Err(Error::shape(name, format!("x is {}", self.graph.shape(x))));
        };
        let table = self.parameter(name, &[positions, width])?;
        let rows = match &self.cached {
            None => self.graph.slice(table, 0, 0..length)?,
            Some(cached) => self.graph.embedding(cached.positions, table)?,
        };
        self.graph.add(x, rows)
    }

    /// [`Graph::attend`](crate::graph::Graph::attend): of the positions of `x` to each other, or of
    /// those of a part of a sequence to all of it so far.
    ///
    /// # Errors
    /// Of the graph.
    pub fn attend(&mut self, x: &[Tensor], options: &AttentionOptions) -> Result<Tensor> {
        let Some(cached) = &mut self.cached else { return self.graph.attend(x, options) };
        let (positions, capacity) = (cached.positions, cached.capacity);
        let (y, caches) = self.graph.attend_cached(x, positions, capacity, options)?;
        cached.caches.push(caches);
        Ok(y)
    }
}
