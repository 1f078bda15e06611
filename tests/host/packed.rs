//! Matrices that are packed for the device: what is put in comes out, in as few bytes as it should.
use secateur::gpu::Target;
use secateur::kernels::*;

/// `[units, inputs]`: `keeps` says whether the weight of a unit and an input is kept.
fn weights([units, inputs]: [u32; 2], keeps: impl Fn(u32, u32) -> bool) -> Vec<f32> {
    let all = (0..units).flat_map(|unit| (0..inputs).map(move |input| (unit, input)));
    let value = |(unit, input): (u32, u32)| match keeps(unit, input) {
        true => 1.0 + (unit * inputs + input) as f32 / 2.0,
        false => 0.0,
    };
    all.map(value).collect()
}

/// A share of `kept` in 256, the same each time.
fn random(kept: u32) -> impl Fn(u32, u32) -> bool {
    move |unit, input| random_bits(unit * 7919, input) % 256 < kept
}

fn pack(form: PackedForm, size: [u32; 2], weights: &[f32], target: Target) -> PackedMatrix {
    let of = Units::new([size[1], size[0]]).layout(Layout::OutIn);
    PackedMatrix::pack(form, of, weights, PackedValues::F32, target).unwrap()
}

const TARGETS: [bool; 2] = [false, true];

/// Rows that are empty, full, one weight at either end, and with gaps of all lengths around those
/// that 4 and 8 bits can say.
#[test]
fn what_is_packed_comes_out() {
    let gaps = [14, 15, 16, 17, 29, 30, 31, 32, 254, 255, 256, 257, 510, 511];
    let ends = move |unit: u32, input: u32| match unit {
        0 => false,
        1 => true,
        2 => input == 0,
        3 => input == 599,
        _ => input == 0 || input.is_multiple_of(gaps[unit as usize % gaps.len()]),
    };
    let sizes = [[1, 1], [7, 33], [8, 8], [65, 31], [20, 600]];
    for (size, software) in sizes.into_iter().flat_map(|s| TARGETS.map(|software| (s, software))) {
        let target = Target { software, ..Target::default() };
        let all = [weights(size, random(128)), weights(size, random(10)), weights(size, ends)];
        for (weights, form) in all.iter().flat_map(|w| PackedForm::ALL.map(|form| (w, form))) {
            let matrix = pack(form, size, weights, target);
            assert!(matrix.dense(Layout::OutIn) == *weights, "{form:?}, {size:?}, {target:?}");
            let turned = outputs_first(weights, size[1] as usize);
            let of = Units::new([size[1], size[0]]);
            let other = PackedMatrix::pack(form, of, &turned, PackedValues::F32, target).unwrap();
            assert!(other == matrix, "the layout of a weight is no matter: {form:?}, {size:?}");
            assert!(matrix.dense(Layout::InOut) == turned, "{form:?}, {size:?}");
            let kept = weights.iter().filter(|&&w| w != 0.0).count();
            assert_eq!((matrix.form(), matrix.shape().kept as usize), (form, kept));
        }
    }
}

/// Zeros of either sign are left out, NaN and infinities are not.
#[test]
fn what_is_no_zero_is_kept() {
    let weights = [0.0, -0.0, f32::NAN, f32::INFINITY, -1.0];
    for form in PackedForm::ALL {
        let matrix = pack(form, [1, 5], &weights, Target::default());
        assert_eq!(matrix.shape().kept, 3);
        let dense = matrix.dense(Layout::OutIn);
        assert!(dense[..2] == [0.0; 2] && dense[2].is_nan(), "{dense:?}");
        assert_eq!(dense[3..], weights[3..]);
    }
}

#[test]
fn halves_are_rounded_to_the_nearest_or_refused() {
    let of = Units::new([3, 1]).layout(Layout::OutIn);
    for form in PackedForm::ALL {
        let half = |weights: [f32; 3]| {
            PackedMatrix::pack(form, of, &weights, PackedValues::F16, Target::default())
        };
        let third = half([1.0, 0.0, 1.0 / 3.0]).unwrap().dense(Layout::OutIn);
        assert_eq!(third, [1.0, 0.0, 0.333_251_95]);
        let error = half([1.0, 0.0, 1e6]).unwrap_err();
        assert!(error.contains("1000000") && error.contains("65504"), "{error}");
    }
}

#[test]
fn other_numbers_of_weights_are_refused() {
    for form in PackedForm::ALL {
        let of = Units::new([3, 2]);
        let packed = PackedMatrix::pack(form, of, &[1.0; 5], PackedValues::F32, Target::default());
        let error = packed.unwrap_err();
        assert!(error.contains("5 weights for 2 units of 3 inputs"), "{error}");
    }
}

/// Of a bitmask exactly its parts. Of gaps what its weights and the zeros between far ones take, and
/// at most 2 % for strands that are not as long as their neighbours.
#[test]
fn bytes_are_what_the_forms_say() {
    let size = [1024, 1024];
    let software = Target { software: true, ..Target::default() };
    for (kept, bits) in [(128, 4), (64, 4), (26, 8), (13, 8)] {
        let weights = weights(size, random(kept));
        let nonzero = weights.iter().filter(|&&w| w != 0.0).count() as f64;
        let bitmask = pack(PackedForm::Bitmask, size, &weights, software).bytes();
        let words = nonzero + 1.0 + 1024.0 * 32.0 + 1024.0;
        assert_eq!(bitmask as f64, words * 4.0);
        let most = f64::from((1 << bits) - 1);
        let fillers = |row: &[f32]| {
            let kept = row.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(i, _)| i);
            let mut at = 0;
            let gaps = kept.map(|i| i - std::mem::replace(&mut at, i));
            gaps.map(|gap| (gap.saturating_sub(1) as f64 / most).floor()).sum::<f64>()
        };
        let fillers: f64 = weights.chunks(1024).map(fillers).sum();
        let bound = (nonzero + fillers) * (4.0 + f64::from(bits) / 8.0);
        let gaps = pack(PackedForm::Gaps, size, &weights, software).bytes() as f64;
        let over = gaps / bound;
        // A row ends within a block of 8, and a strand has two words.
        let ends = 1024.0 * (3.5 * 5.0 + 12.0) / bound;
        assert!((1.0..1.02 + ends).contains(&over), "{kept} of 256: {over}, ends {ends}");
    }
}

/// What is taken unasked: on software adapters by what was measured of each form, on a GPU what has
/// fewer bytes, for few rows.
#[test]
fn packed_products_are_taken_where_they_should_be_faster() {
    let software = Target { software: true, ..Target::default() };
    let gpu = Target { software: false, ..Target::default() };
    // Of every hundred weights so many, spread so that no block is empty.
    let pays = |kept: u32, form, rows, target| {
        let weights = weights([64, 400], |unit, input| (unit * 400 + input) * 37 % 100 < kept);
        pack(form, [64, 400], &weights, target).pays(rows, target)
    };
    let gaps = [
        (41, 1, true),
        (42, 1, false),
        (20, 2, true),
        (20, 8, true),
        (21, 2, false),
        (5, 9, true),
        (6, 9, false),
    ];
    for (kept, rows, want) in gaps {
        assert_eq!(pays(kept, PackedForm::Gaps, rows, software), want, "{kept} %, {rows} rows");
    }
    assert!(!pays(5, PackedForm::Bitmask, 1, software));
    assert!(pays(50, PackedForm::Bitmask, 8, gpu) && !pays(50, PackedForm::Bitmask, 9, gpu));
    assert!(!pays(100, PackedForm::Bitmask, 1, gpu));
    // Three of four blocks are empty, then none is.
    for (empty, want) in [(3, true), (0, false)] {
        let weights = weights([64, 256], |_, input| input / 16 % 4 >= empty);
        let matrix = pack(PackedForm::Blocks, [64, 256], &weights, software);
        assert_eq!(matrix.pays(256, software), want, "{empty} of 4 blocks empty");
    }
}
