//! `secateur bench`
use std::time::SystemTime;

use anyhow::{Result, ensure};
use secateur::bench::{Effort, Measured, Row, measure, plot};
use secateur::gpu::Precision;
use secateur::storage::replace;
use serde::Serialize;

use super::args::Bench;
use super::progress::Naming;
use super::ranks::Ranks;
use super::{Verdict, adapter, exchange, modelled, output, program};

#[derive(Debug, Serialize)]
struct Report<'a> {
    adapter: &'a str,
    backend: &'a str,
    driver: &'a str,
    /// Of train steps; where it is mixed there are products over halves too.
    precision: Precision,
    /// UTC, as ISO 8601 has it.
    date: String,
    version: &'static str,
    command: String,
    /// Sizes too small for the figures to mean anything.
    quick: bool,
    #[serde(flatten)]
    measured: Measured,
}

pub fn run(args: &Bench, ranks: &Ranks) -> Result<Verdict> {
    if let Some(card) = &args.model {
        return modelled::run(card, args);
    }
    if args.exchange {
        return exchange::run(args, ranks);
    }
    if let Some(path) = &args.plot {
        let svg = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg"));
        ensure!(svg, "--plot {}: the picture is an SVG; name a file *.svg", path.display());
    }
    if args.sparse {
        return super::sparse::run(args);
    }
    let gpu = adapter::gpu(&args.common)?;
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let progress = Naming::new();
    let measured = measure(&gpu, &effort, &mut |name| progress.next(name));
    progress.finish();
    let adapter = gpu.report();
    let report = Report {
        adapter: &adapter.name,
        backend: &adapter.backend,
        driver: &adapter.driver,
        precision: gpu.precision(),
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION"),
        command: command(),
        quick: args.quick,
        measured: measured?,
    };
    if let Some(path) = &args.plot {
        let Report { adapter, backend, date, version, .. } = &report;
        let title = format!(
            "{adapter} ({backend}), {date}, secateur {version}; in % the share of the line above"
        );
        replace(path, plot(&title, &report.measured)?.as_bytes())?;
    }
    match args.common.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(Verdict::Done)
}

/// What was called, without the folder that the program lies in.
pub fn command() -> String {
    let name = env!("CARGO_PKG_NAME").to_owned();
    [std::slice::from_ref(&name), program::arguments()].concat().join(" ")
}

fn print(report: &Report<'_>) -> Result<()> {
    let Report { adapter, backend, driver, precision, date, version, .. } = report;
    output::line(&format!(
        "{adapter} ({backend}), driver {driver}; precision {precision}; secateur {version}; {date}"
    ))?;
    let ceilings = &report.measured.ceilings;
    output::line(&format!(
        "copy {:.1} GiB/s; f32 multiply-adds {:.1} GFLOP/s; a launch costs the host {}; \
         an empty submission and its wait {}",
        ceilings.copy_bytes_per_second / f64::from(1 << 30),
        ceilings.fma_flops_per_second / 1e9,
        seconds(ceilings.launch_seconds),
        seconds(ceilings.round_trip_seconds),
    ))?;
    let row = |r: &Row| {
        vec![
            r.name.clone(),
            format!("{:?}", r.limit).to_lowercase(),
            seconds(r.seconds),
            r.samples.to_string(),
            digits(r.throughput),
            r.unit.to_owned(),
            format!("{:.1} %", r.share * 100.0),
        ]
    };
    let header = ["workload", "limit", "time", "samples", "throughput", "unit", "of the limit"];
    output::table(&header, 2, report.measured.rows.iter().map(row).collect())?;
    for left in &report.measured.left_out {
        output::line(&format!("left out: {}: {}", left.name, left.reason))?;
    }
    output::line(
        "Times are medians. The limit is the lower of the rate of multiply-adds and what the copy's bandwidth allows the bytes \
         that the workload cannot do without.",
    )?;
    if report.quick {
        output::line("--quick: sizes too small for these figures to mean anything.")?;
    }
    Ok(())
}

/// A time in the unit that suits it.
pub fn seconds(value: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")];
    let (scale, unit) = units.into_iter().find(|(s, _)| value >= *s).unwrap_or((1e-9, "ns"));
    format!("{} {unit}", digits(value / scale))
}

/// Three digits.
pub fn digits(value: f64) -> String {
    let places = 2 - value.abs().max(1e-9).log10().floor() as i32;
    format!("{value:.*}", places.clamp(0, 6) as usize)
}
