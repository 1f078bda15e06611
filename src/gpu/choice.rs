//! Which of several adapters to take.
use super::adapter::{AdapterKind, AdapterReport, GpuOptions};
use super::unused;
use crate::{Error, Result};

/// Which of the adapters that the other options allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// The best one.
    #[default]
    Best,
    /// This one, from 0: [`AdapterReport::index`].
    Index(usize),
    /// For the rank of this number among those of its machine: the first rank takes the first GPU,
    /// the next one the next, and after the last GPU the first one's turn comes again. So a rank
    /// that is shown its own GPU alone takes that. A card counts once, however many drivers and
    /// backends show it. Software adapters are taken only where there is no GPU.
    LocalRank(usize),
}

impl Which {
    /// Which of `allowed`, best first, to take.
    pub fn of(self, allowed: &[AdapterReport]) -> Option<usize> {
        match self {
            Self::Best => (!allowed.is_empty()).then_some(0),
            Self::Index(index) => (index < allowed.len()).then_some(index),
            Self::LocalRank(rank) => {
                let cards = cards(allowed);
                rank.checked_rem(cards.len()).map(|at| cards[at])
            }
        }
    }
}

/// The GPUs among `allowed`, each once, or the software adapters where there is none.
fn cards(allowed: &[AdapterReport]) -> Vec<usize> {
    let Some(best) = allowed.first() else { return Vec::new() };
    let software = |a: &AdapterReport| a.kind == AdapterKind::Software;
    let mut cards: Vec<usize> = Vec::new();
    for (i, adapter) in allowed.iter().enumerate() {
        let shown = |&other: &usize| adapter.pci.is_some() && allowed[other].pci == adapter.pci;
        if adapter.backend == best.backend
            && software(adapter) == software(best)
            && !cards.iter().any(shown)
        {
            cards.push(i);
        }
    }
    cards
}

/// Where in `found` the adapter is that `was` of a device that is lost.
fn again(found: &[AdapterReport], was: &AdapterReport) -> Option<usize> {
    found.iter().position(|a| {
        let same = (&a.name, &a.backend, &a.pci) == (&was.name, &was.backend, &was.pci);
        // Cards may have gone, and others have moved up; without an id nobody knows.
        same && (a.pci.is_some() || a.index == was.index)
    })
}

/// Every adapter that the backend and the power preference of `options` allow, best first; those
/// that all of it allows have an [`index`](AdapterReport::index).
///
/// # Errors
/// [`Error::Argument`] for a backend that is none.
pub fn adapters(options: &GpuOptions) -> Result<Vec<AdapterReport>> {
    Ok(candidates(options)?.into_iter().map(|(_, report)| report).collect())
}

/// The adapter that `options` asks for, with its index.
pub(super) fn choose(options: &GpuOptions) -> Result<(wgpu::Adapter, Option<usize>)> {
    let found = candidates(options)?;
    let allowed: Vec<_> = found.iter().filter(|(_, r)| r.index.is_some()).collect();
    let reports: Vec<_> = allowed.iter().map(|(_, report)| report.clone()).collect();
    let Some(at) = options.which.of(&reports) else {
        return Err(none(options, &found));
    };
    let (adapter, report) = allowed[at];
    let asked_for = options.adapter.is_some() || matches!(options.which, Which::Index(_));
    if report.kind == AdapterKind::Software && !asked_for {
        unused::warn(&report.name);
    }
    Ok((adapter.clone(), report.index))
}

/// The adapter of a device that is lost, which `was`.
pub(super) fn choose_again(
    options: &GpuOptions,
    was: &AdapterReport,
) -> Result<(wgpu::Adapter, Option<usize>)> {
    let found = candidates(options)?;
    let reports: Vec<_> = found.iter().map(|(_, report)| report.clone()).collect();
    let Some(at) = again(&reports, was) else {
        return Err(none(
            &GpuOptions { adapter: Some(was.name.clone()), ..options.clone() },
            &found,
        ));
    };
    Ok((found[at].0.clone(), reports[at].index))
}

fn none(options: &GpuOptions, found: &[(wgpu::Adapter, AdapterReport)]) -> Error {
    let seen: Vec<_> = found.iter().map(|(_, r)| format!("\"{}\"", r.name)).collect();
    let tried = options.backends().unwrap_or(wgpu::Backends::empty());
    let tried: Vec<_> = tried.iter_names().map(|(n, _)| n.to_lowercase()).collect();
    let number = match options.which {
        Which::Index(index) => format!(" of number {index}"),
        _ => String::new(),
    };
    let name: String = options.adapter.iter().map(|a| format!(" matching \"{a}\"")).collect();
    Error::NoAdapter {
        wanted: number + &name,
        tried: tried.join(", "),
        seen: if seen.is_empty() { "none".to_owned() } else { seen.join(", ") },
    }
}

fn candidates(options: &GpuOptions) -> Result<Vec<(wgpu::Adapter, AdapterReport)>> {
    let backends = options.backends()?;
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    // Validation layers are for wgpu's developers; error scopes already turn mistakes into errors.
    descriptor.flags = wgpu::InstanceFlags::empty();
    // FXC, which Windows brings, has no 16-bit floats and takes minutes over these kernels. DXC is
    // a file beside the program: without it there is no DirectX 12, and Vulkan is left.
    descriptor.backend_options.dx12.shader_compiler = wgpu::Dx12Compiler::default_dynamic_dxc();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    found.sort_by_key(|a| AdapterKind::of(a.get_info().device_type).rank(options.power));
    let wanted = options.adapter.as_deref().map(str::to_lowercase).unwrap_or_default();
    let mut indices = 0..;
    let reported = |adapter: wgpu::Adapter| {
        let report = AdapterReport::of(&adapter, adapter.features(), &adapter.limits());
        let allowed = report.name.to_lowercase().contains(&wanted);
        let index = if allowed { indices.next() } else { None };
        (adapter, report.index(index))
    };
    Ok(found.into_iter().map(reported).collect())
}
