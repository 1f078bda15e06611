//! Progress on standard error: a bar on a terminal, or the dashboard; nothing elsewhere, where log
//! lines say it.
use std::io::IsTerminal;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secateur::train::Event;

use super::dashboard::{Board, Dashboard, Shared};
use super::output::{is_silent, note};
use super::plan;
use super::signals::Signals;

/// How a run shows how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A bar of steps with loss, sparsity, steps/s and time left.
    Bar,
    /// The whole terminal.
    Dashboard,
}

impl Look {
    /// What is asked for, where the terminal can show it; says so where it cannot.
    pub fn of(dashboard: bool) -> Self {
        if !dashboard || is_silent() {
            return Self::Bar;
        }
        let why = match std::env::var("TERM") {
            _ if !std::io::stderr().is_terminal() => "standard error is no terminal",
            Ok(term) if term == "dumb" => "the terminal is a dumb one (TERM=dumb)",
            _ => return Self::Dashboard,
        };
        note(format_args!("--tui: {why}; progress is shown as without it"));
        Self::Bar
    }
}

/// What is shown of a run, fed by its events.
pub struct Progress {
    board: Shared,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    /// Kept for its end.
    Dashboard {
        _until_dropped: Dashboard,
    },
}

impl Progress {
    /// Shows `board`, a run that has not begun.
    pub fn new(look: Look, board: Board, signals: &Signals) -> Result<Self> {
        let shown = match look {
            Look::Bar => Shown::Bar(bar(board.label, board.steps)),
            Look::Dashboard => {
                let board = Shared::new(board);
                let dashboard = Dashboard::start(board.clone(), signals)?;
                return Ok(Self { board, shown: Shown::Dashboard { _until_dropped: dashboard } });
            }
        };
        Ok(Self { board: Shared::new(board), shown })
    }

    /// What is known of the run.
    pub fn board(&self) -> Shared {
        self.board.clone()
    }

    pub fn event(&mut self, event: &Event) {
        let mut board = self.board.lock();
        board.event(event);
        let Shown::Bar(bar) = &self.shown else { return };
        match event {
            Event::Start { step, memory } => {
                let line = format!("{}: from step {step}; {}", board.label, plan::said(memory));
                match bar.is_hidden() {
                    true => note(line),
                    // Above the bar.
                    false => bar.println(line),
                }
            }
            Event::Step(step) => {
                let (loss, sparsity) = (step.loss, board.asked * 100.0);
                bar.set_message(format!("loss {loss:.4} sparsity {sparsity:.1} %"));
                bar.set_position(step.step);
            }
            // A log line says it; on a terminal it must not run into the bar.
            Event::DeviceLost { .. } => bar.set_message("device lost"),
            _ => {}
        }
    }

    /// The terminal is as it was.
    pub fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// A bar that ends at `steps`.
fn bar(label: &'static str, steps: u64) -> ProgressBar {
    // indicatif draws nothing where standard error is not a terminal.
    let target = match is_silent() {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let template = "{prefix:7} [{bar:30}] {pos}/{len} {msg} {per_sec} {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.set_prefix(label);
    bar
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
