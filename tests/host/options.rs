//! Options that no run can have are refused before there is a device or a file.
use std::path::Path;
use std::sync::Arc;

use secateur::Error;
use secateur::gpu::{AdapterKind, AdapterReport, Precision};
use secateur::train::{SummaryFn, TrainOptions};

/// The message about `options` with a logdir `logdir`.
fn refused(options: TrainOptions<'_>, logdir: Option<&str>) -> String {
    let error = options.validate(logdir.map(Path::new)).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    error.to_string()
}

#[test]
fn zeros_that_mean_nothing_are_named() {
    let none = TrainOptions::default;
    let cases = [
        ("number_of_steps", none().number_of_steps(Some(0))),
        ("save_summaries_steps", none().save_summaries_steps(Some(0))),
        ("save_every_n_steps", none().save_every_n_steps(Some(0))),
        ("trace_every_n_steps", none().trace_every_n_steps(Some(0))),
        ("max_to_keep", none().max_to_keep(0)),
    ];
    for (name, options) in cases {
        let message = refused(options, Some("logs"));
        assert!(message.contains(name) && message.contains("1 or more"), "{message}");
    }
}

#[test]
fn times_must_be_finite_and_not_negative() {
    for seconds in [-1.0, f64::NAN, f64::INFINITY] {
        let options = TrainOptions::default().save_summaries_secs(seconds);
        assert!(refused(options, None).contains("save_summaries_secs"));
        let options = TrainOptions::default().save_interval_secs(seconds);
        assert!(refused(options, None).contains("save_interval_secs"));
    }
}

#[test]
fn hours_must_be_above_0() {
    for hours in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = TrainOptions::default().keep_every_n_hours(Some(hours));
        assert!(refused(options, Some("logs")).contains("keep_every_n_hours"));
    }
}

#[test]
fn an_empty_logdir_is_refused() {
    assert!(refused(TrainOptions::default(), Some("")).contains("logdir"));
}

/// Each with its own text, as nothing else tells the user which option asks for files.
#[test]
fn what_needs_files_is_refused_without_a_logdir() {
    let none = TrainOptions::default;
    let own: SummaryFn<'static> = Box::new(|_, _, _| Ok(()));
    let cases = [
        ("trace_every_n_steps", none().trace_every_n_steps(Some(5))),
        ("trace_step", none().trace_step(Some(1))),
        ("save_every_n_steps", none().save_every_n_steps(Some(5))),
        ("`save`", none().save(Some(Arc::default()))),
        ("keep_every_n_hours", none().keep_every_n_hours(Some(1.0))),
        ("summary_op", none().summary_op(Some(own))),
    ];
    for (name, options) in cases {
        assert!(options.validate(Some(Path::new("logs"))).is_ok(), "{name}");
        let message = refused(options, None);
        assert!(message.contains(name) && message.contains("logdir"), "{message}");
    }
}

#[test]
fn the_defaults_are_upstreams() {
    let options = TrainOptions::default();
    assert!(options.validate(None).is_ok());
    assert_eq!(options.log_every_n_steps, Some(1));
    assert_eq!((options.save_summaries_secs, options.save_interval_secs), (600.0, 600.0));
    assert_eq!((options.max_to_keep, options.number_of_steps), (5, None));
    let zero_is_off = TrainOptions::default()
        .log_every_n_steps(Some(0))
        .save_summaries_secs(0.0)
        .save_interval_secs(0.0);
    assert!(zero_is_off.validate(Some(Path::new("logs"))).is_ok());
}

/// An adapter without 16-bit floats computes in 32 bits; cooperative matrices are for mixed
/// precision only.
#[test]
fn precision_is_what_the_adapter_can() {
    let report = AdapterReport::default()
        .name("made up".into())
        .backend("vulkan".into())
        .kind(AdapterKind::Discrete)
        .driver(String::new())
        .max_binding(1 << 30)
        .max_buffer(1 << 30)
        .workgroup_memory(1 << 15)
        .timestamps(true)
        .subgroups(true)
        .subgroup_size([32, 32])
        .f16(true)
        .cooperative(Some(16))
        .pipeline_cache(false);
    let what = |report: &AdapterReport, asked| {
        let target = report.target(asked);
        (target.precision, target.cooperative)
    };
    assert_eq!(what(&report, Precision::F32), (Precision::F32, None));
    assert_eq!(what(&report, Precision::Mixed), (Precision::Mixed, Some(16)));
    let plain = report.clone().cooperative(None);
    assert_eq!(what(&plain, Precision::Mixed), (Precision::Mixed, None));
    // Workgroups are made for the largest subgroups.
    let varying = report.clone().subgroup_size([32, 64]);
    assert_eq!(what(&varying, Precision::Mixed), (Precision::Mixed, Some(16)));
    let target = varying.target(Precision::Mixed);
    assert_eq!((target.subgroup, target.largest_subgroup), (None, Some(64)));
    for size in [[32, 128], [24, 24]] {
        let strange = report.clone().subgroup_size(size);
        assert_eq!(what(&strange, Precision::Mixed), (Precision::Mixed, None), "{size:?}");
    }
    let none = report.f16(false);
    assert_eq!(what(&none, Precision::Mixed), (Precision::F32, None));
}
