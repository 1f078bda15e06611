//! A session without a loop, and own data through all of it: what a user brings, as an outside
//! crate would.
mod gradients;
mod own_source;
mod packed;
mod packed_models;
mod replica;

use std::sync::Arc;

use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset, Scaling};
use secateur::nn::{Input, Metric};
use secateur::session::ModelFile;
use secateur::train::{Event, TrainOptions, train};
use secateur::{Error, Gpu, Model, Optimizer, Pruning, PruningSpec, Session, TrainOp};

use crate::common::{Noise, gpu};

const ROWS: usize = 70;
const WIDTH: usize = 5;

/// Rows of noise, and what `answers` makes of each.
fn rows(answers: impl Fn(&[f32]) -> Vec<f32>) -> (Vec<f32>, Vec<f32>) {
    let features = Noise::new(11).floats(ROWS * WIDTH, 1.0);
    let answers = features.chunks(WIDTH).flat_map(answers).collect();
    (features, answers)
}

/// Two sums of the features, which a linear model can learn.
fn regression() -> Arc<Dataset> {
    let (features, values) = rows(|x| vec![x[0] + 2.0 * x[1] - 0.5, x[2] - x[3]]);
    Arc::new(
        Dataset::new("sums", &[WIDTH], features, Answers::Values { values, outputs: 2 }).unwrap(),
    )
}

fn several_labels() -> Arc<Dataset> {
    let flag = |on: bool| f32::from(u8::from(on));
    let (features, flags) = rows(|x| vec![flag(x[0] > 0.0), flag(x[1] > x[2]), flag(x[3] < 0.0)]);
    Arc::new(
        Dataset::new("flags", &[WIDTH], features, Answers::Labels { flags, labels: 3 }).unwrap(),
    )
}

fn classes(of: u32) -> Arc<Dataset> {
    let (features, labels) = rows(|x| vec![((x[0] + 1.0) * of as f32 / 2.0).min(of as f32 - 1.0)]);
    let labels = Answers::classes(labels.into_iter().map(|l| l.max(0.0) as u32), of);
    Arc::new(Dataset::new("classes", &[WIDTH], features, labels).unwrap())
}

/// Trains a small network on `data` with a schedule that ends at 50 %.
fn trained(gpu: &Gpu, data: &Arc<Dataset>, steps: u64) -> Session {
    let batches = Batches::new(Arc::clone(data), 16, Some(3)).unwrap();
    let spec = PruningSpec::to(0.5).pruning_frequency(10).sparsity_function_end_step(steps / 2);
    let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
    let train_op =
        TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 3).unwrap();
    let options = TrainOptions::default().number_of_steps(Some(steps));
    train(train_op, None, op, options).unwrap().session
}

/// Targets in hundred thousands, scaled to be learnt: figures, steps and predictions speak in the
/// units of the data, as the file that is written does.
#[test]
fn scaled_targets_are_measured_and_predicted_in_their_own_units() {
    let Some(gpu) = gpu() else { return };
    let (features, values) = rows(|x| vec![250_000.0 + 40_000.0 * (x[0] + 2.0 * x[1])]);
    let answers = Answers::Values { values, outputs: 1 };
    let raw = Arc::new(Dataset::new("prices", &[WIDTH], features, answers).unwrap());
    let scaling = Scaling::of_targets(&raw).unwrap();
    let deviation = f64::from(scaling.scale[0]);
    let data = Arc::new(Dataset::clone(&raw).with_scaled_targets(scaling).unwrap());
    let session = trained(gpu, &data, 600);
    let found = session.evaluate(&data).unwrap();

    let prediction = session.predict_dataset("output", &data).unwrap();
    let pairs = || (0..ROWS).map(|i| [prediction.row(i)[0], raw.targets(i)[0]].map(f64::from));
    let mean = |f: &dyn Fn(f64) -> f64| pairs().map(|[y, t]| f(y - t)).sum::<f64>() / ROWS as f64;
    let squared = mean(&|e| e * e);
    let near = |got: f64, want: f64| assert!((got - want).abs() <= 1e-4 * want, "{got}, {want}");
    near(found.figures.get(Metric::MeanSquaredError).unwrap(), squared);
    near(found.figures.get(Metric::MeanAbsoluteError).unwrap(), mean(&f64::abs));
    near(found.loss, squared / (deviation * deviation));
    assert!(squared.sqrt() < 0.2 * deviation, "{} of {deviation}", squared.sqrt());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    session.model_file().unwrap().write(&path).unwrap();
    let opened = Session::open(gpu, &path, 9).unwrap();
    let mut row = vec![0.0; WIDTH];
    data.write_row(7, &mut row);
    assert_eq!(opened.predict(&row).unwrap().values, prediction.row(7));
    let error = opened.evaluate(&raw).unwrap_err().to_string();
    assert!(error.contains("with_scaled_targets"), "{error}");
    // Rows without targets have none to scale.
    let mut features = vec![0.0; ROWS * WIDTH];
    features.chunks_mut(WIDTH).enumerate().for_each(|(i, row)| raw.write_row(i, row));
    let bare = Dataset::new("bare", &[WIDTH], features, Answers::None).unwrap();
    assert_eq!(opened.predict_dataset("output", &Arc::new(bare)).unwrap(), prediction);
}

/// The first metric of each step is the batch's, before the step, in the units of the data.
#[test]
fn steps_report_errors_in_the_units_of_the_data() {
    let Some(gpu) = gpu() else { return };
    let of_a_step = |factor: f32| {
        let (features, values) = rows(|x| vec![factor * (x[0] - x[1])]);
        let answers = Answers::Values { values, outputs: 1 };
        let data = Dataset::new("sums", &[WIDTH], features, answers).unwrap();
        let scaling = Scaling::of_targets(&data).unwrap();
        let batches = Batches::new(data.with_scaled_targets(scaling).unwrap(), 16, Some(3));
        let model = Model::mlp(&[16]);
        let op = TrainOp::new(gpu, &model, Optimizer::adam(0.01), batches.unwrap(), 3).unwrap();
        let mut first = None;
        let on_event = |event: &Event| {
            if let Event::Step(step) = event {
                first = step.metric;
            }
        };
        let options =
            TrainOptions::default().number_of_steps(Some(1)).on_event(Some(Box::new(on_event)));
        train(op, None, secateur::MaskUpdateOp::none(), options).unwrap();
        first.unwrap().1
    };
    // 2^10 times the targets leave the same bits but for the exponent.
    assert_eq!(of_a_step(1024.0), 1024.0 * of_a_step(1.0));
}

/// The figures of a regression are those of its own predictions, in f64.
#[test]
fn a_regression_trains_and_is_measured() {
    let Some(gpu) = gpu() else { return };
    let data = regression();
    let untrained = trained(gpu, &data, 2).evaluate(&data).unwrap();
    let session = trained(gpu, &data, 600);
    let found = session.evaluate(&data).unwrap();
    assert!(found.loss < untrained.loss / 10.0, "{found:?} after {untrained:?}");
    assert_eq!((found.rows, found.accuracy()), (ROWS as u64, None));

    let prediction = session.predict_dataset("output", &data).unwrap();
    assert_eq!((prediction.rows, &prediction.shape[..]), (ROWS, &[2][..]));
    let errors = (0..ROWS).flat_map(|i| {
        let (row, targets) = (prediction.row(i).to_vec(), data.targets(i).to_vec());
        row.into_iter().zip(targets).map(|(y, t)| f64::from(y) - f64::from(t))
    });
    let errors: Vec<f64> = errors.collect();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let squared = mean(errors.iter().map(|e| e * e).collect());
    let absolute = mean(errors.iter().map(|e| e.abs()).collect());
    let near = |got: f64, want: f64| assert!((got - want).abs() <= 1e-5 * want, "{got}, {want}");
    near(found.figures.get(Metric::MeanSquaredError).unwrap(), squared);
    near(found.figures.get(Metric::MeanAbsoluteError).unwrap(), absolute);
    near(found.loss, squared);
    let half = session.layers().unwrap();
    assert!(half.iter().all(|l| l.nonzero * 2 == l.total()), "{half:?}");
}

#[test]
fn several_labels_train_and_are_measured() {
    let Some(gpu) = gpu() else { return };
    let data = several_labels();
    let session = trained(gpu, &data, 600);
    let found = session.evaluate(&data).unwrap().figures.get(Metric::LabelAccuracy).unwrap();
    let prediction = session.predict_dataset("output", &data).unwrap();
    let right = (0..ROWS).flat_map(|i| {
        let right = |(y, t): (&f32, &f32)| (*y > 0.0) == (*t > 0.5);
        prediction.row(i).iter().zip(data.targets(i)).map(right).collect::<Vec<_>>()
    });
    let right = right.filter(|&r| r).count() as f64 / (ROWS * 3) as f64;
    assert!((found - right).abs() < 1e-6 && found > 0.8, "{found}, {right}");
    assert!(prediction.sigmoid().iter().all(|p| (0.0..=1.0).contains(p)));
}

/// 300 classes, which are more than a byte has; the five highest logits count as well.
#[test]
fn many_classes_have_a_top_five() {
    let Some(gpu) = gpu() else { return };
    let data = classes(300);
    let session = trained(gpu, &data, 100);
    let found = session.evaluate(&data).unwrap();
    let prediction = session.predict_dataset("output", &data).unwrap();
    assert_eq!(prediction.shape, [300]);
    let rank = |i: usize| {
        let (z, label) = (prediction.row(i), data.label(i) as usize);
        let higher = |&(j, v): &(usize, &f32)| *v > z[label] || (*v == z[label] && j < label);
        z.iter().enumerate().filter(higher).count()
    };
    let share = |k: usize| (0..ROWS).filter(|&i| rank(i) < k).count() as f64 / ROWS as f64;
    assert_eq!(found.accuracy(), Some(share(1)));
    assert_eq!(found.figures.get(Metric::Top5Accuracy), Some(share(5)));
    assert_eq!(prediction.classes().len(), ROWS);
    let sums: Vec<f32> = prediction.softmax().chunks(300).map(|p| p.iter().sum()).collect();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{sums:?}");
}

/// Predictions of ragged numbers of rows are those of the whole, and what is no row is refused.
#[test]
fn new_rows_are_predicted_in_any_number() {
    let Some(gpu) = gpu() else { return };
    let data = classes(3);
    let session = trained(gpu, &data, 20);
    let mut features = vec![0.0; ROWS * WIDTH];
    features.chunks_mut(WIDTH).enumerate().for_each(|(i, row)| data.write_row(i, row));
    let whole = session.predict(&features).unwrap();
    assert_eq!(whole, session.predict_dataset("output", &data).unwrap());
    for rows in [1, 15, 16, 17, 33] {
        let some = session.predict(&features[..rows * WIDTH]).unwrap();
        assert_eq!(some.values, whole.values[..rows * 3], "{rows} rows");
    }
    let error = session.predict(&features[..7]).unwrap_err().to_string();
    assert!(error.contains("7 values are no whole rows of 5 features"), "{error}");
    features[6] = f32::NAN;
    let error = session.predict(&features).unwrap_err().to_string();
    assert!(error.contains("row 1, feature 1 is NaN"), "{error}");
    let error = session.predict_tensor("fc9", &features[..5]).unwrap_err().to_string();
    assert!(error.contains("fc9") && error.contains("there are output"), "{error}");
}

/// A file has weights, model and what the rows are; what opens it predicts the same bits.
#[test]
fn a_file_opens_as_the_session_that_wrote_it() {
    let Some(gpu) = gpu() else { return };
    let scaled = Arc::unwrap_or_clone(regression());
    let scaling = Scaling::of(&scaled);
    let data = Arc::new(scaled.scaled(scaling.clone()).unwrap());
    let session = trained(gpu, &data, 60);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    session.model_file().unwrap().write(&path).unwrap();

    let file = ModelFile::open(&path).unwrap();
    assert_eq!(file.schema.as_ref().unwrap().scaling.as_ref(), Some(&scaling));
    let opened = Session::open(gpu, &path, 9).unwrap();
    let predict = |session: &Session| session.predict_dataset("output", &data).unwrap();
    assert_eq!(predict(&opened), predict(&session));
    // Rows as they were measured are scaled by the session; a data set must say its own scaling.
    let measured = Noise::new(11).floats(ROWS * WIDTH, 1.0);
    assert_eq!(opened.predict(&measured).unwrap(), predict(&session));
    let unscaled = regression();
    for refused in [
        opened.predict_dataset("output", &unscaled).map(|_| ()),
        opened.evaluate(&unscaled).map(|_| ()),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("sums is not scaled as the rows"), "{error}");
    }

    // The same weights by their names, into a model of one's own.
    let network = Model::mlp(&[16]).network(16, &Input::from(&*data)).unwrap();
    let none = secateur::MaskUpdateOp::none();
    let mut mine = Session::new(gpu, &network, Optimizer::sgd(0.1), &none, 9).unwrap();
    assert_ne!(predict(&mine), predict(&session));
    assert_eq!(mine.load_weights(&path).unwrap(), [""; 0]);
    assert_eq!(predict(&mine), predict(&session));
    let network = Model::mlp(&[17]).network(16, &Input::from(&*data)).unwrap();
    let mut other = Session::new(gpu, &network, Optimizer::sgd(0.1), &none, 9).unwrap();
    let error = other.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("fc1.weight is [5, 16]") && error.contains("mlp:17"), "{error}");
}

/// Steps taken one by one are those of the loop.
#[test]
fn steps_need_no_loop() {
    let Some(gpu) = gpu() else { return };
    let data = classes(3);
    let looped = {
        let batches = Batches::new(Arc::clone(&data), 16, Some(3)).unwrap();
        let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 3).unwrap();
        let options = TrainOptions::default().number_of_steps(Some(5));
        train(op, None, secateur::MaskUpdateOp::none(), options).unwrap().session
    };
    let network = Model::mlp(&[16]).network(16, &Input::from(&*data)).unwrap();
    let none = secateur::MaskUpdateOp::none();
    let mut session = Session::new(gpu, &network, Optimizer::adam(0.01), &none, 3).unwrap();
    let mut batches = Batches::new(Arc::clone(&data), 16, Some(3)).unwrap();
    let mut batch = Batch::default();
    for step in 1..=5 {
        assert!(batches.next_batch(&mut batch).unwrap());
        assert_eq!(session.step(&batch).unwrap().step, step);
    }
    assert_eq!(session.global_step(), 5);
    for name in ["fc1.weight", "fc2.bias"] {
        assert_eq!(session.weights(name).unwrap(), looped.weights(name).unwrap(), "{name}");
    }
    batch.labels[3] = 3;
    let error = session.step(&batch).unwrap_err();
    assert!(
        matches!(error, Error::Batch { .. }) && error.to_string().contains("label 3"),
        "{error}"
    );
    assert_eq!(session.weights("fc1.weight").unwrap(), looped.weights("fc1.weight").unwrap());
}

/// What an application hands to a thread of its own.
#[test]
fn what_must_be_sent_can_be_sent() {
    fn sent<T: Send>() {}
    sent::<Gpu>();
    sent::<Session>();
    sent::<TrainOp<'static>>();
    sent::<TrainOptions<'static>>();
    sent::<secateur::train::TrainOutcome>();
    sent::<secateur::Pruning>();
    sent::<secateur::MaskUpdateOp>();
    sent::<ModelFile>();
}

/// A run is not taken up on other rows of the same shape.
#[test]
fn other_rows_are_not_resumed_on() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let go = |columns: &str, steps| {
        let names = columns.split(' ').map(str::to_owned).collect();
        let data = Arc::unwrap_or_clone(classes(3)).with_columns(names).unwrap();
        let batches = Batches::new(data, 16, Some(3)).unwrap();
        let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 3).unwrap();
        let options = TrainOptions::default().number_of_steps(Some(steps));
        train(op, Some(folder.path()), secateur::MaskUpdateOp::none(), options)
    };
    go("a b c d e", 2).unwrap();
    let error = go("a b c d f", 4).unwrap_err().to_string();
    assert!(error.contains("columns a,b,c,d,e there, a,b,c,d,f here"), "{error}");
    assert_eq!(go("a b c d e", 4).unwrap().global_step, 4);
}
