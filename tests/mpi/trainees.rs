//! What each rank does that trains through the library.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secateur::comm::Comm;
use secateur::data::{Batch, BatchSource, Batches, Cursor, Task, digits};
use secateur::train::replicas::SyncReplicas;
use secateur::train::{TrainOptions, TrainOutcome, train};
use secateur::{Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp};

use crate::paths;
use crate::scenarios::connected;

/// As the scenario `name` says.
pub fn trains(name: &str) {
    let comm = connected();
    let sync = |gradients| Some(SyncReplicas::default().replicas_to_aggregate(gradients));
    let (sync, calls) = match name {
        "trains_and_panics_in_step" => (sync(None), 40),
        "trains_and_panics_async" => (None, 10),
        "masks_in_step" => (sync(None), u64::MAX),
        "masks_with_backup" => (sync(Some(2)), u64::MAX),
        "masks_async" => (None, u64::MAX),
        other => panic!("no scenario {other}"),
    };
    let outcome = run(&comm, sync, calls).unwrap();
    let mut hash = DefaultHasher::new();
    outcome.session.masks().unwrap().hash(&mut hash);
    println!("\nrank {} has masks {:016x}", comm.rank(), hash.finish());
}

/// 400 steps, whose masks come to rest after 50. On rank 1 the source panics when its position has
/// been asked for or set so many times.
fn run(comm: &Arc<dyn Comm>, sync: Option<SyncReplicas>, calls: u64) -> Result<TrainOutcome> {
    let calls = if comm.rank() == 1 { calls } else { u64::MAX };
    let inner = Batches::new(digits().train, 16, Some(1))?;
    let batches = Breaks { inner, left: AtomicU64::new(calls) };
    let gpu = Gpu::open(&GpuOptions::from_env()?.cache_dir(Some(paths::cache())))?;
    let op = TrainOp::new(&gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1)?;
    let spec = "pruning_frequency=5,sparsity_function_end_step=40,end_pruning_step=50".parse()?;
    let options = TrainOptions::default()
        .comm(Some(Arc::clone(comm)))
        .sync_optimizer(sync)
        .share_adapter(true)
        .number_of_steps(Some(400));
    train(op, None, Pruning::new(spec)?.conditional_mask_update_op(), options)
}

/// The library takes panics of a source's batches for errors, but not these.
struct Breaks {
    inner: Batches,
    left: AtomicU64,
}

impl Breaks {
    fn count(&self) {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        assert!(left > 0, "planted: of rank 1");
    }
}

impl BatchSource for Breaks {
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
        self.inner.next_batch(batch)
    }

    fn cursor(&self) -> Cursor {
        self.count();
        self.inner.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.count();
        self.inner.seek(cursor)
    }
}
