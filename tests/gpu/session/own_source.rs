//! A source of batches of one's own: trained on, evaluated on, and spoilt.
use std::sync::Arc;

use secateur::data::{Batch, BatchSource, Batches, Cursor, Dataset, Task};
use secateur::train::{TrainOptions, train};
use secateur::{Error, Model, Optimizer, Result, TrainOp};

use super::{classes, regression};
use crate::common::gpu;

/// What is done to a batch.
type Spoil = fn(&mut Batch);

/// Some batches of another source, of which one may be spoilt.
struct Own {
    inner: Batches,
    given: u64,
    spoil: Option<(u64, Spoil)>,
}

impl BatchSource for Own {
    fn name(&self) -> &str {
        "sensors"
    }

    fn batch_size(&self) -> usize {
        self.inner.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.inner.shape()
    }

    fn task(&self) -> Task {
        self.inner.task()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        let there = self.inner.next_batch(batch)?;
        if let Some((_, spoil)) = self.spoil.filter(|(at, _)| *at == self.given) {
            spoil(batch);
        }
        self.given += 1;
        Ok(there)
    }

    fn cursor(&self) -> Cursor {
        self.inner.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.inner.seek(cursor)
    }
}

fn own(data: &Arc<Dataset>, spoil: Option<(u64, Spoil)>) -> Own {
    Own { inner: Batches::new(Arc::clone(data), 16, Some(3)).unwrap(), given: 0, spoil }
}

#[test]
fn an_own_source_trains_and_is_evaluated() {
    let Some(gpu) = gpu() else { return };
    let data = regression();
    let train_op =
        TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), own(&data, None), 3).unwrap();
    let options = TrainOptions::default().number_of_steps(Some(20));
    let session = train(train_op, None, secateur::MaskUpdateOp::none(), options).unwrap().session;
    let found = session.evaluate_batches(&mut own(&data, None)).unwrap();
    let want = session.evaluate(&data).unwrap();
    assert_eq!(found.rows, want.rows);
    // The same rows in another order.
    assert!((found.loss - want.loss).abs() <= 1e-6 * want.loss, "{found:?}, {want:?}");
    let error = session.evaluate_batches(&mut own(&classes(3), None)).unwrap_err().to_string();
    assert!(error.contains("sensors is for classification into 3 classes"), "{error}");
}

/// Nothing is trained on a malformed batch, the steps before it are saved, and the error names
/// source, batch and row.
#[test]
fn malformed_batches_are_named_and_cost_nothing() {
    let Some(gpu) = gpu() else { return };
    let cases: [(Spoil, &str); 5] = [
        (|b| b.features.truncate(7), "has 7 features"),
        (|b| b.features.push(0.0), "has 81 features"),
        (|b| b.features[12] = f32::INFINITY, "row 2, feature 2 is inf"),
        (|b| b.labels[4] = 9, "row 4, position 0: label 9 must be below 3"),
        (|b| b.rows = 17, "has 17 valid rows"),
    ];
    for (spoil, what) in cases {
        let (folder, data) = (tempfile::tempdir().unwrap(), classes(3));
        let source = own(&data, Some((4, spoil)));
        let train_op =
            TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), source, 3).unwrap();
        let options = TrainOptions::default().number_of_steps(Some(9));
        let none = secateur::MaskUpdateOp::none();
        let error = train(train_op, Some(folder.path()), none, options).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Batch { batch: 4, .. }), "{text}");
        assert!(text.contains("sensors") && text.contains(what), "{text}");
        let saved = secateur::checkpoint::newest(folder.path()).unwrap().unwrap();
        assert_eq!(saved.manifest.global_step, 4, "{what}");
    }
}
