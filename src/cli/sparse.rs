//! `secateur bench --sparse`: layers without their zeros against dense ones.
use std::time::SystemTime;

use anyhow::Result;
use secateur::bench::{Effort, Sparse, SparseRow, plot_sparse, sparse};
use secateur::storage::replace;
use serde::Serialize;

use super::args::Bench;
use super::bench::{command, digits, seconds};
use super::progress::Naming;
use super::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
struct Report<'a> {
    adapter: &'a str,
    backend: &'a str,
    driver: &'a str,
    /// UTC, as ISO 8601 has it.
    date: String,
    version: &'static str,
    command: String,
    /// Sizes too small for the figures to mean anything.
    quick: bool,
    #[serde(flatten)]
    measured: Sparse,
}

pub fn run(args: &Bench) -> Result<Verdict> {
    let gpu = adapter::gpu(&args.common)?;
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let progress = Naming::new();
    let measured = sparse(&gpu, &effort, &mut |name| progress.next(name));
    progress.finish();
    let adapter = gpu.report();
    let report = Report {
        adapter: &adapter.name,
        backend: &adapter.backend,
        driver: &adapter.driver,
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION"),
        command: command(),
        quick: args.quick,
        measured: measured?,
    };
    if let Some(path) = &args.plot {
        let Report { adapter, backend, date, version, .. } = &report;
        let title = format!(
            "{adapter} ({backend}), {date}, secateur {version}; dashed: the bound; triangles: 2:4; crosses: 16x16"
        );
        replace(path, plot_sparse(&title, &report.measured)?.as_bytes())?;
    }
    match args.common.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(Verdict::Done)
}

fn print(report: &Report<'_>) -> Result<()> {
    let Report { adapter, backend, driver, date, version, .. } = report;
    output::line(&format!("{adapter} ({backend}), driver {driver}; secateur {version}; {date}"))?;
    let row = |r: &SparseRow| {
        vec![
            r.pattern.to_owned(),
            r.form.name().to_owned(),
            output::shape(&r.size.map(|x| x as usize)),
            output::percent(r.sparsity),
            r.batch.to_string(),
            seconds(r.dense_seconds),
            seconds(r.seconds),
            digits(r.speedup),
            digits(r.bound),
        ]
    };
    let header =
        ["pattern", "packed as", "shape", "zeros", "batch", "dense", "packed", "speed-up", "bound"];
    output::table(&header, 2, report.measured.rows.iter().map(row).collect())?;
    for left in &report.measured.left_out {
        output::line(&format!(
            "left out: {} {}, {}, batch {}: it {}",
            left.pattern,
            output::percent(left.sparsity),
            left.form.name(),
            left.batch,
            left.reason
        ))?;
    }
    output::line(
        "Times are medians, by turns, on copies of the weights that no cache holds. The bound is \
         bytes over bytes for up to eight rows, and above that terms over terms.",
    )?;
    if report.quick {
        output::line("--quick: sizes too small for these figures to mean anything.")?;
    }
    Ok(())
}
