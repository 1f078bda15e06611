//! What a checkpoint costs the run that it is taken of.
use crate::shared::Shared;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use secateur::data::{Answers, Dataset, Features};
use secateur::storage::{Encoding, Tensor, TensorData, read_floats};
use secateur::train::Event;
use secateur::{
    Batches, Gpu, MaskUpdateOp, Model, Optimizer, Result, TrainOp, TrainOptions, train,
};

use super::rows::Rows;

/// `stall`: how long training stands still for one save, submission of the copies and receipt of
/// the bytes together, of a model with Adam. `saving` and `not saving`: a step of the largest model
/// with a save begun every second (or as soon as the one before is done), and without, each the
/// mean of a dozen.
pub fn checkpoint(rows: &mut Rows<'_>, models: &[(&str, &[u32])]) {
    let gpu = rows.gpu;
    for &(name, widths) in models {
        rows.row("checkpoint", &format!("stall/{name}"), None, |saves| stall(gpu, widths, saves));
    }
    let &(name, widths) = models.last().expect("a model");
    for (row, interval) in [("not saving", 0.0), ("saving", 1.0)] {
        rows.row("checkpoint", &format!("{row}/{name}"), None, |steps| {
            const DOZEN: u32 = 12;
            Ok(seconds(gpu, widths, steps * u64::from(DOZEN), interval)? / DOZEN)
        });
    }
}

/// A safetensors file of `megabytes` in f32, in tensors of 64 MB at most: `read` brings it into new
/// memory as it is, and `load` makes tensors of it. Both read from the system's cache, because the
/// file has just been written.
pub fn load(rows: &mut Rows<'_>, megabytes: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let part = megabytes.min(64);
    let tensor = |at: usize| Tensor {
        name: format!("w{at}"),
        shape: vec![part, 250_000],
        data: TensorData::F32((0..part * 250_000).map(|i| (at + i) as f32).collect()),
    };
    let tensors: Vec<Tensor> = (0..megabytes / part).map(tensor).collect();
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    let encoding = Encoding::new("model", &tensors, None).expect("tensors");
    encoding.write(&mut file).and_then(|()| file.flush()).expect("room on the disk");
    drop(tensors);
    let times = |repetitions: u64, once: &dyn Fn() -> Result<()>| {
        let began = Instant::now();
        (0..repetitions).try_for_each(|_| once())?;
        Ok(began.elapsed())
    };
    let read = || {
        drop(black_box(std::fs::read(&path).expect("the file")));
        Ok(())
    };
    let name = |what: &str| format!("{what}/{megabytes} MB");
    rows.row("checkpoint", &name("read"), None, |n| times(n, &read));
    let load = || read_floats(&path).map(|floats| drop(black_box(floats)));
    rows.row("checkpoint", &name("load"), None, |n| times(n, &load));
}

fn train_op<'a>(gpu: &Gpu, widths: &[u32]) -> Result<TrainOp<'a>> {
    let bytes = (0..256 * 784_usize).map(|i| (i * i % 251) as u8).collect();
    let answers = Answers::classes((0..256_u32).map(|i| i % 10), 10);
    let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
    let dataset = Dataset::new("made-up", &[784], features, answers)?;
    let batches = Batches::new(dataset, 32, Some(1))?;
    TrainOp::new(gpu, &Model::mlp(widths), Optimizer::adam(1e-4), batches, 1)
}

/// The stalls of `saves` saves together. The first save, which makes the staging, is left out.
fn stall(gpu: &Gpu, widths: &[u32], saves: u64) -> Result<Duration> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Shared::new(Vec::new());
    let options = TrainOptions::default()
        .save_every_n_steps(Some(1))
        .max_to_keep(1)
        .log_every_n_steps(None)
        .stop(Some(stop.clone()))
        .on_event(Some(Box::new(|event| {
            if let Event::Checkpoint { stall_seconds, .. } = event {
                seen.borrow_mut().push(Duration::from_secs_f64(*stall_seconds));
                let done = seen.borrow().len() as u64 > saves;
                stop.fetch_or(done, std::sync::atomic::Ordering::Relaxed);
            }
        })));
    train(train_op(gpu, widths)?, Some(folder.path()), MaskUpdateOp::none(), options)?;
    let stalls = seen.borrow();
    Ok(stalls.iter().skip(1).take(saves as usize).sum())
}

/// Wall time of `steps` steps, without the save at the end.
fn seconds(gpu: &Gpu, widths: &[u32], steps: u64, interval: f64) -> Result<Duration> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = TrainOptions::default()
        .number_of_steps(Some(steps))
        .save_interval_secs(interval)
        .max_to_keep(1)
        .log_every_n_steps(None);
    let op = train_op(gpu, widths)?;
    let outcome = train(op, Some(folder.path()), MaskUpdateOp::none(), options)?;
    Ok(Duration::from_secs_f64(outcome.seconds))
}
