//! What is modelled: the workloads of `secateur bench`, and the kernels that steps and mask updates
//! are made of.
use super::machine::{Asked, Contents};
use crate::bench::{CausalAttention, TrainStep, Work, Workload, workload};
use crate::data::Task;
use crate::gpu::{Phase, PlanBuilder, Target};
use crate::kernels::*;
use crate::nn::{Input, Model};
use crate::optim::Optimizer;
use crate::prune::MaskUpdateOp;
use crate::{Result, session};

/// Launches of a target.
type Planned = Box<dyn Fn(Target) -> Result<(PlanBuilder, Phase)>>;

/// A workload to model.
pub struct Subject {
    /// Workload and size.
    pub name: String,
    /// What it cannot do without.
    pub work: Work,
    /// What its bytes are divided by, in words and as a number.
    pub per: (&'static str, f64),
    /// Whether it is for mixed precision.
    pub mixed: bool,
    pub(super) planned: Planned,
    pub(super) contents: Contents,
}

impl Subject {
    fn new(
        name: impl Into<String>,
        work: Work,
        per: (&'static str, f64),
        push: impl Fn(&mut PlanBuilder) -> Result<()> + 'static,
    ) -> Self {
        let planned = move |target| {
            let mut plan = PlanBuilder::new(target);
            let phase = plan.phase("modelled");
            push(&mut plan)?;
            Ok((plan, phase))
        };
        let (name, planned) = (name.into(), Box::new(planned));
        Self { name, work, per, mixed: false, planned, contents: ordinary }
    }

    /// Of bytes alone: `words` of f32 for each of `len` elements.
    fn of_bytes(
        name: impl Into<String>,
        len: u32,
        words: f64,
        push: impl Fn(&mut PlanBuilder) -> Result<()> + 'static,
    ) -> Self {
        let work = Work { flops: 0.0, bytes: 4.0 * words * f64::from(len) };
        Self::new(name, work, ("element", len.into()), push)
    }

    fn of_products(
        name: impl Into<String>,
        work: Work,
        push: impl Fn(&mut PlanBuilder) -> Result<()> + 'static,
    ) -> Self {
        Self::new(name, work, ("multiply-add", work.flops / 2.0), push)
    }

    fn of_step(name: String, work: Work, model: Model, input: Input, batch: usize) -> Self {
        let planned = move |target| {
            let network = model.network(batch, &input)?;
            let adam = Optimizer::named("adam", 1e-3)?;
            let plan = session::plan(&network, adam, &MaskUpdateOp::none(), target)?;
            let phase = plan.phase_named("train").expect("every plan of a session has it");
            Ok((plan, phase))
        };
        let (per, planned) = (("multiply-add", work.flops / 2.0), Box::new(planned));
        Self { name, work, per, mixed: false, planned, contents: ordinary }
    }
}

/// Whole batches.
fn ordinary(asked: Asked<'_>) -> Option<u32> {
    match (asked.operand, asked.word) {
        // As many rows as anybody has; the first step of a mean.
        ("step", 0) => Some(1 << 14),
        ("step", 7) => Some(1),
        ("step", _) => Some(1.0_f32.to_bits()),
        // All are kept.
        ("mask" | "seen", _) => Some(u32::MAX),
        _ => None,
    }
}

/// Each token once.
fn distinct_tokens(asked: Asked<'_>) -> Option<u32> {
    match asked.operand {
        "tokens" => Some((asked.word as f32).to_bits()),
        "ends" => Some(asked.word / 2),
        "links" => Some(u32::MAX),
        _ => ordinary(asked),
    }
}

/// One round that finds the bin, and then a list; half a per cent of the values is in the range, and
/// as many are listed as can be, or nearly so.
fn one_round(asked: Asked<'_>) -> Option<u32> {
    let (low, high) = (0.897_f32.to_bits(), 0.903_f32.to_bits());
    let (listed, words) = (4_000, TOPK_STATE_WORDS);
    // The state of the first of four rounds, or one of those behind it.
    let open = asked.word / words == 4;
    let rank = |word: u32| low + word.wrapping_mul(0x9e37_79b9) % 17;
    match (asked.operand, asked.word) {
        // Launches of a kernel differ.
        ("", _) if asked.kernel.starts_with("topk") => Some(0),
        ("state", word) => match word % words {
            0 | 1 => Some(low),
            2 => Some(if open { high } else { low + 16 }),
            // Of each bin half go.
            3 => Some(700 * listed + listed / 2),
            4 => Some(listed / 2),
            5 => Some(listed),
            6 => Some(if open { TopkState::OPEN } else { TopkState::LISTED }),
            _ => None,
        },
        ("histogram", word) => match word % Round::HISTOGRAM_WORDS {
            0..Selection::BINS_FROM => None,
            _ => Some(listed),
        },
        ("list", word) => match word.checked_sub(2) {
            Some(entry) if entry < Selection::LISTED => Some(rank(entry)),
            Some(entry) => Some((entry - Selection::LISTED) * 997),
            None => None,
        },
        _ => None,
    }
}

/// Everything that `secateur bench --model` prints, or what has `filter` in its name.
pub fn subjects(filter: &str) -> Vec<Subject> {
    let mut all = products();
    all.extend(mixed());
    all.extend(convolutions());
    all.extend(layers());
    all.extend(steps());
    all.extend(masks());
    all.extend(optimizers());
    all.retain(|subject| subject.name.contains(filter));
    all
}

fn workload(of: Workload, push: impl Fn(&mut PlanBuilder) -> Result<()> + 'static) -> Subject {
    let work = of.work().expect("it is counted");
    Subject::of_products(of.to_string(), work, push)
}

fn products() -> Vec<Subject> {
    let of = |form, size| {
        let push = move |plan: &mut PlanBuilder| workload::matmul(plan, form, size).map(|_| ());
        workload(Workload::Matmul { form, size }, push)
    };
    let square = |form, n| of(form, [n; 3]);
    vec![
        square(Form::NN, 512),
        square(Form::NN, 1024),
        square(Form::NN, 4096),
        square(Form::NT, 4096),
        square(Form::TN, 4096),
        of(Form::NN, [128, 300, 784]),
        of(Form::TN, [784, 300, 128]),
        of(Form::NN, [128, 10, 100]),
    ]
}

fn mixed() -> Vec<Subject> {
    let of = |n| {
        let (form, size) = (Form::NN, [n; 3]);
        let push = move |plan: &mut PlanBuilder| workload::f16_matmul(plan, form, size).map(|_| ());
        Subject { mixed: true, ..workload(Workload::F16Matmul { form, size }, push) }
    };
    vec![of(4096)]
}

/// A layer of ResNet-50's first block, and its gradients, in f32 and over halves.
fn convolutions() -> Vec<Subject> {
    let shape = Convolution {
        images: 32,
        size: [56, 56],
        channels: 64,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        out: [56, 56],
        outputs: 64,
        groups: 1,
    };
    let [x, w, y] = [shape.input_len(), shape.weight_len(), shape.output_len()];
    let flops = 2.0 * y as f64 * 9.0 * 64.0;
    let forms = [
        ("forward", Form::NN, [x, w, y]),
        ("input", Form::NT, [y, w, x]),
        ("weight", Form::TN, [x, y, w]),
    ];
    let full = forms.map(|(name, form, lens)| {
        let work = Work { flops, bytes: 4.0 * lens.iter().sum::<u64>() as f64 };
        Subject::of_products(format!("conv2d {name} 32x56x56x64, 3x3"), work, move |plan| {
            let of = lens.map(|len| plan.persistent("", len as u32));
            Conv2d::new(form, shape, of).push(plan)
        })
    });
    let halves = forms.map(|(name, form, [a, b, c])| {
        let work = Work { flops, bytes: 2.0 * (a + b) as f64 + 4.0 * c as f64 };
        let push = move |plan: &mut PlanBuilder| {
            let words = [a / 2, b / 2, c, 2];
            let [a, b, c, peaks] = words.map(|words| plan.persistent("", words as u32));
            let operands = [(a, 0), (b, 1)].map(|(copy, at)| F16Operand { copy, at });
            F16Conv2d::new(form, shape, operands, [peaks, c]).push(plan)
        };
        let name = format!("conv2d f16 {name} 32x56x56x64, 3x3");
        Subject { mixed: true, ..Subject::of_products(name, work, push) }
    });
    full.into_iter().chain(halves).collect()
}

fn layers() -> Vec<Subject> {
    let mut all = Vec::new();
    for gradients in [false, true] {
        let small = CausalAttention::small(2048, gradients);
        let large = CausalAttention { length: 4096, heads: [16, 16], ..small };
        for ((attention, heads), mixed) in [(small, ""), (large, ", 16 heads")]
            .into_iter()
            .flat_map(|of| [(of, false), (of, true)])
        {
            let of = Workload::Attention(attention);
            let name = format!("{}{of}{heads}", if mixed { "f16 " } else { "" });
            let push = move |plan: &mut PlanBuilder| attention.push(plan).map(|_| ());
            all.push(Subject { name, mixed, ..workload(of, push) });
        }
    }
    for [batch, classes] in [[128, 10], [128, 1000], [2048, 32_000]] {
        let name = format!("cross-entropy {batch}x{classes}");
        all.push(Subject::of_bytes(name, batch * classes, 2.0, move |plan| {
            let mut slot = |words| plan.persistent("", words);
            let [labels, losses, correct] = [batch; 3].map(&mut slot);
            let [logits, gradient] = [batch * classes; 2].map(&mut slot);
            let (step, repeat, smoothing) = (plan.persistent("step", STEP_WORDS), 1, 0.0);
            let loss = SoftmaxCrossEntropy {
                logits,
                labels,
                step,
                losses,
                gradient,
                correct,
                batch,
                classes,
                repeat,
                smoothing,
            };
            loss.push(plan)
        }));
    }
    for [rows, columns] in [[128, 300], [4096, 768], [100_352, 64]] {
        let name = format!("column sum {rows}x{columns}");
        all.push(Subject::of_bytes(name, rows * columns, 1.0, move |plan| {
            let [x, out] = [rows * columns, columns].map(|words| plan.persistent("", words));
            ColumnSum { x, out, rows, columns }.push(plan)
        }));
        let name = format!("moments {rows}x{columns}");
        all.push(Subject::of_bytes(name, rows * columns, 1.0, move |plan| {
            let words = [rows * columns, STEP_WORDS, 2 * columns];
            let [x, step, out] = words.map(|words| plan.persistent("", words));
            let shape = Columns { rows, columns, repeat: rows.min(3136), epsilon: 1e-5 };
            Moments { shape, x, step, out }.push(plan)
        }));
    }
    let [positions, rows, columns] = [4096, 32_000, 768];
    let name = format!("embedding gradient {positions} of {rows}x{columns}");
    let embedding = Subject::of_bytes(name, rows * columns, 1.0, move |plan| {
        let words = [positions, positions * columns, rows * columns];
        let [tokens, gradient, out] = words.map(|words| plan.persistent("", words));
        TableGradient { tokens, gradient, out, positions, rows, columns }.push(plan)
    });
    all.push(Subject { contents: distinct_tokens, ..embedding });
    all
}

fn steps() -> Vec<Subject> {
    let mlp = TrainStep::mlp(&[300, 100], 128, "adam").expect("an optimizer's name");
    let work = mlp.work.expect("it is counted");
    let input = Input::flat(784, 10);
    // A layer whose steps are mostly launches, one that reads large weights for few rows, and those
    // whose products read halves: the smallest, and one that fills a card.
    let lstms = [(128, [32, 50]), (1024, [8, 10]), (1024, [16, 10]), (1024, [128, 10])];
    let lstms = lstms.into_iter().flat_map(|of| [lstm(of, false), lstm(of, true)]);
    [Subject::of_step(format!("train step {}", mlp.name), work, mlp.model, input, 128)]
        .into_iter()
        .chain(lstms)
        .collect()
}

/// A step of a language model of characters, by its units, rows and places.
fn lstm((units, [rows, length]): (u32, [u32; 2]), mixed: bool) -> Subject {
    // A product of four gates' sums and its two gradients, for each place of each row.
    let products = f64::from(rows * length) * 3.0 * f64::from(4 * units * 2 * units + units * 65);
    let parameters = f64::from(4 * units * (2 * units + 1) + units * 130);
    let work = Work { flops: 2.0 * products, bytes: 4.0 * 6.0 * parameters };
    let task = Task::Classification { classes: 65, positions: length as usize };
    let input = Input { shape: vec![length as usize], task };
    let model = Model::CharLstm { units, depth: 1 };
    let precision = if mixed { " mixed," } else { "" };
    let name = format!("train step charlstm:{units}x1,{precision} {rows} rows of {length}, adam");
    Subject { mixed, ..Subject::of_step(name, work, model, input, rows as usize) }
}

fn masks() -> Vec<Subject> {
    let len = 100_000_000;
    let mut all = Vec::new();
    for len in [1_000_000, len] {
        let of = Workload::mask_update(len);
        let (name, words) = (format!("selection of {of}"), 2.0 + 1.0 / 32.0);
        let push = move |plan: &mut PlanBuilder| workload::mask_update(plan, len, 1).map(|_| ());
        let selection = Subject::of_bytes(name, len, words, push);
        all.push(Subject { contents: one_round, ..selection });
    }
    let slots = move |plan: &mut PlanBuilder| {
        let words = [len, mask_words(len), MASK_STATE_WORDS];
        words.map(|words| plan.persistent("", words))
    };
    all.push(Subject::of_bytes("threshold mask 10^8", len, 1.0 + 1.0 / 32.0, move |plan| {
        let [values, mask, mask_state] = slots(plan);
        ThresholdMask { values, mask_state, mask, len }.push(plan)
    }));
    all.push(Subject::of_bytes("bin count 10^8, 256 bins", len, 1.0, move |plan| {
        let [values, bins, peak] = slots(plan);
        plan.push(BinCount { values, peak, bins, nbins: 256, len })
    }));
    all.push(Subject::of_bytes("2:4 mask 10^8", len, 1.0 + 1.0 / 32.0, move |plan| {
        let [values, mask, mask_state] = slots(plan);
        let (counts, of) = (plan.persistent("counts", 1), Units::new([10_000, 10_000]));
        NmMask { values, counts, selection: 0, mask_state, mask, of, m: 4 }.push(plan)
    }));
    all.push(Subject::of_bytes("unit mask 10^8", len, 1.0 + 1.0 / 32.0, move |plan| {
        let [values, mask, mask_state] = slots(plan);
        let (counts, of) = (plan.persistent("counts", 1), Units::new([10_000, 10_000]));
        plan.push(UnitMask { values, counts, selection: 0, mask_state, mask, of })
    }));
    all.push(Subject::of_bytes("kept energy 10^8", len, 1.0 + 1.0 / 32.0, move |plan| {
        let [values, mask, _] = slots(plan);
        let partials = plan.persistent("", 2 * KeptEnergy::chunks(len));
        plan.push(KeptEnergy { values, mask, partials, len })
    }));
    all.push(Subject::of_bytes("apply mask 10^8", len, 1.0 + 1.0 / 32.0, move |plan| {
        let [values, mask, _] = slots(plan);
        plan.push(ApplyMask { mask, values, len })
    }));
    all
}

fn optimizers() -> Vec<Subject> {
    let len = 1 << 24;
    let on = move |plan: &mut PlanBuilder| {
        let words = [len, len, mask_words(len), STEP_WORDS];
        let [gradient, weights, mask, step] = words.map(|words| plan.persistent("", words));
        Weights { gradient, mask: Some((mask, Pruned::Zero)), step, weights, len }
    };
    vec![
        Subject::of_bytes("sgd 2^24", len, 3.0, move |plan| {
            let on = on(plan);
            plan.push(SgdUpdate { on, decay: 0.0 })
        }),
        Subject::of_bytes("adam 2^24", len, 7.0, move |plan| {
            let on = on(plan);
            let [first, second] = [len; 2].map(|words| plan.persistent("", words));
            let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
            let form = EpsilonForm::TensorFlow;
            let (decay, l2) = (0.0, 0.0);
            plan.push(AdamUpdate { on, first, second, beta1, beta2, epsilon, form, decay, l2 })
        }),
        Subject::of_bytes("add 2^24", len, 3.0, move |plan| {
            let [x, y, out] = [len; 3].map(|words| plan.persistent("", words));
            plan.push(Add { x, y, out, len, period: len })
        }),
    ]
}
