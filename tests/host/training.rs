//! Settings of how weights move: rates by step, ranges, files.
use secateur::optim::{
    Adagrad, Clip, Decay, Lion, Multiplier, Optimizer, RmsProp, Schedule, Training,
};

fn factors(warmup_steps: u64, decay: Decay, steps: &[u64]) -> Vec<f64> {
    let schedule = Schedule::default().warmup_steps(warmup_steps).decay(decay);
    schedule.validate().unwrap();
    steps.iter().map(|&step| schedule.factor(step)).collect()
}

#[test]
fn a_warm_up_is_linear_and_its_last_step_is_whole() {
    let want = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0];
    assert_eq!(factors(4, Decay::Constant, &[1, 2, 3, 4, 5, 1 << 60]), want);
    assert_eq!(factors(0, Decay::Constant, &[1, 2]), [1.0, 1.0]);
    assert_eq!(factors(1, Decay::Constant, &[1, 2]), [1.0, 1.0]);
    // The factors are multiplied.
    let decay = Decay::Steps { boundaries: vec![2], factor: 0.5 };
    assert_eq!(factors(4, decay, &[1, 2, 3, 4, 5]), [0.25, 0.5, 0.375, 0.5, 0.5]);
}

#[test]
fn a_boundary_is_the_last_step_before_its_change() {
    let decay = Decay::Steps { boundaries: vec![3, 5], factor: 0.1 };
    let got = factors(0, decay, &[1, 3, 4, 5, 6, 100]);
    let want = [1.0, 1.0, 0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1];
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-15), "{got:?}");
}

#[test]
fn exponential_decay_is_smooth_or_a_staircase() {
    let decay = |staircase| Decay::Exponential { decay_steps: 10, rate: 0.25, staircase };
    assert_eq!(factors(0, decay(false), &[1, 6, 11, 21]), [1.0, 0.5, 0.25, 0.0625]);
    assert_eq!(
        factors(0, decay(true), &[1, 6, 10, 11, 20, 21]),
        [1.0, 1.0, 1.0, 0.25, 0.25, 0.0625]
    );
}

#[test]
fn a_cosine_ends_where_it_says() {
    let cosine = |steps, end| Decay::Cosine { steps, end };
    let got = factors(0, cosine(12, 0.0), &[1, 5, 7, 9, 13, 14, u64::MAX]);
    let want = [1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0];
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-15), "{got:?}");
    let got = factors(0, cosine(12, 0.2), &[1, 7, 13]);
    assert!(got.iter().zip([1.0, 0.6, 0.2]).all(|(got, want)| (got - want).abs() < 1e-15));
}

/// In f64 up to the last rounding; without a schedule the rate is the optimizer's to the bit.
#[test]
fn a_step_carries_its_rate() {
    let decay = Decay::Exponential { decay_steps: 1, rate: 0.999_999, staircase: false };
    let schedule = Schedule::default().decay(decay);
    let training = Training::from(Optimizer::adam(0.1)).schedule(schedule).average(Some(0.9));
    let step = training.step(1_000_001, 7);
    let want = f64::from(0.1f32) * 0.999_999f64.powi(1_000_000);
    assert_eq!(step.learning_rate, want as f32);
    assert_eq!((step.rows, step.correction1, step.average_decay), (7, 1.0, 0.9));
    let decay = |t| training.step(t, 1).average_decay;
    assert_eq!([1, 2, 8, 80, 81].map(decay), [0.0, 0.25, 0.5, 0.9, 0.9]);
    let plain = Training::from(Optimizer::adam(0.1));
    assert_eq!(plain.step(9, 3), Optimizer::adam(0.1).step(9, 3));
}

fn refused(training: Training) -> String {
    training.validate().unwrap_err().to_string()
}

#[test]
fn ranges_are_checked_and_named() {
    let adam = || Training::from(Optimizer::adam(0.1));
    let schedule = |decay| {
        let schedule = Schedule::default().decay(decay);
        refused(adam().schedule(schedule))
    };
    let exponential =
        |decay_steps, rate| schedule(Decay::Exponential { decay_steps, rate, staircase: false });
    let boundaries = |boundaries| schedule(Decay::Steps { boundaries, factor: 0.1 });
    let clip = |clip| refused(adam().clip(clip));
    let none = Clip::default();
    let multiplier = |name: &str, factor| {
        let multipliers = vec![Multiplier { name: name.into(), factor }];
        refused(adam().multipliers(multipliers))
    };
    let of = |optimizer: Optimizer| refused(optimizer.into());
    let rms = |decay, momentum, epsilon| {
        of(Optimizer::RmsProp(RmsProp::new(0.1).decay(decay).momentum(momentum).epsilon(epsilon)))
    };
    let cases = [
        (schedule(Decay::Steps { boundaries: vec![1], factor: 0.0 }), "`schedule.factor`: 0 must"),
        (boundaries(vec![0, 3]), "[0, 3] must be steps from 1 on, ascending"),
        (boundaries(vec![3, 3]), "[3, 3] must be steps from 1 on, ascending"),
        (exponential(0, 0.5), "`schedule.decay_steps`: 0 must be 1 or more"),
        (exponential(5, f64::NAN), "`schedule.rate`: NaN must be above 0"),
        (schedule(Decay::Cosine { steps: 0, end: 0.0 }), "`schedule.steps`: 0 must be 1 or more"),
        (schedule(Decay::Cosine { steps: 9, end: 1.5 }), "`schedule.end`: 1.5 must be in 0 to 1"),
        (clip(none.value(Some(0.0))), "`clip.value`: 0 must be above 0"),
        (clip(none.norm(Some(-1.0))), "`clip.norm`: -1 must be above 0"),
        (clip(none.global_norm(Some(f32::INFINITY))), "`clip.global_norm`: inf must"),
        (multiplier("fc[", 1.0), "`multipliers`: `fc[`: "),
        (multiplier("fc", -1.0), "`multipliers`: -1 must be at least 0"),
        (refused(adam().average(Some(1.0))), "`average`: 1 must be at least 0 and"),
        (rms(1.0, 0.0, 1e-3), "`decay`: 1 must"),
        (rms(0.9, -0.1, 1e-3), "`momentum`: -0.1 must"),
        (rms(0.9, 0.0, 0.0), "`epsilon`: 0 must be above 0"),
        (
            of(Optimizer::Adagrad(Adagrad::new(0.1).initial(-1.0).epsilon(0.0))),
            "`initial`: -1 must",
        ),
        (
            of(Optimizer::Adagrad(Adagrad::new(0.1).initial(0.0).epsilon(0.0))),
            "where `initial` is 0",
        ),
        (
            of(Optimizer::Lion(Lion::new(0.1).beta1(0.9).beta2(1.0).weight_decay(0.0))),
            "`beta2`: 1 must",
        ),
        (of(Optimizer::named("lion", 0.0).unwrap()), "`lr`: 0 must be above 0"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "{message}: {part}");
    }
    let multipliers = [("fc1", 0.5), ("bias", 2.0)]
        .map(|(name, factor)| Multiplier { name: name.into(), factor })
        .to_vec();
    let training = adam().multipliers(multipliers);
    assert_eq!(training.factors(&["fc1.weight", "fc2.bias", "x"]).unwrap(), [0.5, 2.0, 1.0]);
    let message = training.factors(&["fc1.bias"]).unwrap_err().to_string();
    assert!(message.contains("`fc1` and `bias` both match fc1.bias"), "{message}");
    let message = training.factors(&["fc1.weight"]).unwrap_err().to_string();
    assert!(message.contains("`bias` matches none of fc1.weight"), "{message}");
}

/// Settings of Adam as files have them; what is left at its default is not written.
#[test]
fn where_adams_epsilon_is_added_has_a_name() {
    for name in ["adam", "adamw"] {
        let plain = Optimizer::named(name, 0.5).unwrap();
        let text = serde_json::to_string(&plain).unwrap();
        assert!(!text.contains("epsilon_form"), "{text}");
        let text = format!(r#"{{"name": "{name}", "lr": 0.5, "epsilon_form": "tensorflow"}}"#);
        let other: Optimizer = serde_json::from_str(&text).unwrap();
        assert_ne!(plain, other);
        let written = serde_json::to_string(&other).unwrap();
        assert_eq!(serde_json::from_str::<Optimizer>(&written).unwrap(), other);
        let wrong = text.replace("tensorflow", "keras");
        let error = serde_json::from_str::<Optimizer>(&wrong).unwrap_err().to_string();
        assert!(error.contains("`pytorch` or `tensorflow`"), "{error}");
        let wrong = text.replace("epsilon_form", "epsilonform");
        let error = serde_json::from_str::<Optimizer>(&wrong).unwrap_err().to_string();
        assert!(error.contains("unknown field `epsilonform`"), "{error}");
    }
}

/// Files hold what is asked for only, and read back as the same.
#[test]
fn files_hold_what_differs_from_the_defaults() {
    let plain = Training::from(Optimizer::named("adagrad", 0.5).unwrap());
    let text = serde_json::to_string(&plain).unwrap();
    assert!(text.starts_with("{\"optimizer\":{\"name\":\"adagrad\",\"lr\":0.5,"), "{text}");
    assert_eq!(text.matches('{').count(), 2, "{text}");
    let text = "average = 0.99
        optimizer = { name = 'lion', lr = 0.001 }
        clip = { norm = 0.5 }
        multipliers = [{ name = 'bias', factor = 2.0 }]
        [schedule]
        warmup_steps = 5
        decay = { name = 'exponential', decay_steps = 9, rate = 0.5 }";
    let read: Training = toml::from_str(text).unwrap();
    let decay = Decay::Exponential { decay_steps: 9, rate: 0.5, staircase: false };
    let want = Training::from(Optimizer::named("lion", 0.001).unwrap())
        .schedule(Schedule::default().warmup_steps(5).decay(decay))
        .clip(Clip::default().norm(Some(0.5)))
        .multipliers(vec![Multiplier { name: "bias".into(), factor: 2.0 }])
        .average(Some(0.99));
    assert_eq!(read, want);
    assert_eq!(toml::from_str::<Training>(&toml::to_string(&want).unwrap()).unwrap(), want);
    for (wrong, part) in [
        (text.replace("norm", "nrom"), "nrom"),
        (text.replace("warmup", "warmdown"), "warmdown_steps"),
        (text.replace("rate = 0.5", "rate = 0.5, end = 1.0"), "end"),
        (text.replace("exponential", "linear"), "linear"),
        (text.replace("factor", "times"), "times"),
    ] {
        let error = toml::from_str::<Training>(&wrong).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
