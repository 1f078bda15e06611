//! Sessions that keep the packed weights of a file packed on the device.
use std::path::Path;
use std::sync::Arc;

use secateur::data::Dataset;
use secateur::kernels::PackedForm;
use secateur::nn::Input;
use secateur::session::{Fastest, FastestWeight, ModelFile, PackedWeights};
use secateur::storage::{Format, Header, pack};
use secateur::{Gpu, Session};

use super::{classes, trained};
use crate::common::{U, gpu};

/// A trained network at 50 %, packed into a file in `folder`.
fn packed(gpu: &Gpu, data: &Arc<Dataset>, folder: &Path, hint: Option<Fastest>) -> ModelFile {
    let mut file = trained(gpu, data, 40).model_file().unwrap();
    file.fastest = hint;
    let [plain, path] = ["plain", "packed"].map(|n| folder.join(format!("{n}.safetensors")));
    file.write(&plain).unwrap();
    let plain = Header::open(&plain).unwrap();
    pack(&plain, &path, Format::Bitmask, None, true).unwrap();
    ModelFile::open(&path).unwrap()
}

fn open(gpu: &Gpu, file: &ModelFile, batch: usize, weights: PackedWeights) -> Session {
    let input = Input::from(file.schema.as_ref().unwrap());
    file.session_packed(gpu, batch, &input, weights).unwrap()
}

fn names(session: &Session) -> Vec<&str> {
    session.packed_weights().into_iter().map(|(name, _)| name).collect()
}

/// 5 and 16 terms of magnitudes that are below 8 here: only the order of sums differs.
#[test]
fn packed_weights_predict_what_dense_ones_do() {
    let Some(gpu) = gpu() else { return };
    let (data, folder) = (classes(3), tempfile::tempdir().unwrap());
    let file = packed(gpu, &data, folder.path(), None);
    assert!(file.packed.contains(&"fc1.weight".to_owned()), "{:?}", file.packed);
    let [mut packed, dense] =
        [PackedWeights::Always, PackedWeights::Never].map(|weights| open(gpu, &file, 9, weights));
    assert_eq!(names(&packed), file.packed);
    assert_eq!(names(&dense), [""; 0]);
    assert!(packed.memory().persistent < dense.memory().persistent);
    let [got, want] = [&packed, &dense].map(|s| s.predict_dataset("output", &data).unwrap().values);
    let most = want.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    assert!(most > 0.1 && most < 64.0, "{most}");
    let bound = 2.0 * 4.0 * 16f64.sqrt() * U * 64.0;
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
    let mut batch = secateur::data::Batch::default();
    let mut batches = secateur::Batches::new(Arc::clone(&data), 9, None).unwrap();
    secateur::data::BatchSource::next_batch(&mut batches, &mut batch).unwrap();
    let error = packed.step(&batch).unwrap_err().to_string();
    assert!(error.contains("weights of this session are packed"), "{error}");
}

/// Without a hint few rows decide; a hint says of each weight whether, as what, and up to how many
/// rows.
#[test]
fn hints_and_rows_decide_what_stays_packed() {
    let Some(gpu) = gpu() else { return };
    let (data, folder) = (classes(3), tempfile::tempdir().unwrap());
    let file = packed(gpu, &data, folder.path(), None);
    let auto = |file: &ModelFile, batch| open(gpu, file, batch, PackedWeights::Auto);
    assert_eq!(names(&auto(&file, 8)), file.packed);
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
