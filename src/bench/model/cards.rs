//! Cards by their makers' public figures.
use serde::Serialize;

/// What is known of a card. A multiprocessor is what has its own workgroup memory: NVIDIA's SM,
/// AMD's compute unit, Apple's core, Intel's Xe core. Each of these here has 128 lanes of f32 and
/// moves 128 bytes a cycle to and from its workgroup memory and first cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Card {
    /// What it is called on the command line.
    pub key: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Operations on f32 a second, a multiply-add as two.
    pub flops: f64,
    /// The same on matrices of f16 that are added up in f32; `None` where wgpu's cooperative
    /// matrices are not for it.
    pub matrix_flops: Option<f64>,
    /// Rows, columns and terms of these.
    pub matrix_side: Option<u32>,
    /// Bytes a second of its memory.
    pub bytes_per_second: f64,
    /// Bytes a second of the cache that all multiprocessors share, where its maker says so.
    pub cache_bytes_per_second: Option<f64>,
    /// Most invocations on a multiprocessor.
    pub invocations: u32,
    /// Words of its registers.
    pub registers: u32,
    /// Bytes of its workgroup memory.
    pub workgroup_bytes: u32,
    /// Whether it has memory of its own.
    pub discrete: bool,
    /// Where the figures are from.
    pub source: &'static str,
}

/// Lanes of f32 of a multiprocessor.
const LANES: f64 = 128.0;

impl Card {
    /// The card that `text` names: its key, or a part of its name.
    pub fn named(text: &str) -> Option<&'static Self> {
        let text = text.to_lowercase();
        let exact = CARDS.iter().find(|card| card.key == text);
        exact.or_else(|| CARDS.iter().find(|card| card.name.to_lowercase().contains(&text)))
    }

    /// Cycles a second at which its lanes make the multiply-adds that its maker says.
    pub fn hertz(&self) -> f64 {
        self.flops / (2.0 * LANES * f64::from(self.multiprocessors))
    }
}

/// The cards that there are figures for.
pub const CARDS: &[Card] = &[
    Card {
        key: "h100",
        name: "NVIDIA H100 SXM",
        multiprocessors: 132,
        flops: 67e12,
        matrix_flops: Some(990e12),
        matrix_side: Some(16),
        bytes_per_second: 3.35e12,
        cache_bytes_per_second: None,
        invocations: 2048,
        registers: 65_536,
        workgroup_bytes: 228 << 10,
        discrete: true,
        source: "NVIDIA, H100 data sheet and Hopper architecture white paper",
    },
    Card {
        key: "4090",
        name: "NVIDIA GeForce RTX 4090",
        multiprocessors: 128,
        flops: 82.6e12,
        matrix_flops: Some(165.2e12),
        matrix_side: Some(16),
        bytes_per_second: 1.008e12,
        cache_bytes_per_second: None,
        invocations: 1536,
        registers: 65_536,
        workgroup_bytes: 100 << 10,
        discrete: true,
        source: "NVIDIA, Ada GPU architecture white paper",
    },
    Card {
        key: "7900xtx",
        name: "AMD Radeon RX 7900 XTX",
        multiprocessors: 96,
        flops: 61.4e12,
        matrix_flops: Some(122.8e12),
        matrix_side: Some(16),
        bytes_per_second: 960e9,
        cache_bytes_per_second: Some(3.5e12),
        invocations: 1024,
        registers: 98_304,
        workgroup_bytes: 64 << 10,
        discrete: true,
        source: "AMD, product page and RDNA 3 instruction set guide",
    },
    Card {
        key: "m3max",
        name: "Apple M3 Max, 40 cores",
        multiprocessors: 40,
        flops: 14.3e12,
        matrix_flops: Some(14.3e12),
        matrix_side: Some(8),
        bytes_per_second: 400e9,
        cache_bytes_per_second: None,
        invocations: 1024,
        registers: 53_248,
        workgroup_bytes: 32 << 10,
        discrete: false,
        source: "Apple, technical specifications (bandwidth, cores); the rate and the registers are \
                 not Apple's: 1,398 MHz in hardware data bases, 208 KiB as measured on the M1",
    },
    Card {
        key: "b580",
        name: "Intel Arc B580",
        multiprocessors: 20,
        flops: 13.67e12,
        matrix_flops: None,
        matrix_side: None,
        bytes_per_second: 456e9,
        cache_bytes_per_second: None,
        invocations: 1024,
        registers: 131_072,
        workgroup_bytes: 128 << 10,
        discrete: true,
        source: "Intel, product page and Xe2 architecture; its matrices of 8x16x16 are none that \
                 wgpu knows",
    },
];
