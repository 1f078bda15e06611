//! SIGINT, SIGTERM and SIGHUP: the first ends a run after the step in hand, and other commands once
//! what they were writing is removed; the second ends either at once. SIGUSR1: a checkpoint.
//! SIGXFSZ: an error of the write, not the end of the process.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

use secateur::storage::discard_unfinished;

use super::{SIGNALLED, output};

/// How often a command looks whether a signal has come.
const LOOK: Duration = Duration::from_millis(20);

/// What becomes of work that can be taken up, in place of its removal.
static LEFT: OnceLock<String> = OnceLock::new();

/// Says what an interruption leaves, once there is work that can be taken up.
pub fn leaves(what: String) {
    // The first work of a process is its only one.
    let _ = LEFT.set(what);
}

/// What has been asked for from outside.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    /// What is done at a signal that ends the command.
    actions: Arc<Mutex<Vec<SigId>>>,
}

/// What a signal does while the terminal is not as a shell left it: the second one does not end the
/// process before the terminal is given back. Dropped, signals do again what they did.
pub struct Again {
    signals: Signals,
    /// Set by each signal.
    came: Arc<AtomicBool>,
    /// Whether the first has been seen.
    seen: AtomicBool,
}

impl Signals {
    /// Takes the signals over, for a run that can be taken up.
    pub fn listen() -> Result<Self> {
        let signals = Self::take()?;
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.save))?;
        Ok(signals)
    }

    /// Takes the signals over, for a command of which nothing is to stay where it is interrupted.
    pub fn leave_nothing() -> Result<()> {
        let signals = Self::take()?;
        let work = move || {
            while !signals.stop.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
            // Held to the end: nothing is finished after this message.
            let _held = discard_unfinished();
            let number = signals.number();
            let left = LEFT.get().map_or("what was being written is removed", String::as_str);
            output::note(format_args!("stopped by signal {number}; {left}"));
            low_level::exit(i32::from(SIGNALLED + number));
        };
        thread::Builder::new().name("signals".to_owned()).spawn(work)?;
        Ok(())
    }

    fn take() -> Result<Self> {
        let signals = Self::default();
        // Nobody looks at this flag: a handler is what keeps the process alive.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        signals.act(|signal| {
            let code = i32::from(SIGNALLED) + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&signals.stop))
        })?;
        Ok(signals)
    }

    /// Does `first` at each signal that ends the command, then notes it, in place of what was done
    /// until now.
    fn act(&self, first: impl Fn(i32) -> std::io::Result<SigId>) -> Result<()> {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        for id in actions.drain(..) {
            low_level::unregister(id);
        }
        for signal in ends() {
            // In this order: an exit looks at the flag before this signal sets it.
            actions.push(first(signal)?);
            let (number, stop) = (Arc::clone(&self.number), Arc::clone(&self.stop));
            actions.push(flag::register_usize(signal, number, signal as usize)?);
            actions.push(flag::register(signal, stop)?);
        }
        Ok(())
    }

    /// From now on the second signal is only noted, for [`Again::come`].
    pub fn hold(&self) -> Result<Again> {
        let came = Arc::new(AtomicBool::new(false));
        self.act(|signal| flag::register(signal, Arc::clone(&came)))?;
        Ok(Again { signals: self.clone(), came, seen: AtomicBool::new(false) })
    }

    /// True once a signal has come; for [`secateur::TrainOptions::stop`].
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// True once SIGUSR1 has come; for [`secateur::TrainOptions::save`].
    pub fn save(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.save)
    }

    /// The number of the signal that came.
    pub fn number(&self) -> u8 {
        self.number.load(Ordering::Relaxed) as u8
    }
}

impl Again {
    /// Whether a signal has come, so that the run ends after the step in hand.
    pub fn is_stopping(&self) -> bool {
        self.signals.stop.load(Ordering::Relaxed)
    }

    /// The number of a signal that came behind the first one; asked every now and then.
    pub fn come(&self) -> Option<u8> {
        let came = self.came.swap(false, Ordering::Relaxed);
        (came && self.seen.swap(true, Ordering::Relaxed)).then(|| self.signals.number())
    }

    /// Ends the process as a second signal does.
    pub fn end_at_once(&self, number: u8) -> ! {
        low_level::exit(i32::from(SIGNALLED + number))
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let end = |signal| {
            let code = i32::from(SIGNALLED) + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&self.signals.stop))
        };
        // It was done before, and can be done again.
        self.signals.act(end).ok();
    }
}

/// The signals that end a command.
fn ends() -> Vec<i32> {
    let mut ends = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    if heeds_hangups() {
        ends.push(signal_hook::consts::SIGHUP);
    }
    ends
}

/// Whether SIGHUP is known not to be ignored. A process that `nohup` started is to outlive its
/// terminal, and would not if it took the signal over. Linux says what is ignored; elsewhere the
/// signal stays as it is.
#[cfg(unix)]
fn heeds_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> (signal_hook::consts::SIGHUP - 1) & 1 == 0)
}
