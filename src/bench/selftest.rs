//! A self-test of an adapter: what the kernels rely on, checked in milliseconds.
use crate::Result;
use crate::gpu::{Encoder, Gpu, MAX_LOOP_ITERATIONS, PlanBuilder, Precision, Slot};
use crate::kernels::{
    F16Begin, F16Copy, F16Matmul, F16Operand, Form, LoopProbe, MASK_STATE_WORDS, MagnitudePeak,
    Matmul, Ranked, Selection, TOPK_STATE_WORDS, mask_words, matmul_reference, topk_reference,
};

/// What a check says when it passes, and when it fails.
pub type Check = (&'static str, Result<String, String>);

/// Runs every check on `gpu`; an error means that the device failed altogether.
///
/// # Errors
/// [`crate::Error::Device`] and [`crate::Error::DeviceLost`].
pub fn selftest(gpu: &Gpu) -> Result<Vec<Check>> {
    let mut checks = vec![
        ("loop iterations", loops(gpu)?),
        ("exact products", products(gpu, dense)?),
        ("exact selection", selection(gpu)?),
    ];
    if gpu.precision() == Precision::Mixed {
        let name = match gpu.target().cooperative {
            Some(_) => "exact products on cooperative matrices",
            None => "exact products over halves",
        };
        checks.push((name, products(gpu, over_halves)?));
    }
    Ok(checks)
}

fn loops(gpu: &Gpu) -> Result<Result<String, String>> {
    let (len, iterations) = (100, MAX_LOOP_ITERATIONS);
    let mut plan = PlanBuilder::new(gpu.target());
    let count = plan.persistent("count", len);
    let phase = plan.phase("selftest");
    plan.push(LoopProbe { count, len, iterations })?;
    let program = plan.build(gpu)?;
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit()?;
    let counts: Vec<u32> = program.download(gpu, count)?;
    Ok(match counts.iter().find(|&&n| n != iterations) {
        None => Ok(format!("{iterations} in one invocation")),
        Some(n) => Err(format!("{n} made of {iterations}: long sums would be wrong")),
    })
}

/// Appends `c = a b` to a plan.
type PushProduct = fn(&mut PlanBuilder, [Slot; 3], [u32; 3]) -> Result<()>;

fn dense(plan: &mut PlanBuilder, operands: [Slot; 3], extents: [u32; 3]) -> Result<()> {
    Matmul::new(Form::NN, operands, extents).push(plan)
}

fn over_halves(plan: &mut PlanBuilder, [a, b, c]: [Slot; 3], [m, n, k]: [u32; 3]) -> Result<()> {
    let peaks = plan.scratch("peaks", 2);
    plan.push(F16Begin { peaks })?;
    let mut copy = |x, at, rows, columns| {
        let words = F16Copy::words(rows, columns).unwrap_or(u32::MAX);
        let out = plan.scratch("f16", words);
        plan.push(MagnitudePeak { values: x, peak: peaks, at, len: rows * columns })?;
        plan.push(F16Copy { x, mask: None, peaks, at, out, rows, columns })?;
        Ok::<_, crate::Error>(F16Operand { copy: out, at })
    };
    let operands = [copy(a, 0, m, k)?, copy(b, 1, k, n)?];
    F16Matmul::new(Form::NN, operands, [peaks, c], [m, n, k]).push(plan)
}

/// Whether products on the cooperative matrices of `gpu` are right: every one of many, of several
/// shapes, as a fault of order may show in a few only. `None` where `gpu` uses no such matrices.
///
/// # Errors
/// As [`selftest`].
pub fn matrices(gpu: &Gpu) -> Result<Option<Check>> {
    if gpu.target().cooperative.is_none() {
        return Ok(None);
    }
    let name = "exact products on cooperative matrices, again and again";
    for size in [[33, 65, 100], [128, 128, 64], [200, 260, 48], [16, 16, 16]] {
        for _ in 0..8 {
            let result = products_of(gpu, over_halves, size)?;
            if result.is_err() {
                return Ok(Some((name, result)));
            }
        }
    }
    Ok(Some((name, Ok("32 products of 4 shapes".to_owned()))))
}

fn products(gpu: &Gpu, push: PushProduct) -> Result<Result<String, String>> {
    products_of(gpu, push, [33, 65, 100])
}

fn products_of(
    gpu: &Gpu,
    push: PushProduct,
    [m, n, k]: [u32; 3],
) -> Result<Result<String, String>> {
    let mut plan = PlanBuilder::new(gpu.target());
    let (a, b) = (plan.persistent("a", m * k), plan.persistent("b", k * n));
    let c = plan.persistent("c", m * n);
    let phase = plan.phase("selftest");
    push(&mut plan, [a, b, c], [m, n, k])?;
    let program = plan.build(gpu)?;
    // Small integers: exact in any order of summation.
    let values =
        |len: u32, by: u32| -> Vec<f32> { (0..len).map(|i| (i * by % 17) as f32 - 8.0).collect() };
    let (av, bv) = (values(m * k, 7), values(k * n, 5));
    program.upload(gpu, a, &av);
    program.upload(gpu, b, &bv);
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit()?;
    let got: Vec<f32> = program.download(gpu, c)?;
    let want = matmul_reference(Form::NN, (&av, &bv), None, [m, n, k].map(|d| d as usize));
    let wrong = got.iter().zip(&want).filter(|(g, (w, _))| f64::from(**g) != *w).count();
    Ok(match wrong {
        0 => Ok(format!("{m}x{n}x{k} of small integers")),
        _ => Err(format!("{wrong} of {} elements are wrong", got.len())),
    })
}

fn selection(gpu: &Gpu) -> Result<Result<String, String>> {
    let (len, prune) = (20_000, 18_000);
    let mut plan = PlanBuilder::new(gpu.target());
    let weights = plan.persistent("weights", len);
    let counts = plan.persistent("counts", 1);
    let histogram = plan.persistent("histogram", Selection::HISTOGRAM_WORDS);
    let state = plan.persistent("state", TOPK_STATE_WORDS);
    let mask_state = plan.persistent("mask_state", MASK_STATE_WORDS);
    let mask = plan.persistent("mask", mask_words(len));
    let phase = plan.phase("selftest");
    let tensor = Ranked { values: weights, protect: None, scores: true, mask_state, mask, len };
    Selection { counts, selection: 0, histogram, state }.push(&mut plan, "selftest", &[tensor])?;
    let program = plan.build(gpu)?;
    // Few distinct values: nearly all are ties.
    let values: Vec<f32> = (0..len).map(|i| (i * 31 % 101) as f32 - 50.0).collect();
    program.upload(gpu, weights, &values);
    program.upload(gpu, counts, &[prune]);
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit()?;
    let got: Vec<u32> = program.download(gpu, mask)?;
    Ok(match got == topk_reference(&values, None, prune as usize) {
        true => Ok(format!("{prune} of {len} weights with ties")),
        false => Err("the mask differs from the reference".to_owned()),
    })
}
