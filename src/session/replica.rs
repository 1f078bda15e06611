//! What the replicas of a session have in common: what they need of each other, and how it is told
//! whether they are the same.
use xxhash_rust::xxh3::xxh3_64;

use super::Session;
use super::gradients::statistics;
use crate::gpu::{Encoder, Slot, Staging};
use crate::{Error, Result};

/// Bytes that are read back at once, unless one tensor is larger.
const PART: u64 = 16 << 20;

#[doc(hidden)]
impl Session {
    /// Everything that a replica needs to compute gradients, but for [`masks`](Self::masks): raw
    /// weights, running moments, and what scores keep of inputs. Neither optimizer slots nor
    /// averages, nor states, which are each replica's own. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Argument`] where the session has no room for means of gradients; of the device.
    pub fn parameters(&self) -> Result<Vec<f32>> {
        self.read(&self.parameter_slots()?)
    }

    /// Puts another replica's [`parameters`](Self::parameters) in the place of these.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of values than these are.
    pub fn put_parameters(&mut self, values: &[f32]) -> Result<()> {
        self.write("parameters", &self.parameter_slots()?, values)?;
        self.uninitialised.clear();
        Ok(())
    }

    /// Begins the states that are carried from batch to batch at 0; says whether there are any.
    pub(crate) fn forget_states(&self) -> bool {
        let states = self.variables.iter().filter(|v| v.carried);
        let states = states.filter_map(|v| v.weight.stored.values());
        let zeros = |slot: Slot| {
            self.program.upload(&self.gpu, slot, &vec![0_f32; slot.words as usize]);
        };
        states.map(zeros).count() > 0
    }

    /// The masks of all pruned weights, one after the other: bit `i % 32` of word `i / 32` is
    /// weight `i`, and each begins with a word. Waits for the device.
    ///
    /// # Errors
    /// Of the device.
    pub fn masks(&self) -> Result<Vec<u32>> {
        Ok(self.read(&self.mask_slots())?.into_iter().map(f32::to_bits).collect())
    }

    /// Puts another replica's [`masks`](Self::masks) in the place of these. Weights stay.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of words than these are.
    pub fn put_masks(&mut self, words: &[u32]) -> Result<()> {
        self.write("masks", &self.mask_slots(), words)
    }

    /// A checksum of every tensor that replicas have alike between two steps, by name: weights,
    /// running moments, optimizer slots, averages, what scores keep, masks and thresholds. States
    /// are each replica's own. Waits for the device.
    ///
    /// # Errors
    /// Of the device.
    pub fn checksums(&self) -> Result<Vec<(String, u64)>> {
        let mut all = Vec::new();
        for v in self.variables.iter().filter(|v| !v.carried) {
            let name = &v.weight.name;
            let beside = |&(slot, at): &(&str, Slot)| (format!("{name}/{slot}"), at);
            all.extend(v.weight.stored.values().map(|values| (name.clone(), values)));
            all.extend(v.weight.slots.iter().chain(&v.score_slots).map(beside));
            let mask = v.weight.stored.mask().map(|mask| ("mask", mask));
            let state = v.mask.map(|mask| ("threshold", mask.state));
            all.extend(mask.iter().chain(&state).map(beside));
        }
        let checksum =
            |(name, slot)| Ok((name, xxh3_64(&self.program.download::<u8>(&self.gpu, slot)?)));
        all.into_iter().map(checksum).collect()
    }

    fn parameter_slots(&self) -> Result<Vec<Slot>> {
        let phase = self.accumulates(0)?.gradient;
        let weights = self.variables.iter().filter(|v| !v.carried);
        let mut slots: Vec<Slot> = weights.filter_map(|v| v.weight.stored.values()).collect();
        let moved = statistics(self.program.plan(), &self.variables, phase).into_iter();
        let of_scores: Vec<_> =
            moved.map(|(slot, _)| slot).filter(|s| !slots.contains(s)).collect();
        slots.extend(of_scores);
        Ok(slots)
    }

    fn mask_slots(&self) -> Vec<Slot> {
        self.variables.iter().filter_map(|v| v.weight.stored.mask()).collect()
    }

    fn read(&self, slots: &[Slot]) -> Result<Vec<f32>> {
        let (mut all, mut values, mut rest) = (Vec::new(), Vec::new(), slots);
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|slot| {
                bytes += u64::from(slot.words) * 4;
                bytes <= PART
            });
            let (here, after) = rest.split_at(fit.count().max(1));
            rest = after;
            let mut staging = Staging::new(&self.gpu, here.iter().map(|&s| s.into()).collect())?;
            let mut encoder = Encoder::new(&self.gpu);
            staging.copy(&self.gpu, &mut encoder, &self.program)?;
            encoder.submit()?;
            staging.take(&self.gpu, &mut values)?;
            all.append(&mut values);
        }
        Ok(all)
    }

    fn write<T: bytemuck::Pod>(&self, what: &str, slots: &[Slot], values: &[T]) -> Result<()> {
        let words: usize = slots.iter().map(|slot| slot.words as usize).sum();
        if values.len() != words {
            let message = format!("{} of another replica for {words} here", values.len());
            return Err(Error::shape(what, message));
        }
        let mut rest = values;
        for &slot in slots {
            let (here, after) = rest.split_at(slot.words as usize);
            rest = after;
            self.program.upload(&self.gpu, slot, here);
        }
        Ok(())
    }
}
