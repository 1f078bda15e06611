//! How ranks train together, without a device.
mod aggregate;
mod model;
mod token;
