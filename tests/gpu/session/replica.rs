//! What replicas tell each other, and the pieces that a step is submitted in.
use secateur::Session;
use secateur::comm::LocalComm;
use secateur::gpu::GpuSpan;
use secateur::optim::Optimizer;
use secateur::session::Gradients;

use super::gradients::{Case, Rank, SMALL};
use crate::common::gpu;
use crate::needs::{FEATURES, missing};
use crate::training::SEED;

#[test]
fn a_replica_takes_parameters_and_masks_and_computes_the_same_gradients() {
    let Some(gpu) = gpu() else { return };
    let case = Case::images(Optimizer::adam(0.01), "pruned=revive");
    let batches = case.batches(1);
    let mut trained = Rank::new(&case, gpu, LocalComm::default(), SMALL, false);
    trained.train(&batches, 1);
    let mut replica = case.session(gpu);
    let mut gradients = Gradients::new(&replica, 0, u64::MAX).unwrap();
    let (parameters, masks) =
        (trained.session.parameters().unwrap(), trained.session.masks().unwrap());
    assert!(masks.iter().any(|&word| word != u32::MAX));
    let mut all = Vec::new();
    for session in [&mut trained.session, &mut replica] {
        session.put_parameters(&parameters).unwrap();
        session.put_masks(&masks).unwrap();
        assert_eq!(session.parameters().unwrap(), parameters);
        assert_eq!(session.masks().unwrap(), masks);
        session.gradient(&batches[0], &mut gradients, true).unwrap();
        let measured = session.take_measured(&mut gradients).unwrap();
        let taken: Vec<Vec<f32>> = (0..gradients.lengths().len())
            .map(|bucket| session.take_bucket(&mut gradients, bucket).unwrap())
            .collect();
        all.push((measured, taken));
    }
    assert_eq!(all[0], all[1]);
    let error = replica.put_parameters(&parameters[1..]).unwrap_err().to_string();
    assert!(error.contains(&parameters.len().to_string()), "{error}");
    let error = replica.put_masks(&masks[1..]).unwrap_err().to_string();
    assert!(error.contains(&masks.len().to_string()), "{error}");
}

#[test]
fn a_checksum_differs_where_a_bit_does() {
    let Some(gpu) = gpu() else { return };
    let case = Case::mlp(Optimizer::adam(0.01), "pruned=freeze");
    let mut session = case.session(gpu);
    let before = session.checksums().unwrap();
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["fc1.weight", "fc1.weight/first", "fc1.weight/mask", "fc1.weight/threshold"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    let differing = |session: &Session| {
        let after = session.checksums().unwrap().into_iter().zip(&before);
        after.filter(|(a, b)| a != *b).map(|(a, _)| a.0).collect::<Vec<_>>()
    };
    let mut values = session.parameters().unwrap();
    values[3] = f32::from_bits(values[3].to_bits() ^ 1);
    session.put_parameters(&values).unwrap();
    assert_eq!(differing(&session), ["fc1.weight"]);
    values[3] = f32::from_bits(values[3].to_bits() ^ 1);
    session.put_parameters(&values).unwrap();
    assert_eq!(differing(&session), [""; 0]);
    let mut masks = session.masks().unwrap();
    masks[0] ^= 1 << 7;
    session.put_masks(&masks).unwrap();
    assert_eq!(differing(&session), ["fc1.weight/mask"]);
}

/// A bucket can be taken before those after it are there, and in any order.
#[test]
fn buckets_are_taken_one_by_one() {
    let Some(gpu) = gpu() else { return };
    let case = Case::mlp(Optimizer::sgd(0.1), "pruned=zero");
    let mut session = case.session(gpu);
    let mut gradients = Gradients::new(&session, 0, SMALL).unwrap();
    let lengths = gradients.lengths();
    assert!(lengths.iter().all(|&len| len <= SMALL as usize / 4), "{lengths:?}");
    let words: usize = 6 * 20 + 20 + 20 * 13 + 13 + 13 * 3 + 3;
    assert_eq!(lengths.iter().sum::<usize>(), words);
    let batches = case.batches(1);
    let mut take = |batch, order: &mut dyn Iterator<Item = usize>| {
        session.gradient(batch, &mut gradients, true).unwrap();
        let mut all: Vec<_> = order
            .map(|bucket| (bucket, session.take_bucket(&mut gradients, bucket).unwrap()))
            .collect();
        all.sort_by_key(|&(bucket, _)| bucket);
        all
    };
    let forwards = take(&batches[0], &mut (0..lengths.len()));
    // What nobody takes is forgotten.
    take(&batches[1], &mut std::iter::empty());
    let backwards = take(&batches[0], &mut (0..lengths.len()).rev());
    assert_eq!(forwards, backwards);
    let error = session.take_bucket(&mut gradients, 0).unwrap_err().to_string();
    assert!(error.contains("nothing was copied"), "{error}");
    let error = session.put_bucket(&mut gradients, 0, vec![0.0]).unwrap_err().to_string();
    assert!(error.contains(&lengths[0].to_string()), "{error}");
}

/// A step that is traced has every launch, in pieces as it was submitted, under one clock.
#[test]
fn a_traced_step_has_all_launches_of_all_pieces() {
    let Some(gpu) = gpu() else { return };
    if !gpu.report().timestamps {
        return missing(FEATURES, format_args!("{} has no timestamps", gpu.report().name));
    }
    let case = Case::images(Optimizer::adam(0.01), "pruned=zero");
    let batches = case.batches(1);
    let traced = |bytes| {
        let mut session = case.session(gpu);
        let mut gradients = Gradients::new(&session, 0, bytes).unwrap();
        session.trace();
        session.gradient(&batches[0], &mut gradients, true).unwrap();
        for bucket in 0..gradients.lengths().len() {
            let values = session.take_bucket(&mut gradients, bucket).unwrap();
            session.put_bucket(&mut gradients, bucket, values).unwrap();
        }
        session.update(Some(0.5)).unwrap();
        let parts = session.traced().unwrap();
        let times = parts[0].iter().map(|span| span.start_ns).collect::<Vec<_>>();
        assert!(times.is_sorted(), "{times:?}");
        let names = |part: &Vec<GpuSpan>| {
            part.iter().map(|span| format!("{}: {}", span.phase, span.kernel)).collect::<Vec<_>>()
        };
        (parts.iter().map(names).collect::<Vec<_>>(), session.plan())
    };
    let (pieces, plan) = traced(SMALL);
    assert_eq!(pieces, traced(u64::MAX).0);
    let of = |phase: &str| {
        let lines = plan.lines().skip_while(|line| **line != format!("{phase}:")).skip(1);
        let lines = lines.take_while(|line| line.starts_with("  "));
        lines
            .map(|line| format!("{phase}: {}", line.split_whitespace().next().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(pieces, [of("accumulate"), [of("apply"), of("mask_update")].concat()]);
}

/// What gradients are staged through counts in the memory of a session that exchanges them.
#[test]
fn buckets_count_as_memory() {
    let Some(gpu) = gpu() else { return };
    for case in [
        Case::mlp(Optimizer::sgd(0.1), "pruned=zero"),
        Case::images(Optimizer::sgd(0.1), "pruned=zero"),
    ] {
        let alone = Session::new(gpu, &case.network, &case.training, &case.op, SEED).unwrap();
        let exchanges = case.session(gpu);
        let [without, with] = [&alone, &exchanges].map(|session| {
            let plan = session.plan();
            let launches: u64 = plan.split(' ').next().unwrap().parse().unwrap();
            // Each launch has a uniform.
            session.memory().staging - 256 * launches
        });
        let gradients = Gradients::new(&exchanges, 0, SMALL).unwrap();
        let values: usize = gradients.lengths().iter().sum();
        let statistics = if case.network.name == "mlp:20-13" { 0 } else { 2 * 2 * 6 };
        // There and back; loss and metric; statistics are kept aside.
        let words = 2 * values + statistics + 2;
        assert_eq!(with - without, 4 * words as u64, "{}", case.network.name);
    }
}
