//! The kernel against its reference, and what is refused.
use secateur::raw::{Encoder, PlanBuilder};
use secateur::{Error, Gpu, GpuOptions};
use secateur_extension::{ClippedExp, clipped_exp_reference};

/// `None` with a line on stderr where there is no adapter; a failure where
/// `SECATEUR_REQUIRE_GPU=1`.
fn gpu() -> Option<Gpu> {
    let options = GpuOptions::from_env().unwrap_or_else(|e| panic!("{e}"));
    match Gpu::open(&options.cache_dir(None)) {
        Ok(gpu) => Some(gpu),
        Err(e @ Error::NoAdapter { .. }) => {
            let required = std::env::var("SECATEUR_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "{e}");
            eprintln!("SKIPPED: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// From -100 to 100, so both ends are past what f32 holds.
fn exponents(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 20_011) as f32 / 100.05 - 100.0).collect()
}

#[test]
fn it_is_its_reference() {
    let Some(gpu) = gpu() else { return };
    for len in [1, 255, 256, 257, 1000, 70_001] {
        let (x, limit, guard) = (exponents(len), 1e6f32, 0x7fc0_beefu32);
        let mut plan = PlanBuilder::new(gpu.target());
        let phase = plan.phase("test");
        let input = plan.persistent("x", len as u32);
        let output = plan.persistent("out", len as u32 + 8);
        plan.push(ClippedExp { x: input, out: output, len: len as u32, limit }).unwrap();
        let program = plan.build(&gpu).unwrap();
        program.upload(&gpu, input, &x);
        program.upload(&gpu, output, &vec![guard; len + 8]);
        let mut encoder = Encoder::new(&gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        let got: Vec<u32> = program.download(&gpu, output).unwrap();
        assert_eq!(got[len..], [guard; 8], "wrote past its {len} elements");
        for ((x, got), want) in x.iter().zip(&got).zip(clipped_exp_reference(&x, limit)) {
            let got = f64::from(f32::from_bits(*got));
            // WGSL allows `exp` 3 + 2 |x| units in the last place; what is too small for a normal
            // f32 may be 0.
            let units = 3.0 + 2.0 * f64::from(x.abs());
            let tolerance = units * want * f64::from(f32::EPSILON) + f64::from(f32::MIN_POSITIVE);
            assert!((got - want).abs() <= tolerance, "exp({x}) of {len}: {got}, not {want}");
        }
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let mut plan = PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 4));
    for limit in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = plan.push(ClippedExp { x, out, len: 4, limit }).unwrap_err();
        assert!(error.to_string().starts_with("clipped_exp: the limit"), "{error}");
    }
}
