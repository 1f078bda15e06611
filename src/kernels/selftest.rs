//! A self-test of an adapter: what the kernels rely on, checked in milliseconds.
use super::{Activation, Form, MASK_STATE_WORDS, Matmul, Ranked, Selection, TOPK_STATE_WORDS};
use super::{mask_words, matmul_reference, topk_reference};
use crate::Result;
use crate::gpu::{
    Bound, Encoder, Gpu, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, write,
};

/// `count[i] += iterations`, one by one.
#[derive(Debug, Clone, Copy)]
pub struct LoopProbe {
    /// `[len]`
    pub count: Slot,
    /// Invocations.
    pub len: u32,
    /// Iterations of each.
    pub iterations: u32,
}

crate::uniform! {
    /// Uniform of [`LoopProbe`].
    pub struct LoopProbeParams {
        /// Invocations.
        len: u32,
        /// Iterations of each.
        iterations: u32,
    }
}

impl Kernel for LoopProbe {
    const NAME: &'static str = "loop_probe";
    const WGSL: &'static str = crate::wgsl!("loop_probe.wgsl");
    const OPERANDS: &'static [Operand] = &[write("count")];
    type Params = LoopProbeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.count.needs(self.len.into())]
    }

    fn params(&self) -> LoopProbeParams {
        LoopProbeParams { len: self.len, iterations: self.iterations }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(64), 1, 1]
    }
}

/// What a check says when it passes, and when it fails.
pub type Check = (&'static str, Result<String, String>);

/// Runs every check on `gpu`; an error means that the device failed altogether.
///
/// # Errors
/// [`crate::Error::Device`] and [`crate::Error::DeviceLost`].
pub fn selftest(gpu: &Gpu) -> Result<Vec<Check>> {
    Ok(vec![
        ("loop iterations", loops(gpu)?),
        ("exact products", products(gpu)?),
        ("exact selection", selection(gpu)?),
    ])
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

fn products(gpu: &Gpu) -> Result<Result<String, String>> {
    let [m, n, k] = [33, 65, 100];
    let mut plan = PlanBuilder::new(gpu.target());
    let (a, b) = (plan.persistent("a", m * k), plan.persistent("b", k * n));
    let c = plan.persistent("c", m * n);
    let phase = plan.phase("selftest");
    let form = Form::NN;
    let activation = Activation::Identity;
    Matmul {
        form,
        a,
        b,
        mask: None,
        bias: None,
        activation,
        gate: None,
        c,
        m,
        n,
        k,
        begin: [0; 2],
    }
    .push(&mut plan)?;
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
    let want = matmul_reference(form, (&av, &bv), None, [m, n, k].map(|d| d as usize));
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
