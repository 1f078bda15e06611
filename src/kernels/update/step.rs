//! What changes from step to step: `shaders/common/step.wgsl`.

crate::uniform! {
    /// Scalars that the host writes before each submission; kernels bind them as an operand.
    pub struct Step {
        /// Valid rows of the batch; the rest is padding.
        rows: u32,
        /// Learning rate of this step.
        learning_rate: f32,
        /// `1 - beta1^t` of Adam.
        correction1: f32,
        /// `1 - beta2^t` of Adam.
        correction2: f32,
        /// Weight of this batch in a running mean of gradients; 1 starts a new mean.
        share: f32,
        /// Random bits of this step, for dropout.
        noise: u32,
        /// Share of the running averages of weights that stays; 0 starts new averages.
        average_decay: f32,
        /// 1 where the rows go on from those of the batch before, so that recurrent layers carry
        /// their state.
        follows: u32,
    }
}

/// Length of [`Step`] in words.
pub const STEP_WORDS: u32 = (size_of::<Step>() / 4) as u32;
