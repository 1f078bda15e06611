//! Progress on standard error: a bar on a terminal, nothing elsewhere, where log lines say it.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secateur::train::Event;

use super::output::{is_silent, note};
use super::plan;

/// A bar of steps with loss, sparsity, steps/s and time left.
pub struct Progress {
    bar: ProgressBar,
    sparsity: f64,
}

impl Progress {
    /// A bar that ends at `steps`.
    pub fn new(label: &'static str, steps: u64) -> Self {
        // indicatif draws nothing where standard error is not a terminal.
        let target = match is_silent() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let template = "{prefix:7} [{bar:30}] {pos}/{len} {msg} {per_sec} {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix(label);
        Self { bar, sparsity: 0.0 }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Start { step, memory } => {
                let line =
                    format!("{}: from step {step}; {}", self.bar.prefix(), plan::said(memory));
                match self.bar.is_hidden() {
                    true => note(line),
                    // Above the bar.
                    false => self.bar.println(line),
                }
            }
            Event::Step(step) => {
                if let Some(masks) = &step.masks {
                    self.sparsity = masks.asked;
                }
                let (loss, sparsity) = (step.loss, self.sparsity * 100.0);
                self.bar.set_message(format!("loss {loss:.4} sparsity {sparsity:.1} %"));
                self.bar.set_position(step.step);
            }
            // A log line says it; on a terminal it must not run into the bar.
            Event::DeviceLost { .. } => self.bar.set_message("device lost"),
            _ => {}
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// On a terminal the name of what is under way, nothing elsewhere.
pub struct Naming(ProgressBar);

impl Naming {
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{elapsed} {msg}").expect("a valid template"));
        Self(bar)
    }

    pub fn next(&self, name: &str) {
        self.0.set_message(name.to_owned());
        self.0.tick();
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
