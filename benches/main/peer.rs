//! A peer side by side: both measure the same workloads, by turns, so that what else the machine
//! does falls on both.
use std::process::Command;

use secateur::bench::{Effort, TrainStep, Workload, median};
use secateur::gpu::Gpu;
use secateur::kernels::Form;
use secateur::{Error, Result};

const ROUNDS: usize = 3;

/// What a peer calls its lines, and our workload of that name.
type Named = (&'static str, Workload);

/// What a peer is asked for by its argument.
fn asked(tiny: bool) -> Result<Vec<(&'static str, Vec<Named>)>> {
    let product = |n| Workload::Matmul { form: Form::NN, size: [if tiny { 16 } else { n }; 3] };
    let (hidden, rows): (&[u32], _) = if tiny { (&[8], [4, 2]) } else { (&[300, 100], [128, 64]) };
    let mlp = |optimizer| TrainStep::mlp(hidden, rows[0], optimizer).map(Workload::TrainStep);
    let cnn = Workload::TrainStep(TrainStep::cnn(rows[1], "sgd")?);
    let products = [("matmul512", 512), ("matmul1024", 1024), ("matmul2048", 2048)];
    Ok(vec![
        ("matmul", products.map(|(name, n)| (name, product(n))).to_vec()),
        ("mlp-sgd", vec![("mlp_sgd", mlp("sgd")?)]),
        ("mlp-adam", vec![("mlp_adam", mlp("adam")?)]),
        ("cnn-sgd", vec![("cnn_sgd", cnn)]),
    ])
}

/// Runs `peer` (a program and its first arguments, parted by spaces) by turns with ours: medians of
/// both, and ours by theirs.
pub fn compare(gpu: &Gpu, peer: &str, tiny: bool) -> Result<()> {
    let effort = if tiny { Effort::QUICK } else { Effort::FULL };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for (argument, workloads) in asked(tiny)? {
        if !wanted.is_empty() && !wanted.iter().any(|w| argument.contains(w.as_str())) {
            continue;
        }
        let mut rates = vec![[Vec::new(), Vec::new()]; workloads.len()];
        for _ in 0..ROUNDS {
            for ((_, workload), [ours, _]) in workloads.iter().zip(&mut rates) {
                let sampled = workload.prepare(gpu)?.sample(&effort)?;
                ours.push(workload.units().0 / sampled.seconds);
            }
            let said = run(peer, argument)?;
            for ((name, workload), [_, theirs]) in workloads.iter().zip(&mut rates) {
                theirs.extend(rate(&said, name, workload.units().1));
            }
        }
        for ((name, workload), [ours, theirs]) in workloads.iter().zip(&mut rates) {
            let unit = workload.units().1;
            if theirs.is_empty() {
                println!("{name}: the peer printed no line `{name}_median NUMBER {unit}`");
                continue;
            }
            let (rounds, ours, theirs) = (theirs.len(), median(ours), median(theirs));
            let times = ours / theirs;
            println!(
                "{name}: ours {ours:.2}, peer {theirs:.2} {unit}: {times:.2} times, medians of {rounds}"
            );
        }
    }
    Ok(())
}

fn run(peer: &str, argument: &str) -> Result<String> {
    let mut words = peer.split_whitespace();
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).arg(argument).output();
    let output = output.map_err(Error::io("run", program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!("`{peer} {argument}` ended with {}: {said}", output.status);
        return Err(Error::argument("SECATEUR_PEER", message));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rate in the first line that is called `name`, or `name_..._median`.
fn rate(said: &str, name: &str, unit: &str) -> Option<f64> {
    said.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let rest = words.next()?.strip_prefix(name)?;
        let called = rest.is_empty() || rest.starts_with('_') && rest.ends_with("_median");
        let rate = words.next()?.parse().ok()?;
        (called && words.next() == Some(unit)).then_some(rate)
    })
}
