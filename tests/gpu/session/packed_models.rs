//! Models of every kind whose weights stay packed on the device.
use std::path::Path;
use std::sync::Arc;

use secateur::data::{Answers, Batches, Dataset};
use secateur::kernels::PackedForm;
use secateur::nn::Input;
use secateur::session::{Fastest, FastestWeight, ModelFile, PackedWeights};
use secateur::storage::{Format, Header, PackOptions, pack};
use secateur::train::{TrainOptions, train};
use secateur::{Gpu, Model, Optimizer, Pruning, PruningSpec, TrainOp};

use crate::common::{Noise, U, gpu};

fn pictures() -> Arc<Dataset> {
    let features = Noise::new(5).floats(8 * 28 * 28, 1.0);
    let labels = Answers::classes((0..8_u32).map(|i| i % 3), 3);
    Arc::new(Dataset::new("pictures", &[28, 28, 1], features, labels).unwrap())
}

fn letters() -> Arc<Dataset> {
    let tokens: Vec<u8> = Noise::new(6).below(200, 5).into_iter().map(|t| t as u8).collect();
    Arc::new(Dataset::text("letters", &tokens, ['a', 'b', 'c', 'd', 'e'], 6).unwrap())
}

/// `model` at 90 %, all tensors of it, packed into a file in `folder`.
fn packed(gpu: &Gpu, model: &Model, data: &Arc<Dataset>, folder: &Path) -> ModelFile {
    let batches = Batches::new(Arc::clone(data), 4, Some(3)).unwrap();
    let spec = PruningSpec::to(0.9).pruning_frequency(1).sparsity_function_end_step(2);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let train_op = TrainOp::new(gpu, model, Optimizer::adam(0.01), batches, 3).unwrap();
    let options = TrainOptions::default().number_of_steps(Some(3));
    let trained = train(train_op, None, op, options).unwrap().session;
    let [plain, path] = ["plain", "packed"].map(|n| folder.join(format!("{n}.safetensors")));
    trained.model_file().unwrap().write(&plain).unwrap();
    let options = PackOptions::new(Format::Smallest).force(true);
    pack(&Header::open(&plain).unwrap(), &path, &options).unwrap();
    ModelFile::open(&path).unwrap()
}

/// The weights that are packed, of a convolutional network, a recurrent one and a transformer, and
/// what these are multiplied with. Rows of attention, norms and softmax are as long as a few dozen
/// terms; the order of sums is all that differs, of magnitudes that add up to less than 256.
#[test]
fn models_answer_what_they_do_with_dense_weights() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (model, data, names) in [
        ("lenet5", pictures(), &["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"][..]),
        ("charlstm:16x2", letters(), &["lstm1.weight", "lstm2.weight"]),
        ("chargpt:16x1x2", letters(), &[]),
    ] {
        let file = packed(gpu, &model.parse().unwrap(), &data, folder.path());
        let input = Input::from(file.schema.as_ref().unwrap());
        let of = |weights| file.session_packed(gpu, 4, &input, weights).unwrap();
        let [got, want] = [PackedWeights::Always, PackedWeights::Never].map(of);
        let found: Vec<&str> = got.packed_weights().into_iter().map(|(name, _)| name).collect();
        assert!(found.len() >= 3, "{model}: {found:?} of {:?}", file.packed);
        for name in names {
            assert!(found.contains(name), "{model}: {name} of {found:?}, {:?}", file.packed);
        }
        let unpackable = file.unpackable(4, &input).unwrap();
        let all = found.len() + unpackable.len();
        assert_eq!(all, file.packed.len(), "{model}: {found:?}, {unpackable:?}");
        assert!(unpackable.iter().all(|(_, why)| why == "embedding reads all of it"));
        let answers = [&got, &want].map(|s| s.predict_dataset("output", &data).unwrap().values);
        let most = answers[1].iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        assert!(most > 1e-4 && most < 256.0, "{model}: {most}");
        let bound = 2.0 * 4.0 * 800f64.sqrt() * U * 256.0;
        for (got, want) in answers[0].iter().zip(&answers[1]) {
            assert!(f64::from((got - want).abs()) <= bound, "{model}: {got} is not {want}");
        }
        // Its weights are what the file has.
        let weights = [&got, &want].map(|session| session.model_file().unwrap().weights);
        assert_eq!(weights[0], weights[1], "{model}");
    }
}

/// A hint packs the kernel of a convolution in its form, up to the rows that it is for: four images
/// of 8 x 8 pixels.
#[test]
fn hints_are_heeded_by_the_rows_of_a_convolution() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut file = packed(gpu, &Model::Lenet5, &pictures(), folder.path());
    let pixels = 8 * 8;
    let hint = FastestWeight::new("conv2.weight", 4 * pixels, Some(PackedForm::Gaps));
    file.fastest = Some(Fastest::new("adapter", vec![hint]));
    let input = Input::from(file.schema.as_ref().unwrap());
    let form = |batch| {
        let session = file.session_packed(gpu, batch, &input, PackedWeights::Auto).unwrap();
        let found = session.packed_weights();
        found.into_iter().find(|(name, _)| *name == "conv2.weight").map(|(_, form)| form)
    };
    assert_eq!((form(4), form(5)), (Some(PackedForm::Gaps), None));
}
