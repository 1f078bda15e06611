//! A network trained on this crate's data source and pruned by its score.
use secateur::nn::Input;
use secateur::prune::Score;
use secateur::session::Session;
use secateur::train::{TrainOptions, train};
use secateur::{Gpu, GpuOptions, Model, Optimizer, Pruning, PruningSpec, TrainOp};
use secateur_extension::{Signed, Waves};

fn spec(sparsity: f64) -> PruningSpec {
    PruningSpec::to(sparsity).score(Score::custom(Signed { limit: 1e6 })).keep_units(false)
}

#[test]
fn the_source_trains_and_resumes_to_the_bit() {
    let gpu = Gpu::open(&GpuOptions::from_env().unwrap()).unwrap();
    let folder = tempfile();
    let go = |name: &str, steps: u64| {
        let model = Model::mlp(&[24]);
        let train_op =
            TrainOp::new(&gpu, &model, Optimizer::adam(0.01), Waves::new(32), 5).unwrap();
        let masks = Pruning::new(spec(0.1).sparsity_function_end_step(200)).unwrap();
        let options = TrainOptions::default().number_of_steps(Some(steps));
        let logdir = folder.join(name);
        train(train_op, Some(&logdir), masks.conditional_mask_update_op(), options).unwrap()
    };
    let straight = go("straight", 300).session;
    go("halves", 130);
    let halves = go("halves", 300).session;
    for name in ["fc1.weight", "fc2.weight"] {
        assert_eq!(straight.weights(name).unwrap(), halves.weights(name).unwrap(), "{name}");
    }
    // The mean squared error over -3 to 3.
    let error = |session: &Session| {
        let xs: Vec<f32> = (-30..=30).map(|i| i as f32 / 10.0).collect();
        let found = session.predict(&xs).unwrap();
        let of = |(i, x): (usize, &f32)| {
            (found.row(i)[0] - x.sin()).powi(2) + (found.row(i)[1] - x.cos()).powi(2)
        };
        xs.iter().enumerate().map(of).sum::<f32>() / 61.0
    };
    let (first, last) = (error(&go("begun", 10).session), error(&straight));
    assert!(last < first / 2.0, "{last} after {first}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_score_keeps_the_largest_values() {
    let gpu = Gpu::open(&GpuOptions::from_env().unwrap()).unwrap();
    let input = Input::of(&Waves::new(4));
    let network = Model::mlp(&[33]).network(4, &input).unwrap();
    let masks = Pruning::new(spec(0.5)).unwrap().mask_update_op();
    let mut session = Session::new(&gpu, &network, Optimizer::sgd(0.1), &masks, 5).unwrap();
    let before = session.weights("fc2.weight").unwrap();
    session.update_masks(0.5).unwrap();
    let after = session.weights("fc2.weight").unwrap();
    let mut sorted = before.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[sorted.len() / 2];
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        let want = if *before >= median { *before } else { 0.0 };
        assert_eq!(*after, want, "weight {i} was {before}, the median is {median}");
    }
}

/// A fresh folder, without a crate for it.
fn tempfile() -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("secateur-extension-{}", std::process::id()));
    std::fs::remove_dir_all(&path).ok();
    path
}
