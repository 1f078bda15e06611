//! `secateur generate FOLDER --prompt TEXT`
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use secateur::data::Tokenizer;
use secateur::error::Bytes;
use secateur::pretrained::{Answer, GenerateOptions, Input, Pretrained, Sampling, Stop};
use serde::Serialize;

use crate::cli::args::Generate;
use crate::cli::plan::{MemoryReport, said, target};
use crate::cli::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    backend: String,
    model: String,
    prompt: String,
    /// What was written behind it.
    text: String,
    /// The tokens of the prompt, and those that were written.
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    #[serde(flatten)]
    sampling: Sampling,
    /// Why no more came: `end`, `tokens` or `positions`.
    stop: &'static str,
    /// Which token ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_token: Option<u32>,
    /// Until the first token, and from there on.
    prompt_seconds: f64,
    seconds: f64,
    prompt_tokens_per_second: f64,
    /// Of those behind the first.
    tokens_per_second: Option<f64>,
    /// In which half of them, and 95 %, came.
    token_ms_p50: Option<f64>,
    token_ms_p95: Option<f64>,
    device_bytes: u64,
    /// Weights that are packed on the device.
    packed: usize,
}

/// What `--plan` prints.
#[derive(Debug, Serialize)]
struct Plan {
    adapter: Option<String>,
    prompt_tokens: usize,
    positions: u32,
    memory: MemoryReport,
}

pub fn run(args: &Generate) -> Result<Verdict> {
    let model = Pretrained::open(&args.model)?;
    let path = model.path().display().to_string();
    let input = model.architecture().input();
    let (Answer::NextToken, Input::Tokens { vocabulary, positions, .. }) =
        (model.architecture().answer(), input)
    else {
        bail!("{path} is no language model, and writes no text")
    };
    ensure!(args.tokens > 0, "--tokens 0: one is written at least");
    let sampling = sampling(args)?;
    let tokenizer = Tokenizer::open(model.path())?;
    tokenizer.check(vocabulary as usize)?;
    let prompt = tokenizer.encode(&args.prompt)?;
    ensure!(!prompt.is_empty(), "--prompt {:?} has no tokens: a text begins with one", args.prompt);
    let count = prompt.len();
    ensure!(
        count <= positions as usize,
        "--prompt has {count} tokens, the model knows {positions} positions; shorten it"
    );
    // The last token that is written goes through the model no more.
    let all = (count as u64 + u64::from(args.tokens) - 1).min(positions.into());
    let options = GenerateOptions::new(all as u32).weights(args.weights.into());
    if args.plan {
        return plan(args, &model, count, &options);
    }
    let gpu = adapter::gpu(&args.common)?;
    let (name, backend) = (gpu.report().name.clone(), gpu.report().backend.to_string());
    let memory = model.generate_memory(gpu.target(), &options)?;
    output::note(format_args!("adapter: {name} ({backend}); {}", said(&memory)));
    for choice in model.unheeded_choices()? {
        output::note(format_args!("generation_config.json has {choice}, which is not heeded"));
    }
    let mut generator = model.generator(&gpu, &options)?;
    let packed = generator.packed_weights().len();
    let mut text = tokenizer.text_behind(&prompt)?;
    let mut generation = generator.generate(&prompt, args.tokens as usize, sampling)?;
    if args.ignore_end {
        generation = generation.endless();
    }
    let (mut tokens, mut written) = (Vec::new(), String::new());
    let mut tell = |piece: String| {
        written.push_str(&piece);
        if args.common.json { Ok(()) } else { output::piece(&piece) }
    };
    for token in generation.by_ref() {
        tokens.push(token?);
        tell(text.push(tokens[tokens.len() - 1])?)?;
    }
    tell(text.rest()?)?;
    let (stop, end_token) = match generation.stop() {
        Some(Stop::End(token)) => ("end", Some(token)),
        Some(Stop::Positions) => ("positions", None),
        _ => ("tokens", None),
    };
    let seconds: Vec<f64> = generation.times().iter().map(Duration::as_secs_f64).collect();
    let (first, later) = seconds.split_first().unwrap_or((&0.0, &[]));
    let total: f64 = later.iter().sum();
    let report = Report {
        adapter: name,
        backend,
        model: path,
        prompt: args.prompt.clone(),
        text: written,
        prompt_tokens: prompt,
        sampling,
        stop,
        end_token,
        prompt_seconds: *first,
        seconds: total,
        prompt_tokens_per_second: count as f64 / first,
        tokens_per_second: (!later.is_empty()).then(|| later.len() as f64 / total),
        token_ms_p50: percentile(later, 50),
        token_ms_p95: percentile(later, 95),
        device_bytes: memory.peak(),
        packed,
        tokens,
    };
    if args.common.json {
        output::json(&report)?;
    } else {
        output::piece("\n")?;
        let end = end_token.and_then(|token| tokenizer.token(token)).unwrap_or_default();
        print(&report, &end);
    }
    Ok(Verdict::Done)
}

fn sampling(args: &Generate) -> Result<Sampling> {
    let sampling = Sampling::default()
        .temperature(args.temperature)
        .top_k(args.top_k)
        .top_p(args.top_p)
        .seed(args.seed.unwrap_or(0));
    sampling.validate()?;
    ensure!(
        args.seed.is_none() || sampling.draws(),
        "--seed is of draws, and the most probable token is no draw; add --temperature, --top-k or \
         --top-p"
    );
    Ok(sampling)
}

fn plan(
    args: &Generate,
    model: &Pretrained,
    prompt_tokens: usize,
    options: &GenerateOptions,
) -> Result<Verdict> {
    let (adapter, target) = target(&args.common)?;
    let memory = model.generate_memory(target, options)?;
    let (positions, bytes) = (options.positions, memory.peak());
    if let Some(budget) = adapter::options(&args.common)?.memory_budget {
        let [bytes, budget] = [bytes, budget].map(Bytes);
        ensure!(
            bytes.0 <= budget.0,
            "it needs {bytes} on the device, the memory budget is {budget}; take fewer --tokens or \
             a larger --memory-budget"
        );
    }
    if args.common.json {
        output::json(&Plan { adapter, prompt_tokens, positions, memory: memory.into() })?;
    } else {
        output::line(&format!("{prompt_tokens} tokens of the prompt, {positions} positions"))?;
        output::line(&said(&memory))?;
    }
    Ok(Verdict::Done)
}

/// The time in milliseconds within which `percent` of `seconds` are.
fn percentile(seconds: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map(|seconds| seconds * 1e3)
}

fn print(report: &Report, end: &str) {
    let written = report.tokens.len();
    let stop = match report.stop {
        "end" => format!("by token {} ({end}), which ends texts", report.end_token.unwrap_or(0)),
        "positions" => "the model knows no more positions".to_owned(),
        _ => format!("after {written} tokens, as many as were asked for"),
    };
    let (count, speed) = (report.prompt_tokens.len(), report.prompt_tokens_per_second);
    let (first, seconds) = (report.prompt_seconds, report.seconds);
    let mut facts = vec![
        ("stopped", stop),
        ("prompt", format!("{count} tokens, {speed:.1} tokens/s, {first:.2} s")),
    ];
    if let (Some(speed), Some(p50), Some(p95)) =
        (report.tokens_per_second, report.token_ms_p50, report.token_ms_p95)
    {
        facts.push(("written", format!("{written} tokens, {speed:.1} tokens/s, {seconds:.2} s")));
        facts.push(("a token", format!("{p50:.1} ms (p50), {p95:.1} ms (p95)")));
    }
    facts.push(("device memory", Bytes(report.device_bytes).to_string()));
    if report.packed > 0 {
        facts.push(("packed", format!("{} weights on the device", report.packed)));
    }
    for (name, value) in facts {
        output::note(format_args!("{name:<14} {value}"));
    }
}
