//! What chooses tokens, and what ends texts, without a device.
use std::collections::BTreeSet;

use secateur::gpu::Target;
use secateur::pretrained::{GenerateOptions, Pretrained, Sampler, Sampling};

use crate::model_folders::{Copied, model};

/// Of e^1, e^3, e^2, e^3 and e^-1.
const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

fn draws(sampling: Sampling, count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(sampling).unwrap();
    (0..count).map(|_| sampler.choose(&LOGITS)).collect()
}

/// All tokens that are ever drawn, as the rarest has 0.8 %.
fn tokens(sampling: Sampling) -> Vec<u32> {
    let all: BTreeSet<u32> = draws(sampling, 5_000).into_iter().collect();
    all.into_iter().collect()
}

#[test]
fn without_a_draw_the_first_of_the_highest_is_taken() {
    assert_eq!(draws(Sampling::default().seed(9), 3), [1, 1, 1]);
    assert!(!Sampling::default().seed(9).draws());
}

#[test]
fn the_highest_and_the_most_probable_are_drawn_from() {
    let none = Sampling::default();
    assert_eq!(tokens(none.temperature(Some(1.0))), [0, 1, 2, 3, 4]);
    assert_eq!(tokens(none.top_k(Some(1))), [1]);
    assert_eq!(tokens(none.top_k(Some(3))), [1, 2, 3]);
    assert_eq!(tokens(none.top_k(Some(9))), [0, 1, 2, 3, 4]);
    // Over the highest two: 1, 1, e^-1, e^-2 and e^-4 of 2.52, so that these two have 79.3 %, and
    // with the third 93.9 %.
    assert_eq!(tokens(none.top_p(Some(0.01))), [1]);
    assert_eq!(tokens(none.top_p(Some(0.78))), [1, 3]);
    assert_eq!(tokens(none.top_p(Some(0.81))), [1, 2, 3]);
    assert_eq!(tokens(none.top_p(Some(1.0))), [0, 1, 2, 3, 4]);
    // Colder they have nearly all, and shares are of what is left of the highest.
    assert_eq!(tokens(none.temperature(Some(0.1)).top_p(Some(0.999))), [1, 3]);
    assert_eq!(tokens(none.top_k(Some(2)).top_p(Some(0.4))), [1]);
}

#[test]
fn tokens_are_drawn_by_their_probabilities() {
    let count = 20_000;
    let drawn = draws(Sampling::default().temperature(Some(2.0)).seed(7), count);
    let weights = LOGITS.map(|x| f64::from(x / 2.0).exp());
    let sum: f64 = weights.iter().sum();
    for (token, weight) in weights.iter().enumerate() {
        let found = drawn.iter().filter(|&&t| t as usize == token).count() as f64;
        let (p, n) = (weight / sum, count as f64);
        // Five standard deviations of a binomial.
        let (apart, most) = ((found - p * n).abs(), 5.0 * (p * (1.0 - p) * n).sqrt());
        assert!(apart <= most, "token {token}: {apart} apart, at most {most}");
    }
}

#[test]
fn samplings_out_of_range_are_refused() {
    let refused = |sampling: Sampling, what: &str| {
        let error = Sampler::new(sampling).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let none = Sampling::default();
    for t in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(none.temperature(Some(t)), "temperature");
    }
    for p in [0.0, -0.1, 1.1, f64::NAN] {
        refused(none.top_p(Some(p)), "top_p");
    }
    refused(none.top_k(Some(0)), "top_k");
}

#[test]
fn ends_of_texts_are_numbers_or_several() {
    let ends = |value: serde_json::Value| {
        let copied = Copied::of("llama").set("eos_token_id", value);
        Pretrained::open(copied.write()).unwrap().end_tokens()
    };
    assert_eq!(ends(7.into()).unwrap(), [7]);
    assert_eq!(ends(vec![7, 2].into()).unwrap(), [7, 2]);
    assert_eq!(ends(serde_json::Value::Null).unwrap(), [0u32; 0]);
    for wrong in [serde_json::json!("</s>"), (-1).into(), vec![Some(1), None].into()] {
        let error = ends(wrong).unwrap_err().to_string();
        assert!(error.contains("`eos_token_id` is"), "{error}");
    }
}

#[test]
fn choices_that_are_not_heeded_are_named() {
    let copied = Copied::of("llama");
    let folder = copied.write();
    let of = || Pretrained::open(folder).unwrap().unheeded_choices();
    assert_eq!(of().unwrap(), [""; 0]);
    let beside = folder.join("generation_config.json");
    let text = r#"{"repetition_penalty": 1.2, "num_beams": 1, "suppress_tokens": [],
        "do_sample": true, "top_p": 0.9, "min_new_tokens": 5}"#;
    std::fs::write(&beside, text).unwrap();
    assert_eq!(of().unwrap(), ["min_new_tokens = 5", "repetition_penalty = 1.2"]);
    std::fs::write(&beside, "[]").unwrap();
    assert!(of().unwrap_err().to_string().contains("generation_config.json"));
}

/// Weights once, whatever the number of parts; caches as long as is asked for.
#[test]
fn memory_grows_with_the_positions_and_not_with_the_parts() {
    let of = Pretrained::open(&model("llama")).unwrap();
    let memory = |positions, part| {
        let options = GenerateOptions::new(positions).part(part);
        of.generate_memory(Target::default(), &options).unwrap()
    };
    let [short, long] = [memory(16, 1), memory(48, 1)].map(|m| m.persistent);
    let config = |name: &str| of.config().settings()[name].as_u64().unwrap();
    let head = config("hidden_size") / config("num_attention_heads");
    let (width, blocks) = (config("num_key_value_heads") * head, config("num_hidden_layers"));
    // Keys and values, and a row of the table of rotary positions.
    assert_eq!(long - short, 4 * 32 * (2 * blocks * width + head));
    // Parts of 32, 4 and 1: the tokens' rows and the positions of the first two, and which is last.
    let several = memory(48, 32).persistent;
    assert_eq!(several - long, 4 * (36 * config("hidden_size") + 36 + 2));
}
