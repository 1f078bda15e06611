//! The terminal while the dashboard has it, and what gives it back: on any way out of the program
//! but SIGKILL, and once.
use std::io::{BufWriter, Stderr, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::{Frame, Terminal};

use crate::cli::output;

/// Whether the terminal is as the dashboard has it.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held while a picture is on its way there.
static DRAWING: Mutex<()> = Mutex::new(());

pub type Screen = Terminal<CrosstermBackend<BufWriter<Stderr>>>;

/// Takes the terminal of standard error.
///
/// # Errors
/// Where it cannot be read or drawn to; then it is as it was.
pub fn take() -> Result<Screen> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let said_before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A message on the other screen would be gone with it.
            give_back();
            said_before(info);
        }));
    });
    TAKEN.store(true, Ordering::SeqCst);
    let taken = || -> Result<Screen> {
        enable_raw_mode()?;
        // Not by the screen itself, which would ask where the cursor is: not every terminal answers.
        execute!(stderr(), EnterAlternateScreen, Clear(ClearType::All), Hide)?;
        Ok(Terminal::new(CrosstermBackend::new(BufWriter::new(stderr())))?)
    };
    taken().inspect_err(|_| give_back()).context("--tui: the terminal cannot be drawn to")
}

/// Draws a picture. False where the terminal was given back behind the dashboard's back, by a panic
/// for instance.
pub fn draw(screen: &mut Screen, picture: impl FnOnce(&mut Frame<'_>)) -> bool {
    let _drawing = DRAWING.lock();
    let taken = TAKEN.load(Ordering::SeqCst);
    if taken {
        // What cannot be drawn now may be drawn later: a terminal that is gone ends the run by
        // SIGHUP.
        screen.draw(picture).ok();
    }
    taken
}

/// Makes the terminal what it was, unless that is done; messages go there again.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Not in the middle of a picture; but a panic in the middle of one must not wait for its end.
    for _ in 0..50 {
        if DRAWING.try_lock().is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // A terminal that is gone needs nothing.
    disable_raw_mode().ok();
    execute!(stderr(), LeaveAlternateScreen, Show).ok();
    stderr().flush().ok();
    output::divert(None);
}
