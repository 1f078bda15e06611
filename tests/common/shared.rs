#![allow(dead_code, reason = "each test program uses some of it")]
//! A value that closures of a run change and the test reads: what a run calls may be on any thread.
use std::sync::{Mutex, MutexGuard};

/// A cell behind a lock.
#[derive(Debug, Default)]
pub struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub fn borrow_mut(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    pub fn borrow(&self) -> MutexGuard<'_, T> {
        self.borrow_mut()
    }

    pub fn into_inner(self) -> T {
        self.0.into_inner().expect("no test panics while it holds the lock")
    }
}

impl<T: Copy> Shared<T> {
    pub fn get(&self) -> T {
        *self.borrow()
    }

    pub fn set(&self, value: T) {
        *self.borrow_mut() = value;
    }
}
