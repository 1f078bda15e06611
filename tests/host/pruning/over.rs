//! Schedules that fit a run, and what a run reaches of one that does not.
use secateur::prune::{MaskUpdateOp, PruningSpec};

use super::spec;

#[test]
fn a_schedule_fits_its_steps() {
    let of = |steps: u64| {
        let spec = PruningSpec::to(0.9).over(steps);
        let (begin, end) = (spec.sparsity_function_begin_step, spec.sparsity_function_end_step);
        (begin, end, spec.pruning_frequency)
    };
    assert_eq!(of(1800), (200, 1200, 20), "the built-in recipe's");
    assert_eq!((of(150), of(3), of(1)), ((17, 100, 2), (0, 2, 1), (0, 1, 1)));
    for steps in 1..400 {
        let spec = PruningSpec::to(0.9).over(steps);
        assert_eq!(spec.validate().map_err(|e| e.to_string()), Ok(()), "{steps}");
        assert_eq!(spec.sparsity_reached(0, steps, 0), 0.9, "{steps}");
    }
}

/// As the updates themselves say.
#[test]
fn a_run_reaches_what_its_last_update_asks_for() {
    for text in [
        "target_sparsity=0.9,sparsity_function_end_step=5000",
        "target_sparsity=0.9,sparsity_function_end_step=50,pruning_frequency=7",
        "target_sparsity=0.5,begin_pruning_step=30,end_pruning_step=60,pruning_frequency=9",
        "target_sparsity=0.2,initial_sparsity=0.8,final_update=false,pruning_frequency=13",
        "target_sparsity=0.7,schedule=constant,sparsity_function_begin_step=40",
        "target_sparsity=0.7,schedule=one_shot,begin_pruning_step=40",
    ] {
        let spec = spec(text);
        for (first, last_update) in [(0, 0), (45, 44), (70, 0)] {
            for last in [first + 1, 60, 90, 120] {
                let updates = spec.update_steps(first, last, last_update);
                let step = updates.last().unwrap_or(last_update);
                let want = if step == 0 { 0.0 } else { spec.sparsity_at(step) };
                let reached = spec.sparsity_reached(first, last, last_update);
                assert_eq!(reached, want, "{text} from {first} to {last}");
            }
        }
    }
}

#[test]
fn held_masks_are_never_updated() {
    let held = MaskUpdateOp::held(PruningSpec::to(0.9)).unwrap();
    assert!(held.spec().is_some());
    for step in 1..300 {
        assert_eq!(held.due(step, 0).unwrap(), None, "{step}");
    }
    assert!(held.check_fires(0, 5, 0).is_ok());
    assert!(MaskUpdateOp::held(PruningSpec::to(1.5)).is_err());
}
