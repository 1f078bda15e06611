//! Histograms: every value counted once, in the bin that the edges say.
use proptest::prelude::*;
use secateur::train::histogram::Histogram;

/// Edges ascend to the maximum, and up to each edge are counted the values that it is not below.
fn check(histogram: &Histogram, values: &[f64]) {
    let Histogram { min, max, limits, counts, .. } = histogram;
    assert_eq!(limits.len(), counts.len());
    assert!(limits.is_sorted_by(|a, b| a < b), "{limits:?}");
    assert!(values.iter().all(|v| (min..=max).contains(&v)));
    assert_eq!(limits.last(), Some(max));
    let mut below = 0;
    for (limit, count) in limits.iter().zip(counts) {
        below += count;
        let want = values.iter().filter(|v| *v <= limit).count() as u64;
        assert_eq!(below, want, "up to {limit} of {limits:?}");
    }
    assert_eq!(below, values.len() as u64);
}

fn filled(histogram: &Histogram) -> Vec<(f64, u64)> {
    let bins = histogram.limits.iter().copied().zip(histogram.counts.iter().copied());
    bins.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn bins_are_counted_up_to_their_edge() {
    assert_eq!(Histogram::of([].into_iter()), None);
    let one = Histogram::of([2.5f32; 9].into_iter()).unwrap();
    assert_eq!((one.limits, one.counts), (vec![2.5], vec![9]));
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 1e-3).collect();
    let histogram = Histogram::of(values.iter().copied()).unwrap();
    assert_eq!(histogram.limits.len(), 64);
    check(&histogram, &values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
}

#[test]
fn the_threshold_is_an_edge() {
    // From 0 to 4: bins of 3/48 up to 3 and of 1/16 above it.
    let values = [-3.0f32, 0.0, 0.0, 0.5, -0.53, 3.0, 3.001, -4.0];
    let histogram = Histogram::magnitudes(values.into_iter(), 3.0).unwrap();
    assert_eq!((histogram.min, histogram.max), (0.0, 4.0));
    assert_eq!(histogram.limits.len(), 64);
    assert_eq!(histogram.limits[47], 3.0);
    assert_eq!(
        filled(&histogram),
        [(0.0625, 2), (0.5, 1), (0.5625, 1), (3.0, 2), (3.0625, 1), (4.0, 1)]
    );
    assert_eq!(histogram.sum_squares, values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>());

    // Narrow sides have a bin all the same, and the wide one the others.
    let near_the_top = Histogram::magnitudes([0.0, 1.0, 1000.0].into_iter(), 999.0).unwrap();
    assert_eq!(near_the_top.limits[62..], [999.0, 1000.0]);
    assert_eq!(near_the_top.limits[0], 999.0 / 63.0);
    assert_eq!(near_the_top.counts[63], 1);
    let near_zero = Histogram::magnitudes([0.0, 0.5, 64.0].into_iter(), 0.25).unwrap();
    assert_eq!((near_zero.limits.len(), near_zero.limits[0]), (64, 0.25));
    assert_eq!(filled(&near_zero)[0], (0.25, 1));
}

#[test]
fn zeros_are_pruned_and_the_rest_kept_at_a_threshold_of_zero() {
    let histogram = Histogram::magnitudes([0.0, -0.0, 1.0, -63.0].into_iter(), 0.0).unwrap();
    assert_eq!(histogram.limits.len(), 64);
    assert_eq!(filled(&histogram), [(0.0, 2), (1.0, 1), (63.0, 1)]);
}

#[test]
fn a_threshold_outside_divides_nothing() {
    let values = [-1.0f32, 2.0, -5.0];
    let undivided = Histogram::of([1.0, 2.0, 5.0].into_iter());
    for threshold in [-1.0, 0.0, 0.999, 5.0, 6.0, f32::INFINITY, f32::NAN] {
        assert_eq!(Histogram::magnitudes(values.into_iter(), threshold), undivided, "{threshold}");
    }
    for threshold in [0.0, 2.5, 9.0] {
        let constant = Histogram::magnitudes([-2.5f32; 9].into_iter(), threshold).unwrap();
        assert_eq!((constant.limits, constant.counts), (vec![2.5], vec![9]), "{threshold}");
    }
    assert_eq!(Histogram::magnitudes([].into_iter(), 1.0), None);
}

fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>().prop_filter("finite", |v| v.is_finite()),
        -1.0f32..1.0,
        (0u32..3).prop_map(f32::from_bits),
        (-2i8..=2).prop_map(f32::from),
    ]
}

proptest! {
    #[test]
    fn pruned_and_kept_never_share_a_bin(
        values in prop::collection::vec(finite(), 1..200),
        other in finite(),
        pick in any::<prop::sample::Index>(),
        picked in any::<bool>(),
    ) {
        let threshold = if picked { pick.get(&values).abs() } else { other };
        let histogram = Histogram::magnitudes(values.iter().copied(), threshold).unwrap();
        let magnitudes: Vec<f64> = values.iter().map(|&v| f64::from(v.abs())).collect();
        check(&histogram, &magnitudes);
        let threshold = f64::from(threshold);
        if (histogram.min..=histogram.max).contains(&threshold) {
            prop_assert!(histogram.limits.contains(&threshold), "{threshold}: {histogram:?}");
        }
    }
}
