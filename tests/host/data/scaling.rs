//! Features of mean 0 and deviation 1: by hand, and what is refused.
use super::fails;
use secateur::data::{
    Answers, Augment, Batch, BatchSource, Batches, Dataset, Features, Images, Scaling,
};

fn dataset(shape: &[usize], features: impl Into<Features>) -> Dataset {
    Dataset::new("d", shape, features, Answers::None).unwrap()
}

fn all(data: &Dataset) -> Vec<f32> {
    let mut rows = vec![0.0; data.rows() * data.width()];
    rows.chunks_mut(data.width()).enumerate().for_each(|(i, row)| data.write_row(i, row));
    rows
}

#[test]
fn means_and_deviations_are_those_of_columns() {
    // Columns 1 3, 10 10 and -2e38 2e38.
    let data = dataset(&[3], vec![1.0, 10.0, -2e38, 3.0, 10.0, 2e38]);
    let scaling = Scaling::of(&data);
    assert_eq!(scaling.mean, [2.0, 10.0, 0.0]);
    assert_eq!(scaling.scale, [1.0, 1.0, 2e38]);
    let scaled = data.clone().scaled(scaling.clone()).unwrap();
    assert_eq!(all(&scaled), [-1.0, 0.0, -1.0, 1.0, 0.0, 1.0]);
    assert_eq!(
        (scaled.scaling(), scaled.schema().scaling.as_ref()),
        (Some(&scaling), Some(&scaling))
    );
    // That of rows as they were, and in place of the first.
    assert_eq!(Scaling::of(&scaled), scaling);
    assert_eq!(scaled.clone().scaled(scaling).unwrap(), scaled);
    assert_eq!(all(&scaled.head(1).unwrap()), [-1.0, 0.0, -1.0]);
}

/// Targets have scales of their own, which batches have applied and the data set itself has not.
#[test]
fn targets_are_scaled_in_batches_alone() {
    let answers = Answers::Values { values: vec![1.0, 500.0, 3.0, 500.0], outputs: 2 };
    let data = Dataset::new("d", &[1], vec![0.0, 1.0], answers).unwrap();
    let scaling = Scaling::of_targets(&data).unwrap();
    assert_eq!((&scaling.mean[..], &scaling.scale[..]), (&[2.0, 500.0][..], &[1.0, 1.0][..]));
    let scaled = data.clone().with_scaled_targets(scaling.clone()).unwrap();
    assert_eq!(scaled.targets(1), [3.0, 500.0]);
    assert_eq!(scaled.head(1).unwrap().target_scaling(), Some(&scaling));
    assert_eq!(Scaling::of_targets(&scaled).unwrap(), scaling);
    let (mut batch, mut batches) = (Batch::default(), Batches::new(scaled, 3, None).unwrap());
    assert!(batches.next_batch(&mut batch).unwrap());
    assert_eq!(batch.targets, [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    scaling.undo(&mut batch.targets[..4]);
    assert_eq!(batch.targets[..4], [1.0, 500.0, 3.0, 500.0]);

    let wide = Scaling { mean: vec![0.0; 3], scale: vec![1.0; 3] };
    fails(data.clone().with_scaled_targets(wide), &["3 means", "need 2", "targets of a row"]);
    let zero = Scaling { mean: vec![0.0; 2], scale: vec![1.0, 0.0] };
    fails(data.with_scaled_targets(zero), &["target 1 has mean 0 and scale 0"]);
    let classes = Dataset::new("c", &[1], vec![0.0; 2], Answers::classes([0_u32, 1], 2)).unwrap();
    fails(Scaling::of_targets(&classes), &["c is for classification", "regression"]);
    fails(classes.with_scaled_targets(scaling), &["only the targets of a regression"]);
}

/// A value that no sum holds exactly is no deviation.
#[test]
fn a_constant_column_is_divided_by_one() {
    let data = dataset(&[1], vec![0.1; 1001]);
    let scaling = Scaling::of(&data);
    assert_eq!((&scaling.mean[..], &scaling.scale[..]), (&[0.1][..], &[1.0][..]));
    assert!(all(&data.scaled(scaling).unwrap()).iter().all(|&x| x == 0.0));
    let tiny = dataset(&[1], vec![0.0, 6e-45]);
    assert_eq!(Scaling::of(&tiny).scale, [1.0]);
}

/// The last extent of images are channels: one mean each, whatever the size.
#[test]
fn channels_of_images_are_scaled() {
    let bytes = Features::U8 { bytes: vec![0, 10, 4, 20, 0, 30, 4, 40], scale: 0.5 };
    let data = dataset(&[2, 1, 2], bytes);
    let scaling = Scaling::of(&data);
    assert_eq!((&scaling.mean[..], scaling.scale[0]), (&[1.0, 12.5][..], 1.0));
    assert_eq!(scaling.scale[1], 31.25_f32.sqrt());
    let scaled = all(&data.scaled(scaling.clone()).unwrap());
    for (i, x) in [5.0, 10.0, 15.0, 20.0].into_iter().enumerate() {
        assert!((scaled[2 * i + 1] - (x - 12.5) / 31.25_f32.sqrt()).abs() < 1e-6);
    }
    assert_eq!([scaled[0], scaled[2], scaled[4], scaled[6]], [-1.0, 1.0, -1.0, 1.0]);

    // After crop and change, on rows of numbers too.
    let augment = Augment { flip: false, brightness: 0.0, contrast: [1.0, 1.0] };
    let images = Images { crop: [1, 1], standardise: false, augment: Some(augment) };
    let numbers = dataset(&[2, 1, 2], vec![0.0, 5.0, 2.0, 10.0]).with_images(images).unwrap();
    let numbers = numbers.scaled(scaling).unwrap();
    assert_eq!(all(&numbers)[0], -1.0);
    let mut source = Batches::new(numbers, 1, Some(1)).unwrap().augment(true);
    let (mut batch, mut seen) = (Batch::default(), [false; 2]);
    for _ in 0..20 {
        source.next_batch(&mut batch).unwrap();
        let first = batch.features[0];
        assert!([-1.0, 1.0].contains(&first), "{first}");
        seen[usize::from(first > 0.0)] = true;
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn a_scaling_of_other_rows_is_refused() {
    let data = || dataset(&[2], vec![1.0, 2.0]);
    let with = |mean: &[f32], scale: &[f32]| {
        let (mean, scale) = (mean.to_vec(), scale.to_vec());
        data().scaled(Scaling { mean, scale })
    };
    fails(with(&[0.0], &[1.0]), &["`scaling`: has 1 means and 1 scales, the rows need 2"]);
    fails(with(&[0.0; 2], &[1.0]), &["has 2 means and 1 scales"]);
    fails(with(&[0.0, f32::NAN], &[1.0; 2]), &["feature 1 has mean NaN and scale 1"]);
    fails(with(&[0.0; 2], &[0.0, 1.0]), &["feature 0 has mean 0 and scale 0"]);
    fails(with(&[0.0; 2], &[1.0, -1.0]), &["feature 1", "scale -1"]);
    fails(with(&[0.0; 2], &[1.0, f32::INFINITY]), &["feature 1", "scale inf"]);
    let scaling = || Scaling { mean: vec![0.0; 2], scale: vec![1.0; 2] };
    let tokens = dataset(&[2], Features::Tokens(vec![1, 2])).scaled(scaling());
    fails(tokens, &["`scaling`: d has rows of tokens"]);
    let text = Dataset::text("t", &[0, 1, 0], ['a', 'b'], 2).unwrap().scaled(scaling());
    fails(text, &["t has rows of tokens"]);
}
