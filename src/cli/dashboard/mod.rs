//! `--tui`: a run that is under way, as curves and bars on the whole terminal.
mod board;
mod draw;
mod screen;
mod series;
#[cfg(test)]
mod svg;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::disable_raw_mode;
use signal_hook::consts::SIGINT;

pub use board::Board;

use super::output;
use super::signals::{Again, Signals};
use screen::Screen;

/// Between two pictures; keys are heeded at once.
const INTERVAL: Duration = Duration::from_millis(100);

/// What is known of a run, for the training loop to write and the dashboard to read.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Board>>);

impl Shared {
    pub fn new(board: Board) -> Self {
        Self(Arc::new(Mutex::new(board)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Board> {
        // Whatever panicked: what is shown is what was known before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The dashboard on the terminal, in a thread of its own, until it is dropped.
pub struct Dashboard {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    board: Shared,
}

impl Dashboard {
    /// Takes the terminal, and messages with it.
    ///
    /// # Errors
    /// Where the terminal cannot be taken.
    pub fn start(board: Shared, signals: &Signals) -> Result<Self> {
        let screen = screen::take()?;
        let (end, told) = (Arc::new(AtomicBool::new(false)), board.clone());
        output::divert(Some(Box::new(move |message| told.lock().say(message))));
        let again = signals.hold()?;
        let (ended, shown) = (Arc::clone(&end), board.clone());
        let work = move || {
            show(screen, &shown, &ended, &again);
            screen::give_back();
        };
        let thread = thread::Builder::new().name("dashboard".to_owned()).spawn(work);
        let thread = thread.inspect_err(|_| screen::give_back()).context("no thread for --tui")?;
        Ok(Self { end, thread: Some(thread), board })
    }
}

impl Drop for Dashboard {
    /// Gives the terminal back, and says there what was said meanwhile.
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was said by the hook.
            thread.thread().unpark();
            thread.join().ok();
        }
        screen::give_back();
        let messages = std::mem::take(&mut self.board.lock().messages);
        messages.into_iter().for_each(output::note);
    }
}

/// Draws and reads keys until `end`, or until somebody else has given the terminal back.
fn show(mut screen: Screen, board: &Shared, end: &AtomicBool, again: &Again) {
    let (began, mut keys) = (Instant::now(), true);
    while !end.load(Ordering::Relaxed) {
        let picture = |frame: &mut Frame<'_>| {
            let mut board = board.lock();
            board.stopping = again.is_stopping();
            draw::draw(frame, &board, began.elapsed());
        };
        if !screen::draw(&mut screen, picture) {
            return;
        }
        if let Some(number) = again.come() {
            screen::give_back();
            again.end_at_once(number);
        }
        match keys.then(|| event::poll(INTERVAL)) {
            Some(Ok(true)) => heed(event::read().ok(), again),
            Some(Ok(false)) => {}
            Some(Err(_)) => {
                // Nothing can be read here. The terminal itself makes a signal of Ctrl-C, then.
                keys = false;
                disable_raw_mode().ok();
            }
            None => thread::park_timeout(INTERVAL),
        }
    }
}

/// Does as a key says: what Ctrl-C does where there is no dashboard.
fn heed(event: Option<Event>, again: &Again) {
    let Some(Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. })) = event
    else {
        return;
    };
    let control = modifiers.contains(KeyModifiers::CONTROL);
    let asks = match code {
        KeyCode::Char('c') => control,
        // A key that is held down is not a second wish.
        KeyCode::Char('q') => !control && !again.is_stopping(),
        _ => false,
    };
    if asks {
        signal_hook::low_level::raise(SIGINT).ok();
    }
}
