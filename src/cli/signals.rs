//! SIGINT and SIGTERM: the first ends the run after the step in hand, the second at once. SIGUSR1:
//! a checkpoint. SIGXFSZ: an error of the write, not the end of the process.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::SIGNALLED;

/// What has been asked for from outside.
pub struct Signals {
    stop: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes the signals over.
    pub fn listen() -> Result<Self> {
        let signals = Self { stop: Arc::default(), save: Arc::default(), number: Arc::default() };
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGUSR1, SIGXFSZ};
            flag::register(SIGUSR1, Arc::clone(&signals.save))?;
            // Nobody looks at this flag: a handler is what keeps the process alive.
            flag::register(SIGXFSZ, Arc::default())?;
        }
        for signal in [SIGINT, SIGTERM] {
            // In this order: the exit looks at the flag before this signal sets it.
            let code = i32::from(SIGNALLED) + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&signals.stop))?;
            flag::register_usize(signal, Arc::clone(&signals.number), signal as usize)?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
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
