//! What is asked of an adapter, and what it can do.
use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::choice::Which;
use super::cut::safe_operations;
use super::target::{Precision, Target};
use crate::error::Bytes;
use crate::settings::steps;
use crate::{Error, Result};

/// What makes a device faster or tells more of it, where its adapter has it; nothing of it is
/// needed.
pub(super) const USEFUL: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::PIPELINE_CACHE);

/// What shaders need for cooperative matrices.
pub(super) const COOPERATIVE: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

steps! {
    /// How to choose an adapter. `Default` takes the fastest one there is.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct GpuOptions {
        /// Part of the adapter's name, in any case; `None` takes the best adapter.
        pub adapter: Option<String>,
        /// One backend only: `vulkan`, `metal` or `dx12`.
        pub backend: Option<String>,
        /// Which of the adapters that `adapter` and `backend` allow.
        pub which: Which,
        /// Which kind to prefer when there are several.
        pub power: PowerPreference,
        /// How much of the adapter to use.
        pub limits: Limits,
        /// In what products are computed; [`Gpu::precision`](super::Gpu::precision) says what the
        /// adapter made of it.
        pub precision: Precision,
        /// Where compiled pipelines are kept between runs; `None` keeps none.
        pub cache_dir: Option<PathBuf>,
        /// Longest wait for the device before it counts as hung; a step must be done within it.
        pub timeout: Duration,
        /// Use cooperative matrices that no tuner has found right on this adapter and driver. Off,
        /// as the shaders that wgpu 30 makes of them leave loads and stores through workgroup
        /// memory without an order between invocations (wgpu issue 8805): they may be right on one
        /// driver and wrong on the next. `secateur devices --tune --precision mixed` tries them,
        /// and where they are right keeps that with its choices; a device opened after that uses
        /// them.
        pub untested_matrices: bool,
        /// Most bytes that one plan may take on the device, with what is staged besides:
        /// [`Memory::peak`](super::Memory::peak); `None` leaves it to the driver.
        pub memory_budget: Option<u64>,
    }
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self {
            adapter: None,
            backend: None,
            which: Which::default(),
            power: PowerPreference::default(),
            limits: Limits::default(),
            precision: Precision::default(),
            cache_dir: None,
            timeout: Duration::from_secs(120),
            untested_matrices: false,
            memory_budget: None,
        }
    }
}

impl GpuOptions {
    /// Options from the environment: `SECATEUR_ADAPTER` (part of a name), `SECATEUR_ADAPTER_INDEX`
    /// (which of several, from 0), `SECATEUR_BACKEND`, `SECATEUR_POWER` (`high` or `low`),
    /// `SECATEUR_PRECISION` (`f32` or `mixed`), `SECATEUR_TIMEOUT` (seconds), `SECATEUR_MEMORY`
    /// (bytes, or like `2GiB`), with the platform's cache folder.
    ///
    /// # Errors
    /// [`Error::Argument`] names the variable and what it may be.
    pub fn from_env() -> Result<Self> {
        let text = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let default = Self::default();
        let backend = text("SECATEUR_BACKEND");
        backends("SECATEUR_BACKEND", backend.as_deref())?;
        let timeout = match text("SECATEUR_TIMEOUT") {
            None => default.timeout,
            Some(text) => text
                .parse()
                .ok()
                .and_then(|s| Duration::try_from_secs_f64(s).ok())
                .filter(|t| !t.is_zero())
                .ok_or_else(|| {
                    let message = format!("`{text}` must be a number of seconds above 0");
                    Error::argument("SECATEUR_TIMEOUT", message)
                })?,
        };
        let which = match text("SECATEUR_ADAPTER_INDEX") {
            None => Which::Best,
            Some(text) => text.parse().map(Which::Index).map_err(|_| {
                let message = format!("`{text}` must be a number from 0");
                Error::argument("SECATEUR_ADAPTER_INDEX", message)
            })?,
        };
        let bytes = |text: String| {
            let bytes = text.parse().map(|Bytes(bytes)| bytes);
            bytes.map_err(|message| Error::argument("SECATEUR_MEMORY", message))
        };
        let memory_budget = text("SECATEUR_MEMORY").map(bytes).transpose()?;
        let precision = text("SECATEUR_PRECISION").map(|text| text.parse()).transpose();
        let precision = precision.map_err(|e| Error::argument("SECATEUR_PRECISION", e))?;
        Ok(Self {
            adapter: text("SECATEUR_ADAPTER"),
            backend,
            which,
            power: match text("SECATEUR_POWER").as_deref() {
                None | Some("high") => PowerPreference::High,
                Some("low") => PowerPreference::Low,
                Some(other) => {
                    let message = format!("`{other}` is not a power preference; use high or low");
                    return Err(Error::argument("SECATEUR_POWER", message));
                }
            },
            limits: default.limits,
            precision: precision.unwrap_or_default(),
            cache_dir: etcetera::choose_base_strategy()
                .ok()
                .map(|s| s.cache_dir().join("secateur")),
            timeout,
            untested_matrices: default.untested_matrices,
            memory_budget,
        })
    }

    pub(super) fn backends(&self) -> Result<wgpu::Backends> {
        backends("backend", self.backend.as_deref())
    }
}

/// What `value` of the argument `name` stands for.
fn backends(name: &str, value: Option<&str>) -> Result<wgpu::Backends> {
    match value {
        // Those that this platform has.
        None => Ok(wgpu::Instance::enabled_backend_features()),
        Some("vulkan") => Ok(wgpu::Backends::VULKAN),
        Some("metal") => Ok(wgpu::Backends::METAL),
        Some("dx12") => Ok(wgpu::Backends::DX12),
        Some(other) => {
            let message = format!("`{other}` is not a backend; use vulkan, metal or dx12");
            Err(Error::argument(name, message))
        }
    }
}

/// Which adapter wins when there are several. A real GPU always wins over a software adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PowerPreference {
    /// Discrete before integrated.
    #[default]
    High,
    /// Integrated before discrete.
    Low,
}

/// Sizes of tensors and workgroups that a device allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limits {
    /// All that the adapter has.
    #[default]
    Adapter,
    /// What WebGPU promises on any device: what runs here within them runs everywhere.
    WebGpu,
}

/// What an adapter is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// A card of its own.
    Discrete,
    /// A GPU that shares memory with the processor.
    Integrated,
    /// A GPU behind a virtual machine.
    Virtual,
    /// Something that does not say.
    #[default]
    Other,
    /// Shaders run on the processor.
    Software,
}

impl AdapterKind {
    pub(super) fn of(device_type: wgpu::DeviceType) -> Self {
        match device_type {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Other => Self::Other,
            wgpu::DeviceType::Cpu => Self::Software,
        }
    }

    /// Lower is better.
    pub(super) fn rank(self, power: PowerPreference) -> u8 {
        match (self, power) {
            (Self::Discrete, PowerPreference::High) | (Self::Integrated, PowerPreference::Low) => 0,
            (Self::Discrete | Self::Integrated, _) => 1,
            (Self::Virtual, _) => 2,
            (Self::Other, _) => 3,
            (Self::Software, _) => 4,
        }
    }
}

steps! {
    /// What an adapter says of itself.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
    pub struct AdapterReport {
        /// The adapter's name.
        pub name: String,
        /// `vulkan`, `metal` or `dx12`.
        pub backend: String,
        /// Discrete, integrated, ..., software.
        pub kind: AdapterKind,
        /// Driver name and version.
        pub driver: String,
        /// Largest storage binding in bytes: the largest tensor.
        pub max_binding: u64,
        /// Largest buffer in bytes.
        pub max_buffer: u64,
        /// Workgroup memory in bytes.
        pub workgroup_memory: u32,
        /// Timestamps for the timeline.
        pub timestamps: bool,
        /// Subgroup operations.
        pub subgroups: bool,
        /// Fewest and most invocations of a subgroup.
        pub subgroup_size: [u32; 2],
        /// 16-bit floats in shaders.
        pub f16: bool,
        /// Rows, columns and terms of the cooperative matrices that take 16-bit floats and add up
        /// in 32 bits.
        pub cooperative: Option<u32>,
        /// Compiled pipelines can be kept on disk.
        pub pipeline_cache: bool,
        /// Where the card sits on its machine's PCI bus, like `0000:01:00.0`, where the driver says
        /// it.
        pub pci: Option<String>,
        /// Its number, from 0, among the adapters that the options allow; `None` where they do not
        /// allow it, and for the device of an application.
        pub index: Option<usize>,
    }
}

impl AdapterReport {
    /// What plans for a device of this adapter may count on that is asked for `precision`, before a
    /// tuner has seen it.
    pub fn target(&self, precision: Precision) -> Target {
        let [least, most] = self.subgroup_size;
        let largest_subgroup = self.subgroups.then_some(most);
        let subgroup = largest_subgroup.filter(|_| least == most);
        let software = self.kind == AdapterKind::Software;
        let precision = if self.f16 { precision } else { Precision::F32 };
        // Workgroups have as many invocations as four of the largest subgroups, or more.
        let known = largest_subgroup.is_some_and(|most| most.is_power_of_two() && most <= 64);
        let usable = precision == Precision::Mixed && known;
        let cooperative = self.cooperative.filter(|_| usable);
        let most_operations = safe_operations(self.kind);
        let workgroup_bytes = self.workgroup_memory;
        Target {
            software,
            subgroup,
            largest_subgroup,
            workgroup_bytes,
            precision,
            cooperative,
            most_operations,
            ..Target::default()
        }
    }

    /// What files of this adapter and driver have in their names.
    pub(super) fn key(&self) -> String {
        let all = format!("{}|{}|{}", self.name, self.backend, self.driver);
        format!("{:016x}", xxh3_64(all.as_bytes()))
    }

    /// Of a device that has the features `has` of its adapter, within `limits`.
    pub(super) fn of(adapter: &wgpu::Adapter, has: wgpu::Features, limits: &wgpu::Limits) -> Self {
        let info = adapter.get_info();
        Self {
            name: info.name,
            backend: info.backend.to_str().to_owned(),
            kind: AdapterKind::of(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            timestamps: has.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroups: has.contains(wgpu::Features::SUBGROUP),
            subgroup_size: [info.subgroup_min_size, info.subgroup_max_size],
            f16: has.contains(wgpu::Features::SHADER_F16),
            cooperative: cooperative(adapter, has),
            pipeline_cache: has.contains(wgpu::Features::PIPELINE_CACHE),
            pci: Some(info.device_pci_bus_id).filter(|id| !id.is_empty()),
            index: None,
        }
    }
}

/// The largest that both sides of a subgroup's matrices have, and the terms.
fn cooperative(adapter: &wgpu::Adapter, has: wgpu::Features) -> Option<u32> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let all = adapter.cooperative_matrix_properties().into_iter();
    let fits = all.filter(|p| p.ab_type == F16 && p.cr_type == F32 && !p.saturating_accumulation);
    let square = fits.filter(|p| p.m_size == p.n_size && p.n_size == p.k_size).map(|p| p.k_size);
    let usable = COOPERATIVE | wgpu::Features::SHADER_F16;
    square.max().filter(|_| has.contains(usable))
}
