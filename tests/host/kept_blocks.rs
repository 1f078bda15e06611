//! Blocks of weights on the host: what lists are refused, and what comes of a matrix.
use proptest::prelude::*;
use secateur::gpu::Target;
use secateur::kernels::*;

type Lists = (Vec<u32>, Vec<u32>, Vec<f32>);

/// Of 10 inputs and 9 units: the first two blocks of 4 x 4, none, and the last, which is at an edge.
fn lists() -> Lists {
    (vec![0, 2, 2, 3], vec![0, 1, 2], vec![1.0; 48])
}

fn new((begins, inputs, values): Lists) -> Result<KeptBlocks, String> {
    KeptBlocks::new([10, 9], [4, 4], (begins, inputs, values))
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let kept = new(lists()).unwrap();
    assert_eq!((kept.shape().blocks, kept.shape().most, kept.shape().lists()), (3, 2, 3));
    let refused = |damage: &dyn Fn(&mut Lists), parts: &[&str]| {
        let mut lists = lists();
        damage(&mut lists);
        let error = new(lists).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    refused(&|l| l.0[1] = 4, &["list 0 goes from 0 to 4 of 3"]);
    refused(&|l| l.0[2] = 1, &["list 1 goes from 2 to 1"]);
    refused(&|l| l.0[0] = 1, &["4 begins", "3 lists", "3 blocks"]);
    refused(&|l| l.0[3] = 2, &["4 begins", "3 blocks"]);
    refused(&|l| l.0.truncate(l.0.len() - 1), &["3 begins", "3 lists"]);
    refused(&|l| l.0.clear(), &["0 begins"]);
    refused(&|l| l.1[2] = 3, &["list 2 has block 3, a whole one 3"]);
    refused(&|l| l.1[1] = 0, &["list 0 has block 0 behind 0"]);
    refused(&|l| l.1.swap(0, 1), &["list 0 has block 0 behind 1"]);
    refused(&|l| l.1.truncate(l.1.len() - 1), &["begins", "2 blocks"]);
    refused(&|l| l.2.truncate(l.2.len() - 1), &["47 weights", "3 blocks of 4 x 4 have 48"]);
    for ([inputs, units], size, part) in [
        ([0, 9], [4, 4], "none may be 0"),
        ([10, 9], [0, 4], "blocks of 0 inputs"),
        ([10, 9], [33, 4], "1 to 32 inputs"),
        ([10, 9], [4, 5], "4, 8, 16 or 32 units"),
    ] {
        let error = KeptBlocks::new([inputs, units], size, lists()).unwrap_err();
        assert!(error.contains(part), "{error}");
        let dense = vec![1.0; (inputs * units) as usize];
        assert!(KeptBlocks::of(&dense, Units::new([inputs, units]), size).is_err());
    }
    assert!(KeptBlocks::of(&[1.0; 5], Units::new([2, 3]), [1, 4]).is_err());
}

/// Whatever a file has past an edge, nothing is multiplied with it.
#[test]
fn what_is_past_an_edge_is_zero() {
    let kept = new(lists()).unwrap();
    let ones = |block: usize| kept.values()[16 * block..][..16].iter().sum::<f32>();
    // The last block has two inputs of one unit.
    assert_eq!([ones(0), ones(1), ones(2)], [16.0, 16.0, 2.0]);
}

/// Blocks of the size that a pattern has are found, and come out as they went in; for four units
/// twice as many cost less.
#[test]
fn the_size_of_the_blocks_is_that_of_the_pattern() {
    let (inputs, units) = (128, 96);
    for [height, width] in [[1, 32], [16, 16], [32, 32], [8, 8], [4, 4], [1, 8]] {
        let keeps =
            |input: u32, unit: u32| random_bits(input / height * 7919, unit / width) % 256 < 40;
        let all = (0..inputs * units).map(|i| (i / units, i % units));
        let dense: Vec<f32> =
            all.map(|(input, unit)| if keeps(input, unit) { 1.5 } else { 0.0 }).collect();
        let of = Units::new([inputs, units]);
        let (form, target) = (PackedForm::Blocks, Target::default());
        let packed = PackedMatrix::pack(form, of, &dense, PackedValues::F32, target).unwrap();
        let shape = packed.blocks().unwrap();
        assert_eq!([shape.height, shape.width], [height, width.max(8)]);
        let all_kept = shape.weights() == u64::from(packed.shape().kept);
        assert_eq!(all_kept, width >= 8, "{height} x {width}");
        assert!(packed.dense(Layout::InOut) == dense);
        let kept = KeptBlocks::of(&dense, of, [height, width]).unwrap();
        let given = PackedMatrix::of_blocks(&kept, PackedValues::F32).unwrap();
        assert_eq!(given == packed, width >= 8);
        assert!(given.dense(Layout::InOut) == dense);
    }
}

proptest! {
    /// Lists of a file: refused, or such that all that they name is there.
    #[test]
    fn no_lists_panic(
        middle in prop::collection::vec(0u32..8, 0..4),
        inputs in prop::collection::vec(0u32..4, 0..7),
    ) {
        let begins = [&[0], &middle[..], &[inputs.len() as u32]].concat();
        let lists = (begins, inputs.clone(), vec![1.0; 16 * inputs.len()]);
        if let Ok(kept) = new(lists) {
            prop_assert_eq!(kept.inputs(), &inputs[..]);
            let packed = PackedMatrix::of_blocks(&kept, PackedValues::F16).unwrap();
            prop_assert_eq!(packed.dense(Layout::OutIn).len(), 90);
        }
    }
}
