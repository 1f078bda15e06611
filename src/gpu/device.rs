//! Opening an adapter, submitting work, and turning every failure into an error value.
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{self, AdapterReport, COOPERATIVE, GpuOptions, Limits};
use super::cache::DiskCache;
use super::health::Health;
use super::target::{Choices, Precision, Target};
use super::trusted;
use super::tuning;
use crate::{Error, Result};

/// A device and its queue; clones are handles to the same. Open one per process: some drivers leak
/// a device's memory when it goes.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: GpuOptions,
    report: AdapterReport,
    target: Target,
    health: Health,
    cache: Option<Mutex<DiskCache>>,
    pipelines: Mutex<Pipelines>,
}

/// wgpu makes identical pipelines anew each time, so the device keeps one per key, and one module
/// for all pipelines of a shader.
#[derive(Debug, Default)]
struct Pipelines {
    made: HashMap<PipelineKey, wgpu::ComputePipeline>,
    modules: HashMap<&'static str, wgpu::ShaderModule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PipelineKey {
    pub(super) name: &'static str,
    pub(super) wgsl: &'static str,
    /// WGSL `override` constants: name and bits of the value.
    pub(super) constants: Vec<(&'static str, u64)>,
}

impl Gpu {
    /// Opens the adapter that `options` asks for.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] names the backends tried and the adapters seen; [`Error::Device`] says
    /// why the driver refused.
    pub fn open(options: &GpuOptions) -> Result<Self> {
        let adapter = adapter::choose(options)?;
        let limits = match options.limits {
            Limits::Adapter => adapter.limits(),
            Limits::WebGpu => wgpu::Limits::default(),
        };
        let report = AdapterReport::of(&adapter, &limits);
        let target = report.target(options.precision);
        if target.precision != options.precision {
            let (name, asked, taken) = (&report.name, options.precision, target.precision);
            log::warn!("{name} has no 16-bit floats in shaders: precision {taken}, not {asked}");
        }
        let mut useful = wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_F16
            | wgpu::Features::PIPELINE_CACHE;
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
        let health = Health::watch(&device);
        let cache = options
            .cache_dir
            .clone()
            .filter(|_| report.pipeline_cache)
            .map(|dir| Mutex::new(DiskCache::open(&device, dir, &report)));
        let tuned = options.cache_dir.as_deref().and_then(|dir| tuning::load(dir, &report));
        let target = Target { choices: tuned.unwrap_or_default(), ..target };
        let (options, pipelines) = (options.clone(), Mutex::default());
        let shared = Arc::new(Shared { options, report, target, health, cache, pipelines });
        Ok(Self { device, queue, shared })
    }

    /// Opens a fresh device on the same adapter, for after a loss: nothing of this one can be used
    /// with it.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when that adapter is gone.
    pub fn reopen(&self) -> Result<Self> {
        let adapter = Some(self.shared.report.name.clone());
        Self::open(&GpuOptions { adapter, ..self.shared.options.clone() })
    }

    /// What the adapter says of itself.
    pub fn report(&self) -> &AdapterReport {
        &self.shared.report
    }

    /// What plans for this device may count on, a tuner's choices included.
    pub fn target(&self) -> Target {
        self.shared.target
    }

    /// What the adapter made of [`GpuOptions::precision`]: 32 bits where its shaders know no 16-bit floats.
    pub fn precision(&self) -> Precision {
        self.shared.target.precision
    }

    /// Keeps a tuner's choices for devices of this adapter and driver opened from now on; where, or `None`
    /// without a folder for such.
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

    /// Gives up the device, as a driver does when it fails. Everything after it is an error.
    pub fn destroy(&self) {
        self.device.destroy();
        self.shared.health.lost("destroyed by request".to_owned());
    }

    /// Runs the callbacks that are due, without blocking.
    pub(super) fn tick(&self) -> Result<()> {
        self.poll(wgpu::PollType::Poll)
    }

    /// Writes `bytes` to `buffer`, which holds `what`, from byte `at` on, before the next submission.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, at: u64, bytes: &[u8], what: &str) {
        let write = || self.queue.write_buffer(buffer, at, bytes);
        // Staging that finds no memory loses the device, and wgpu does not say whose it was.
        self.shared.health.blaming(write, || format!("uploading {} bytes for {what}", bytes.len()));
    }

    /// A lost device makes `poll` panic, and makes `submit` look successful: both end here.
    #[expect(clippy::disallowed_methods, reason = "the one place that polls")]
    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        self.shared.health.check()?;
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(how))) {
            Ok(Ok(_)) => {}
            Ok(Err(wgpu::PollError::Timeout)) => self.give_up(),
            Ok(Err(e)) => return Err(Error::Device(e.to_string())),
            Err(_) => self.shared.health.lost("the driver stopped answering".to_owned()),
        }
        self.shared.health.check()
    }

    /// For a device that hangs. The last handle to a queue waits for it without a limit when it is
    /// dropped, so one handle stays for good, and with it what the device holds.
    fn give_up(&self) {
        if self.shared.health.hung(self.shared.options.timeout) {
            std::mem::forget(self.queue.clone());
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that submits")]
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<wgpu::SubmissionIndex> {
        self.shared.health.check()?;
        let index = self.queue.submit([encoder.finish()]);
        self.shared.health.check().map(|()| index)
    }

    /// Runs `make` inside error scopes; what wgpu would panic about becomes an error. Scopes are
    /// per thread, so `make` must do its work on this one.
    pub(super) fn scoped<T>(
        &self,
        make: impl FnOnce() -> T,
        out_of_memory: impl FnOnce() -> Error,
    ) -> Result<T> {
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let validation = pollster::block_on(validation.pop());
        let memory = pollster::block_on(memory.pop());
        let internal = pollster::block_on(internal.pop());
        match (memory, validation.or(internal)) {
            (Some(_), _) => Err(out_of_memory()),
            (None, Some(e)) => Err(Error::Device(e.to_string())),
            (None, None) => self.shared.health.check().map(|()| made),
        }
    }

    /// The pipeline for `key`, made on first use with the bindings `entries`.
    pub(super) fn pipeline(
        &self,
        key: &PipelineKey,
        entries: &[wgpu::BindGroupLayoutEntry],
    ) -> Result<wgpu::ComputePipeline> {
        let mut pipelines = self.shared.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let Pipelines { made, modules } = &mut *pipelines;
        if let Some(pipeline) = made.get(key) {
            return Ok(pipeline.clone());
        }
        let cache =
            self.shared.cache.as_ref().map(|c| c.lock().unwrap_or_else(PoisonError::into_inner));
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let known = modules.get(key.wgsl).cloned();
        let make = || {
            let module =
                known.unwrap_or_else(|| trusted::shader_module(&self.device, key.name, key.wgsl));
            let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(key.name),
                entries,
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
                    // Every kernel writes its workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: cache.as_ref().map(|c| c.handle()),
            });
            (module, pipeline)
        };
        let failed = |why: &str| Error::Device(format!("the pipeline of {}: {why}", key.name));
        let (module, pipeline) = self
            .scoped(make, || Error::Device("out of memory".to_owned()))
            .map_err(|e| match e {
                Error::Device(why) => failed(&why),
                // A loss stays one, for a run to go on from.
                e => e,
            })?;
        modules.insert(key.wgsl, module);
        made.insert(key.clone(), pipeline.clone());
        Ok(pipeline)
    }
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
