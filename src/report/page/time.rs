//! Where the time goes: steps a second, a traced step, waiting ranks, checkpoints.
use crate::report::chart::{Bar, Bars, Line, Lines, Look};
use crate::report::html::{Html, put};
use crate::report::logdir::{Run, Trace};
use crate::report::number::{Unit, thousands};

/// Into so many parts the time of a run is divided.
const PARTS: f64 = 50.0;
/// Kernels of a traced step that have a bar.
const KERNELS: usize = 12;

pub(super) fn fill(html: &mut Html, run: &Run) {
    html.charts("", |html| {
        let rate = Line::new("steps/s", &speed(run), Look::Accent);
        Lines::new("Speed", "steps a second", Unit::Plain, vec![rate])
            .note("means over parts of the time, with checkpoints and evaluations")
            .with_zero()
            .draw(html);
        let seconds = |tag: &str| run.events.curve(&format!("checkpoint/{tag}"));
        if !seconds("seconds").is_empty() {
            let written = Line::new("until written", seconds("seconds"), Look::Quiet);
            let stall = Line::new("training waits", seconds("stall_seconds"), Look::Accent);
            Lines::new("Checkpoints", "seconds", Unit::Seconds, vec![written, stall])
                .with_zero()
                .draw(html);
        }
        ranks(html, run);
    });
    put!(html, "<h3 id=\"trace\">One step, traced</h3>\n");
    match run.traces.last() {
        Some(trace) => traced(html, trace),
        None => html.p(
            "note",
            "No step was traced. Run with --trace, or with trace_every_n_steps in the recipe, and \
             the report breaks a step down to its kernels.",
        ),
    }
}

/// Steps a second, as means over some fiftieth of the time: results come in bursts, so the rate of
/// a step or two says little.
pub(super) fn speed(run: &Run) -> Vec<(u64, f64)> {
    let rates = run.events.curve("steps_per_second");
    let first = rates.get(1).map_or(1, |second| second.0.saturating_sub(rates[0].0));
    let before = [first].into_iter().chain(rates.windows(2).map(|pair| pair[1].0 - pair[0].0));
    // Steps of each summary, and the seconds that they took.
    let taken: Vec<[f64; 2]> = before
        .zip(rates)
        .map(|(steps, (_, rate))| [steps as f64, steps as f64 / rate.max(f64::MIN_POSITIVE)])
        .collect();
    let mut left = taken.iter().map(|[_, seconds]| seconds).sum::<f64>();
    let part = left / PARTS;
    let mut parts: Vec<(u64, [f64; 2])> = Vec::new();
    for ([steps, seconds], (step, _)) in taken.iter().zip(rates) {
        // What is left after a part may be too short for one of its own.
        match parts.last_mut() {
            Some((last, sum)) if sum[1] < part || left < part / 2.0 => {
                (*last, *sum) = (*step, [sum[0] + steps, sum[1] + seconds]);
            }
            _ => parts.push((*step, [*steps, *seconds])),
        }
        left -= seconds;
    }
    parts.into_iter().map(|(step, [steps, seconds])| (step, steps / seconds)).collect()
}

/// What each rank's steps took, and how long it waited for others.
fn ranks(html: &mut Html, run: &Run) {
    let of = |what: &str| -> Vec<(String, &Vec<(u64, f64)>)> {
        let prefix = format!("replicas/{what}/");
        let curves = run.events.scalars.iter();
        let of_rank = |tag: &String| Some(tag.strip_prefix(&prefix)?.replace('_', " "));
        curves.filter_map(|(tag, curve)| Some((of_rank(tag)?, curve))).collect()
    };
    for (what, title, note) in [
        ("wait_seconds", "Ranks wait", "seconds of a step in which a rank waited for the others"),
        ("step_seconds", "Ranks compute", "seconds of a step in which a rank computed"),
    ] {
        let curves = of(what);
        if curves.is_empty() {
            continue;
        }
        let line = |(at, (name, curve)): (usize, &(String, &Vec<_>))| {
            Line::new(name, curve, Look::Nth(at))
        };
        let lines = curves.iter().enumerate().map(line).collect();
        Lines::new(title, "seconds", Unit::Seconds, lines).note(note).with_zero().draw(html);
    }
}

fn traced(html: &mut Html, trace: &Trace) {
    let ms = |value: Option<f64>| value.map(|v| Unit::Milliseconds.full(v));
    let mut text = format!("Step {}", thousands(trace.step));
    if let Some(traced) = ms(trace.traced) {
        text = format!("{text} took {traced} as it was traced, each launch on its own");
    }
    if let Some(before) = ms(trace.before) {
        text = format!("{text}; the step before it, which was not traced, took {before}");
    }
    html.p("note", &format!("{text}."));
    let chart = |title: &str, note: &str, parts: &[(String, f64)]| {
        let whole: f64 = parts.iter().map(|(_, ms)| ms).sum();
        let bar = |(name, ms): &(String, f64)| Bar {
            name: name.clone(),
            value: *ms,
            of: Some(whole).filter(|_| parts.len() > 1),
        };
        Bars {
            title: title.to_owned(),
            note: note.to_owned(),
            what: ["took", "of"].map(str::to_owned),
            unit: Unit::Milliseconds,
            bars: parts.iter().map(bar).collect(),
            table: true,
        }
    };
    html.charts("", |html| {
        chart("Host", "what the training loop did", &trace.host).draw(html);
        chart("GPU, by phase", "sums of the launches", &trace.phases).draw(html);
        let kernels = trace.kernels.iter().take(KERNELS);
        let kernels: Vec<_> =
            kernels.map(|(name, count, ms)| (format!("{name} ({count})"), *ms)).collect();
        let note = match trace.kernels.len() > KERNELS {
            true => format!("the {KERNELS} that take the longest; launches in parentheses"),
            false => "launches in parentheses".to_owned(),
        };
        chart("GPU, by kernel", &note, &kernels).draw(html);
    });
}
