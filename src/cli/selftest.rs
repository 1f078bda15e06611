//! `secateur selftest`
use std::time::{Instant, SystemTime};

use anyhow::Result;
use secateur::bench::{Check, selftest_all};
use secateur::gpu::{AdapterReport, Gpu, Precision};
use secateur::storage::{check_output, replace};
use serde::Serialize;

use super::args::SelfTest;
use super::progress::Naming;
use super::{Verdict, adapter, bench, output};

/// What a bug report needs.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    command: String,
    /// UTC, as ISO 8601 has it.
    date: String,
    system: &'static str,
    architecture: &'static str,
    /// Names, driver, limits and features.
    adapter: AdapterReport,
    precision: Precision,
    /// What plans count on here, a tuner's choices included.
    target: String,
    passed: bool,
    /// Names of the checks that failed.
    failed: Vec<&'static str>,
    checks: Vec<Check>,
    seconds: f64,
}

pub fn run(args: &SelfTest) -> Result<Verdict> {
    if let Some(path) = &args.output {
        check_output(path, args.force)?;
    }
    let gpu = adapter::gpu(&args.common)?;
    // Steps of the training among the checks are nobody's run.
    log::set_max_level(log::LevelFilter::Warn);
    let begun = Instant::now();
    let progress = Naming::new();
    let checks = selftest_all(&gpu, &mut |name| progress.next(name));
    progress.finish();
    let report = Report::of(&gpu, checks, begun.elapsed().as_secs_f64());
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        replace(path, text.as_bytes())?;
    }
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
        if let Some(path) = &args.output {
            output::line(&format!("written to {}", path.display()))?;
        }
    }
    Ok(verdict(&report))
}

impl Report {
    fn of(gpu: &Gpu, checks: Vec<Check>, seconds: f64) -> Self {
        let failed: Vec<_> = checks.iter().filter(|c| !c.passed).map(|c| c.name).collect();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            command: bench::command(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            adapter: gpu.report().clone(),
            precision: gpu.precision(),
            target: format!("{:?}", gpu.target()),
            passed: failed.is_empty(),
            failed,
            checks,
            seconds,
        }
    }
}

/// Names what failed on standard error, too.
fn verdict(report: &Report) -> Verdict {
    if report.passed {
        return Verdict::Done;
    }
    output::note(format_args!("failed: {}", report.failed.join(", ")));
    Verdict::Missed
}

fn print(report: &Report) -> Result<()> {
    let AdapterReport { name, backend, driver, .. } = &report.adapter;
    let Report { precision, version, date, .. } = report;
    output::line(&format!(
        "{name} ({backend}), driver {driver}; precision {precision}; secateur {version}; {date}"
    ))?;
    let row = |check: &Check| {
        let (error, tolerance) = match check.worst {
            Some(worst) => (format!("{:.1e}", worst.error), format!("{:.1e}", worst.tolerance)),
            None => Default::default(),
        };
        vec![
            if check.passed { "ok" } else { "FAILED" }.to_owned(),
            check.name.to_owned(),
            error,
            tolerance,
            bench::seconds(check.seconds),
        ]
    };
    let header = ["", "check", "worst error", "tolerance", "time"];
    output::table(&header, 2, report.checks.iter().map(row).collect())?;
    for check in report.checks.iter().filter(|check| !check.passed) {
        output::line(&format!("{}: {}", check.name, check.detail))?;
    }
    let seconds = bench::seconds(report.seconds);
    output::line(&match report.failed.len() {
        0 => format!("all {} checks passed in {seconds}", report.checks.len()),
        failed => format!("{failed} of {} checks failed, in {seconds}", report.checks.len()),
    })
}

#[cfg(test)]
mod tests;
