//! The same launches again on the same values: the same bits.
use super::compared::{Compared, Found};
use super::rig::{Rig, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{Form, Matmul};

/// How often.
const TIMES: usize = 4;

/// Products that keep many workgroups busy at once, whose order may differ from run to run.
pub(super) fn check(gpu: &Gpu) -> Result<Found> {
    let [m, n, k] = [200, 260, 300];
    let mut compared = Compared::default();
    for form in [Form::NN, Form::NT, Form::TN] {
        let case = format!("{form:?} {m}x{n}x{k}");
        let len = (m * n) as usize;
        let mut rig = Rig::new(gpu);
        let a = rig.slot("a", &noise(1, (m * k) as usize, 1.0));
        let b = rig.slot("b", &noise(2, (k * n) as usize, 1.0));
        let c = rig.output("c", len);
        Matmul::new(form, [a, b, c], [m, n, k]).push(&mut rig.plan)?;
        let ready = rig.run()?;
        let first: Vec<f32> = ready.read(&case, c, &mut compared)?;
        for _ in 1..TIMES {
            // What is left of the run before would pass for a result.
            ready.upload(c, &vec![f32::NAN; len]);
            ready.run()?;
            let again: Vec<f32> = ready.read(&case, c, &mut compared)?;
            compared.same(&case, &again, &first);
        }
    }
    Ok(compared.found("3 products, 4 times each"))
}
