//! Devices of a host application, which has callbacks and work of its own on them.
use std::any::Any;

use super::adapter::{AdapterReport, GpuOptions, USEFUL};
use super::device::Gpu;
use super::scopes::{Failure, Scopes};
use crate::{Error, Result};

/// A limit by name, with what a device has of it.
type Limit = (&'static str, fn(&wgpu::Limits) -> u64);

macro_rules! limits {
    ($($name:ident),+) => {
        [$((stringify!($name), (|limits| limits.$name.into()) as fn(&wgpu::Limits) -> u64)),+]
    };
}

/// What every kernel and plan counts on: as much as WebGPU promises.
const NEEDED: [Limit; 11] = limits![
    max_bind_groups,
    max_bindings_per_bind_group,
    max_storage_buffers_per_shader_stage,
    max_uniform_buffers_per_shader_stage,
    max_uniform_buffer_binding_size,
    max_compute_workgroup_storage_size,
    max_compute_invocations_per_workgroup,
    max_compute_workgroup_size_x,
    max_compute_workgroup_size_y,
    max_compute_workgroup_size_z,
    max_compute_workgroups_per_dimension
];

impl Gpu {
    /// A handle to a device that the application has opened and goes on using.
    ///
    /// Limits and features are those of `device`; what it was not given is not used (timestamps,
    /// subgroups, 16-bit floats, cooperative matrices, the pipeline cache).
    /// [`descriptor`](Self::descriptor) asks for all that is useful. Of `options`, the precision,
    /// the folder for caches, the timeout and the memory budget count; the others choose an
    /// adapter, which is done.
    ///
    /// **The device stays the application's.** It is never destroyed here. Its handlers of
    /// uncaptured errors and of a loss are left alone and see nothing of this crate's mistakes:
    /// these are caught in error scopes and returned. A loss is noticed by the next call that
    /// waits, submits or builds, as [`Error::DeviceLost`]. There is no second device to go on with,
    /// so [`reopen`](Self::reopen) is an error, and a training run ends with the loss; what it
    /// saved can be taken up with a handle to another device.
    ///
    /// **Polling and submitting run the callbacks that are due, whoever's they are**: the
    /// application's on a thread that waits here, and this crate's where the application polls.
    /// This crate's only pass a message on: they take no time and call no code of yours. A panic in
    /// one of the application's goes on through the call that ran it.
    ///
    /// # Errors
    /// [`Error::Argument`] names what does not fit: a device that is not the adapter's, or a limit
    /// that is too small, with both numbers and how to ask for more. [`Error::DeviceLost`] where it
    /// is lost already. That `queue` is the device's is not checked.
    pub fn from_wgpu(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
    ) -> Result<Self> {
        let (ours, theirs) = (adapter.get_info(), device.adapter_info());
        if ours != theirs {
            let message = format!(
                "\"{}\" ({}) is not the adapter that the device was opened on, \"{}\" ({})",
                ours.name, ours.backend, theirs.name, theirs.backend,
            );
            return Err(Error::argument("adapter", message));
        }
        let flags = adapter.get_downlevel_capabilities().flags;
        if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
            let message = format!("\"{}\" has no compute shaders; use another", ours.name);
            return Err(Error::argument("adapter", message));
        }
        check_limits(&device.limits(), &adapter.limits())?;
        let report = AdapterReport::of(adapter, device.features(), &device.limits());
        let gpu = Self::assemble(device, queue, options, report, None);
        gpu.check()?;
        Ok(gpu)
    }

    /// The features of `adapter` that make this crate faster, or tell more: for an application that
    /// opens the device itself.
    ///
    /// Cooperative matrices are not among them: wgpu calls them experimental, and to allow that is
    /// `unsafe`, so the application's to say. A device that has
    /// them uses them in mixed precision as `options` and a tuner's choices allow
    /// ([`GpuOptions::untested_matrices`]).
    pub fn useful_features(adapter: &wgpu::Adapter) -> wgpu::Features {
        adapter.features() & USEFUL
    }

    /// What to open a device of `adapter` with that is to be given to
    /// [`from_wgpu`](Self::from_wgpu): all of its limits, and its
    /// [`useful_features`](Self::useful_features). Add what the application needs.
    pub fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
        wgpu::DeviceDescriptor {
            label: Some("shared with secateur"),
            required_features: Self::useful_features(adapter),
            required_limits: adapter.limits(),
            ..Default::default()
        }
    }

    /// Whether the device is an application's, by [`from_wgpu`](Self::from_wgpu).
    pub fn is_shared(&self) -> bool {
        self.shared.hosts
    }

    /// What is known to be wrong by now. On an application's device nobody is told of a loss but
    /// the application, so the device is asked.
    pub(super) fn check(&self) -> Result<()> {
        self.shared.health.check()?;
        if self.shared.hosts && is_lost(&self.device) {
            self.shared.health.lost("the application's device is gone".to_owned());
        }
        self.shared.health.check()
    }

    /// Runs `call`, of which wgpu tells failures to the device's handler. On an application's
    /// device that handler is not ours, so they are caught before, for the next
    /// [`check`](Self::check).
    pub(super) fn attended<T>(&self, call: impl FnOnce() -> T) -> T {
        if !self.shared.hosts {
            return call();
        }
        let scopes = Scopes::open(&self.device);
        let result = call();
        match scopes.close() {
            Some(Failure::OutOfMemory) => self.shared.health.error("out of memory".to_owned()),
            Some(Failure::Other(e)) => self.shared.health.error(e),
            None => {}
        }
        result
    }
}

/// A device that is lost makes buffers without complaint, but they are none.
fn is_lost(device: &wgpu::Device) -> bool {
    let scopes = Scopes::open(device);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("sign of life"),
        size: wgpu::COPY_BUFFER_ALIGNMENT,
        usage: wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let mapped = buffer.get_mapped_range_mut(..).is_ok();
    scopes.close().is_none() && !mapped
}

/// Whether `panic` is what wgpu makes of a loss while it polls; any other is of a callback that it
/// ran.
pub(super) fn is_loss(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("Error in Device::poll"))
}

fn check_limits(given: &wgpu::Limits, adapter: &wgpu::Limits) -> Result<()> {
    let webgpu = wgpu::Limits::default();
    for (name, of) in NEEDED {
        let [given, needed, most] = [given, &webgpu, adapter].map(of);
        if given < needed {
            let message = format!(
                "its limit {name} is {given}, needed is {needed}, and its adapter has {most}: ask for as much in \
                 `required_limits`, or open it with Gpu::descriptor(&adapter)"
            );
            return Err(Error::argument("device", message));
        }
    }
    Ok(())
}
