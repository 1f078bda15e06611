//! Values that lie beside the tokens of each row.
use super::fails;
use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset, Features, TokenWindows};

/// Rows of 3 tokens, each with twice its first token beside it, and a half more.
fn rows() -> Dataset {
    let tokens = TokenWindows::new((0..31).map(|i| i * 10).collect(), 3).unwrap();
    let tokens = tokens.dataset(310).unwrap();
    let values = (0..tokens.rows()).flat_map(|i| [60.0 * i as f32, 60.0 * i as f32 + 0.5]);
    tokens.with_beside(values.collect(), "teacher").unwrap()
}

#[test]
fn they_stay_with_their_tokens_in_every_order() {
    let data = rows();
    assert_eq!((data.rows(), data.width(), data.beside()), (10, 5, 2));
    assert_eq!((data.feature_shape(), data.schema().shape), (&[5][..], vec![5]));
    let right = |row: &[f32], first: f32| {
        row == [first, first + 10.0, first + 20.0, 2.0 * first, 2.0 * first + 0.5]
    };
    let mut batches = Batches::new(data.clone(), 4, Some(3)).unwrap();
    let (mut batch, mut seen) = (Batch::default(), Vec::new());
    for _ in 0..3 {
        batches.next_batch(&mut batch).unwrap();
        for (i, row) in batch.features.chunks(5).take(batch.rows).enumerate() {
            assert!(right(row, row[0]), "{row:?}");
            assert_eq!(batch.labels[i * 3], row[1] as u32);
            seen.push(row[0] as u32);
        }
    }
    assert!(!seen.is_sorted(), "nothing was shuffled");
    seen.sort_unstable();
    assert_eq!(seen, (0..10).map(|i| 30 * i).collect::<Vec<u32>>());
    let mut row = [0.0; 5];
    data.split(0.3, 1).unwrap().test.write_row(2, &mut row);
    assert!(right(&row, row[0]) && row[0] > 0.0, "{row:?}");
}

/// The values are a device's to the last bit, so that it is told by where they come from.
#[test]
fn rows_are_told_by_where_the_values_come_from() {
    let tokens = TokenWindows::new((0..31).collect(), 3).unwrap().dataset(31).unwrap();
    let with = |value: f32, of: &str| {
        let values = vec![value; tokens.rows()];
        tokens.clone().with_beside(values, of).unwrap().fingerprint()
    };
    assert_eq!(with(1.0, "a"), with(2.0, "a"));
    assert_ne!(with(1.0, "a"), with(1.0, "b"));
    assert_ne!(with(1.0, ""), tokens.fingerprint());
}

#[test]
fn what_cannot_lie_beside_rows_is_named() {
    let tokens = TokenWindows::new((0..31).collect(), 3).unwrap().dataset(31).unwrap();
    let with = |data: &Dataset, values: &[f32]| data.clone().with_beside(values.to_vec(), "a");
    fails(with(&tokens, &[1.0; 11]), &["beside", "11 values for 10 rows of tokens"]);
    fails(with(&tokens, &[]), &["0 values for 10 rows"]);
    let mut values = [1.0; 20];
    values[13] = f32::NAN;
    fails(with(&tokens, &values), &["row 6, value 1 is NaN, must be finite"]);
    fails(with(&rows(), &[1.0; 10]), &["rows of tokens are no tokens without anything beside"]);
    let floats = Dataset::new("floats", &[2], vec![1.0; 4], Answers::None).unwrap();
    fails(with(&floats, &[1.0; 2]), &["rows of floats are no tokens"]);
    let square = Dataset::new("square", &[2, 2], Features::Tokens(vec![1; 8]), Answers::None);
    fails(with(&square.unwrap(), &[1.0; 2]), &["rows of square are [2, 2], no tokens"]);
}
