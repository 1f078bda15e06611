//! Pretrained networks that learn from another one, whose last hidden states lie beside the tokens.
use std::sync::Arc;

use secateur::data::{Batch, BatchSource, Batches, Dataset, TokenWindows};
use secateur::gpu::Gpu;
use secateur::kernels::{Step, distillation_reference};
use secateur::nn::{Metric, Network};
use secateur::optim::Optimizer;
use secateur::pretrained::{Distill, Pretrained, Rows, Window};
use secateur::prune::MaskUpdateOp;
use secateur::{Pruning, PruningSpec, Session};

use super::{APART, Golden};
use crate::common::gpu;
use crate::models::{Copied, Held};

/// The windows of the golden file as rows of tokens, and their length.
fn tokens(golden: &Golden, vocabulary: u32) -> (Dataset, u32) {
    let rows = golden.rows("input_ids");
    let length = rows[0].len() - 1;
    let windows = TokenWindows::new(rows.concat(), length).unwrap().stride(length + 1).unwrap();
    (windows.dataset(vocabulary).unwrap(), length as u32)
}

/// All rows of `data` as one batch.
fn batch(data: &Arc<Dataset>) -> Batch {
    let mut batch = Batch::default();
    let mut batches = Batches::new(Arc::clone(data), data.rows(), None).unwrap();
    batches.next_batch(&mut batch).unwrap();
    batch
}

fn session(gpu: &Gpu, model: &Pretrained, network: &Network, by: Optimizer) -> Session {
    let mut session = Session::new(gpu, network, by, &MaskUpdateOp::none(), 1).unwrap();
    model.load(&mut session).unwrap();
    session
}

/// GPT-2 of as many tokens as the golden Llama, of another width.
fn gpt2(vocabulary: usize) -> Copied {
    let copied = Copied::of("gpt2").set("vocab_size", vocabulary);
    let name = copied.tensors.keys().find(|name| name.ends_with("wte.weight")).unwrap().clone();
    let table = copied.tensors[&name].values();
    let (width, len) = (copied.tensors[&name].shape[1], table.len());
    let values: Vec<f32> = (0..vocabulary * width).map(|i| table[i % len]).collect();
    copied.put(&name, Held::floats(&[vocabulary, width], &values))
}

/// The furthest that a weight of `model` is from where it was, after one step of plain descent at a
/// rate of 1: its gradient.
fn furthest(model: &Pretrained, session: &mut Session, batch: &Batch) -> f64 {
    let mut furthest = 0.0f64;
    let names: Vec<String> = model.files().tensors().map(|t| t.name.clone()).collect();
    let before: Vec<_> = names.iter().map(|name| session.weights(name).unwrap()).collect();
    session.step(batch).unwrap();
    for (name, before) in names.iter().zip(before) {
        let after = session.weights(name).unwrap();
        let apart = after.iter().zip(&before).map(|(a, b)| f64::from((a - b).abs()));
        furthest = apart.fold(furthest, f64::max);
    }
    furthest
}

#[test]
fn a_student_that_is_its_teacher_has_nothing_to_learn() {
    let Some(gpu) = gpu() else { return };
    let golden = Golden::open("llama");
    let (model, (tokens, length)) = (&golden.model, tokens(&golden, 101));
    let taught = Arc::new(model.taught(gpu, &tokens, &mut |_, _| {}).unwrap());
    let plain = Optimizer::sgd(1.0);
    for temperature in [1.0, 2.0] {
        let distill = Distill::default().temperature(temperature);
        let network = model.distilled_network(2, length, model, &distill).unwrap();
        let mut session = session(gpu, model, &network, plain);
        let evaluated = session.evaluate(&taught).unwrap();
        // Logits that are D apart at most have a divergence of D^2 / 2 at most (Hoeffding), here
        // with D = 4e-4: what counts are the roundings of logarithms and sums of some 5. Where both
        // ways have the same bits, as here, it is 0.
        let most = 1e-5 * f64::from(temperature * temperature);
        assert!(evaluated.loss.abs() < most, "{temperature}: {}", evaluated.loss);
        let moved = furthest(model, &mut session, &batch(&taught));
        // The absolute gradients of a row by its logits add up to 2 D T at most, and those of a
        // text's next token to about 2: the network makes gradients of the weights of either in
        // the same way, so these are less than a thousandth; twice that, as not all rows add up.
        let network = model.network(2, length).unwrap();
        let mut session = self::session(gpu, model, &network, plain);
        let by_text = furthest(model, &mut session, &batch(&Arc::new(tokens.clone())));
        assert!(moved <= 0.002 * by_text, "{temperature}: {moved}, {by_text} by the text");
    }
}

/// The first loss is that of both models' logits, as each has them alone, whatever their widths;
/// then it falls, and what is pruned stays so.
#[test]
fn a_student_comes_nearer_to_a_teacher_of_another_width_under_masks() {
    let Some(gpu) = gpu() else { return };
    let golden = Golden::open("llama");
    let (student, (tokens, length)) = (&golden.model, tokens(&golden, 101));
    let copied = gpt2(101);
    let teacher = Pretrained::open(copied.write()).unwrap();
    let taught = Arc::new(teacher.taught(gpu, &tokens, &mut |_, _| {}).unwrap());
    assert_eq!(taught.width(), (length * (1 + 40)) as usize);
    let distill = Distill::default().temperature(2.0).share(0.7);
    let network = student.distilled_network(2, length, &teacher, &distill).unwrap();
    let op = Pruning::new(PruningSpec::to(0.5)).unwrap().conditional_mask_update_op();
    let mut session = Session::new(gpu, &network, Optimizer::adam(1e-2), &op, 1).unwrap();
    student.load(&mut session).unwrap();

    let windows: Vec<Window> = golden
        .rows("input_ids")
        .into_iter()
        .map(|row| Window::new(row[..length as usize].to_vec()))
        .collect();
    let [own, theirs] = [student, &teacher].map(|model| {
        let logits = model.outputs(gpu, Rows::Tokens(&windows)).unwrap().concat();
        logits.into_iter().map(f64::from).collect::<Vec<_>>()
    });
    let batch = batch(&taught);
    let step = Step { rows: 2 * length, ..Step::default() };
    let want = distillation_reference(&own, &theirs, &batch.labels, [2.0, 0.7], &step);
    let want: f64 = want.0.iter().sum();
    let evaluated = session.evaluate(&taught).unwrap();
    // Both logits are off by 2e-4, and a loss's gradient by a row of them is at most 2 T long.
    assert!((evaluated.loss - want).abs() <= 4.0 * 2.0 * APART, "{}, {want}", evaluated.loss);
    assert!(want > 100.0 * APART, "{want} is next to nothing");
    // What the text alone says of it is measured beside.
    let of_text = evaluated.figures.get(Metric::CrossEntropy).unwrap();
    let alone =
        self::session(gpu, student, &student.network(2, length).unwrap(), Optimizer::sgd(1.0));
    let alone = alone.evaluate(&Arc::new(tokens)).unwrap().loss;
    assert!((of_text - alone).abs() <= 1e-6 * alone, "{of_text}, {alone} by the plain network");

    session.update_masks(0.5).unwrap();
    let masks = session.get_masks().unwrap();
    let losses: Vec<f32> = (0..12).map(|_| session.step(&batch).unwrap().loss).collect();
    assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
    assert_eq!((masks.len(), session.get_masks().unwrap()), (14, masks));
    for (name, weights) in session.get_masked_weights().unwrap() {
        let zeros = weights.iter().filter(|&&w| w == 0.0).count();
        assert_eq!(zeros, weights.len() / 2, "{name}");
    }
}

#[test]
fn teachers_that_do_not_fit_are_named() {
    let [llama, qwen, bert] = ["llama", "qwen2", "bert"].map(|name| Golden::open(name).model);
    let refused = |student: &Pretrained, teacher: &Pretrained, distill: Distill, what: &[&str]| {
        let error = student.distilled_network(1, 8, teacher, &distill).unwrap_err().to_string();
        what.iter().for_each(|what| assert!(error.contains(what), "{error}\nlacks {what}"));
    };
    let distill = Distill::default();
    refused(&llama, &qwen, distill, &["teacher", "qwen2 has 103 tokens", "llama has 101"]);
    refused(&llama, &bert, distill, &["teacher", "bert is no language model"]);
    refused(&bert, &llama, distill, &["student", "bert is no language model"]);
    refused(&llama, &llama, distill.temperature(0.0), &["temperature 0 must be"]);
    refused(&llama, &llama, distill.share(1.5), &["share 1.5"]);
    let short = Copied::of("llama").set("max_position_embeddings", 7);
    let short = Pretrained::open(short.write()).unwrap();
    refused(&llama, &short, distill, &["knows 7 positions, a window has 8"]);

    let Some(gpu) = gpu() else { return };
    let refused = |model: &Pretrained, data: &Dataset, what: &[&str]| {
        let error = model.taught(gpu, data, &mut |_, _| {}).unwrap_err().to_string();
        what.iter().for_each(|what| assert!(error.contains(what), "{error}\nlacks {what}"));
    };
    let (data, _) = tokens(&Golden::open("llama"), 101);
    refused(&bert, &data, &["bert is no language model"]);
    let floats = Dataset::new("floats", &[2], vec![1.0, 0.5], secateur::data::Answers::None);
    refused(&llama, &floats.unwrap(), &["0.5 in row 0 of floats is no token"]);
}
