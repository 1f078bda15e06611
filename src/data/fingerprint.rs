//! What tells the rows of one data set from those of another.
use super::{Dataset, answers, features};
use xxhash_rust::xxh3::Xxh3Default;

impl Dataset {
    /// A hash (XXH3-64) of the rows in their order: features as they are kept, before they are
    /// scaled, and answers; of what is beside them only where it comes from.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        for extent in self.stored_shape.iter().chain([&self.rows]) {
            hash.update(&(*extent as u64).to_le_bytes());
        }
        match &self.features {
            features::Stored::F32(values) => words(&mut hash, values, f32::to_le_bytes),
            features::Stored::U8 { bytes, .. } => hash.update(bytes),
        }
        match &self.answers {
            answers::Stored::U8(labels) => hash.update(labels),
            answers::Stored::U32(labels) => words(&mut hash, labels, u32::to_le_bytes),
            answers::Stored::F32(values) => words(&mut hash, values, f32::to_le_bytes),
            answers::Stored::None => {}
        }
        if let Some(beside) = &self.beside {
            hash.update(&(beside.width as u64).to_le_bytes());
            hash.update(beside.of.as_bytes());
        }
        hash.digest()
    }
}

/// In the same order of bytes on every machine.
fn words<T: Copy>(hash: &mut Xxh3Default, values: &[T], bytes: impl Fn(T) -> [u8; 4]) {
    let mut part = Vec::with_capacity(4096 * 4);
    for values in values.chunks(4096) {
        part.clear();
        values.iter().for_each(|&value| part.extend(bytes(value)));
        hash.update(&part);
    }
}
