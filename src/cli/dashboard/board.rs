//! What is known of a run that is under way: fed by its events, shown by a bar or by the dashboard.
use std::collections::VecDeque;
use std::time::Duration;

use secateur::gpu::Memory;
use secateur::nn::Metric;
use secateur::session::{Evaluation, MaskSparsity};
use secateur::train::{Event, StepEvent};

use super::series::Series;

/// Messages that are kept.
const MESSAGES: usize = 200;
/// Seconds over which the speed is a mean.
const MEMORY_SECONDS: f64 = 5.0;

/// A weight that is pruned.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub name: String,
    /// Share that is asked for; `None` where it is ranked together with others.
    pub asked: Option<f64>,
    pub reached: f64,
}

/// A run, as far as it has come.
#[derive(Debug, Default)]
pub struct Board {
    /// Such as `pruned`.
    pub label: &'static str,
    /// What is trained on what.
    pub subject: String,
    pub adapter: String,
    /// Global step at which the run ends.
    pub steps: u64,
    /// Global steps at which it began, and that are done.
    pub first: u64,
    pub step: u64,
    pub memory: Option<Memory>,
    pub loss: Series,
    pub test_loss: Series,
    /// What it is measured by, with its values on train batches and test rows.
    pub metric: Option<Metric>,
    pub figure: Series,
    pub test_figure: Series,
    /// Of the last step.
    pub last_loss: Option<f32>,
    /// Sparsity asked for by the schedule.
    pub asked: f64,
    /// Over all pruned weights: asked, and reached.
    pub total: Option<[f64; 2]>,
    pub layers: Vec<Layer>,
    pub messages: VecDeque<String>,
    /// A signal has come, and the step in hand is finished.
    pub stopping: bool,
    /// Decaying counts of steps and seconds.
    speed: [f64; 2],
}

impl Board {
    pub fn new(label: &'static str, steps: u64) -> Self {
        Self { label, steps, ..Self::default() }
    }

    /// Of what it is, and where it runs.
    pub fn of(self, subject: String, adapter: String) -> Self {
        Self { subject, adapter, ..self }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Start { step, memory } => {
                (self.first, self.step) = (*step, *step);
                self.memory = Some(*memory);
                self.speed = [0.0; 2];
                let curves =
                    [&mut self.loss, &mut self.test_loss, &mut self.figure, &mut self.test_figure];
                curves.into_iter().for_each(|curve| curve.back_to(*step));
                self.say(format!("from step {step}"));
            }
            Event::Step(step) => self.step(step),
            Event::DeviceLost { cause } => self.say(format!("device lost: {cause}")),
            Event::SaveFailed { step, message } => {
                self.say(format!("step {step} was not saved: {message}"));
            }
            Event::Checkpoint { step, seconds, .. } => {
                self.say(format!("saved step {step} in {seconds:.2} s"));
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &StepEvent) {
        self.stepped(step.step, step.loss, step.metric, step.seconds);
        if let Some(masks) = &step.masks {
            let layer = |tensor: &MaskSparsity| Layer {
                name: tensor.name.clone(),
                asked: tensor.asked,
                reached: tensor.sparsity,
            };
            self.layers = masks.tensors.iter().map(layer).collect();
            self.asked = masks.asked;
            self.total = Some([masks.asked_total, masks.sparsity()]);
        }
    }

    /// Takes in a step, with its seconds and what it was measured by.
    pub fn stepped(&mut self, step: u64, loss: f32, figure: Option<(Metric, f64)>, seconds: f64) {
        self.step = step;
        self.last_loss = Some(loss);
        self.loss.push(step, loss.into());
        if let Some((metric, value)) = figure {
            self.metric = Some(metric);
            self.figure.push(step, value);
        }
        let kept = (-seconds / MEMORY_SECONDS).exp();
        self.speed = [self.speed[0] * kept + 1.0, self.speed[1] * kept + seconds];
    }

    /// Takes in how good the network was on test rows at a step.
    pub fn evaluated(&mut self, step: u64, evaluation: &Evaluation) {
        self.test_loss.push(step, evaluation.loss);
        if let Some((_, value)) = evaluation.figures.first() {
            self.test_figure.push(step, value);
        }
    }

    /// Appends a message; its lines follow each other.
    pub fn say(&mut self, message: String) {
        self.messages.push_back(message);
        while self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
    }

    /// Steps a second, once there are some.
    pub fn rate(&self) -> Option<f64> {
        let [steps, seconds] = self.speed;
        (steps > 0.0 && seconds > 0.0).then(|| steps / seconds)
    }

    /// Time that the rest takes at this speed.
    pub fn left(&self) -> Option<Duration> {
        let seconds = self.steps.saturating_sub(self.step) as f64 / self.rate()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
