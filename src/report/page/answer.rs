//! What a run came to: how good, how sparse, how large, how long.
use crate::nn::Metric;
use crate::report::html::{Esc, Html, put};
use crate::report::logdir::Run;
use crate::report::number::{Unit, percent, seconds, thousands};

/// What networks are measured by; the first that a run has is its headline.
const METRICS: [Metric; 6] = [
    Metric::Accuracy,
    Metric::LabelAccuracy,
    Metric::MeanSquaredError,
    Metric::MeanAbsoluteError,
    Metric::CrossEntropy,
    Metric::Top5Accuracy,
];

/// A figure of a run.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) name: String,
    /// As tags and JSON have it, like `accuracy`; `loss` where there is no metric.
    pub(super) tag: String,
    pub(super) unit: Unit,
    pub(super) value: f64,
}

/// What a network is measured by first: on the test rows, else on the last batch trained on.
pub(super) fn headline(run: &Run) -> Option<Figure> {
    let figure = |name: &str, tag: &str, unit: Unit, value: f64| Figure {
        name: name.replace('_', " "),
        tag: tag.to_owned(),
        unit,
        value,
    };
    if let Some(perplexity) = run.number("test_perplexity") {
        return Some(figure("test perplexity", "loss", Unit::Plain, perplexity));
    }
    let unit = |metric: Metric| if metric.is_share() { Unit::Share } else { Unit::Plain };
    let known = METRICS.iter().map(|metric| (metric.name(), unit(*metric)));
    let known: Vec<_> = known.chain([("loss", Unit::Plain)]).collect();
    let of = |(tag, unit): &(&'static str, Unit)| {
        let value = run.number(&format!("test_{tag}"));
        let value = value.or_else(|| run.events.last(&format!("test/{tag}")))?;
        Some(figure(&format!("test {tag}"), tag, *unit, value))
    };
    let of_training = |(tag, unit): &(&'static str, Unit)| {
        let value = run.events.last(tag)?;
        Some(figure(&format!("{tag}, last batch"), tag, *unit, value))
    };
    known.iter().find_map(of).or_else(|| known.iter().find_map(of_training))
}

/// What is measured beside the loss, as tag and unit.
pub(super) fn metric(run: &Run) -> Option<(&'static str, Unit)> {
    let has = |tag: &str| run.events.scalars.contains_key(tag);
    let known = METRICS.iter().map(|metric| (metric.name(), metric.is_share()));
    let mut known = known.filter(|(tag, _)| has(tag) || has(&format!("test/{tag}")));
    known.next().map(|(tag, share)| (tag, if share { Unit::Share } else { Unit::Plain }))
}

/// Seconds of training that are known, and steps a second.
pub(super) fn duration(run: &Run) -> (Option<f64>, Option<f64>) {
    let positive = |name: &str| run.number(name).filter(|value| *value > 0.0);
    let of_events = run.events.from_to.map(|(from, to)| to - from);
    let rates = run.events.curve("steps_per_second");
    let mut rates: Vec<f64> = rates.iter().map(|(_, rate)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates.get(rates.len() / 2).copied();
    (positive("seconds").or(of_events), positive("steps_per_second").or(median))
}

pub(super) fn tiles(html: &mut Html, run: &Run) {
    put!(html, "<dl class=\"answer\">\n");
    if let Some(figure) = headline(run) {
        let dense = run.number(&format!("dense_test_{}", figure.tag));
        let beside = dense.map(|dense| {
            let difference = match figure.unit {
                Unit::Share => format!("{:+.2} points", (figure.value - dense) * 100.0),
                _ => format!("{:+.4}", figure.value - dense),
            };
            format!("dense {}; {difference}", figure.unit.full(dense))
        });
        tile(html, &figure.name, &figure.unit.full(figure.value), &beside.unwrap_or_default());
    }
    if let Some(tensors) = &run.tensors {
        let [nonzero, total] = tensors.counts().map(thousands);
        let asked = run.pruning().and_then(|p| run.events.last(&format!("{p}/sparsity")));
        let asked = asked.map(|asked| format!("; asked {}", percent(asked)));
        let beside = format!("{nonzero} of {total} weights left{}", asked.unwrap_or_default());
        tile(html, "sparsity", &percent(tensors.sparsity()), &beside);
        let [dense, packed] = tensors.dense_and_packed().map(|bytes| bytes as f64);
        let times = dense / packed.max(1.0);
        let beside = format!("of {} dense: {times:.1} times less", Unit::Bytes.full(dense));
        tile(html, "weights, packed", &Unit::Bytes.full(packed), &beside);
    }
    let (taken, rate) = duration(run);
    if let Some(taken) = taken {
        let steps = run.last_step().map(|step| format!("{} steps", thousands(step)));
        let rate = rate.map(|rate| match rate {
            1.0.. => format!("{rate:.0} steps/s"),
            _ => format!("{} a step", seconds(1.0 / rate.max(1e-9))),
        });
        let beside: Vec<String> = steps.into_iter().chain(rate).collect();
        tile(html, "training time", &seconds(taken), &beside.join(", "));
    }
    put!(html, "</dl>\n");
    if run.result.is_null() {
        let ended = if run.events.ended { "has ended" } else { "has not said that it ended" };
        let text = format!("The run {ended}; figures of all test rows come at its end.");
        html.p("note", &text);
    }
}

fn tile(html: &mut Html, name: &str, value: &str, beside: &str) {
    put!(html, "<div><dt>{}</dt><dd>{}</dd>", Esc(name), Esc(value));
    put!(html, "<dd>{}</dd></div>\n", Esc(beside));
}
