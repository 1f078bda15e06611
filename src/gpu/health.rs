//! What went wrong on the device since it was opened: wgpu reports most failures out of band.
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

/// The first loss and the first uncaptured error of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lost: Option<String>,
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

    fn error(&self, message: String) {
        self.state(|s| s.error.get_or_insert(message).clone());
    }

    /// The loss, which stays, or the first error, which is taken.
    pub(super) fn check(&self) -> Result<()> {
        self.state(|s| match (&s.lost, s.error.take()) {
            (Some(lost), _) => Err(Error::DeviceLost(lost.clone())),
            (None, Some(error)) => Err(Error::Device(error)),
            (None, None) => Ok(()),
        })
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
