//! `secateur devices`
use anyhow::Result;
use secateur::gpu::{AdapterReport, Gpu, adapters};
use secateur::kernels::selftest;
use serde::Serialize;

use super::args::Devices;
use super::{Verdict, data, output};

#[derive(Debug, Serialize)]
struct Report {
    adapters: Vec<AdapterReport>,
    /// Name of the one that would be taken.
    chosen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    passed: bool,
    detail: String,
}

pub fn run(args: &Devices) -> Result<Verdict> {
    let options = data::options(&args.common)?;
    let gpu = Gpu::open(&options)?;
    let checks = args.check.then(|| selftest(&gpu)).transpose()?.map(|checks| {
        let check = |(name, result): (_, Result<String, String>)| Check {
            name,
            passed: result.is_ok(),
            detail: result.unwrap_or_else(|e| e),
        };
        checks.into_iter().map(check).collect::<Vec<_>>()
    });
    let chosen = gpu.report().name.clone();
    let report = Report { adapters: adapters(&options)?, chosen, checks };
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    let passed = report.checks.iter().flatten().all(|c| c.passed);
    Ok(if passed { Verdict::Done } else { Verdict::Missed })
}

fn print(report: &Report) -> Result<()> {
    let yes = |has: bool| if has { "yes" } else { "no" }.to_owned();
    let row = |a: &AdapterReport| {
        let mark = if a.name == report.chosen { "*" } else { "" };
        let binding = format!("{} MiB", a.max_binding >> 20);
        vec![
            format!("{}{mark}", a.name),
            format!("{:?}", a.kind).to_lowercase(),
            a.backend.clone(),
            a.driver.clone(),
            binding,
            yes(a.timestamps),
            yes(a.subgroups),
            yes(a.f16),
        ]
    };
    let header = [
        "adapter",
        "kind",
        "backend",
        "driver",
        "largest tensor",
        "timestamps",
        "subgroups",
        "f16",
    ];
    output::table(&header, 4, report.adapters.iter().map(row).collect())?;
    output::line("* would be taken; choose another with --adapter or SECATEUR_ADAPTER")?;
    for check in report.checks.iter().flatten() {
        let verdict = if check.passed { "ok" } else { "FAILED" };
        output::line(&format!("{verdict:<6} {}: {}", check.name, check.detail))?;
    }
    Ok(())
}
