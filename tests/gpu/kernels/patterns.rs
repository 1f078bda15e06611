//! `block_pool`, `block_mask`, `nm_mask` and `unit_mask`: masks with a pattern.
use secateur::gpu::Target;
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, gpu};

const GRIDS: [[u32; 4]; 8] = [
    [1, 1, 1, 1],
    [5, 3, 2, 2],
    [33, 7, 4, 4],
    [257, 31, 1, 8],
    [1000, 10, 1000, 1],
    [3, 70_001, 1, 70_001],
    [70_001, 3, 70_001, 1],
    [300, 257, 16, 16],
];

fn blocks([rows, columns, height, width]: [u32; 4]) -> Blocks {
    Blocks { rows, columns, height, width }
}

#[test]
fn blocks_are_pooled() {
    let Some(gpu) = gpu() else { return };
    for grid in GRIDS {
        for pooling in [BlockPooling::Avg, BlockPooling::Max] {
            let blocks = blocks(grid);
            let len = (blocks.rows * blocks.columns) as usize;
            let mut values = Noise::new(len as u64).floats(len, 1.0);
            if len > 60 {
                values[57] = f32::NAN;
            }
            let mut rig = Rig::new(gpu);
            let slot = rig.slot("values", &values);
            let scores = rig.output("scores", blocks.count() as usize);
            let means = rig.output("means", blocks.count() as usize);
            rig.push(BlockPool { values: slot, scores, blocks, pooling, signed: false });
            let avg = BlockPooling::Avg;
            rig.push(BlockPool { values: slot, scores: means, blocks, pooling: avg, signed: true });
            let bench = rig.run();
            let got: Vec<f32> = bench.read(scores);
            // A lane adds a 256th of a block's values, a tree of 8 levels the lanes; one division.
            let size = f64::from(blocks.height * blocks.width);
            let roundings = if size > 64.0 { size / 256.0 + 10.0 } else { size + 1.0 };
            let bound = roundings * f64::from(f32::EPSILON) / 2.0;
            let want = block_pool_reference(&values, blocks, pooling);
            for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                let near = match pooling {
                    BlockPooling::Max => f64::from(got) == want,
                    BlockPooling::Avg => (f64::from(got) - want).abs() <= bound * want,
                };
                assert!(
                    near || (got.is_nan() && want.is_nan()),
                    "{grid:?} {pooling:?} {i}: {got}, {want}"
                );
            }
            // Signed, the roundings are of the magnitudes.
            let magnitudes = block_pool_reference(&values, blocks, avg);
            let want = signed_block_pool_reference(&values, blocks, avg);
            for (i, &got) in bench.read::<f32>(means).iter().enumerate() {
                let near = (f64::from(got) - want[i]).abs() <= bound * magnitudes[i];
                assert!(near || (got.is_nan() && want[i].is_nan()), "{grid:?} signed {i}: {got}");
            }
        }
    }
}

#[test]
fn a_block_mask_spreads_to_its_weights() {
    let Some(gpu) = gpu() else { return };
    for grid in GRIDS {
        let blocks = blocks(grid);
        let len = blocks.rows * blocks.columns;
        let words = Noise::new(len.into()).words(blocks.count().div_ceil(32) as usize);
        // Small ones as software adapters have them, and large ones as GPUs.
        let software = len < 1000;
        let mut rig = Rig::for_target(gpu, Target { software, ..Target::default() });
        let block_mask = rig.slot("blocks", &words);
        let mask_state =
            rig.slot("mask_state", &[MaskState { nan: 3, threshold: 5, ..Default::default() }]);
        let mask = rig.slot("mask", &ones(len));
        rig.push(MaskBegin { mask_state, keep_nan: true });
        BlockMask { block_mask, mask_state, mask, blocks }.push(&mut rig.plan).unwrap();
        let bench = rig.run();
        let want = block_mask_reference(&words, blocks);
        Tol::Exact
            .check(&bench.read::<u32>(mask), &want)
            .unwrap_or_else(|e| panic!("{grid:?}: {e}"));
        let kept = want.iter().map(|w| w.count_ones()).sum();
        let state = MaskState { kept, nan: 3, changed: len - kept, threshold: 5 };
        assert_eq!(bench.read::<MaskState>(mask_state), [state], "{grid:?}");
    }
}

/// Upstream's examples, and the one where its grid is not aligned (rows .5 .5 .5 0 | .45).
#[test]
fn half_of_the_blocks_stay() {
    let Some(gpu) = gpu() else { return };
    let rows = |rows: &[&[f32]]| -> Vec<f32> { rows.concat() };
    let (low, high) = ([0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.4, 0.4]);
    let average = rows(&[&low, &low, &high, &high]);
    let maximum = rows(&[
        &[0.1, 0.0, 0.2, 0.0],
        &[0.0, -0.1, 0.0, -0.2],
        &[0.3, 0.0, 0.4, 0.0],
        &[0.0, -0.3, 0.0, -0.4],
    ]);
    let ragged: Vec<f32> = [0.5, 0.5, 0.5, 0.0, 0.45].iter().flat_map(|&x| [x; 2]).collect();
    for (values, grid, pooling, want) in [
        (&average, [4, 4, 2, 2], BlockPooling::Avg, 0xff00),
        (&maximum, [4, 4, 2, 2], BlockPooling::Max, 0xff00),
        (&ragged, [5, 2, 4, 2], BlockPooling::Avg, 0b11_0000_0000),
    ] {
        let blocks = blocks(grid);
        let (len, count) = (blocks.rows * blocks.columns, blocks.count());
        let mut rig = Rig::new(gpu);
        let slot = rig.slot("values", values);
        let (scores, block_mask) =
            (rig.output("scores", count as usize), rig.slot("blocks", &[0u32]));
        let (mask, mask_state) =
            (rig.slot("mask", &ones(len)), rig.slot("state", &[MaskState::default()]));
        let histogram = rig.slot("histogram", &[0u32; Selection::HISTOGRAM_WORDS as usize]);
        let (state, counts) =
            (rig.output("topk", Selection::STATE_WORDS as usize), rig.slot("counts", &[count / 2]));
        rig.push(MaskBegin { mask_state, keep_nan: false });
        rig.push(BlockPool { values: slot, scores, blocks, pooling, signed: false });
        let ranked = Ranked {
            values: scores,
            protect: None,
            scores: true,
            mask_state,
            mask: block_mask,
            len: count,
        };
        let selection = Selection { counts, selection: 0, histogram, state };
        selection.push(&mut rig.plan, "blocks", &[ranked]).unwrap();
        rig.push(MaskBegin { mask_state, keep_nan: true });
        rig.push(BlockMask { block_mask, mask_state, mask, blocks });
        let bench = rig.run();
        assert_eq!(bench.read::<u32>(mask), [want], "{grid:?} {pooling:?}");
        let kept = want.count_ones();
        let MaskState { kept: got, changed, nan, .. } = bench.read(mask_state)[0];
        assert_eq!((got, changed, nan), (kept, len - kept, 0));
    }
}

/// Values `[rows, columns]` and their mask as they lie in `layout`.
fn stored(
    layout: Layout,
    values: Vec<f32>,
    mask: Vec<u32>,
    columns: usize,
) -> (Vec<f32>, Vec<u32>) {
    match layout {
        Layout::InOut => (values, mask),
        Layout::OutIn => (outputs_first(&values, columns), mask_of(&mask, values.len(), columns)),
    }
}

/// The mask of a matrix `[rows, columns]` as it lies with its columns first.
pub(crate) fn mask_of(mask: &[u32], len: usize, columns: usize) -> Vec<u32> {
    let bits: Vec<bool> = (0..len).map(|i| bit(mask, i)).collect();
    let mut words = vec![0; len.div_ceil(32)];
    let bits = outputs_first(&bits, columns).into_iter().enumerate();
    bits.filter(|&(_, kept)| kept).for_each(|(i, _)| words[i / 32] |= 1 << (i % 32));
    words
}

#[test]
fn n_of_m_stay() {
    let Some(gpu) = gpu() else { return };
    for [rows, columns] in [[1, 1], [3, 33], [33, 3], [257, 31], [1000, 70], [5, 7001]] {
        for ((n, m), layout) in [(1, 4), (2, 4), (4, 8), (31, 32), (32, 32), (0, 3), (1, 1)]
            .into_iter()
            .flat_map(|of| [(of, Layout::InOut), (of, Layout::OutIn)])
        {
            let len = rows * columns;
            let choice = Noise::new(len as u64).below(len, 6);
            let few = [0.5, -0.5, 0.0, f32::INFINITY, -2.0, f32::NAN];
            let values: Vec<f32> = choice.iter().map(|&c| few[c as usize]).collect();
            // Each as one kind of adapter has it.
            let both = [(true, values), (false, Noise::new(9).floats(len, 1.0))];
            for (software, values) in both {
                let mut rig = Rig::for_target(gpu, Target { software, ..Target::default() });
                let want = nm_mask_reference(&values, columns, n as usize, m as usize);
                let (values, want) = stored(layout, values, want, columns);
                let (slot, counts) = (rig.slot("values", &values), rig.slot("counts", &[7, n]));
                let mask_state = rig.slot("mask_state", &[MaskState::default()]);
                let mask = rig.slot("mask", &ones(len as u32));
                let of = Units::new([rows as u32, columns as u32]).layout(layout);
                let selection = 1;
                NmMask { values: slot, counts, selection, mask_state, mask, of, m }
                    .push(&mut rig.plan)
                    .unwrap();
                let bench = rig.run();
                let context = |e| panic!("{of:?} {n}:{m}: {e}");
                Tol::Exact.check(&bench.read::<u32>(mask), &want).unwrap_or_else(context);
                let kept: u32 = want.iter().map(|w| w.count_ones()).sum();
                let pruned =
                    (0..len).filter(|&i| !bit(&want, i)).map(|i| values[i].abs().to_bits());
                let state = MaskState {
                    kept,
                    nan: values.iter().filter(|x| x.is_nan()).count() as u32,
                    changed: len as u32 - kept,
                    threshold: pruned.max().unwrap_or(0),
                };
                assert_eq!(bench.read::<MaskState>(mask_state), [state], "{of:?} {n}:{m}");
            }
        }
    }
}

/// Exactly n of each column stay, whatever the values: ties, zeros, infinities, denormals.
#[test]
fn n_of_each_unit_stay() {
    let Some(gpu) = gpu() else { return };
    for (rows, columns) in [(1, 1), (2, 3), (31, 8), (33, 9), (784, 300), (1000, 17), (20_001, 1)] {
        let len = (rows * columns) as usize;
        let mut noise = Noise::new(len as u64);
        let few = noise.below(len, 5).iter().map(|&c| c as f32 - 2.0).collect();
        let mut odd = noise.floats(len, 1.0);
        for (i, x) in odd.iter_mut().enumerate() {
            match i % 7 {
                0 => *x = f32::INFINITY,
                1 => *x = f32::from_bits(x.to_bits() & 0x80ff_ffff),
                2 => *x = -0.0,
                _ => {}
            }
        }
        let values = [noise.floats(len, 1.0), few, odd];
        for (layout, values) in [Layout::InOut, Layout::OutIn]
            .into_iter()
            .flat_map(|layout| values.iter().map(move |values| (layout, values.clone())))
        {
            for n in [0, 1, rows / 10, rows - 1, rows, rows + 7] {
                let keeps = n.min(rows) as usize;
                let want = nm_mask_reference(&values, columns as usize, keeps, rows as usize);
                let (values, want) = stored(layout, values.clone(), want, columns as usize);
                let before = noise.words(len.div_ceil(32));
                let mut rig = Rig::new(gpu);
                let (slot, counts) = (rig.slot("values", &values), rig.slot("counts", &[9, n]));
                let mask_state = rig.slot("state", &[MaskState::default()]);
                let mask = rig.slot("mask", &before);
                let of = Units::new([rows, columns]).layout(layout);
                rig.push(UnitMask { values: slot, counts, selection: 1, mask_state, mask, of });
                let bench = rig.run();
                let got: Vec<u32> = bench.read(mask);
                let same = |i: &usize| bit(&got, *i) == bit(&want, *i);
                assert_eq!((0..len).find(|i| !same(i)), None, "{n} of {of:?}");
                let state = bench.read::<MaskState>(mask_state)[0];
                let changed = (0..len).filter(|&i| bit(&before, i) != bit(&want, i)).count();
                assert_eq!((state.kept, state.nan), (keeps as u32 * columns, 0));
                assert_eq!(state.changed as usize, changed);
                let pruned = (0..len).filter(|&i| !bit(&want, i)).map(|i| values[i].abs());
                assert_eq!(f32::from_bits(state.threshold), pruned.fold(0.0, f32::max));
            }
        }
    }
    let mut rig = Rig::new(gpu);
    let values = rig.slot("values", &[1.0, f32::NAN, f32::NAN, 2.0]);
    let (counts, mask) = (rig.slot("counts", &[1u32]), rig.slot("mask", &[0u32]));
    let mask_state = rig.slot("state", &[MaskState::default()]);
    let (selection, of) = (0, Units::new([2, 2]));
    rig.push(UnitMask { values, counts, selection, mask_state, mask, of });
    assert_eq!(rig.run().read::<MaskState>(mask_state)[0].nan, 2);
}
