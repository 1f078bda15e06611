//! A language model on the device, and a sequence of tokens that grows.
use super::options::GenerateOptions;
use super::plan::{GeneratorPlan, Part};
use crate::gpu::{Encoder, Gpu, Memory, Phase, Program, ReadbackRing, Slot};
use crate::kernels::PackedForm;
use crate::pretrained::model::Pretrained;
use crate::{Error, Result};

/// A language model that says what follows a sequence of tokens.
///
/// All weights are on the device, and keys and values of all tokens so far, so that a further token
/// costs what one position does.
#[derive(Debug)]
pub struct Generator<'m> {
    model: &'m Pretrained,
    gpu: Gpu,
    program: Program,
    parts: Vec<Part>,
    head: Phase,
    logits_at: Slot,
    ring: ReadbackRing,
    capacity: usize,
    tokens: Vec<u32>,
    logits: Vec<f32>,
    /// The tokens' table, where its rows cannot be read one by one.
    table: Option<Vec<f32>>,
    packed: Vec<(String, PackedForm)>,
}

impl Pretrained {
    /// The model on the device, with the weights of its files, before any token.
    ///
    /// # Errors
    /// [`Error::Argument`] for a model that is none of language, and for options out of range;
    /// [`Error::Plan`] for more positions than a launch can go over; [`Error::MemoryBudget`], of the
    /// device and of the files.
    pub fn generator(&self, gpu: &Gpu, options: &GenerateOptions) -> Result<Generator<'_>> {
        let of = GeneratorPlan::new(self, gpu.target(), options)?;
        let GeneratorPlan { plan, weights, parts, head, logits } = of;
        let program = plan.build(gpu)?;
        weights.upload(gpu, &program)?;
        let table = self.architecture().table().filter(|name| self.files().is_packed(name));
        let table = table.map(|name| self.files().read_f32(&name)).transpose()?;
        let ring = ReadbackRing::new(gpu, 4 * u64::from(logits.words), 1)?;
        Ok(Generator {
            model: self,
            gpu: gpu.clone(),
            program,
            parts,
            head,
            logits_at: logits,
            ring,
            capacity: options.positions as usize,
            tokens: Vec::new(),
            logits: Vec::new(),
            table,
            packed: weights.forms(),
        })
    }
}

impl<'m> Generator<'m> {
    /// The model.
    pub fn model(&self) -> &'m Pretrained {
        self.model
    }

    /// The sequence so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Most tokens of a sequence.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// What the model says of the token behind the sequence: a logit for each of its vocabulary;
    /// nothing before the first token.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Bytes on the device.
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    /// The weights that are packed on the device, with what they are packed as.
    pub fn packed_weights(&self) -> &[(String, PackedForm)] {
        &self.packed
    }

    /// Forgets all tokens but the first `length`, so that another sequence may follow these. Logits
    /// are there again behind the next token.
    pub fn truncate(&mut self, length: usize) {
        if length < self.tokens.len() {
            self.tokens.truncate(length);
            self.logits.clear();
        }
    }

    /// Appends `ids`, several of them at once where there are several, and returns the
    /// [`logits`](Self::logits) of what follows.
    ///
    /// # Errors
    /// [`Error::Argument`] for no tokens, tokens that the model does not have, more than there is
    /// room for, and logits that are not finite; [`Error::File`] for a token's row that is not; of
    /// the device and the files. The sequence then ends before the part that failed.
    pub fn feed(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.check(ids)?;
        self.logits.clear();
        let mut rest = ids;
        while !rest.is_empty() {
            let part = self.part_of(rest.len());
            let (now, later) = rest.split_at(rest.len().min(part.length as usize));
            self.pass(part, now, later.is_empty())?;
            rest = later;
        }
        Ok(&self.logits)
    }

    pub(super) fn check(&self, ids: &[u32]) -> Result<()> {
        let wrong = |message: String| Err(Error::argument("tokens", message));
        let vocabulary = self.logits_at.words;
        if ids.is_empty() {
            return wrong("there are none; a sequence begins with one at least".to_owned());
        }
        if let Some((at, id)) = ids.iter().enumerate().find(|(_, id)| **id >= vocabulary) {
            return wrong(format!(
                "token {id} at {at}, the model's table has {vocabulary}; take the tokenizer of \
                 this model"
            ));
        }
        let (have, new, capacity) = (self.tokens.len(), ids.len(), self.capacity);
        if have + new > capacity {
            return wrong(format!(
                "{new} behind {have}, and there is room for {capacity}; take more positions"
            ));
        }
        Ok(())
    }

    /// The part that suits so many tokens: none of which more than half would be empty, but that one
    /// pass over the weights for a few tokens costs less than several.
    fn part_of(&self, tokens: usize) -> Part {
        let mut several = self.parts.iter().filter(|part| part.length > 1);
        let full = several.clone().find(|part| 2 * tokens > part.length as usize);
        let fits = || several.next_back().filter(|_| tokens > 1);
        *full.or_else(fits).unwrap_or(&self.parts[self.parts.len() - 1])
    }

    /// The rows of the tokens' table for `ids`, `width` each.
    fn rows(&self, ids: &[u32], width: usize) -> Result<Vec<f32>> {
        let Some(table) = &self.table else { return self.model.token_rows(ids) };
        let row = |&id: &u32| &table[id as usize * width..][..width];
        Ok(ids.iter().flat_map(row).copied().collect())
    }

    /// Sends `ids` through all blocks, and where they are the `last` ones through the head.
    fn pass(&mut self, part: Part, ids: &[u32], last: bool) -> Result<()> {
        let length = part.length as usize;
        // What fills a part up is a token like others: nothing of it is seen by the tokens before
        // it, and those behind it take its place.
        let filled = ids.iter().chain(std::iter::repeat(&ids[ids.len() - 1]));
        let filled: Vec<u32> = filled.take(length).copied().collect();
        let first = self.tokens.len();
        let positions: Vec<f32> = (first..first + length).map(|at| at as f32).collect();
        let rows = self.rows(&filled, part.tokens.words as usize / length)?;
        let Self { gpu, program, ring, .. } = self;
        program.upload(gpu, part.tokens, &rows);
        program.upload(gpu, part.positions, &positions);
        if let Some(slot) = part.last {
            program.upload(gpu, slot, &[(ids.len() - 1) as f32]);
        }
        let mut encoder = Encoder::new(gpu);
        program.encode(part.phase, &mut encoder);
        if last {
            program.encode(self.head, &mut encoder);
            ring.copy(gpu, &mut encoder, program, &[self.logits_at])?;
        }
        encoder.submit()?;
        if last {
            let arrived = ring.wait(gpu)?;
            let bytes = arrived.into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default();
            let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
            if let Some(at) = logits.iter().position(|x| !x.is_finite()) {
                let (value, behind) = (logits[at], first + ids.len());
                let message = format!("{value} for token {at} behind {behind} tokens");
                return Err(Error::argument("logits", message));
            }
            self.logits = logits;
        } else {
            // The host is not to run ahead: what it uploads is kept until it is copied.
            gpu.wait()?;
        }
        self.tokens.extend(ids);
        Ok(())
    }
}
