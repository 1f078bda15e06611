//! What went wrong on the device since it was opened: wgpu reports most failures out of band.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Error, Result};

/// The loss or hang, and the first uncaptured error, of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lost: Option<String>,
    /// How long it was waited for.
    hung: Option<Duration>,
    error: Option<String>,
}

impl Health {
    /// Listens to `device`; without this wgpu panics on the first uncaptured error.
    pub(super) fn watch(device: &wgpu::Device) -> Self {
        let health = Self::default();
        let on_error = health.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| on_error.error(e.to_string())));
        let on_loss = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            on_loss.lost(format!("{reason:?}: {message}"));
        });
        health
    }

    pub(super) fn lost(&self, message: String) {
        self.state(|s| s.lost.get_or_insert(message).clone());
    }

    pub(super) fn error(&self, message: String) {
        self.state(|s| s.error.get_or_insert(message).clone());
    }

    /// The device did not answer within `timeout`; whether this is the first time.
    pub(super) fn hung(&self, timeout: Duration) -> bool {
        self.state(|s| s.hung.replace(timeout).is_none())
    }

    /// Runs `call`; a loss in it is told together with `what` it was for.
    pub(super) fn blaming(&self, call: impl FnOnce(), what: impl FnOnce() -> String) {
        let well = self.state(|s| s.lost.is_none());
        call();
        self.state(|s| match &mut s.lost {
            Some(lost) if well => *lost = format!("{lost}, {}", what()),
            _ => {}
        });
    }

    /// The loss or the hang, which stay, or the first error, which is taken.
    pub(super) fn check(&self) -> Result<()> {
        self.state(|s| match (&s.lost, s.hung, s.error.take()) {
            (Some(lost), ..) => Err(Error::DeviceLost(lost.clone())),
            (None, Some(timeout), _) => Err(Error::DeviceHung { seconds: timeout.as_secs_f64() }),
            (None, None, Some(error)) => Err(Error::Device(error)),
            (None, None, None) => Ok(()),
        })
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
