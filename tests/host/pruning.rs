//! The pruning schedule and its gate, against TensorFlow r1.9 and against whole numbers.
mod entries;
mod over;
mod picture;
mod roles;
mod settings;
mod targets;

use proptest::prelude::*;
use secateur::prune::{PruningSpec, pruned_count};
use serde_json::Value;

fn spec(text: &str) -> PruningSpec {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn golden(name: &str) -> Value {
    serde_json::from_str(&crate::paths::golden(name)).expect("golden is JSON")
}

/// Upstream's f32 value may be off by 2 units in the last place; below 0.25, where the error of
/// `1 - p` outlives the difference, by an absolute 2^-23.
fn assert_like_upstream(spec: &PruningSpec, step: u64, upstream: f64) {
    let ours = spec.sparsity_at(step);
    let ulps = (ours as f32).to_bits().abs_diff((upstream as f32).to_bits());
    let near = (ours - upstream).abs() <= 2f64.powi(-23);
    assert!(if ours >= 0.25 { ulps <= 2 } else { near }, "step {step}: {ours} is not {upstream}");
}

const CIFAR: &str = "sparsity_function_begin_step=10000,sparsity_function_end_step=100000,\
                     target_sparsity=0.9";

#[test]
fn schedule_has_upstreams_printed_values() {
    let default = [
        (0, 0.0),
        (1, 0.0148504972),
        (5, 0.0713125169),
        (10, 0.1355000436),
        (25, 0.2890625),
        (33, 0.3496184945),
        (50, 0.4375),
        (75, 0.4921875),
        (90, 0.4995000064),
        (99, 0.4999994934),
        (100, 0.5),
    ];
    let cifar = [
        (10_001, 2.99215e-5),
        (20_000, 0.2679012418),
        (32_500, 0.5203124881),
        (55_000, 0.7874999642),
        (77_500, 0.8859374523),
    ];
    for (step, upstream) in default {
        assert_like_upstream(&PruningSpec::default(), step, upstream);
    }
    for (step, upstream) in cifar {
        assert_like_upstream(&spec(CIFAR), step, upstream);
    }
}

#[test]
fn schedule_matches_the_goldens() {
    let golden = golden("schedule_tf19.json");
    let line = "initial_sparsity=0.2,target_sparsity=0.8,sparsity_function_begin_step=4,\
                sparsity_function_end_step=12,sparsity_function_exponent=1";
    let specs = [
        ("default", PruningSpec::default()),
        ("cifar begin=10000 end=100000 target=.9", spec(CIFAR)),
        ("init=.2 target=.8 b=4 e=12 exp=1", spec(line)),
    ];
    assert_eq!(golden.as_object().expect("object").len(), specs.len());
    for (name, spec) in specs {
        for pair in golden[name].as_array().expect("pairs") {
            let step = pair[0].as_u64().expect("step");
            assert_like_upstream(&spec, step, pair[1].as_f64().expect("sparsity"));
        }
    }
}

#[test]
fn gate_replays_the_golden_runs() {
    for name in ["train_logistic_decay0_tf19.json", "train_logistic_decay09_tf19.json"] {
        let golden = golden(name);
        let spec = spec(golden["hparams"].as_str().expect("string"));
        let mut last_update = 0;
        let states = golden["state_before_step"].as_array().expect("states");
        for (step, state) in (0..).zip(states) {
            let number = |field: &str| state[field].as_f64().expect("number");
            assert_eq!(number("global_step"), step as f64);
            if spec.is_update_due(step, last_update) {
                last_update = step;
            }
            assert_eq!(number("last_mask_update_step"), last_update as f64, "{name}, step {step}");
            assert_like_upstream(&spec, step, number("sparsity_fn"));
        }
    }
}

#[test]
fn other_schedules_go_their_way() {
    let at = |text: &str, steps: [u64; 5]| {
        let spec = spec(text);
        steps.map(|step| spec.sparsity_at(step))
    };
    let ramp = "initial_sparsity=0.2,target_sparsity=0.6,sparsity_function_begin_step=10,\
                sparsity_function_end_step=30";
    // Half way up at half of the way, and by (1 - cos(pi / 4)) / 2 of it after a quarter.
    let quarter = 0.6 - 0.4 * (1.0 + 0.5f64.sqrt()) / 2.0;
    let got = at(&format!("{ramp},schedule=cosine"), [0, 10, 15, 20, 31]);
    for (got, want) in got.into_iter().zip([0.2, 0.2, quarter, 0.4, 0.6]) {
        assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    }
    let got = at(&format!("{ramp},schedule=constant"), [0, 9, 10, 11, 40]);
    assert_eq!(got, [0.2, 0.2, 0.6, 0.6, 0.6]);
    assert_eq!(at(&format!("{ramp},schedule=one_shot"), [0, 1, 10, 20, 40]), [0.6; 5]);

    let steps = |text: &str| -> Vec<u64> { spec(text).update_steps(0, 60, 0).collect() };
    assert_eq!(steps(&format!("{ramp},schedule=one_shot,begin_pruning_step=7")), [7]);
    assert_eq!(steps("schedule=one_shot"), [1]);
    assert_eq!(steps("schedule=one_shot,begin_pruning_step=7,end_pruning_step=60"), [7]);
    let constant = format!("{ramp},schedule=constant,pruning_frequency=25");
    assert_eq!(steps(&constant), [10, 35, 60]);
    assert_eq!(spec("schedule=one_shot").next_update(20, 20), None);
}

#[test]
fn schedule_is_exact_at_both_ends() {
    let spec = spec("initial_sparsity=0.2,target_sparsity=0.8,sparsity_function_begin_step=4");
    assert_eq!([0, 4, 100, u64::MAX].map(|step| spec.sparsity_at(step)), [0.2, 0.2, 0.8, 0.8]);
}

#[test]
fn last_update_is_forced_off_the_frequency() {
    let steps = |text: &str, until| -> Vec<u64> { spec(text).update_steps(0, until, 0).collect() };
    let s = "sparsity_function_end_step=25";
    assert_eq!(steps(s, 50), [10, 20, 25, 35, 45]);
    assert_eq!(steps(s, 24), [10, 20]);
    assert_eq!(steps(&format!("{s},end_pruning_step=17"), 50), [10, 17]);
    assert_eq!(steps(&format!("{s},end_pruning_step=5"), 50), [5]);
    assert_eq!(steps(&format!("{s},end_pruning_step=40"), 50), [10, 20, 25, 35]);
    assert_eq!(steps(&format!("{s},begin_pruning_step=30"), 50), [30, 40, 50]);
    assert_eq!(steps(&format!("{s},final_update=false"), 50), [10, 20, 30, 40, 50]);
    assert_eq!(steps("end_pruning_step=17,final_update=false", 50), [10]);
    assert_eq!(steps("begin_pruning_step=3,pruning_frequency=4", 12), [4, 8, 12]);
    assert!(!spec(s).is_update_due(25, 25), "an update is not repeated");
    assert!(!spec(s).is_update_due(0, 0));
}

/// The gate in upstream's words, plus the forced update where there is one.
fn gate(spec: &PruningSpec, step: u64, last_update: u64) -> bool {
    let end = spec.end_pruning_step;
    let inside = spec.begin_pruning_step <= step && (end < 0 || step as i64 <= end);
    let function_end = spec.sparsity_function_end_step;
    let forced = if end < 0 { function_end } else { function_end.min(end as u64) };
    inside
        && (last_update + spec.pruning_frequency <= step
            || (spec.final_update && step == forced && last_update < step))
}

proptest! {
    #[test]
    fn gate_and_update_steps_agree(
        begin in 0u64..40, end in -1i64..60, frequency in 1u64..15, function_end in 1u64..60,
        after in 0u64..30, last_update in 0u64..30, target in prop_oneof![Just(0.0), Just(0.5)],
        initial in prop_oneof![Just(0.0), Just(0.3)], function_begin in 0u64..59, final_update: bool,
    ) {
        let spec = PruningSpec::to(target).begin_pruning_step(begin).end_pruning_step(end).pruning_frequency(frequency).sparsity_function_begin_step(function_begin.min(function_end - 1)).sparsity_function_end_step(function_end).initial_sparsity(initial).final_update(final_update);
        let last_update = last_update.min(after);
        let (mut walked, mut last) = (Vec::new(), last_update);
        for step in after + 1..=80 {
            let due = gate(&spec, step, last);
            prop_assert_eq!(spec.is_update_due(step, last), due, "step {} after {}", step, last);
            if due {
                last = step;
                walked.push(step);
            }
        }
        prop_assert_eq!(spec.update_steps(after, 80, last_update).collect::<Vec<_>>(), &walked[..]);
        let fires = (initial == 0.0 && target == 0.0)
            || (last_update > 0 && spec.sparsity_at(last_update) > 0.0)
            || walked.iter().any(|&step| spec.sparsity_at(step) > 0.0);
        prop_assert_eq!(spec.check_fires(after, 80, last_update).is_ok(), fires);
    }
}

#[test]
fn run_that_cannot_prune_is_an_error_that_says_why() {
    let late = "begin_pruning_step=2000,sparsity_function_end_step=3000";
    let error = |text: &str, first, last| -> String {
        spec(text).check_fires(first, last, 0).expect_err(text).to_string()
    };
    let text = error(late, 0, 1000);
    let why = "first mask update would be at step 2000 (begin_pruning_step 2000, \
               pruning_frequency 10) but the run ends at step 1000";
    assert!(text.contains(why), "{text}");
    let text = error("end_pruning_step=50", 60, 100);
    assert!(text.contains("starts at step 60") && text.contains("end_pruning_step 50"), "{text}");
    let text = error("sparsity_function_begin_step=40,end_pruning_step=35", 0, 100);
    assert!(text.contains("from step 10 to 35"), "{text}");
    assert!(text.contains("up to sparsity_function_begin_step 40"), "{text}");
    let text = error("initial_sparsity=0.5,target_sparsity=0,begin_pruning_step=100", 0, 200);
    assert!(text.contains("from sparsity_function_end_step 100 on"), "{text}");

    let ok = |text: &str, first, last, last_update| {
        spec(text).check_fires(first, last, last_update).expect(text);
    };
    ok(late, 0, 2000, 0);
    ok("target_sparsity=0", 0, 5, 0);
    ok("end_pruning_step=50", 60, 100, 50);
    ok(late, 7, 7, 0);
    ok("pruning_frequency=1", 0, u64::MAX, 0);
    ok("pruning_frequency=0", 0, 5, 0);
}

#[test]
fn pruned_count_rounds_half_to_even() {
    let cases = [
        (235_200, 0.9, 211_680),
        (15, 0.9, 14),
        (5, 0.5, 2),
        (7, 0.5, 4),
        (45, 0.7, 31),
        (0, 0.5, 0),
        (1, 0.5, 0),
        ((1 << 40) - 1, 0.5, 1 << 39),
        (1 << 40, 0.0, 0),
        ((1 << 40) - 1, 1.0, (1 << 40) - 1),
        (9, 1.5, 9),
        (9, -0.5, 0),
        (9, f64::NAN, 0),
    ];
    for (len, sparsity, count) in cases {
        assert_eq!(pruned_count(len, sparsity), count, "{len} * {sparsity}");
    }
}

proptest! {
    /// Against whole numbers: `n / 2^53` is any f64 in 0 to 1 that is a multiple of 2^-53.
    #[test]
    fn pruned_count_is_the_nearest(len in 0u64..=1 << 40, n in 0u64..=1 << 53) {
        let count = pruned_count(len, n as f64 / (1u64 << 53) as f64);
        let product = u128::from(len) * u128::from(n);
        let distance = product.abs_diff(u128::from(count) << 53);
        prop_assert!(distance <= (1 << 52) + u128::from(len), "{} of {}", count, len);
        prop_assert!(count <= len);
    }
}
