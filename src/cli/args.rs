//! What can be written on the command line.
mod adapters;
mod eval;
mod export;
mod generate;
mod report;
mod shell;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use secateur::error::Bytes;
use secateur::gpu::Precision;
use secateur::pretrained::{Allocate, RemoveOptions};
use secateur::settings::{Share, Value};
use secateur::train::Recipe;

use super::data::Data;
use super::given::Given;
use super::ranking::{Ranking, ranking};
use super::replicas::Replicas;

use adapters::SELF_TEST_EXAMPLES;
pub use adapters::{Bench, Devices, SelfTest};
pub use eval::Eval;
pub use export::{Export, OnDevice, Packed};
use generate::GENERATE_EXAMPLES;
pub use generate::Generate;
pub use report::{Report, Sweep};
use shell::{COMPLETIONS_EXAMPLES, MAN_EXAMPLES};
pub use shell::{Completions, Man};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 ran but missed a stated check; 2 wrong usage or an error;
70 a defect of the program: it panicked; 71 ranks that train together stand still (--watchdog);
72 the GPU device was lost, and again when it was opened afresh;
73 checkpoints present but none valid; 74 logdir in use by another process; 129, 130 or 143
ended by SIGHUP (on Linux; not under nohup), SIGINT or SIGTERM: training after the step in hand
and a checkpoint (a second one: at once), other commands once what they were writing is removed.
Of several ranks the one that fails has its code, and the others, which it ends, 2 or none.
SIGUSR1 writes a checkpoint, and training goes on.

Environment: SECATEUR_ADAPTER (part of an adapter's name), SECATEUR_ADAPTER_INDEX (which of several,
from 0), SECATEUR_BACKEND (vulkan, metal, dx12), SECATEUR_POWER (high, low), SECATEUR_TIMEOUT
(seconds after which a device counts as hung), SECATEUR_PRECISION (f32, mixed), SECATEUR_MEMORY
(most bytes that a plan may take on the device, like 2GiB).";

/// Train and prune neural networks on any GPU.
///
/// Without a command: trains and prunes a small network on the embedded digits.
#[derive(Debug, Parser)]
#[command(name = "secateur", version, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network, pruning it on a schedule.
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(Train),
    /// Loss and accuracy of a checkpoint on a data set.
    #[command(after_help = "Example:\n  secateur eval logs/digits-001 --data digits --json")]
    Eval(Eval),
    /// What a trained network answers on new rows.
    #[command(
        after_help = "Examples:\n  secateur predict logs/csv-001 --data csv:new.csv -o answers.csv\n  secateur predict model.safetensors --data npz:new.npz -o answers.npy"
    )]
    Predict(Predict),
    /// Text that a pretrained language model writes behind a prompt.
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(Generate),
    /// Write a checkpoint's weights to one file, if asked for without the units that pruning
    /// killed.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Tensors of a safetensors file or a checkpoint, with their zeros.
    #[command(after_help = "Example:\n  secateur inspect logs/digits-001")]
    Inspect(Inspect),
    /// Prune a safetensors file, without training.
    #[command(after_help = PRUNE_EXAMPLES)]
    Prune(Prune),
    /// A page about runs, from their logdirs alone: one file of HTML, side by side where there are
    /// several.
    #[command(after_help = "Examples:\n  secateur report logs/digits-001\n  \
                      secateur report logs/digits-001 logs/digits-002 -o both.html")]
    Report(Report),
    /// Train a recipe with each of some settings, and compare what comes out.
    #[command(after_help = "Examples:\n  \
                      secateur sweep recipes/digits.toml --sparsity 0.5,0.8,0.9 --seeds 3\n  \
                      secateur sweep recipes/digits.toml --set optimizer.lr=0.001,0.002 \
                      --set model=mlp:64,mlp:128")]
    Sweep(Sweep),
    /// Adapters that this machine has, and which one would be taken.
    #[command(after_help = "Example:\n  secateur devices --check")]
    Devices(Devices),
    /// Whether this machine's adapter computes what it should, as a file for a bug report.
    #[command(name = "selftest", after_help = SELF_TEST_EXAMPLES)]
    SelfTest(SelfTest),
    /// How fast the adapter is, and how near to that the kernels come; takes about a minute.
    #[command(after_help = "Example:\n  secateur bench --plot roofline.svg")]
    Bench(Bench),
    /// What a shell needs to complete this command line, on standard output.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(Completions),
    /// Manual pages, one a command.
    #[command(after_help = MAN_EXAMPLES)]
    Man(Man),
}

impl Default for Command {
    fn default() -> Self {
        Self::Train(Train::default())
    }
}

const PRUNE_EXAMPLES: &str = "\
The weights of products are pruned: f32, f16 and bf16, which stay what they are. Of a network of
secateur's own its layers say which these are, of others the names, shapes and dtypes of the field's
layouts: docs/files.md has the tables. Embeddings, heads, routers, norms, statistics and constants
are copied, and so is all metadata; --dry-run says for each tensor what it is taken for, and why.
Quantised files are refused.

Examples:
  secateur prune model.safetensors --dry-run
  secateur prune model.safetensors -o pruned.safetensors --sparsity 0.5
  secateur prune model.safetensors -o pruned.safetensors --pattern 2:4 --include 'lm_head'
  secateur prune model.safetensors.index.json -o pruned/ --sparsity 0.7 --scope global
  secateur prune llama/ -o llama-pruned/ --sparsity 0.5
  secateur prune logs/digits-001/dense -o pruned.safetensors --sparsity 0.6 --score wanda
  secateur prune smollm2/ -o pruned/ --sparsity 0.5 --score sparsegpt --data text:FILE
  secateur prune smollm2/ -o smaller/ --remove channels=0.25 --data text:FILE";

const EXPORT_EXAMPLES: &str = "\
Examples:
  secateur export logs/digits-001 -o small.safetensors --shrink
  secateur eval small.safetensors --data digits
  secateur export pruned.safetensors -o packed.safetensors --format bitmask";

const TRAIN_EXAMPLES: &str = "\
Examples:
  secateur train
  secateur train --data mnist:DIR --model mlp:300-100 --steps 9360 --batch 128 --lr 0.001 \\
    --pruning \"target_sparsity=0.9,pruning_frequency=100,\\
sparsity_function_begin_step=936,sparsity_function_end_step=6552\"
  secateur train --init-recipe --data csv:iris.csv --model mlp:32 > recipe.toml
  secateur train --data csv:iris.csv --label species --standardise --model mlp:32 --steps 2000
  secateur train --data csv:houses.csv --targets price --standardise --model mlp:64-64 --steps 4000
  secateur train recipes/fashion-mnist.toml --data fashion-mnist:DIR --logdir logs/fashion
  secateur train recipes/charlstm.toml --data text:FILE --baseline
  secateur train recipes/chargpt.toml --data text:FILE --recompute 2 --plan
  secateur train --init pruned/ --data text:FILE --length 512 --steps 64 --lr 1e-4 -o recovered/
  mpirun -n 4 secateur train recipes/fashion-mnist.toml --data fashion-mnist:DIR --batch 32";

#[derive(Debug, Default, ClapArgs)]
pub struct Train {
    /// A recipe; options given besides it win over what it says.
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
    #[command(flatten, next_help_heading = "Training")]
    pub options: Given<Recipe>,
    /// Stop after so many passes over the training rows, in place of --steps.
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")]
    pub epochs: Option<u64>,
    /// Folder for checkpoints, events, traces and the recipe; a new one under logs/ by default. A
    /// run that is there goes on by its own recipe, for as many steps as are given.
    #[arg(long, help_heading = "Run")]
    pub logdir: Option<PathBuf>,
    /// Go on with the run of the logdir though settings that are given make it another one: data,
    /// pruning, optimizer, rate, seed, batch. Its recipe until then is kept.
    #[arg(long = "override", help_heading = "Run")]
    pub override_: bool,
    /// Let pruned weights grow again where a run goes on with `--pruning none`; otherwise they stay
    /// pruned.
    #[arg(long, help_heading = "Run")]
    pub drop_masks: bool,
    /// Of a run with --init, the folder to write in the end: as the one that it began with, with
    /// the weights that came out.
    #[arg(short, long, value_name = "FOLDER", help_heading = "Run")]
    pub output: Option<PathBuf>,
    /// Replace an output that is there.
    #[arg(long, requires = "output", help_heading = "Run")]
    pub force: bool,
    /// Print what would be launched and the memory that it takes, and exit. Needs no adapter, but
    /// plans for the one that --adapter names.
    #[arg(long, help_heading = "Run")]
    pub plan: bool,
    /// Print the recipe of this run with a comment for every key, and exit: a file to begin with.
    #[arg(long, conflicts_with_all = ["plan", "epochs"], help_heading = "Run")]
    pub init_recipe: bool,
    /// Print the JSON schema of recipes, by which editors complete and check them, and exit.
    #[arg(long, conflicts_with_all = ["plan", "init_recipe"], help_heading = "Run")]
    pub recipe_schema: bool,
    /// Chrome trace of one step, the second of this call.
    #[arg(long, help_heading = "Run")]
    pub trace: bool,
    /// Show the run on the whole terminal: curves of loss and accuracy, sparsity of each layer,
    /// speed, memory, messages. `q` stops it as Ctrl-C does. Where standard error is no terminal
    /// progress is shown as without it.
    #[arg(long, help_heading = "Run")]
    pub tui: bool,
    /// Train a dense network first, for comparison, in LOGDIR/dense.
    #[arg(long, overrides_with = "no_baseline", help_heading = "Run")]
    pub baseline: bool,
    /// Train no dense network first.
    #[arg(long, help_heading = "Run")]
    pub no_baseline: bool,
    /// Exit with 1 when the test accuracy is below this fraction.
    #[arg(long, help_heading = "Run")]
    pub min_test_accuracy: Option<f64>,
    #[command(flatten)]
    pub replicas: Replicas,
    #[command(flatten, next_help_heading = "Run")]
    pub common: Common,
}

#[derive(Debug, ClapArgs)]
pub struct Predict {
    /// A checkpoint, a logdir (its newest valid checkpoint), a file that `export` wrote, or the
    /// folder of a pretrained model: of images, which takes --data images:DIR, or of texts, which
    /// takes --data text:FILE, a text a line.
    pub model: PathBuf,
    #[command(flatten)]
    pub data: Data,
    /// File to write: *.csv, a line a row, or *.npy, an array of f32. Standard output as CSV where
    /// left out.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Rows in a batch: 256 by default, 16 of a pretrained model.
    #[arg(long)]
    pub batch: Option<usize>,
    /// Of a packed file, which matrices stay packed on the device.
    #[arg(long, value_enum, default_value_t)]
    pub weights: OnDevice,
    /// Of a pretrained model, time so many batches alone, block after block. Networks of secateur's
    /// own are timed anyway, where -o is given.
    #[arg(long, value_name = "N")]
    pub latencies: Option<usize>,
    /// Replace an output that is there.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// A safetensors file, an index (*.index.json) of several, a folder with either, a checkpoint,
    /// or a logdir: its newest valid checkpoint.
    pub file: PathBuf,
    /// Folder for a picture (PNG) of each mask of a checkpoint: white stays, black is pruned.
    #[arg(long)]
    pub pictures: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// What says which weights become zero: whole units have no such choices.
const REMOVE_CONFLICTS: [&str; 9] =
    ["sparsity", "allocate", "scope", "pattern", "score", "axis", "include", "exclude", "only"];

#[derive(Debug, ClapArgs)]
pub struct Prune {
    /// A safetensors file, an index (*.index.json) of several, a folder with either, a checkpoint,
    /// or a logdir: its newest valid checkpoint. With a score that needs data, a network that
    /// secateur has trained.
    pub input: PathBuf,
    /// File to write; for an index or a folder with weights, the folder. Never the input.
    #[arg(short, long, required_unless_present_any = ["dry_run", "plan"])]
    pub output: Option<PathBuf>,
    /// Say what each tensor is taken for, why, and what would become of it; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Share of the weights to prune, 0 to 1: exactly round(N * sparsity), lowest |w| first, of
    /// equal ones the later first, infinite ones last; also in percent, like 50%. N:M patterns say
    /// it themselves.
    #[arg(long, value_parser = share, allow_hyphen_values = true)]
    pub sparsity: Option<f64>,
    /// Of a pretrained model with --data, how the sparsity is divided among its blocks: `uniform`, or
    /// `owl`, less in blocks with more outliers. These are weights whose |w| times the length of
    /// their input is over M times the mean of their block, in the dense model. `owl:M,LAMBDA` says
    /// M (5) and how far a block may be from --sparsity (0.08).
    #[arg(long, default_value = "uniform", value_name = "RULE")]
    pub allocate: Allocate,
    /// Rank the weights of each tensor, of all of them together, or, with a score that needs data,
    /// of each output unit, as Wanda's paper does: `layer` unless a pretrained model is pruned by
    /// `wanda`.
    #[arg(long, value_enum)]
    pub scope: Option<Scope>,
    /// `unstructured`; `N:M` like 2:4: of every M along the inputs of a sum N are left, and weights
    /// whose inputs M does not divide stay dense; `N:MxV` like 8:32x32: the same N of every M for V
    /// neighbouring outputs, by the mean of their |w|; or `block:HxW` like block:4x4: by the mean of
    /// |w| over blocks of a matrix, the last axis being its columns.
    #[arg(long, default_value = "unstructured")]
    pub pattern: String,
    /// What ranks the weights: `magnitude`; or by running data through a network that secateur has
    /// trained (a checkpoint, a logdir, or what `export` wrote): `wanda`, |w| times the length of
    /// its input; `saliency`, |w * gradient| of the last batch; `movement`, what a step of descent
    /// would do to |w|. There each output unit keeps its highest weight. Of a pretrained model's
    /// folder with --data text:FILE: `magnitude`, `wanda`, `sparsegpt`, which also moves the
    /// weights that stay, or `admm`, which moves them to where the dense model's outputs are.
    #[arg(long, default_value = "magnitude", value_parser = ranking)]
    pub score: Ranking,
    #[command(flatten)]
    pub data: Data,
    /// With such a score, how many training rows are run through the network.
    #[arg(long, default_value_t = 1024)]
    pub rows: usize,
    /// Of a pretrained model's folder, take out whole heads and channels of every block: shares like
    /// `heads=0.25,channels=0.5`, or numbers like `channels=512`. Tensors and config.json become
    /// smaller; what their loaders cannot be told of is refused. Heads of keys go with all queries
    /// that share them. With --data by what they add on its rows, else by their weights.
    #[arg(long, value_name = "KIND=AMOUNT,...", conflicts_with_all = REMOVE_CONFLICTS)]
    pub remove: Option<RemoveOptions>,
    /// What a share of the channels leaves is a multiple of this: by default the largest power of
    /// two up to 32 that divides the channels and is a sixteenth of them at most.
    #[arg(long, value_name = "N")]
    pub multiple: Option<u32>,
    /// Of a pretrained model, how many windows of the text, texts or images it is calibrated on;
    /// --length says how many tokens a window has, 2048 by default.
    #[arg(long, default_value_t = 128)]
    pub samples: usize,
    /// Of a pretrained model, keep what goes from block to block in a file in this folder, and not
    /// in memory. The file is gone afterwards.
    #[arg(long, value_name = "FOLDER")]
    pub activations: Option<PathBuf>,
    /// Say what pruning a pretrained model takes on the device and on the host; write nothing.
    #[arg(long)]
    pub plan: bool,
    /// The axis of the inputs, along which groups of M run, of all weights: 0 is the first, -1
    /// the last. By default each tensor's name and shape say it.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub axis: Option<isize>,
    /// Prune also the tensors whose name this regular expression is found in, whatever they are.
    #[arg(long, value_name = "REGEX")]
    pub include: Option<String>,
    /// Leave the tensors whose name this regular expression is found in; goes before the others.
    #[arg(long, value_name = "REGEX")]
    pub exclude: Option<String>,
    /// Prune only the weights whose name this regular expression is found in.
    #[arg(long, value_name = "REGEX")]
    pub only: Option<String>,
    /// Replace an output that is there.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

/// What `--scope` takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    #[default]
    Layer,
    Global,
    Unit,
}

impl From<Scope> for secateur::prune::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Layer => Self::Layer,
            Scope::Global => Self::Global,
            Scope::Unit => Self::Unit,
        }
    }
}

#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Common {
    /// Part of the name of the adapter to take.
    #[arg(long)]
    pub adapter: Option<String>,
    /// Which of several adapters to take, from 0: `secateur devices` counts them. Several ranks of
    /// a machine take one GPU each by themselves.
    #[arg(long, value_name = "N")]
    pub adapter_index: Option<usize>,
    /// In what products are computed: f32, or mixed (16-bit floats, added up in 32 bits).
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Refuse before the first step what takes more memory on the device: 2GiB, 500MB or bytes.
    #[arg(long, value_name = "BYTES")]
    pub memory_budget: Option<Bytes>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let mut share = Share(0.0);
    share.set(text).map(|()| share.0)
}
