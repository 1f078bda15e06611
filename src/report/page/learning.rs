//! Curves of loss, figures and learning rate.
use super::answer::metric;
use crate::report::chart::{Line, Lines, Look};
use crate::report::html::Html;
use crate::report::logdir::Run;
use crate::report::number::Unit;

pub(super) fn charts(html: &mut Html, run: &Run) {
    html.charts("", |html| {
        both(run, "loss", "Loss", Unit::Plain).draw(html);
        if let Some((tag, unit)) = metric(run) {
            let name = tag.replace('_', " ");
            let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
            both(run, tag, &title, unit).draw(html);
        }
        let rate = run.events.curve("learning_rate");
        let line = Line::new("rate", rate, Look::Accent).stays();
        Lines::new("Learning rate", "learning rate", Unit::Plain, vec![line]).draw(html);
    });
}

/// The curve `tag` of batches trained on and of test rows, and of the dense run's test rows.
fn both(run: &Run, tag: &str, title: &str, unit: Unit) -> Lines {
    let test = test_curve(run, tag);
    let look = if test.is_empty() { Look::Accent } else { Look::Quiet };
    let mut lines = vec![Line::new("train batch", run.events.curve(tag), look)];
    if let Some(dense) = &run.dense {
        lines.push(Line::new("test, dense", &test_curve(dense, tag), Look::Nth(1)));
    }
    let note = match test.is_empty() {
        true => "of the batches trained on; the test rows were not looked at on the way",
        false => "the last test value is of all test rows, those before of the first ones",
    };
    lines.push(Line::new("test", &test, Look::Accent));
    Lines::new(title, &tag.replace('_', " "), unit, lines).note(note)
}

/// The curve `tag` of test rows, with what the run came to at its end.
pub(super) fn test_curve(run: &Run, tag: &str) -> Vec<(u64, f64)> {
    let mut curve = run.events.curve(&format!("test/{tag}")).to_vec();
    let step = run.number("global_step").map(|step| step as u64);
    let value = run.number(&format!("test_{tag}"));
    if let Some((step, value)) = step.zip(value) {
        curve.retain(|(before, _)| *before < step);
        curve.push((step, value));
    }
    curve
}
