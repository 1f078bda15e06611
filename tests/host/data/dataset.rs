//! Data sets of any rows: what is kept, what is refused, and what a model is told of them.
use super::{counting, fails, rows};
use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset, Features, Schema, Task};
use secateur::{Error, Result};

fn row(data: &Dataset, i: usize) -> Vec<f32> {
    let mut row = vec![9.0; data.width()];
    data.write_row(i, &mut row);
    row
}

fn of(shape: &[usize], features: impl Into<Features>, answers: Answers) -> Result<Dataset> {
    Dataset::new("d", shape, features, answers)
}

fn values(values: &[f32], outputs: usize) -> Answers {
    Answers::Values { values: values.to_vec(), outputs }
}

#[test]
fn bytes_are_scaled_and_numbers_are_as_they_were() {
    let bytes = Features::U8 { bytes: vec![0, 4, 255, 8], scale: 0.25 };
    let data = of(&[1, 2], bytes, Answers::classes([2_u8, 0], 3)).unwrap();
    assert_eq!((data.name(), data.rows(), data.width()), ("d", 2, 2));
    assert_eq!((data.feature_shape(), data.task()), (&[1, 2][..], Task::classification(3)));
    assert_eq!((row(&data, 1), data.label(0), data.label(1)), (vec![63.75, 2.0], 2, 0));

    let numbers = vec![0.1, -3e38, f32::MIN_POSITIVE, -0.0];
    let data = of(&[2], numbers.clone(), values(&[1.5, -2.0, 0.0, 7.0], 2)).unwrap();
    assert_eq!([row(&data, 0), row(&data, 1)].concat(), numbers);
    assert_eq!((data.targets(0), data.targets(1)), (&[1.5, -2.0][..], &[0.0, 7.0][..]));
    assert_eq!((data.labels(1).len(), data.task()), (0, Task::Regression { outputs: 2 }));
}

#[test]
fn tokens_are_exact_up_to_what_an_f32_holds() {
    for top in [255, 256, (1 << 24) - 1] {
        let data = of(&[2], Features::Tokens(vec![0, top]), Answers::None).unwrap();
        assert_eq!((row(&data, 0), data.task()), (vec![0.0, top as f32], Task::Unlabelled));
        assert_eq!(row(&data, 0)[1] as u32, top);
    }
    let beyond = of(&[2], Features::Tokens(vec![0, 1, 2, 1 << 24]), Answers::None);
    fails(beyond, &["row 1, feature 1 is token 16777216", "below 16777216"]);
}

#[test]
fn labels_may_be_many_and_have_positions() {
    for classes in [256, 257, u32::MAX] {
        let labels = [0, classes - 1, 1, 2];
        let data = of(&[3], vec![0.0; 6], Answers::classes(labels, classes)).unwrap();
        assert_eq!(data.task(), Task::Classification { classes, positions: 2 });
        assert_eq!(data.labels(0).collect::<Vec<_>>(), [0, classes - 1]);
        assert_eq!(data.labels(1).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((data.label(0), data.label(1)), (0, 1));
    }
}

#[test]
fn what_does_not_fit_is_named_with_both_numbers() {
    let none = || Answers::None;
    let bytes = |scale| Features::U8 { bytes: vec![0; 2], scale };
    fails(of(&[], vec![0.0], none()), &["`feature_shape`: []"]);
    fails(of(&[2, 0], vec![], none()), &["`feature_shape`: [2, 0]"]);
    fails(of(&[2], vec![], none()), &["`features`: 0 rows"]);
    fails(of(&[2], bytes(0.0), none()), &["`scale`: 0"]);
    fails(of(&[2], bytes(f32::INFINITY), none()), &["`scale`: inf"]);
    fails(of(&[2], bytes(f32::NAN), none()), &["`scale`: NaN"]);
    fails(of(&[2], vec![0.0; 3], none()), &["d: 3 features", "rows of [2], which have 2"]);
    fails(of(&[usize::MAX, 2], vec![0.0; 3], none()), &["3 features are no whole number"]);
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut features = vec![0.0; 3000];
        features[2999] = value;
        let wanted = format!("`features`: row 999, feature 2 is {name}, must be finite");
        fails(of(&[3], features, none()), &[&wanted]);
    }
    let labels = |labels: &[u8], classes| {
        of(&[2], vec![0.0; 4], Answers::classes(labels.iter().copied(), classes))
    };
    fails(labels(&[0, 2], 2), &["`labels`: row 1 has label 2, of 2 classes"]);
    fails(labels(&[0, 1, 1, 2], 2), &["row 1, position 1 has label 2, of 2 classes"]);
    fails(labels(&[0, 0], 0), &["has label 0, of 0 classes"]);
    fails(labels(&[0, 1, 0], 2), &["`labels`: 3 for 2 rows"]);
    fails(labels(&[], 2), &["`labels`: 0 for 2 rows"]);
    let targets = |answers| of(&[2], vec![0.0; 4], answers);
    fails(targets(values(&[1.0; 3], 2)), &["`values`: 3 values for 2 rows of 2"]);
    fails(targets(values(&[], 0)), &["`values`: 0 values for 2 rows of 0"]);
    fails(targets(values(&[1.0, f32::NAN], 1)), &["row 1, target 0 is NaN, must be finite"]);
    let flags = |flags: &[f32], labels| targets(Answers::Labels { flags: flags.to_vec(), labels });
    fails(flags(&[1.0, 0.0, 0.5, 1.5], 2), &["row 1, target 1 is 1.5, must be in 0 to 1"]);
    fails(flags(&[f32::NAN, 0.0], 1), &["row 0, target 0 is NaN, must be in 0 to 1"]);
    fails(flags(&[1.0; 2], 2), &["`flags`: 2 values for 2 rows of 2"]);
    assert_eq!(flags(&[1.0; 4], 2).unwrap().task(), Task::MultiLabel { labels: 2 });
}

#[test]
fn head_keeps_the_first_rows() {
    let data = counting(5);
    assert_eq!(rows(&data.head(2).unwrap(), 1.0), rows(&data, 1.0)[..2]);
    assert_eq!(data.head(1).unwrap().task(), Task::classification(2));
    assert_eq!(data.head(9).unwrap(), data);
    fails(data.head(0), &["`head`: 0 rows"]);
    let data = of(&[1], vec![1.0, 2.0, 3.0], values(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2)).unwrap();
    let head = data.head(2).unwrap();
    assert_eq!((head.rows(), row(&head, 1), head.targets(1)), (2, vec![2.0], &[3.0, 4.0][..]));
}

/// Batches of targets: values where they belong, zeros after the last row, and no labels.
#[test]
fn batches_carry_targets() {
    let data = of(&[1], vec![1.0, 2.0, 3.0], values(&[1.0, -1.0, 2.0, -2.0, 3.0, -3.0], 2));
    let mut source = Batches::new(data.unwrap(), 2, None).unwrap();
    let mut batch = Batch::default();
    batch.labels = vec![7; 9];
    for (rows, features, targets) in
        [(2, [1.0, 2.0], [1.0, -1.0, 2.0, -2.0]), (1, [3.0, 0.0], [3.0, -3.0, 0.0, 0.0])]
    {
        assert!(source.next_batch(&mut batch).unwrap());
        assert_eq!(
            (batch.rows, &batch.features[..], &batch.targets[..]),
            (rows, &features[..], &targets[..])
        );
        assert!(batch.labels.is_empty());
        batch.check(source.name(), 1, 2, 1, source.task()).unwrap();
    }
}

/// A source is one behind a pointer too.
#[test]
fn sources_pass_through_pointers() {
    let mut bare = Batches::new(counting(4), 2, None).unwrap();
    let mut boxed: Box<dyn BatchSource> = Box::new(bare.clone());
    fn next(mut source: impl BatchSource) -> (String, usize, Task, Batch) {
        let mut batch = Batch::default();
        assert!(source.next_batch(&mut batch).unwrap());
        (source.name().to_owned(), source.width(), source.task(), batch)
    }
    for _ in 0..3 {
        assert_eq!(next(&mut boxed), next(&mut bare));
    }
    assert_eq!(boxed.cursor(), bare.cursor());
    boxed.seek(Default::default()).unwrap();
    assert_ne!(boxed.cursor(), bare.cursor());
}

#[test]
fn a_schema_says_what_rows_are() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let data = of(&[2], vec![0.0; 4], Answers::classes([0_u8, 2], 3)).unwrap();
    let data = data.with_columns(names(&["height", "width"])).unwrap();
    let data = data.with_class_names(names(&["a", "b", "c"])).unwrap();
    let data = data.with_target_names(names(&["kind"])).unwrap();
    let schema = data.head(1).unwrap().schema();
    assert_eq!((&schema.shape[..], schema.task), (&[2][..], Task::classification(3)));
    assert_eq!((schema.columns.len(), &schema.targets[..]), (2, &["kind".to_owned()][..]));
    assert_eq!(schema.class_names, ["a", "b", "c"]);
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    let text = toml::to_string(&schema).unwrap();
    assert_eq!(toml::from_str::<Schema>(&text).unwrap(), schema);
    assert!(serde_json::from_str::<Schema>(&json.replacen("columns", "colums", 1)).is_err());

    fails(data.clone().with_columns(names(&["x"])), &["`columns`: 1 names for 2 features"]);
    fails(data.clone().with_class_names(names(&["x"])), &["`class_names`: 1 names for 3 classes"]);
    let two = data.with_target_names(names(&["x", "y"]));
    assert!(matches!(fails(two, &["`targets`: 2 names for 1"]), Error::Argument { .. }));
    let letters = ['a', 'é'];
    let text = Dataset::text("t", &[0, 1, 0], letters, 2).unwrap();
    assert_eq!(text.schema().alphabet.as_deref(), Some("aé"));
}

#[test]
fn tasks_say_themselves_in_words() {
    let said = [
        (Task::classification(10), "classification into 10 classes"),
        (
            Task::Classification { classes: 65, positions: 64 },
            "classification into 65 classes at 64 positions of a row",
        ),
        (Task::MultiLabel { labels: 3 }, "multi-label classification by 3 labels"),
        (Task::Regression { outputs: 1 }, "regression of 1 value"),
        (Task::Regression { outputs: 2 }, "regression of 2 values"),
        (Task::Unlabelled, "rows without answers"),
    ];
    for (task, words) in said {
        assert_eq!(task.to_string(), words);
        let json = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&json).unwrap(), task, "{json}");
        assert_eq!(task.classes().is_some(), task.positions() > 0);
    }
}
