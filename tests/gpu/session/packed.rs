//! Sessions that keep the packed weights of a file packed on the device.
use std::path::Path;
use std::sync::Arc;

use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset};
use secateur::kernels::PackedForm;
use secateur::nn::Input;
use secateur::session::{Fastest, FastestWeight, ModelFile, PackedWeights};
use secateur::storage::{Format, Header, PackOptions, TensorData, pack};
use secateur::train::{TrainOptions, train};
use secateur::{Gpu, Model, Optimizer, Pruning, PruningSpec, Session, TrainOp};

use crate::common::{Noise, U, gpu};

/// Rows of so many features, of three classes.
fn wide() -> Arc<Dataset> {
    let features = Noise::new(5).floats(20 * 96, 1.0);
    let labels = Answers::classes((0..20_u32).map(|i| i % 3), 3);
    Arc::new(Dataset::new("wide", &[96], features, labels).unwrap())
}

/// A network at 90 %, the last layer at 30 %, packed into a file in `folder`.
fn packed(gpu: &Gpu, data: &Arc<Dataset>, folder: &Path, hint: Option<Fastest>) -> ModelFile {
    let batches = Batches::new(Arc::clone(data), 10, Some(3)).unwrap();
    let spec = PruningSpec::to(0.9).pruning_frequency(2).sparsity_function_end_step(4);
    let spec = spec.last_layer_sparsity(Some(0.3));
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let train_op =
        TrainOp::new(gpu, &Model::mlp(&[64]), Optimizer::adam(0.01), batches, 3).unwrap();
    let options = TrainOptions::default().number_of_steps(Some(6));
    let trained = train(train_op, None, op, options).unwrap().session;
    let mut file = trained.model_file().unwrap();
    file.fastest = hint;
    let [plain, path] = ["plain", "packed"].map(|n| folder.join(format!("{n}.safetensors")));
    file.write(&plain).unwrap();
    let plain = Header::open(&plain).unwrap();
    pack(&plain, &path, &PackOptions::new(Format::Bitmask).force(true)).unwrap();
    ModelFile::open(&path).unwrap()
}

fn open(gpu: &Gpu, file: &ModelFile, batch: usize, weights: PackedWeights) -> Session {
    let input = Input::from(file.schema.as_ref().unwrap());
    file.session_packed(gpu, batch, &input, weights).unwrap()
}

fn names(session: &Session) -> Vec<&str> {
    session.packed_weights().into_iter().map(|(name, _)| name).collect()
}

/// Only the order of sums differs: of 96 and 64 terms, of magnitudes that add up to less than 64
/// each, of which the first are multiplied with weights below 1 once more.
#[test]
fn packed_weights_predict_what_dense_ones_do() {
    let Some(gpu) = gpu() else { return };
    let (data, folder) = (wide(), tempfile::tempdir().unwrap());
    let file = packed(gpu, &data, folder.path(), None);
    assert!(file.packed.contains(&"fc1.weight".to_owned()), "{:?}", file.packed);
    let [mut packed, dense] =
        [PackedWeights::Always, PackedWeights::Never].map(|weights| open(gpu, &file, 9, weights));
    assert_eq!(names(&packed), file.packed);
    assert_eq!(names(&dense), [""; 0]);
    assert!(packed.memory().persistent < dense.memory().persistent);
    let [got, want] = [&packed, &dense].map(|s| s.predict_dataset("output", &data).unwrap().values);
    let most = want.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    assert!(most > 0.01 && most < 64.0, "{most}");
    let bound = 2.0 * 4.0 * 96f64.sqrt() * U * 64.0;
    for (got, want) in got.iter().zip(&want) {
        assert!(f64::from((got - want).abs()) <= bound, "{got} is not {want}");
    }
    let [loss, dense_loss] = [&packed, &dense].map(|s| s.evaluate(&data).unwrap());
    assert_eq!(loss.accuracy(), dense_loss.accuracy());
    assert!((loss.loss - dense_loss.loss).abs() < 1e-4, "{loss:?}, {dense_loss:?}");

    // Its weights are what the file has, and nothing moves them.
    let all = |s: &Session| s.model_file().unwrap().weights;
    assert_eq!(all(&packed), all(&dense));
    let values = packed.weights("fc1.weight").unwrap();
    let error = packed.set_weights("fc1.weight", &values).unwrap_err().to_string();
    assert!(error.contains("fc1.weight") && error.contains("is packed"), "{error}");
    let mut batch = Batch::default();
    let mut batches = Batches::new(Arc::clone(&data), 9, None).unwrap();
    batches.next_batch(&mut batch).unwrap();
    let error = packed.step(&batch).unwrap_err().to_string();
    assert!(error.contains("weights of this session are packed"), "{error}");
}

/// Without a hint few rows decide; a hint says of each weight whether, as what, and up to how many
/// rows.
#[test]
fn hints_and_rows_decide_what_stays_packed() {
    let Some(gpu) = gpu() else { return };
    let (data, folder) = (wide(), tempfile::tempdir().unwrap());
    let file = packed(gpu, &data, folder.path(), None);
    let auto = |file: &ModelFile, batch| open(gpu, file, batch, PackedWeights::Auto);
    // The second layer takes fewer bytes dense.
    assert_eq!(names(&auto(&file, 8)), ["fc1.weight"]);
    assert_eq!(names(&auto(&file, 9)), [""; 0]);
    let first = FastestWeight::new("fc1.weight", 16, Some(PackedForm::Bitmask));
    let hint = Fastest::new("adapter", vec![first, FastestWeight::new("fc2.weight", 16, None)]);
    let hinted = packed(gpu, &data, folder.path(), Some(hint.clone()));
    assert_eq!(hinted.fastest, Some(hint));
    let of = |batch| {
        let session = auto(&hinted, batch);
        let all = session.packed_weights();
        all.into_iter().map(|(name, form)| (name.to_owned(), form)).collect::<Vec<_>>()
    };
    assert_eq!(of(16), [("fc1.weight".to_owned(), PackedForm::Bitmask)]);
    assert_eq!(of(17), []);
}

/// What is pruned in blocks stays so with any number of rows, where it should be the faster, and
/// predicts what dense weights do: of the same order of sums, to the bit.
#[test]
fn blocks_stay_packed_with_many_rows() {
    let Some(gpu) = gpu() else { return };
    let (data, folder) = (wide(), tempfile::tempdir().unwrap());
    let mut file = packed(gpu, &data, folder.path(), None);
    let first = file.weights.iter_mut().find(|w| w.name == "fc1.weight").unwrap();
    assert_eq!(first.shape, [96, 64]);
    let TensorData::F32(values) = &mut first.data else { panic!("f32") };
    for (i, weight) in values.iter_mut().enumerate() {
        *weight = if i % 64 < 8 { (i % 23) as f32 / 100.0 - 0.105 } else { 0.0 };
    }
    let [plain, path] = ["plain", "packed"].map(|n| folder.path().join(format!("{n}.safetensors")));
    file.write(&plain).unwrap();
    pack(&Header::open(&plain).unwrap(), &path, &PackOptions::new(Format::Sparse).force(true))
        .unwrap();
    let file = ModelFile::open(&path).unwrap();
    let [packed, dense] =
        [PackedWeights::Auto, PackedWeights::Never].map(|weights| open(gpu, &file, 33, weights));
    // On a GPU only a measurement says.
    let blocks = gpu.target().software.then_some(("fc1.weight", PackedForm::Blocks));
    assert_eq!(packed.packed_weights(), blocks.into_iter().collect::<Vec<_>>());
    let [got, want] = [&packed, &dense].map(|s| s.predict_dataset("output", &data).unwrap().values);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert!(bits(&got) == bits(&want));
}
