//! Text that language models write, token by token: what transformers writes, what the model makes
//! of the whole text at once, and the same again.
use secateur::gpu::Gpu;
use secateur::kernels::PackedForm;
use secateur::pretrained::{GenerateOptions, Generator, Pretrained, Sampling, Stop};
use secateur::session::{Fastest, FastestWeight, PackedWeights};
use secateur::storage::{Format, PackOptions, pack_folder};
use serde_json::Value;

use super::{Golden, check, flat};
use crate::common::gpu;
use crate::models::{Copied, model};
use crate::paths::project;

/// What transformers wrote.
struct Written {
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    logits: Vec<Vec<f64>>,
}

impl Written {
    fn of(name: &str) -> Self {
        let text = std::fs::read(project().join("tests/goldens/generation.json")).unwrap();
        let all: Value = serde_json::from_slice(&text).unwrap();
        let ids = |key: &str| flat(&all[name][key]).into_iter().map(|id| id as u32).collect();
        let logits = all[name]["logits"].as_array().unwrap().iter().map(flat).collect();
        Self { prompt: ids("prompt"), tokens: ids("tokens"), logits }
    }

    fn positions(&self) -> u32 {
        (self.prompt.len() + self.tokens.len()) as u32
    }

    /// The prompt and what follows, as features.
    fn whole(&self) -> Vec<f32> {
        self.prompt.iter().chain(&self.tokens).map(|&id| id as f32).collect()
    }
}

/// The tokens behind a prompt, and the logits that each was chosen by.
fn write(
    of: &Pretrained,
    gpu: &Gpu,
    written: &Written,
    part: u32,
    sampling: Sampling,
) -> (Vec<u32>, Vec<Vec<f32>>) {
    let options = GenerateOptions::new(written.positions()).part(part);
    write_by(&mut of.generator(gpu, &options).unwrap(), written, sampling)
}

/// The same by a generator of one's own.
fn write_by(
    generator: &mut Generator<'_>,
    written: &Written,
    sampling: Sampling,
) -> (Vec<u32>, Vec<Vec<f32>>) {
    let count = written.tokens.len();
    let mut generation = generator.generate(&written.prompt, count, sampling).unwrap().endless();
    let (mut tokens, mut logits) = (Vec::new(), Vec::new());
    while let Some(token) = generation.next() {
        tokens.push(token.unwrap());
        logits.push(generation.logits().to_vec());
    }
    assert_eq!(generation.stop(), Some(Stop::Tokens));
    assert_eq!(generation.times().len(), count);
    (tokens, logits)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// Token by token, by transformers and by this model over the whole text at once; the prompt goes
/// through in parts of 4, of which the last is not full.
fn check_model(name: &str) {
    let Some(gpu) = gpu() else { return };
    let (golden, written) = (Golden::open(name), Written::of(name));
    let (tokens, logits) = write(&golden.model, gpu, &written, 4, Sampling::default());
    assert_eq!(tokens, written.tokens, "{name}");
    let features = written.whole();
    let whole = golden.whole(&features, 1, features.len());
    let classes = whole.len() / features.len();
    for (step, logits) in logits.iter().enumerate() {
        let step_name = format!("{name}, token {step}");
        check(&step_name, &wide(logits), &written.logits[step]);
        let at = (written.prompt.len() - 1 + step) * classes;
        check(&step_name, &wide(logits), &whole[at..at + classes]);
    }
}

#[test]
fn llama_writes_what_transformers_does() {
    ["llama", "llama3_rope", "llama_biases"].into_iter().for_each(check_model);
}

#[test]
fn windows_are_shorter_than_the_prompt() {
    ["mistral", "qwen3"].into_iter().for_each(check_model);
}

#[test]
fn qwen2_and_gpt2_write_what_transformers_does() {
    ["qwen2", "gpt2", "gpt2_scaled"].into_iter().for_each(check_model);
}

/// Token by token or all at once, and again behind a part of the same prompt.
#[test]
fn how_a_prompt_is_cut_changes_no_bit() {
    let Some(gpu) = gpu() else { return };
    for name in ["mistral", "gpt2"] {
        let (of, written) = (Pretrained::open(&model(name)).unwrap(), Written::of(name));
        let first = write(&of, gpu, &written, 1, Sampling::default());
        for part in [1, 3, 128] {
            let again = write(&of, gpu, &written, part, Sampling::default());
            assert!(again == first, "{name}: parts of {part}");
        }
        let options = GenerateOptions::new(written.positions()).part(4);
        let mut generator = of.generator(gpu, &options).unwrap();
        let (prompt, tokens) = (&written.prompt, &written.tokens);
        // Another text first, whose keys and values are overwritten.
        generator.feed(tokens).unwrap();
        generator.truncate(0);
        assert!(generator.logits().is_empty());
        generator.feed(&prompt[..5]).unwrap();
        generator.feed(tokens).unwrap();
        generator.truncate(5);
        assert_eq!(generator.feed(&prompt[5..]).unwrap(), first.1[0], "{name}");
        assert_eq!(generator.tokens(), prompt);
    }
}

#[test]
fn a_seed_draws_the_same_tokens() {
    let Some(gpu) = gpu() else { return };
    let (of, written) = (Pretrained::open(&model("llama")).unwrap(), Written::of("llama"));
    let drawn = |sampling: Sampling| write(&of, gpu, &written, 16, sampling).0;
    let hot = Sampling::default().temperature(Some(5.0));
    assert_eq!(drawn(hot.seed(3)), drawn(hot.seed(3)));
    assert_ne!(drawn(hot.seed(3)), drawn(hot.seed(4)));
    // One token to draw from is the most probable one.
    assert_eq!(drawn(hot.top_k(Some(1))), written.tokens);
    assert_eq!(drawn(Sampling::default().top_p(Some(1e-9)).seed(5)), written.tokens);
}

/// By either file, as a number or as several, and by the room that there is.
#[test]
fn texts_end_where_the_model_says_so() {
    let Some(gpu) = gpu() else { return };
    let written = Written::of("llama");
    let end = *written.tokens.iter().find(|token| **token != written.tokens[0]).unwrap();
    let copied = Copied::of("llama").set("eos_token_id", end);
    let folder = copied.write();
    let tokens = |positions: u32| {
        let of = Pretrained::open(folder).unwrap();
        let mut generator = of.generator(gpu, &GenerateOptions::new(positions)).unwrap();
        let mut generation = generator.generate(&written.prompt, 8, Sampling::default()).unwrap();
        let tokens: Vec<u32> = generation.by_ref().map(Result::unwrap).collect();
        assert!(generation.next().is_none());
        (tokens, generation.stop().unwrap())
    };
    let first = written.tokens.iter().position(|token| *token == end).unwrap();
    let ended = (written.tokens[..=first].to_vec(), Stop::End(end));
    assert_eq!(tokens(64), ended);
    // The other file goes before this one.
    let beside = folder.join("generation_config.json");
    std::fs::write(&beside, r#"{"eos_token_id": [96, 95]}"#).unwrap();
    assert!(!written.tokens.contains(&95) && !written.tokens.contains(&96));
    assert_eq!(tokens(64), (written.tokens[..8].to_vec(), Stop::Tokens));
    let room = written.prompt.len() as u32 + 2;
    assert_eq!(tokens(room), (written.tokens[..3].to_vec(), Stop::Positions));
    std::fs::write(&beside, r#"{"temperature": 0.6}"#).unwrap();
    assert_eq!(tokens(64), ended);
}

fn refused(result: secateur::Result<()>, what: &[&str]) {
    let error = result.unwrap_err().to_string();
    what.iter().for_each(|what| assert!(error.contains(what), "{error}\nlacks {what}"));
}

#[test]
fn what_no_sequence_can_take_is_refused() {
    let Some(gpu) = gpu() else { return };
    let of = Pretrained::open(&model("llama")).unwrap();
    let made = |positions, part| {
        of.generator(gpu, &GenerateOptions::new(positions).part(part)).map(|_| ())
    };
    refused(made(65, 8), &["positions", "65", "64"]);
    refused(made(0, 8), &["positions", "0", "64"]);
    refused(made(8, 0), &["part", "0"]);
    let mut generator = of.generator(gpu, &GenerateOptions::new(8).part(4)).unwrap();
    refused(generator.feed(&[]).map(|_| ()), &["tokens", "none"]);
    refused(generator.feed(&[3, 101]).map(|_| ()), &["token 101 at 1", "101"]);
    generator.feed(&[1, 2, 3]).unwrap();
    refused(generator.feed(&[4; 6]).map(|_| ()), &["6 behind 3", "room for 8"]);
    assert_eq!(generator.tokens(), [1, 2, 3]);
    let mut begun = |prompt: &[u32], sampling| generator.generate(prompt, 1, sampling).map(|_| ());
    let greedy = Sampling::default();
    refused(begun(&[], greedy), &["prompt", "no tokens"]);
    refused(begun(&[9; 9], greedy), &["9 behind 3"]);
    refused(begun(&[9], greedy.temperature(Some(0.0))), &["temperature", "0 must be above 0"]);
    let bert = Pretrained::open(&model("bert")).unwrap();
    let made = bert.generator(gpu, &GenerateOptions::new(8)).map(|_| ());
    refused(made, &["no language model"]);
}

/// A packed folder writes what the dense one does: to the bit where its weights are dense on the
/// device, else but for the order of sums.
#[test]
fn packed_folders_write_the_same() {
    let Some(gpu) = gpu() else { return };
    let (name, written) = ("llama", Written::of("llama"));
    let folder = tempfile::tempdir().unwrap();
    let mut copied = Copied::of(name);
    // Zeros, so that there is something to pack, the tokens' table among it.
    for held in copied.tensors.values_mut().filter(|held| held.shape.len() == 2) {
        let zeros = held.values().into_iter().enumerate();
        let values: Vec<f32> = zeros.map(|(i, x)| if i % 4 == 0 { x } else { 0.0 }).collect();
        held.bytes = bytemuck::cast_slice(&values).to_vec();
    }
    let source = copied.write();
    let out = folder.path().join("packed");
    let (told, _) = pack_folder(source, &out, &PackOptions::new(Format::Bitmask)).unwrap();
    let table = told.iter().find(|tensor| tensor.name == "model.embed_tokens.weight").unwrap();
    assert!(table.packing.is_some(), "the tokens' table is to be packed");
    let greedy = Sampling::default();
    let models = [source, &out].map(|path| Pretrained::open(path).unwrap());
    let written_by = |at: usize, weights: PackedWeights| {
        let options = GenerateOptions::new(written.positions()).part(4).weights(weights);
        let mut generator = models[at].generator(gpu, &options).unwrap();
        let packed = generator.packed_weights().to_vec();
        (write_by(&mut generator, &written, greedy), packed, generator.memory())
    };
    let (dense, none, whole) = written_by(0, PackedWeights::Auto);
    assert_eq!(none, []);
    let (same, none, _) = written_by(1, PackedWeights::Never);
    assert_eq!(none, []);
    assert!(same == dense);
    for (at, weights) in [(0, PackedWeights::Always), (1, PackedWeights::Auto)] {
        let (packed, names, memory) = written_by(at, weights);
        // All products of the blocks, and the tokens' table as that of the head.
        assert!(names.len() >= 14, "{names:?}");
        assert!(memory.peak() < whole.peak());
        assert_eq!(packed.0, dense.0);
        for (packed, dense) in packed.1.iter().zip(&dense.1) {
            check("packed logits", &wide(packed), &wide(dense));
        }
    }
}

/// What a folder says of its weights was measured: such a one is packed as it says, or is dense, and
/// the others are taken as without it.
#[test]
fn hints_of_a_folder_are_followed() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut copied = Copied::of("llama");
    for held in copied.tensors.values_mut().filter(|held| held.shape.len() == 2) {
        let zeros = held.values().into_iter().enumerate();
        let values: Vec<f32> = zeros.map(|(i, x)| if i % 4 == 0 { x } else { 0.0 }).collect();
        held.bytes = bytemuck::cast_slice(&values).to_vec();
    }
    let source = copied.write();
    let all = Pretrained::open(source).unwrap().token_weights().unwrap();
    let [dense, packed] = [all[0].name(), all[1].name()];
    let form = Some(PackedForm::Bitmask);
    let weights = vec![FastestWeight::new(dense, 1, None), FastestWeight::new(packed, 1, form)];
    let (key, text) = Fastest::new("adapter", weights).metadata().unwrap();
    let forms_in = |name: &str, text: &str, weights| {
        let out = folder.path().join(name);
        let options = PackOptions::new(Format::Bitmask).metadata(key.as_str(), text);
        pack_folder(source, &out, &options).unwrap();
        let model = Pretrained::open(&out).unwrap();
        let options = GenerateOptions::new(8).weights(weights);
        let generator = model.generator(gpu, &options);
        generator.map(|generator| generator.packed_weights().to_vec())
    };
    let auto = forms_in("auto", &text, PackedWeights::Auto).unwrap();
    assert_eq!(auto.iter().find(|(name, _)| name == dense), None);
    assert!(auto.contains(&(packed.to_owned(), PackedForm::Bitmask)), "{auto:?}");
    assert_eq!(auto.len(), all.len() - 1, "{auto:?}");
    assert_eq!(forms_in("none", &text, PackedWeights::Never).unwrap(), []);
    let always = forms_in("all", &text, PackedWeights::Always).unwrap();
    assert_eq!(always.len(), all.len(), "{always:?}");
    let damaged = forms_in("damaged", "{", PackedWeights::Auto).map(|_| ());
    refused(damaged, &["model.safetensors", "was fastest"]);
}
