//! Tokens that follow a prompt, one after the other.
use std::time::{Duration, Instant};

use super::generator::Generator;
use super::options::Sampling;
use super::sampler::Sampler;
use crate::{Error, Result};

/// Why no more tokens come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// This token, which ends a text by the model's settings, was the last one.
    End(u32),
    /// There are as many as were asked for.
    Tokens,
    /// The sequence has no room for more.
    Positions,
}

/// The tokens that follow a prompt, each chosen when it is asked for. An error is the last item.
#[derive(Debug)]
pub struct Generation<'g, 'm> {
    generator: &'g mut Generator<'m>,
    sampler: Sampler,
    /// Tokens that the model has not seen yet: the prompt, or the one chosen last.
    unseen: Vec<u32>,
    end: Vec<u32>,
    left: usize,
    stop: Option<Stop>,
    failed: bool,
    times: Vec<Duration>,
}

impl<'m> Generator<'m> {
    /// The tokens that follow `prompt` behind the sequence so far, which may be empty: `tokens` of
    /// them at most, chosen as `sampling` says. They end with one of the model's
    /// [`end_tokens`](crate::pretrained::Pretrained::end_tokens), which is among them.
    ///
    /// # Errors
    /// [`Error::Argument`] for a sampling out of range, for no prompt, and for one that
    /// [`feed`](Self::feed) does not take; [`Error::File`] for settings that say no end.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        tokens: usize,
        sampling: Sampling,
    ) -> Result<Generation<'_, 'm>> {
        let sampler = Sampler::new(sampling)?;
        if prompt.is_empty() {
            let message = "it has no tokens; a text begins with one at least";
            return Err(Error::argument("prompt", message));
        }
        self.check(prompt)?;
        let end = self.model().end_tokens()?;
        Ok(Generation {
            generator: self,
            sampler,
            unseen: prompt.to_vec(),
            end,
            left: tokens,
            stop: None,
            failed: false,
            times: Vec::new(),
        })
    }
}

impl<'m> Generation<'_, 'm> {
    /// The same, but that no token ends it.
    #[must_use]
    pub fn endless(self) -> Self {
        Self { end: Vec::new(), ..self }
    }

    /// Why it has ended; nothing before that.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// What the token that came last was chosen by; nothing before the first.
    pub fn logits(&self) -> &[f32] {
        self.generator.logits()
    }

    /// What each token took so far, the first one with its prompt.
    pub fn times(&self) -> &[Duration] {
        &self.times
    }

    /// The model and its sequence, which lacks the token that came last.
    pub fn generator(&self) -> &Generator<'m> {
        self.generator
    }

    fn one(&mut self) -> Result<u32> {
        let begun = Instant::now();
        let logits = self.generator.feed(&self.unseen)?;
        let token = self.sampler.choose(logits);
        self.times.push(begun.elapsed());
        self.unseen = vec![token];
        self.left -= 1;
        if self.end.contains(&token) {
            self.stop = Some(Stop::End(token));
        }
        Ok(token)
    }
}

impl Iterator for Generation<'_, '_> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        if self.failed || self.stop.is_some() {
            return None;
        }
        if self.left == 0 {
            self.stop = Some(Stop::Tokens);
            return None;
        }
        if self.generator.tokens().len() + self.unseen.len() > self.generator.capacity() {
            self.stop = Some(Stop::Positions);
            return None;
        }
        let token = self.one();
        self.failed = token.is_err();
        Some(token)
    }
}
