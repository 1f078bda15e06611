//! The report of an adapter on which a check failed, which none here does by itself.
use secateur::Error;
use secateur::gpu::GpuOptions;

use super::*;
use crate::cli::needs;

#[test]
fn a_failed_check_is_named_and_ends_in_1() {
    let options = GpuOptions::from_env().expect("options that are none are a mistake");
    let gpu = match Gpu::open(&options) {
        Ok(gpu) => gpu,
        Err(e @ Error::NoAdapter { .. }) => return needs::missing(needs::GPU, e),
        Err(e) => panic!("{e}"),
    };
    let mut checks = selftest_all(&gpu, &mut |_| {});
    let passed = Report::of(&gpu, checks.clone(), 1.0);
    assert_eq!(verdict(&passed), Verdict::Done);
    checks[3].passed = false;
    let report = Report::of(&gpu, checks, 1.0);
    assert_eq!((verdict(&report), &report.failed[..]), (Verdict::Missed, &["products"][..]));
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!((&json["passed"], &json["failed"][0]), (&false.into(), &"products".into()));
}
