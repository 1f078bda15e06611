//! `secateur bench --model`: what a card could reach at most.
use anyhow::{Context, Result, ensure};
use secateur::bench::model::{CARDS, Card, KernelRow, ModelRow, model, subjects};
use serde::Serialize;

use super::args::Bench;
use super::bench::{command, digits, seconds};
use super::progress::Naming;
use super::{Verdict, output};

#[derive(Debug, Serialize)]
struct Report<'a> {
    card: &'a Card,
    version: &'static str,
    command: String,
    rows: Vec<ModelRow>,
}

pub fn run(card: &str, args: &Bench) -> Result<Verdict> {
    let known = || CARDS.iter().map(|card| card.key).collect::<Vec<_>>().join(", ");
    let card = Card::named(card)
        .with_context(|| format!("--model {card}: no such card; there are {}", known()))?;
    let subjects = subjects(&args.only);
    ensure!(!subjects.is_empty(), "--only {}: no workload has that in its name", args.only);
    let mut rows = Vec::new();
    let progress = Naming::new();
    for subject in &subjects {
        progress.next(&subject.name);
        rows.push(model(subject, card)?);
    }
    progress.finish();
    let report = Report { card, version: env!("CARGO_PKG_VERSION"), command: command(), rows };
    match args.common.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(Verdict::Done)
}

fn print(report: &Report<'_>) -> Result<()> {
    let Card { name, flops, bytes_per_second, multiprocessors, source, .. } = report.card;
    output::line(&format!(
        "{name}: {} TFLOP/s of f32, {} GB/s, {multiprocessors} multiprocessors ({source}); \
         secateur {}",
        digits(flops / 1e12),
        digits(bytes_per_second / 1e9),
        report.version,
    ))?;
    let header = [
        "workload",
        "kernel",
        "launches",
        "limit",
        "time",
        "of the card",
        "workgroups",
        "waves",
        "loads B",
        "stores B",
        "shared B",
        "FLOP/B",
        "instructions",
        "registers",
        "shared memory",
        "sectors",
        "same atomics",
        "divisions",
    ];
    let mut rows = Vec::new();
    for row in &report.rows {
        if row.kernels.len() > 1 {
            let mut all = vec![row.name.clone(), String::new(), row.launches.to_string()];
            all.extend([String::new(), seconds(row.seconds), share(row.share)]);
            all.resize(header.len(), String::new());
            rows.push(all);
        }
        for kernel in &row.kernels {
            rows.push(line(row, kernel));
        }
    }
    output::table(&header, 2, rows)?;
    output::line(
        "Times are the least that a launch can take by its limit, and what it takes to begin one \
         is in those of whole workloads. Bytes and instructions are for a multiply-add or an \
         element of the workload. Registers are the variables and named values of a lane that \
         differ from lane to lane, and 16; sectors of 32 bytes are those of a warp's load; \
         atomics are the most of a launch on one word.",
    )
}

fn line(row: &ModelRow, kernel: &KernelRow) -> Vec<String> {
    let (of, alone) = (&kernel.modelled, row.kernels.len() == 1);
    let variant = of.variant.map(|variant| format!(" ({variant})")).unwrap_or_default();
    let limit = serde_json::to_string(&kernel.least.limit).unwrap_or_default();
    vec![
        if alone { row.name.clone() } else { String::new() },
        format!("{}{variant}", of.kernel),
        of.launches.to_string(),
        limit.trim_matches('"').to_owned(),
        seconds(kernel.least.most()),
        if alone { share(row.share) } else { String::new() },
        of.workgroups.to_string(),
        kernel.least.waves.to_string(),
        digits(kernel.loaded_bytes),
        digits(kernel.stored_bytes),
        digits(kernel.shared_bytes),
        digits(kernel.flops_per_byte),
        digits(kernel.instructions),
        kernel.registers.to_string(),
        of.workgroup_bytes.to_string(),
        digits(kernel.sectors_per_load),
        (of.of_workgroup.hottest * of.workgroups).to_string(),
        digits(of.of_workgroup.loop_divisions / f64::from(of.invocations)),
    ]
}

fn share(of: f64) -> String {
    format!("{} %", digits(of * 100.0))
}
