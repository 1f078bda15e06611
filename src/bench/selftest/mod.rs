//! A self-test of an adapter: what the kernels rely on in milliseconds, and in under a minute
//! kernels of each kind against their host references, reruns, and a training.
mod attention;
mod compared;
mod convolution;
mod integers;
mod losses;
mod optimizer;
mod products;
mod rerun;
mod rig;
mod selection;
mod training;

use std::time::Instant;

use serde::Serialize;

use crate::gpu::{Gpu, Precision};
use crate::kernels::{
    adam_reference, conv2d_reference, matmul_reference, softmax_cross_entropy_reference,
    softmax_reference, topk_reference,
};
use crate::{Error, Result};
use compared::Found;
pub use compared::Worst;
pub use integers::matrices;

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether everything was as it must be.
    pub passed: bool,
    /// What was compared, or what is wrong.
    pub detail: String,
    /// Where it compares within tolerances, what came nearest to its own or went furthest past it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Worst>,
    /// How long it took, compiling included.
    pub seconds: f64,
}

/// A check's name, and how it is made.
type Named = (&'static str, fn(&Gpu) -> Result<Found>);

/// What every command of a user relies on: milliseconds.
const BASIC: [Named; 3] = [
    ("loop iterations", integers::loops),
    ("exact products", integers::dense),
    ("exact selection", selection::ties),
];

/// Kernels of each kind, and whole steps.
const FURTHER: [Named; 8] = [
    ("products", |gpu| products::check(gpu, matmul_reference)),
    ("selection counts", |gpu| selection::counts(gpu, topk_reference)),
    ("convolutions", |gpu| convolution::check(gpu, conv2d_reference)),
    ("optimizer step", |gpu| optimizer::check(gpu, adam_reference)),
    ("softmax", |gpu| losses::softmax(gpu, softmax_reference)),
    ("cross-entropy", |gpu| losses::cross_entropy(gpu, softmax_cross_entropy_reference)),
    ("bit-equal reruns", rerun::check),
    ("train and prune", training::check),
];

/// Runs the checks on `gpu` that take milliseconds; an error means that the device failed
/// altogether.
///
/// # Errors
/// [`crate::Error::Device`] and [`crate::Error::DeviceLost`].
pub fn selftest(gpu: &Gpu) -> Result<Vec<Check>> {
    basic(gpu).into_iter().map(|check| made(check, gpu)).collect()
}

/// Runs every check on `gpu`, in under a minute, and says the name of each before it begins. A
/// check that the device fails altogether has failed, and the next one is made; after the loss of
/// the device the others have failed, too.
pub fn selftest_all(gpu: &Gpu, begins: &mut dyn FnMut(&str)) -> Vec<Check> {
    all(gpu, &[&basic(gpu)[..], &FURTHER].concat(), begins)
}

fn all(gpu: &Gpu, checks: &[Named], begins: &mut dyn FnMut(&str)) -> Vec<Check> {
    let mut lost = None;
    let one = |&(name, check): &Named| {
        begins(name);
        let failed = |detail| Check { name, passed: false, detail, worst: None, seconds: 0.0 };
        if let Some(lost) = &lost {
            return failed(format!("not made: {lost}"));
        }
        let result = made((name, check), gpu);
        result.unwrap_or_else(|e| {
            let said = e.to_string();
            if matches!(e, Error::DeviceLost(_)) {
                lost = Some(said.clone());
            }
            failed(said)
        })
    };
    checks.iter().map(one).collect()
}

fn basic(gpu: &Gpu) -> Vec<Named> {
    let mut checks = BASIC.to_vec();
    if gpu.precision() == Precision::Mixed {
        let name = match gpu.target().cooperative {
            Some(_) => "exact products on cooperative matrices",
            None => "exact products over halves",
        };
        checks.push((name, integers::halves));
    }
    checks
}

fn made((name, check): Named, gpu: &Gpu) -> Result<Check> {
    let begun = Instant::now();
    let Found { passed, detail, worst } = check(gpu)?;
    Ok(Check { name, passed, detail, worst, seconds: begun.elapsed().as_secs_f64() })
}

#[cfg(test)]
mod tests;
