//! How much faster a layer is without its zeros: over sparsity, for each pattern, form and batch.
use serde::Serialize;

use super::packed::PackedCase;
use super::sampling::Effort;
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{Layout, PackedForm, PackedMatrix, Units, random_bits};

/// A layer in one pattern, sparsity, form and batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SparseRow {
    /// How the zeros lie: `unstructured`, `2:4`, `N:32x32`, or blocks of `16x16`.
    pub pattern: &'static str,
    /// Share of zeros.
    pub sparsity: f64,
    /// Outputs and inputs.
    pub size: [u32; 2],
    /// Rows of the product.
    pub batch: u32,
    /// How the weight is packed.
    pub form: PackedForm,
    /// Median time with the weight dense.
    pub dense_seconds: f64,
    /// Median time with it packed.
    pub seconds: f64,
    /// How many times as fast as dense it is.
    pub speedup: f64,
    /// How many times as fast it could be: [`PackedTime::bound`](super::PackedTime::bound).
    pub bound: f64,
}

/// A form that was not measured with a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SparseLeftOut {
    /// How the zeros lie.
    pub pattern: &'static str,
    /// Share of zeros.
    pub sparsity: f64,
    /// Rows of the product.
    pub batch: u32,
    /// How the weight would be packed.
    pub form: PackedForm,
    /// Why not.
    pub reason: String,
}

/// What [`sparse`] has measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sparse {
    /// In the order measured.
    pub rows: Vec<SparseRow>,
    /// What a smaller batch has made pointless.
    pub left_out: Vec<SparseLeftOut>,
}

/// Shares of zeros without a pattern.
const SPARSITIES: [f64; 5] = [0.5, 0.6, 0.75, 0.9, 0.95];
/// Vectors and blocks, which are kept as one.
pub(super) const VECTORS: &str = "N:32x32";
pub(super) const SQUARES: &str = "16x16";
const BATCHES: [u32; 3] = [1, 8, 256];
/// A form that takes so many times as long as dense is not tried with larger batches, where dense
/// gains by all that it reads once.
const HOPELESS: f64 = 2.0;

/// Times a layer of 4096 x 4096 weights, dense and packed; `progress` hears what comes next.
///
/// # Errors
/// Of the device, and where it has no room.
pub fn sparse(gpu: &Gpu, effort: &Effort, progress: &mut dyn FnMut(&str)) -> Result<Sparse> {
    let side = if effort.tiny { 96 } else { 4096 };
    let of = Units::new([side, side]).layout(Layout::OutIn);
    let mut cases = vec![("2:4", 0.5)];
    cases.extend(SPARSITIES.map(|sparsity| ("unstructured", sparsity)));
    // The last leaves three of 32.
    cases.extend([0.5, 0.75, 0.90625].map(|sparsity| (VECTORS, sparsity)));
    cases.extend([0.5, 0.75, 0.9].map(|sparsity| (SQUARES, sparsity)));
    let mut told = Sparse::default();
    for (pattern, sparsity) in cases {
        let weights = weights(of, pattern, sparsity);
        let case = PackedCase::new(of, &weights, 1);
        let forms: &[PackedForm] = match pattern {
            VECTORS | SQUARES => &[PackedForm::Blocks],
            _ => &[PackedForm::Bitmask, PackedForm::Gaps],
        };
        let packed = forms.iter().map(|&form| case.pack(form, gpu));
        let packed = packed.collect::<Result<Vec<_>>>()?;
        let mut matrices: Vec<&PackedMatrix> = packed.iter().collect();
        for batch in BATCHES {
            progress(&format!("{pattern} {:.0} %, batch {batch}", sparsity * 100.0));
            let case = PackedCase { rows: batch, ..case };
            let times = case.time_packed(gpu, &matrices, effort)?;
            for time in &times.packed {
                told.rows.push(SparseRow {
                    pattern,
                    sparsity,
                    size: [of.units, of.inputs],
                    batch,
                    form: time.form,
                    dense_seconds: times.dense_seconds,
                    seconds: time.seconds,
                    speedup: time.speedup,
                    bound: time.bound,
                });
            }
            let slow = times.packed.iter().filter(|time| time.speedup * HOPELESS < 1.0);
            for time in slow.filter(|_| !effort.tiny) {
                let form = time.form;
                matrices.retain(|other| other.form() != form);
                let times = 1.0 / time.speedup;
                let reason = format!("takes {times:.1} times as long as dense with {batch} rows");
                let larger = BATCHES.into_iter().filter(|&other| other > batch);
                told.left_out.extend(larger.map(|batch| {
                    let reason = reason.clone();
                    SparseLeftOut { pattern, sparsity, batch, form, reason }
                }));
            }
        }
    }
    Ok(told)
}

/// From how many zeros on a layer is faster without them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PaysFrom {
    /// How the zeros lie: `unstructured`, `N:32x32`, or blocks of `16x16`.
    pub pattern: &'static str,
    /// The least share of zeros that was tried and found at least 1.05 times as fast; none where none
    /// was.
    pub sparsity: Option<f64>,
    /// How many times as fast as dense it is there, or with the most zeros that were tried.
    pub speedup: f64,
}

/// How many times as fast as dense a layer is that pays: clocks are not better than that.
const PAYS: f64 = 1.05;

/// Times a fully connected layer of `of` with so many `rows`, dense and packed, with ever more zeros
/// in each pattern until one is faster packed.
///
/// # Errors
/// Of the device, and where it has no room.
pub fn pays_from(gpu: &Gpu, of: Units, rows: u32, effort: &Effort) -> Result<Vec<PaysFrom>> {
    let patterns = [
        ("unstructured", PackedForm::Gaps, &SPARSITIES[..]),
        (VECTORS, PackedForm::Blocks, &[0.5, 0.75, 0.90625]),
        (SQUARES, PackedForm::Blocks, &[0.5, 0.75, 0.9]),
    ];
    let one = |(pattern, form, sparsities): (&'static str, PackedForm, &[f64])| {
        let mut found = PaysFrom { pattern, sparsity: None, speedup: 0.0 };
        for &sparsity in sparsities {
            let weights = weights(of, pattern, sparsity);
            let times = PackedCase::new(of, &weights, rows).time(gpu, &[form], effort)?;
            found.speedup = times.packed.first().map_or(0.0, |time| time.speedup);
            if found.speedup >= PAYS {
                found.sparsity = Some(sparsity);
                break;
            }
        }
        Ok(found)
    };
    patterns.into_iter().map(one).collect()
}

/// Weights of noise, of which this share is zero: each by itself, two of every four in a row, or as
/// many of every 32 inputs for 32 units, or of the blocks of 16 units.
fn weights(of: Units, pattern: &str, sparsity: f64) -> Vec<f32> {
    let pruned = (sparsity * f64::from(u32::MAX)) as u32;
    let (width, height, group) = match pattern {
        VECTORS => (32, 1, 32),
        _ => (16, 16, of.inputs.div_ceil(16)),
    };
    let lists = match pattern {
        VECTORS | SQUARES => of.units.div_ceil(width),
        _ => 0,
    };
    let across = of.inputs.div_ceil(height);
    let mut kept = Vec::new();
    for list in 0..lists {
        for first in (0..across).step_by(group as usize) {
            let group = group.min(across - first);
            let mut order: Vec<u32> = (0..group).collect();
            order.sort_by_key(|&block| noise(7, list * across + first + block));
            let stay = ((1.0 - sparsity) * f64::from(group)).round() as usize;
            kept.extend((0..group).map(|block| order[..stay].contains(&block)));
        }
    }
    let is_kept = |at: u32| match pattern {
        // The first of four that is kept and the second, each as likely as any other.
        "2:4" => {
            let pick = noise(7, at / 4) % 6;
            let kept = [0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100_u32][pick as usize];
            kept >> (at % 4) & 1 == 1
        }
        VECTORS | SQUARES => {
            let (unit, input) = (at / of.inputs, at % of.inputs);
            kept[(unit / width * across + input / height) as usize]
        }
        _ => noise(7, at) >= pruned,
    };
    let weight = |at: u32| (noise(11, at) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let all = 0..of.len() as u32;
    all.map(|at| if is_kept(at) { weight(at) } else { 0.0 }).collect()
}

fn noise(seed: u32, at: u32) -> u32 {
    random_bits(random_bits(seed, at), at)
}
