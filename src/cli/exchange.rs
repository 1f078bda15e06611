//! `secateur bench --exchange`
use std::time::SystemTime;

use anyhow::Result;
use secateur::bench::{Effort, Talk, Talks, exchange};
use serde::Serialize;

use super::args::Bench;
use super::bench::{command, digits, seconds};
use super::ranks::Ranks;
use super::{Verdict, output};

#[derive(Debug, Serialize)]
struct Report {
    /// UTC, as ISO 8601 has it.
    date: String,
    version: &'static str,
    command: String,
    /// Sizes too small for the figures to mean anything.
    quick: bool,
    #[serde(flatten)]
    talks: Talks,
}

/// Every rank measures, and the chief says what came of it.
pub fn run(args: &Bench, ranks: &Ranks) -> Result<Verdict> {
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let report = Report {
        talks: exchange(&ranks.comm(), &effort)?,
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION"),
        command: command(),
        quick: args.quick,
    };
    match args.common.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(Verdict::Done)
}

fn print(report: &Report) -> Result<()> {
    let Report { date, version, talks, quick, .. } = report;
    let Talks { ranks, machines, engine, rows } = talks;
    output::line(&format!(
        "ranks: {ranks}, on machines: {machines}; {engine}; secateur {version}; {date}"
    ))?;
    let row = |talk: &Talk| {
        let speed = talk.bytes_per_second;
        let speed = speed.map_or("-".to_owned(), |speed| format!("{} MB/s", digits(speed / 1e6)));
        vec![talk.name.clone(), seconds(talk.seconds), talk.samples.to_string(), speed]
    };
    let header = ["what", "time", "samples", "of a rank's bytes"];
    output::table(&header, 1, rows.iter().map(row).collect())?;
    output::line("Times are medians, on the slowest rank.")?;
    if *quick {
        output::line("--quick: sizes too small for these figures to mean anything.")?;
    }
    Ok(())
}
