//! The roofline's arithmetic, its medians, and its picture.
use std::time::Duration;

use secateur::bench::{
    CausalAttention, Ceilings, Effort, Limit, Sampled, TrainStep, Weights, Work, Workload, median,
    sample,
};
use secateur::kernels::Form;

mod model;
#[cfg(feature = "cli")]
mod plot;

/// 100 GFLOP/s and 10 GB/s: they meet at 10 operations a byte.
const CEILINGS: Ceilings = Ceilings {
    copy_bytes_per_second: 1e10,
    fma_flops_per_second: 1e11,
    launch_seconds: 1e-6,
    round_trip_seconds: 1e-5,
};

#[test]
fn the_lower_ceiling_counts() {
    let (copy, product) = (Work { flops: 1e9, bytes: 1e9 }, Work { flops: 1e9, bytes: 1e7 });
    assert_eq!(CEILINGS.ridge(), 10.0);
    assert_eq!([copy, product].map(|w| w.intensity()), [1.0, 100.0]);
    assert_eq!([copy, product].map(|w| CEILINGS.limit(w)), [Limit::Bandwidth, Limit::Arithmetic]);
    assert_eq!([copy, product].map(|w| CEILINGS.attainable(w)), [1e10, 1e11]);
    assert_eq!([copy, product].map(|w| CEILINGS.least_seconds(w)), [0.1, 0.01]);
    assert_eq!([copy, product].map(|w| CEILINGS.share(w, 0.25)), [0.4, 0.04]);
    // Both ways of saying it agree, on either side of the ridge.
    for work in [copy, product] {
        let rate = work.flops / 0.2;
        let share = rate / CEILINGS.attainable(work);
        assert!((share / CEILINGS.share(work, 0.2) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn work_is_what_cannot_be_done_without() {
    let work = |w: Workload| w.work().unwrap();
    let product = work(Workload::Matmul { form: Form::NT, size: [2, 3, 5] });
    assert_eq!(product, Work { flops: 60.0, bytes: 4.0 * f64::from(2 * 5 + 5 * 3 + 2 * 3) });
    assert_eq!(work(Workload::Add { len: 7 }), Work { flops: 7.0, bytes: 84.0 });
    // 33 values and two words of mask.
    assert_eq!(work(Workload::mask_update(33)), Work { flops: 33.0, bytes: 140.0 });
    // The same in each of three.
    let group = Workload::MaskUpdate { len: 99, tensors: 3, weights: Weights::Even };
    assert_eq!(group.largest_tensor(), 132);
    assert_eq!(work(group), Work { flops: 99.0, bytes: 420.0 });
    // 15 pairs in each of 9 heads; the operands have 9, 3 and 3 heads, the result 9.
    let attention = |gradients| work(Workload::Attention(CausalAttention::small(5, gradients)));
    let forward = Work { flops: 4.0 * 64.0 * 135.0, bytes: 4.0 * 24.0 * 5.0 * 64.0 };
    assert_eq!(attention(false), forward);
    let back = Work { flops: 2.5 * forward.flops, bytes: 2.0 * forward.bytes };
    assert_eq!(attention(true), back);
    // Three products of 8 x 10, two of 784 x 8; parameters read and written, and with Adam its two
    // tensors.
    let parameters = f64::from(785 * 8 + 9 * 10);
    for (optimizer, tensors) in [("sgd", 1.0), ("adam", 3.0)] {
        let step = TrainStep::mlp(&[8], 4, optimizer).unwrap();
        let flops = 2.0 * 4.0 * f64::from(3 * 8 * 10 + 2 * 784 * 8);
        let bytes = 4.0 * (2.0 * tensors * parameters + 4.0 * 785.0);
        assert_eq!(step.work, Some(Work { flops, bytes }), "{optimizer}");
    }
    // The yardsticks' network: 225,792 + 3,612,672 + 401,408 + 1,280 multiply-adds a row.
    let step = TrainStep::cnn(1, "sgd").unwrap();
    let flops = f64::from(2 * (2 * 225_792 + 3 * (3_612_672 + 401_408 + 1_280)));
    assert_eq!(step.work.map(|w| w.flops), Some(flops));
}

#[test]
fn rows_are_called_by_what_they_are() {
    let product = |size| Workload::Matmul { form: Form::NN, size }.to_string();
    assert_eq!(product([64; 3]), "matmul NN 64");
    assert_eq!(product([500, 333, 777]), "matmul NN 500x333x777");
    let lengths = [1000, 100_000, 123_456, 100_000_000];
    let names = lengths.map(|len| Workload::Add { len }.to_string());
    assert_eq!(names, ["add 1000", "add 10^5", "add 123456", "add 10^8"]);
    let attention = |gradients| Workload::Attention(CausalAttention::small(512, gradients));
    assert_eq!(attention(false).to_string(), "attention 512");
    assert_eq!(attention(true).to_string(), "attention gradients 512");
    let group = Workload::MaskUpdate { len: 100_000, tensors: 4, weights: Weights::Normal };
    assert_eq!(group.to_string(), "mask update 10^5, normal in 4 tensors");
    let step = TrainStep::mlp(&[300, 100], 128, "adam").unwrap().masked();
    let name = "train step 784-300-100-10, batch 128, adam, masked";
    assert_eq!(Workload::TrainStep(step).to_string(), name);
}

#[test]
fn medians_are_of_the_middle() {
    assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&mut [4.0, 1.0, 2.0, 30.0]), 3.0);
    assert!(median(&mut []).is_nan());
}

/// 2 ms to begin with and 1 ms for each repetition, on a clock of its own; one sample is an
/// outlier.
#[test]
fn samples_are_long_enough_and_as_many_as_fit() {
    let effort = Effort {
        row: Duration::from_millis(500),
        sample: Duration::from_millis(50),
        longest: Duration::from_secs(1),
        samples: [3, 21],
        tiny: false,
    };
    let mut calls = Vec::new();
    let sampled = sample(
        |n| {
            calls.push(n);
            let late = if calls.len() == 6 { 1000 } else { 0 };
            Ok(Duration::from_millis(2 + n + late))
        },
        &effort,
    );
    let Sampled { seconds, samples } = sampled.unwrap();
    let n = *calls.last().unwrap();
    assert_eq!(calls[..2], [1, 1], "the first call is not counted");
    assert!((36..=64).contains(&n), "{calls:?}: a sample is of about 50 ms");
    assert!((8..=14).contains(&samples), "{samples} samples in half a second");
    assert_eq!(calls.iter().filter(|&&c| c == n).count(), samples + 1, "{calls:?}");
    let want = (2.0 + n as f64) / n as f64 / 1e3;
    assert!((seconds - want).abs() < 1e-12, "{seconds}, not {want}: the median leaves outliers");
}
