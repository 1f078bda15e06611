//! Masks by selections of exact counts.
use super::compared::{Compared, Found};
use super::rig::{Rig, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{MASK_STATE_WORDS, Ranked, Selection, bit, mask_words, topk_reference};

/// The mask of `values` with so many bits clear, by sorting.
pub(super) type Reference = fn(&[f32], Option<&[u32]>, usize) -> Vec<u32>;

/// Few distinct values: nearly all are ties.
pub(super) fn ties(gpu: &Gpu) -> Result<Found> {
    let (values, prune) = (tied(20_000), 18_000);
    let mut compared = Compared::default();
    selected(gpu, &values, prune, topk_reference, &mut compared)?;
    let detail = format!("{prune} of {} weights with ties", values.len());
    let found = compared.found("");
    Ok(if found.passed { Found { detail, ..found } } else { found })
}

/// None, one, some and all, of lengths around a word of a mask and past a workgroup.
pub(super) fn counts(gpu: &Gpu, reference: Reference) -> Result<Found> {
    let mut compared = Compared::default();
    let cases =
        [(1, 0), (1, 1), (31, 7), (32, 32), (33, 1), (1000, 500), (4097, 4096), (70_001, 63_001)];
    for (len, prune) in cases {
        for values in [tied(len), noise(len as u64, len, 2.0)] {
            selected(gpu, &values, prune, reference, &mut compared)?;
        }
    }
    Ok(compared.found("16 masks of exact counts, as words"))
}

fn tied(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 31 % 101) as f32 - 50.0).collect()
}

fn selected(
    gpu: &Gpu,
    values: &[f32],
    prune: usize,
    reference: Reference,
    compared: &mut Compared,
) -> Result<()> {
    let len = values.len() as u32;
    let mut rig = Rig::new(gpu);
    let weights = rig.slot("weights", values);
    let counts = rig.slot("counts", &[prune as u32]);
    // A selection finds its histogram at zero, and leaves it so.
    let zeros = vec![0u32; Selection::HISTOGRAM_WORDS as usize];
    let histogram = rig.slot("histogram", &zeros);
    let state = rig.output("state", Selection::STATE_WORDS as usize);
    let mask_state = rig.slot("mask_state", &vec![0u32; MASK_STATE_WORDS as usize]);
    let mask = rig.output("mask", mask_words(len) as usize);
    let tensor = Ranked { values: weights, protect: None, scores: true, mask_state, mask, len };
    let selection = Selection { counts, selection: 0, histogram, state };
    selection.push(&mut rig.plan, "selftest", &[tensor])?;
    let case = format!("{prune} of {len} weights");
    let ready = rig.run()?;
    let got: Vec<u32> = ready.read(&case, mask, compared)?;
    let left: Vec<u32> = ready.read(&case, histogram, compared)?;
    compared.same(&format!("histogram of {case}"), &left, &zeros);
    let pruned = (0..values.len()).filter(|&i| !bit(&got, i)).count();
    compared.holds(pruned == prune, || format!("{case}: {pruned} are pruned"));
    compared.same(&case, &got, &reference(values, None, prune));
    Ok(())
}
