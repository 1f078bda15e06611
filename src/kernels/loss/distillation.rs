//! `distillation`: how far the softmax of each row is from a teacher's and from its label, with the
//! gradient, in one pass.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_groups, read, write};
use crate::kernels::{STEP_WORDS, Step};

/// `share * T^2 * KL(softmax(teacher / T) || softmax(logits / T))` and `1 - share` of the
/// cross-entropy (Hinton et al. 2015). Losses and gradients are divided by the number of valid
/// rows, so that their sum over the batch is the mean.
#[derive(Debug, Clone, Copy)]
pub struct Distillation {
    /// `[batch, classes]`
    pub logits: Slot,
    /// `[batch]` class numbers.
    pub labels: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub losses: Slot,
    /// `[batch, classes]`: the teacher's logits, whose place the gradient by the student's takes.
    pub teacher: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Columns of the logits.
    pub classes: u32,
    /// Rows of the logits for each row of the batch: the positions of a sequence.
    pub repeat: u32,
    /// What both logits are divided by, above 0.
    pub temperature: f32,
    /// How much of the loss is the teacher's, 0 to 1.
    pub share: f32,
}

crate::uniform! {
    /// Uniform of [`Distillation`].
    pub struct DistillationParams {
        /// Rows.
        batch: u32,
        /// Columns.
        classes: u32,
        /// Rows for each row of the batch.
        repeat: u32,
        /// What both logits are divided by.
        temperature: f32,
        /// 1 over it.
        inverse: f32,
        /// How much of the loss is the teacher's.
        share: f32,
    }
}

/// Most classes: three loops over every 64th in one invocation, and six trees of 6 levels.
const MOST: u32 = (MAX_LOOP_ITERATIONS - 36) / 3 * 64;

impl Kernel for Distillation {
    const NAME: &'static str = "distillation";
    const WGSL: &'static str =
        crate::wgsl!("common/step.wgsl", "common/row_sum.wgsl", "distillation.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("logits"), read("labels"), read("step"), write("losses"), write("teacher")];
    type Params = DistillationParams;

    fn bind(&self) -> Vec<Bound> {
        let (batch, all) = (u64::from(self.batch), u64::from(self.batch) * u64::from(self.classes));
        vec![
            self.logits.needs(all),
            self.labels.needs(batch),
            self.step.needs(STEP_WORDS.into()),
            self.losses.needs(batch),
            self.teacher.needs(all),
        ]
    }

    fn params(&self) -> DistillationParams {
        let &Self { batch, classes, repeat, temperature, share, .. } = self;
        DistillationParams { batch, classes, repeat, temperature, inverse: 1.0 / temperature, share }
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.batch)
    }

    fn check(&self) -> Result<(), String> {
        let (classes, most, repeat) = (self.classes, MOST, self.repeat);
        if !(2..=most).contains(&classes) {
            return Err(format!("{classes} classes, must be 2 to {most}"));
        }
        if repeat == 0 {
            return Err("repeat 0 must be 1 or more".to_owned());
        }
        check_distillation(self.temperature, self.share)
    }
}

/// Least and largest temperature: the squares of both, and of what is 1 over them, are numbers that
/// f32 holds with all of their bits.
const TEMPERATURES: std::ops::RangeInclusive<f32> = 1e-3..=1e3;

/// That a distillation can be of this temperature and share.
///
/// # Errors
/// Says which is outside of what.
pub fn check_distillation(temperature: f32, share: f32) -> Result<(), String> {
    if !TEMPERATURES.contains(&temperature) {
        let (least, most) = (TEMPERATURES.start(), TEMPERATURES.end());
        return Err(format!("temperature {temperature} must be {least} to {most}"));
    }
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("share {share} of the teacher must be 0 to 1"));
    }
    Ok(())
}

/// Host reference: losses and gradient in f64 of `[temperature, share]`, where each row of the
/// batch is one of the logits.
pub fn distillation_reference(
    logits: &[f64],
    teacher: &[f64],
    labels: &[u32],
    [temperature, share]: [f32; 2],
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let classes = logits.len() / labels.len();
    let [t, share, rows] = [temperature, share, step.rows as f32].map(f64::from);
    let logs = |row: &[f64], t: f64| -> Vec<f64> {
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| ((z - highest) / t).exp()).sum();
        row.iter().map(|z| (z - highest) / t - sum.ln()).collect()
    };
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    let of_rows = logits.chunks(classes).zip(teacher.chunks(classes)).zip(labels);
    for (i, ((z, teacher), &label)) in of_rows.enumerate() {
        if i >= step.rows as usize {
            losses.push(0.0);
            gradient.extend(z.iter().map(|_| 0.0));
            continue;
        }
        let (p, q, hard) = (logs(teacher, t), logs(z, t), logs(z, 1.0));
        let apart: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        losses.push((share * t * t * apart - (1.0 - share) * hard[label as usize]) / rows);
        gradient.extend((0..classes).map(|j| {
            let hit = f64::from(u8::from(j == label as usize));
            let of_label = (1.0 - share) * (hard[j].exp() - hit);
            (share * t * (q[j].exp() - p[j].exp()) + of_label) / rows
        }));
    }
    (losses, gradient)
}
