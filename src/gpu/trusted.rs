//! The crate's only `unsafe`: three wgpu calls, each with the invariant that makes it sound.
#![expect(unsafe_code, reason = "the one audited room for unsafe calls")]

/// A shader module without wgpu's run-time loop and bounds checks.
///
/// Soundness: only the crate's own `shaders/` reach this through [`super::Kernel::WGSL`]. Each
/// guards its global index against the lengths that [`super::PlanBuilder::push`] has compared with
/// the bound slots, indexes workgroup arrays by `local_invocation_*`, constants and counters below those, and has
/// loops bounded by uniforms. `tests/gpu` runs every one at ragged sizes with guard words after
/// each output, and `tests/host/shaders.rs` validates the WGSL with naga.
pub(super) fn shader_module(
    device: &wgpu::Device,
    label: &str,
    wgsl: &'static str,
) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(wgsl.into()),
    };
    // SAFETY: see above.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}

/// Leave to use what wgpu calls experimental: cooperative matrices.
///
/// Soundness: what wgpu leaves unchecked there are the shaders' loads and stores. Those of
/// `product_coop.wgsl` are of whole matrices within operands that `f16_copy` pads to whole ones, and its
/// stores go through workgroup memory of one matrix and the guarded `store`. `tests/gpu/kernels/half.rs`
/// runs it at ragged sizes with guard words.
pub(super) fn experimental_features() -> wgpu::ExperimentalFeatures {
    // SAFETY: see above.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// A pipeline cache filled with `data`, or an empty one where the driver refuses `data`.
///
/// Soundness: `data` comes from a file that `cache.rs` wrote from `PipelineCache::get_data`, for the
/// same adapter and driver, and whose checksum it has verified. `fallback` makes a driver's refusal harmless.
pub(super) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor =
        wgpu::PipelineCacheDescriptor { label: Some("secateur"), data, fallback: true };
    // SAFETY: see above.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
