//! Steps of `train` on made-up data.
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::Work;
use crate::Result;
use crate::data::{Answers, Batch, BatchSource, Batches, Cursor, Dataset, Features, Task};
use crate::gpu::Gpu;
use crate::graph::Padding;
use crate::kernels::Pruned;
use crate::nn::Model;
use crate::nn::layers::{Conv, Flatten, Layer, Linear, Pool};
use crate::optim::Optimizer;
use crate::prune::{MaskUpdateOp, Pruning, PruningSpec};
use crate::train::{TrainOp, TrainOptions, train};

/// A network, rows that fit it, and how it is trained.
#[derive(Debug, Clone)]
pub struct TrainStep {
    /// Network, batch and optimizer, for rows of results.
    pub name: String,
    /// The network.
    pub model: Model,
    /// Its rows.
    pub data: Arc<Dataset>,
    /// Rows of a batch.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// What becomes of 90 % of the weights, which the first step prunes; `None` where none is.
    pub pruned: Option<Pruned>,
    /// Rows and columns of the blocks that are pruned: single weights where they are 1.
    pub block: [u32; 2],
    /// What a step has to do; `None` where nobody has counted.
    pub work: Option<Work>,
}

impl TrainStep {
    /// An MLP 784-`hidden`-10.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for an optimizer without such a name.
    pub fn mlp(hidden: &[u32], batch: usize, optimizer: &str) -> Result<Self> {
        let widths = [&[784], hidden, &[10]].concat();
        let layers = widths.windows(2).map(|w| Counted::new(1, w[0], w[1])).collect::<Vec<_>>();
        let named: Vec<_> = widths.iter().map(u32::to_string).collect();
        Self::digits(&named.join("-"), Model::mlp(hidden), &layers, batch, optimizer)
    }

    /// The small CNN of many tutorials: 3x3 convolutions of 32 and 64 outputs with ReLU, each
    /// before a pooling by 2, and fully connected layers of 128 and 10 outputs.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for an optimizer without such a name.
    pub fn cnn(batch: usize, optimizer: &str) -> Result<Self> {
        let pool = || Pool::max(2, 2, Padding::Valid).into();
        let model: Vec<Layer> = vec![
            Conv::new(32, 3).into(),
            pool(),
            Conv::new(64, 3).into(),
            pool(),
            Flatten {}.into(),
            Linear::new(128).into(),
            Linear::logits().into(),
        ];
        let layers = [
            Counted::new(28 * 28, 9, 32),
            Counted::new(14 * 14, 9 * 32, 64),
            Counted::new(1, 7 * 7 * 64, 128),
            Counted::new(1, 128, 10),
        ];
        Self::digits("cnn", Model::Layers(model), &layers, batch, optimizer)
    }

    /// Of images of 28x28 in ten classes.
    fn digits(
        name: &str,
        model: Model,
        layers: &[Counted],
        batch: usize,
        optimizer: &str,
    ) -> Result<Self> {
        let name = format!("{name}, batch {batch}, {optimizer}");
        let optimizer = Optimizer::named(optimizer, 1e-3)?;
        let rows = batch.max(1024);
        let features = (0..rows * 784).map(|i| (i * i % 251) as u8).collect();
        let features = Features::U8 { bytes: features, scale: 1.0 / 255.0 };
        let answers = Answers::classes((0..rows).map(|i| (i % 10) as u32), 10);
        let data = Dataset::new("made-up", &[28, 28], features, answers)?;
        let work = Some(work(layers, batch, optimizer.slots().len()));
        let (pruned, block) = (None, [1; 2]);
        Ok(Self { name, model, data: Arc::new(data), batch, optimizer, pruned, block, work })
    }

    /// The same with 90 % of the weights pruned in the mode `zero`.
    #[must_use]
    pub fn masked(self) -> Self {
        Self { pruned: Some(Pruned::Zero), ..self }
    }

    /// The same with 90 % of the weights pruned in the mode `zero`, in blocks of so many rows and
    /// columns: products leave out what they can.
    #[must_use]
    pub fn masked_blocks(self, block: [u32; 2]) -> Self {
        let name = format!("{}, blocks of {}x{}", self.name, block[0], block[1]);
        Self { name, block, ..self.masked() }
    }

    /// `dense`, or `masked` with the mode where it is not `zero`.
    pub fn how(&self) -> &'static str {
        match self.pruned {
            None => "dense",
            Some(Pruned::Zero) => "masked",
            Some(Pruned::Revive) => "masked, revive",
            Some(Pruned::Freeze) => "masked, freeze",
            Some(Pruned::Pull) => "masked, pull",
        }
    }

    /// Wall time of `steps` steps, several in flight as training has them. The step before them,
    /// with compilation and the mask update, is left out.
    ///
    /// # Errors
    /// Those of [`train`].
    pub fn time(&self, gpu: &Gpu, steps: u64) -> Result<Duration> {
        let mask_update_op = match self.pruned {
            None => MaskUpdateOp::none(),
            Some(pruned) => Pruning::new(
                PruningSpec::to(0.9)
                    .sparsity_function_end_step(1)
                    .end_pruning_step(1)
                    .block_height(self.block[0].into())
                    .block_width(self.block[1].into())
                    .pruned(pruned),
            )?
            .conditional_mask_update_op(),
        };
        let begin = OnceLock::new();
        let batches = Batches::new(Arc::clone(&self.data), self.batch, Some(1))?;
        let batches = Timed { batches, gpu, asked: 0, begin: &begin };
        let (number_of_steps, log_every_n_steps) = (Some(steps + 1), None);
        let options = TrainOptions { number_of_steps, log_every_n_steps, ..Default::default() };
        let train_op = TrainOp::new(gpu, &self.model, self.optimizer, batches, 1)?;
        let _outcome = train(train_op, None, mask_update_op, options)?;
        Ok(begin.get().map_or(Duration::ZERO, Instant::elapsed))
    }
}

impl fmt::Display for TrainStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.how())
    }
}

/// A layer of products, for counting.
struct Counted {
    places: f64,
    inputs: f64,
    outputs: f64,
}

impl Counted {
    /// `inputs` terms of each of `outputs`, at each of `places` in a row.
    fn new(places: u32, inputs: u32, outputs: u32) -> Self {
        let [places, inputs, outputs] = [places, inputs, outputs].map(f64::from);
        Self { places, inputs, outputs }
    }
}

/// Three products a layer, two for the first, whose input has no gradient; parameters and the
/// `kept` tensors of the optimizer read and written once, and the batch read.
fn work(layers: &[Counted], batch: usize, kept: usize) -> Work {
    let product = |l: &Counted| 2.0 * batch as f64 * l.places * l.inputs * l.outputs;
    let products: f64 = layers.iter().map(product).sum();
    let parameters: f64 = layers.iter().map(|l| (l.inputs + 1.0) * l.outputs).sum();
    let rows = batch as f64 * 785.0;
    Work {
        flops: 3.0 * products - layers.first().map_or(0.0, product),
        bytes: 4.0 * (2.0 * parameters * (1 + kept) as f64 + rows),
    }
}

/// Batches that note when the second step begins, the first being done.
struct Timed<'a> {
    batches: Batches,
    gpu: &'a Gpu,
    asked: u64,
    begin: &'a OnceLock<Instant>,
}

impl BatchSource for Timed<'_> {
    fn batch_size(&self) -> usize {
        self.batches.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.batches.shape()
    }

    fn task(&self) -> Task {
        self.batches.task()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.asked += 1;
        if self.asked == 2 {
            self.gpu.wait()?;
            self.begin.get_or_init(Instant::now);
        }
        self.batches.next_batch(batch)
    }

    fn cursor(&self) -> Cursor {
        self.batches.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.batches.seek(cursor)
    }
}
