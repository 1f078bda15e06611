//! Checks in whole numbers, whose sums are exact in any order: loops, and products of each kind.
use super::attention::Case;
use super::compared::{Compared, Found};
use super::rig::Rig;
use super::{Check, convolution, made};
use crate::Result;
use crate::gpu::{Gpu, MAX_LOOP_ITERATIONS, PlanBuilder, Slot};
use crate::kernels::{
    F16Begin, F16Copy, F16Matmul, F16Operand, Form, LoopProbe, MagnitudePeak, Matmul, Tiling,
    matmul_reference,
};

/// Loops that are as long as any of a kernel.
pub(super) fn loops(gpu: &Gpu) -> Result<Found> {
    let (len, iterations) = (100, MAX_LOOP_ITERATIONS);
    let (mut rig, mut compared) = (Rig::new(gpu), Compared::default());
    let count = rig.slot("count", &[0u32; 100]);
    rig.plan.push(LoopProbe { count, len, iterations })?;
    let counts: Vec<u32> = rig.run()?.read("a loop", count, &mut compared)?;
    for n in counts.into_iter().filter(|&n| n != iterations) {
        compared.fault(format!("{n} made of {iterations}: long sums would be wrong"));
    }
    let found = compared.found("");
    let detail = format!("{iterations} in one invocation");
    Ok(if found.passed { Found { detail, ..found } } else { found })
}

/// Appends `c = a b` to a plan.
type PushProduct<'a> = &'a dyn Fn(&mut PlanBuilder, [Slot; 3], [u32; 3]) -> Result<()>;

/// Products of f32.
pub(super) fn dense(gpu: &Gpu) -> Result<Found> {
    let push: PushProduct<'_> =
        &|plan, operands, extents| Matmul::new(Form::NN, operands, extents).push(plan);
    product(gpu, push, [33, 65, 100])
}

/// Products over 16-bit floats, and those of a convolution.
pub(super) fn halves(gpu: &Gpu) -> Result<Found> {
    let push: PushProduct<'_> = &|plan, of, extents| over_halves(None, plan, of, extents);
    let found = product(gpu, push, [33, 65, 100])?;
    if !found.passed {
        return Ok(found);
    }
    let convolved = convolution::over_halves(gpu, None)?;
    let detail = format!("{}; {}", found.detail, convolved.detail);
    Ok(if convolved.passed { Found { detail, ..found } } else { convolved })
}

/// In a tiling of one's choice, or the plan's.
fn over_halves(
    tiling: Option<Tiling>,
    plan: &mut PlanBuilder,
    [a, b, c]: [Slot; 3],
    [m, n, k]: [u32; 3],
) -> Result<()> {
    let peaks = plan.scratch("peaks", 2);
    plan.push(F16Begin { peaks })?;
    let mut copy = |x, at, rows, columns| {
        let words = F16Copy::words(rows, columns).unwrap_or(u32::MAX);
        let out = plan.scratch("f16", words);
        plan.push(MagnitudePeak::new([x, peaks], at, rows * columns))?;
        plan.push(F16Copy::new([x, peaks, out], at, [rows, columns]))?;
        Ok::<_, crate::Error>(F16Operand { copy: out, at })
    };
    let operands = [copy(a, 0, m, k)?, copy(b, 1, k, n)?];
    let product = F16Matmul::new(Form::NN, operands, [peaks, c], [m, n, k]);
    match tiling {
        Some(tiling) => product.push_as(tiling, plan),
        None => product.push(plan),
    }
}

/// Whether products and attention on the cooperative matrices of `gpu` are right: every one of many,
/// of several shapes, as a fault of order may show in a few only. `None` where `gpu` uses no such matrices.
///
/// # Errors
/// As [`selftest`](super::selftest).
pub fn matrices(gpu: &Gpu) -> Result<Option<Check>> {
    if gpu.target().cooperative.is_none() {
        return Ok(None);
    }
    made(("exact products on cooperative matrices, again and again", many), gpu).map(Some)
}

fn many(gpu: &Gpu) -> Result<Found> {
    let tilings = Tiling::all_f16(gpu.target());
    let tilings: Vec<_> = tilings.into_iter().filter(|t| matches!(t, Tiling::Coop(_))).collect();
    for &tiling in &tilings {
        let push: PushProduct<'_> = &|plan, of, size| over_halves(Some(tiling), plan, of, size);
        let found = convolution::over_halves(gpu, Some(tiling))?;
        if !found.passed {
            let detail = format!("{}: {}", tiling.name(), found.detail);
            return Ok(Found { detail, ..found });
        }
        for size in [[33, 65, 100], [128, 128, 64], [200, 260, 48], [16, 16, 16]] {
            for _ in 0..8 {
                let found = product(gpu, push, size)?;
                if !found.passed {
                    let detail = format!("{}: {}", tiling.name(), found.detail);
                    return Ok(Found { detail, ..found });
                }
            }
        }
    }
    let case = Case::new(150);
    let want = case.want();
    for _ in 0..8 {
        let found = case.check(gpu, &want)?;
        if !found.passed {
            return Ok(found);
        }
    }
    let detail = format!(
        "32 products of 4 shapes, and 3 of a convolution, in each of {} tilings; attention 8 times \
         with its gradients",
        tilings.len()
    );
    Ok(Found { passed: true, detail, worst: None })
}

fn product(gpu: &Gpu, push: PushProduct<'_>, [m, n, k]: [u32; 3]) -> Result<Found> {
    let values =
        |len: u32, by: u32| -> Vec<f32> { (0..len).map(|i| (i * by % 17) as f32 - 8.0).collect() };
    let (av, bv) = (values(m * k, 7), values(k * n, 5));
    let (mut rig, mut compared) = (Rig::new(gpu), Compared::default());
    let (a, b) = (rig.slot("a", &av), rig.slot("b", &bv));
    let c = rig.output("c", (m * n) as usize);
    push(&mut rig.plan, [a, b, c], [m, n, k])?;
    let case = format!("{m}x{n}x{k} of small integers");
    let got: Vec<f32> = rig.run()?.read(&case, c, &mut compared)?;
    let want = matmul_reference(Form::NN, (&av, &bv), None, [m, n, k].map(|d| d as usize));
    for (i, (got, (want, _))) in got.iter().zip(want).enumerate() {
        let right = f64::from(*got) == want;
        compared.holds(right, || format!("{case}, element {i}: {got}, must be {want}"));
    }
    Ok(compared.found(&case))
}
