//! Opening an adapter, submitting work, and turning every failure into an error value.
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{AdapterReport, COOPERATIVE, GpuOptions, Limits, USEFUL};
use super::cache::DiskCache;
use super::choice;
use super::health::Health;
use super::host;
use super::scopes::{Failure, Scopes};
use super::target::{Choices, Precision, Target};
use super::trusted::{self, Source};
use super::tuning;
use crate::{Error, Result};

/// A device and its queue; clones are handles to the same. Open one per process: some drivers leak
/// a device's memory when it goes. An application that has a device already gives it:
/// [`Gpu::from_wgpu`].
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    options: GpuOptions,
    report: AdapterReport,
    target: Target,
    pub(super) health: Health,
    /// The device is the host application's: its callbacks stay as they are, and it is never
    /// destroyed here.
    pub(super) hosts: bool,
    cache: Option<Mutex<DiskCache>>,
    pipelines: Mutex<Pipelines>,
    submissions: AtomicU64,
}

/// wgpu makes identical pipelines anew each time, so the device keeps one per key, and one module
/// for all pipelines of a shader.
#[derive(Debug, Default)]
struct Pipelines {
    made: HashMap<PipelineKey, wgpu::ComputePipeline>,
    modules: HashMap<Source, wgpu::ShaderModule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PipelineKey {
    pub(super) name: &'static str,
    pub(super) source: Source,
    /// WGSL `override` constants: name and bits of the value.
    pub(super) constants: Vec<(&'static str, u64)>,
    /// Whether it writes, for each operand.
    pub(super) writes: Vec<bool>,
    pub(super) uniform_bytes: u64,
}

impl PipelineKey {
    /// An error of the device, told as one of the kernel: of its author's plan where that is not
    /// this crate.
    pub(super) fn failed(&self, what: &str, error: Error) -> Error {
        match error {
            Error::Device(why) if self.source.is_own() => {
                Error::Device(format!("the {what} of {}: {why}", self.name))
            }
            Error::Device(why) => {
                let message = format!("its {what} cannot be made: {why}");
                Error::Plan { kernel: self.name.to_owned(), message }
            }
            // A loss stays one, for a run to go on from.
            e => e,
        }
    }

    /// Storage bindings in order, then the uniform.
    fn entries(&self) -> Vec<wgpu::BindGroupLayoutEntry> {
        let entry = |(binding, (ty, bytes))| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: NonZeroU64::new(bytes),
            },
            count: None,
        };
        let storage = self
            .writes
            .iter()
            .map(|writes| (wgpu::BufferBindingType::Storage { read_only: !writes }, 0));
        // The size makes a struct in the WGSL that is longer than the one in Rust an error.
        let uniform = (wgpu::BufferBindingType::Uniform, self.uniform_bytes);
        (0..).zip(storage.chain([uniform])).map(entry).collect()
    }
}

impl Gpu {
    /// Opens the adapter that `options` asks for.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] names the backends tried and the adapters seen; [`Error::Device`] says
    /// why the driver refused.
    pub fn open(options: &GpuOptions) -> Result<Self> {
        Self::open_on(choice::choose(options)?, options)
    }

    /// Opens an adapter, which has this index.
    fn open_on(
        (adapter, index): (wgpu::Adapter, Option<usize>),
        options: &GpuOptions,
    ) -> Result<Self> {
        let limits = match options.limits {
            Limits::Adapter => adapter.limits(),
            Limits::WebGpu => wgpu::Limits::default(),
        };
        let report = AdapterReport::of(&adapter, adapter.features(), &limits).index(index);
        let target = target(&report, options);
        let mut useful = USEFUL;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        // Only where they are used: an experiment's faults are nobody else's.
        if target.cooperative.is_some() {
            useful |= COOPERATIVE;
            experimental_features = trusted::experimental_features();
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("secateur"),
            required_features: adapter.features() & useful,
            required_limits: limits,
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = request(&adapter, &descriptor)
            .map_err(|e| Error::Device(format!("{} could not be opened: {e}", report.name)))?;
        let health = Some(Health::watch(&device));
        Ok(Self::assemble(device, queue, options, report, health))
    }

    /// A device of this crate's own has a `health` that watches it.
    pub(super) fn assemble(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
        report: AdapterReport,
        health: Option<Health>,
    ) -> Self {
        let target = target(&report, options);
        if target.precision != options.precision {
            let (name, asked, taken) = (&report.name, options.precision, target.precision);
            log::warn!("{name} has no 16-bit floats in shaders: precision {taken}, not {asked}");
        }
        let cache = options
            .cache_dir
            .clone()
            .filter(|_| report.pipeline_cache)
            .map(|dir| Mutex::new(DiskCache::open(&device, dir, &report)));
        let (options, pipelines) = (options.clone(), Mutex::default());
        let hosts = health.is_none();
        let health = health.unwrap_or_default();
        let submissions = AtomicU64::new(0);
        let shared =
            Shared { options, report, target, health, hosts, cache, pipelines, submissions };
        Self { device, queue, shared: Arc::new(shared) }
    }

    /// Opens a fresh device on the same adapter, for after a loss: nothing of this one can be used
    /// with it.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when that adapter is gone; [`Error::Device`] for a device of
    /// [`from_wgpu`](Self::from_wgpu), which is its application's to open.
    pub fn reopen(&self) -> Result<Self> {
        if self.shared.hosts {
            return Err(Error::Device(
                "this device was given by the application, and only it can open another: open one, \
                 give it to Gpu::from_wgpu, and go on from the newest checkpoint"
                    .to_owned(),
            ));
        }
        let options = &self.shared.options;
        Self::open_on(choice::choose_again(options, self.report())?, options)
    }

    /// What the adapter says of itself.
    pub fn report(&self) -> &AdapterReport {
        &self.shared.report
    }

    /// What plans for this device may count on, a tuner's choices included.
    pub fn target(&self) -> Target {
        self.shared.target
    }

    /// What the adapter made of [`GpuOptions::precision`]: 32 bits where its shaders know no 16-bit
    /// floats.
    pub fn precision(&self) -> Precision {
        self.shared.target.precision
    }

    /// Keeps a tuner's choices for devices of this adapter and driver opened from now on; where, or
    /// `None` without a folder for such.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn keep_tuning(&self, choices: &Choices) -> Result<Option<PathBuf>> {
        let dir = self.shared.options.cache_dir.as_deref();
        dir.map(|dir| tuning::store(dir, self.report(), choices)).transpose()
    }

    /// [`GpuOptions::memory_budget`].
    pub fn memory_budget(&self) -> Option<u64> {
        self.shared.options.memory_budget
    }

    /// Blocks until everything submitted has run.
    pub fn wait(&self) -> Result<()> {
        self.wait_for(None)
    }

    /// Blocks until one submission, or everything, has run.
    pub(super) fn wait_for(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.poll(wgpu::PollType::Wait {
            submission_index,
            timeout: Some(self.shared.options.timeout),
        })
    }

    /// Gives up the device, as a driver does when it fails. Everything after it is an error. A
    /// device of [`from_wgpu`](Self::from_wgpu) lives on for its application; only this handle and
    /// its clones end.
    pub fn destroy(&self) {
        if !self.shared.hosts {
            self.device.destroy();
        }
        self.shared.health.lost("destroyed by request".to_owned());
    }

    /// Submissions so far: what a step costs beside its launches.
    pub fn submissions(&self) -> u64 {
        self.shared.submissions.load(Ordering::Relaxed)
    }

    /// Runs the callbacks that are due, without blocking.
    pub(super) fn tick(&self) -> Result<()> {
        self.poll(wgpu::PollType::Poll)
    }

    /// Writes `bytes` to `buffer`, which holds `what`, from byte `at` on, before the next
    /// submission.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, at: u64, bytes: &[u8], what: &str) {
        let write = || self.attended(|| self.queue.write_buffer(buffer, at, bytes));
        // Staging that finds no memory loses the device, and wgpu does not say whose it was.
        self.shared.health.blaming(write, || format!("uploading {} bytes for {what}", bytes.len()));
    }

    /// A lost device makes `poll` panic, and makes `submit` look successful: both end here.
    #[expect(clippy::disallowed_methods, reason = "the one place that polls")]
    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        self.check()?;
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(how))) {
            Ok(Ok(_)) => {}
            Ok(Err(wgpu::PollError::Timeout)) => self.give_up(),
            Ok(Err(e)) => return self.check().and(Err(Error::Device(e.to_string()))),
            Err(panic) if self.shared.hosts && !host::is_loss(&*panic) => resume_unwind(panic),
            Err(_) => self.shared.health.lost("the driver stopped answering".to_owned()),
        }
        self.check()
    }

    /// For a device that hangs. The last handle to a queue waits for it without a limit when it is
    /// dropped, so one handle stays for good, and with it what the device holds.
    fn give_up(&self) {
        let first = self.shared.health.hung(self.shared.options.timeout);
        // A host has handles of its own, and decides when the last one goes.
        if first && !self.shared.hosts {
            std::mem::forget(self.queue.clone());
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that submits")]
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<wgpu::SubmissionIndex> {
        self.check()?;
        self.shared.submissions.fetch_add(1, Ordering::Relaxed);
        let index = self.attended(|| self.queue.submit([encoder.finish()]));
        self.check().map(|()| index)
    }

    /// Runs `make` inside error scopes; what wgpu would panic about becomes an error. Scopes are
    /// per thread, so `make` must do its work on this one.
    pub(super) fn scoped<T>(
        &self,
        make: impl FnOnce() -> T,
        out_of_memory: impl FnOnce() -> Error,
    ) -> Result<T> {
        let scopes = Scopes::open(&self.device);
        let made = make();
        match scopes.close() {
            Some(Failure::OutOfMemory) => Err(out_of_memory()),
            Some(Failure::Other(e)) => Err(Error::Device(e)),
            None => self.check().map(|()| made),
        }
    }

    /// The pipeline for `key`, made on first use.
    pub(super) fn pipeline(&self, key: &PipelineKey) -> Result<wgpu::ComputePipeline> {
        let mut pipelines = self.shared.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let Pipelines { made, modules } = &mut *pipelines;
        if let Some(pipeline) = made.get(key) {
            return Ok(pipeline.clone());
        }
        let cache =
            self.shared.cache.as_ref().map(|c| c.lock().unwrap_or_else(PoisonError::into_inner));
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let known = modules.get(&key.source).cloned();
        let make = || {
            let module =
                known.unwrap_or_else(|| trusted::shader_module(&self.device, key.name, key.source));
            let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(key.name),
                entries: &key.entries(),
            });
            let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(key.name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(key.name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // This crate's kernels write their workgroup memory before they read it.
                    zero_initialize_workgroup_memory: !key.source.is_own(),
                },
                cache: cache.as_ref().map(|c| c.handle()),
            });
            (module, pipeline)
        };
        let (module, pipeline) = self
            .scoped(make, || Error::Device("out of memory".to_owned()))
            .map_err(|e| key.failed("pipeline", e))?;
        modules.insert(key.source, module);
        made.insert(key.clone(), pipeline.clone());
        Ok(pipeline)
    }
}

/// What plans may count on, with what a tuner has kept.
fn target(report: &AdapterReport, options: &GpuOptions) -> Target {
    let tuned = options.cache_dir.as_deref().and_then(|dir| tuning::load(dir, report));
    let target = report.target(options.precision);
    target.tuned(tuned.unwrap_or_default(), options.untested_matrices)
}

/// wgpu panics where it runs out of memory halfway.
fn request(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
) -> std::result::Result<(wgpu::Device, wgpu::Queue), String> {
    let request = || pollster::block_on(adapter.request_device(descriptor));
    match catch_unwind(AssertUnwindSafe(request)) {
        Ok(opened) => opened.map_err(|e| e.to_string()),
        Err(_) => Err("the driver failed halfway, as it does when memory runs out".to_owned()),
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(cache) = &self.cache {
            cache.lock().unwrap_or_else(PoisonError::into_inner).store();
        }
    }
}
