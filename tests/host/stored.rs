//! What a weight is on the host, by how it is stored.
use secateur::Error;
use secateur::gpu::{PlanBuilder, Slot};
use secateur::graph::Stored;
use secateur::kernels::Pruned;

const VALUES: [f32; 4] = [1.0, -2.0, 3.0, 0.5];
/// Keeps the first and the last.
const BITS: u32 = 0b1001;
const KEPT: [f32; 4] = [1.0, 0.0, 0.0, 0.5];

fn slots() -> [Slot; 3] {
    let mut plan = PlanBuilder::default();
    [("w", 4), ("w/mask", 1), ("w/average", 4)].map(|(name, words)| plan.persistent(name, words))
}

/// Effective weights of these values, and these values as they are written.
fn both(stored: Stored) -> [Vec<f32>; 2] {
    let bits = |mask| {
        assert_eq!(Some(mask), stored.mask());
        Ok(vec![BITS])
    };
    let effective = stored.effective(VALUES.to_vec(), bits).unwrap();
    [effective, stored.admit(&VALUES, bits).unwrap().into_owned()]
}

#[test]
fn pruned_weights_are_zero_where_they_are_read_or_where_they_are_written() {
    let [values, mask, _] = slots();
    assert_eq!(both(values.into()), [VALUES.to_vec(), VALUES.to_vec()]);
    let zero = Stored::pruned(values, mask, Pruned::Zero);
    assert_eq!(both(zero), [VALUES.to_vec(), KEPT.to_vec()]);
    for mode in [Pruned::Revive, Pruned::Freeze, Pruned::Pull] {
        let masked = Stored::pruned(values, mask, mode);
        assert_eq!(both(masked), [KEPT.to_vec(), VALUES.to_vec()], "{mode:?}");
    }
}

#[test]
fn an_optimizer_is_told_the_mode_and_a_mask_update_whether_to_write_zeros() {
    let [values, mask, _] = slots();
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
        let stored = Stored::pruned(values, mask, mode);
        assert_eq!(stored.moved_under(), Some((mask, mode)));
        assert_eq!(stored.holds_zeros(), mode == Pruned::Zero);
        assert_eq!(stored.slots().collect::<Vec<_>>(), [values, mask]);
    }
    let dense = Stored::from(values);
    assert_eq!((dense.moved_under(), dense.holds_zeros()), (None, false));
    // Those that are drawn to their projection train as if there were no mask.
    let pulled = Stored::pruned(values, mask, Pruned::Pull);
    assert_eq!((pulled.moved_under(), pulled.holds_zeros()), (None, false));
    assert_eq!((pulled.trained(), pulled.gradient_mask()), (dense, None));
    assert_eq!(pulled.slots().collect::<Vec<_>>(), [values, mask]);
    let zero = Stored::pruned(values, mask, Pruned::Zero);
    assert_eq!((zero.trained(), zero.gradient_mask()), (zero, Some(mask)));
    assert_eq!(dense.slots().collect::<Vec<_>>(), [values]);
}

/// A mask is read only where it counts, and what reading it says is passed on.
#[test]
fn masks_are_read_where_they_count() {
    let [values, mask, _] = slots();
    let lost = |_| Err(Error::argument("mask", "cannot be read"));
    let [zero, revive] =
        [Pruned::Zero, Pruned::Revive].map(|mode| Stored::pruned(values, mask, mode));
    assert!(zero.effective(VALUES.to_vec(), lost).is_ok());
    assert!(zero.admit(&VALUES, lost).is_err());
    assert!(revive.effective(VALUES.to_vec(), lost).is_err());
    assert!(revive.admit(&VALUES, lost).is_ok());
}

/// Averages are stored as the weights are, elsewhere.
#[test]
fn other_values_keep_the_mask() {
    let [values, mask, average] = slots();
    for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze, Pruned::Pull] {
        let stored = Stored::pruned(values, mask, mode).with_values(average);
        assert_eq!(stored, Stored::pruned(average, mask, mode));
    }
}
