//! Who serves ranks that do not go in step, without a device.
mod aggregate;
mod model;
mod token;
