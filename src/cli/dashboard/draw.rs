//! The dashboard as text in a terminal of any size.
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};
use secateur::error::Bytes;
use secateur::nn::Metric;

use super::board::Board;
use super::series::Series;
use crate::cli::output::{plain, thousands};

/// What does not fit into less is left out.
const LEAST: [u16; 2] = [50, 14];

const TRAIN: Color = Color::Cyan;
const TEST: Color = Color::Yellow;
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws what is known, `elapsed` after the beginning of the run.
pub fn draw(frame: &mut Frame<'_>, board: &Board, elapsed: Duration) {
    let area = frame.area();
    if area.width < LEAST[0] || area.height < LEAST[1] {
        let done = format!("step {} of {}", board.step, board.steps);
        let [width, height] = LEAST;
        let lines = [done, format!("the window is smaller than {width}x{height}")];
        frame.render_widget(Paragraph::new(lines.map(Line::from).to_vec()), area);
        return;
    }
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ]);
    let [head, gauge, numbers, charts, below, foot] = rows.areas(area);
    title(frame, board, head);
    progress(frame, board, gauge);
    frame.render_widget(Paragraph::new(said(board, elapsed)), numbers);
    let [left, right] = halves(charts);
    chart(frame, "loss", &board.loss, &board.test_loss, board, false, left);
    let name = board.metric.map_or_else(|| "no figure".to_owned(), |m| m.name().replace('_', " "));
    let shares = board.metric.is_some_and(Metric::is_share);
    chart(frame, &name, &board.figure, &board.test_figure, board, shares, right);
    let [left, right] = halves(below);
    layers(frame, board, left);
    messages(frame, board, right);
    let keys = match board.stopping {
        true => "stopping: the step in hand is finished and saved; Ctrl-C again ends at once",
        false => "q or Ctrl-C: finish the step in hand, save, and stop",
    };
    frame.render_widget(Paragraph::new(Line::styled(keys, QUIET)), foot);
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
}

fn title(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let name = Span::styled("secateur", Style::new().add_modifier(Modifier::BOLD));
    let what = format!(" {}: {}", board.label, plain(&board.subject));
    frame.render_widget(Paragraph::new(Line::from(vec![name, Span::raw(what)])), area);
    let used = 9 + board.label.len() + 2 + board.subject.chars().count();
    let free = usize::from(area.width).saturating_sub(used + 2);
    let adapter: String = plain(&board.adapter).chars().take(free).collect();
    let line = Line::styled(adapter, QUIET);
    frame.render_widget(Paragraph::new(line).alignment(Alignment::Right), area);
}

fn progress(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let share = board.step as f64 / board.steps.max(1) as f64;
    let label = format!("step {} of {}", thousands(board.step), thousands(board.steps));
    let gauge = Gauge::default().ratio(share.clamp(0.0, 1.0)).label(label);
    frame.render_widget(gauge.gauge_style(Style::new().fg(TRAIN)), area);
}

/// Speed, times, memory and what the last step came to.
fn said(board: &Board, elapsed: Duration) -> Line<'static> {
    let mut parts = vec![format!("{} so far", clock(elapsed))];
    if let (Some(rate), Some(left)) = (board.rate(), board.left()) {
        parts.push(format!("{} left", clock(left)));
        let decimals = if rate < 10.0 { 2 } else { 0 };
        parts.push(format!("{rate:.decimals$} steps/s"));
    }
    if let Some(loss) = board.last_loss {
        parts.push(format!("loss {loss:.4}"));
    }
    if let Some(memory) = &board.memory {
        parts.push(format!("{} on the device", Bytes(memory.peak())));
    }
    Line::raw(parts.join("  "))
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let [hours, minutes] = [seconds / 3600, seconds / 60 % 60];
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

fn chart(
    frame: &mut Frame<'_>,
    name: &str,
    train: &Series,
    test: &Series,
    board: &Board,
    shares: bool,
    area: Rect,
) {
    let all = || train.points().iter().chain(test.points()).map(|point| point.1);
    let (low, high) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    // Of no points, of one, or of a flat curve.
    let [low, high] = match (low.is_finite(), high > low) {
        (false, _) => [0.0, 1.0],
        (_, false) => [low - 0.5 * low.abs().max(1e-6), high + 0.5 * high.abs().max(1e-6)],
        _ => [low, high],
    };
    let number = |y: f64| match shares {
        true => format!("{:.1} %", y * 100.0),
        false if y.abs() >= 1e5 || (y != 0.0 && y.abs() < 1e-3) => format!("{y:.1e}"),
        false => format!("{y:.3}"),
    };
    let line = |points, colour| {
        let set = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        set.style(Style::new().fg(colour)).data(points)
    };
    let sets = vec![line(train.points(), TRAIN), line(test.points(), TEST)];
    let mut title = vec![Span::raw(format!(" {name}: ")), Span::styled("train", TRAIN)];
    if !test.points().is_empty() {
        title.extend([Span::raw(" and "), Span::styled("test", TEST)]);
    }
    title.push(Span::raw(" "));
    let steps = [board.first as f64, board.steps.max(board.first + 1) as f64];
    let x = Axis::default().bounds(steps).labels([board.first, board.steps].map(thousands));
    let middle = f64::midpoint(low, high);
    let y = Axis::default().bounds([low, high]).labels([low, middle, high].map(number));
    let block = Block::bordered().title(Line::from(title));
    let chart = Chart::new(sets).block(block).x_axis(x.style(QUIET)).y_axis(y.style(QUIET));
    frame.render_widget(chart, area);
}

/// A row for each weight that is pruned: its sparsity as a bar, with a mark at what is asked for.
fn layers(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let block = Block::bordered().title(" sparsity: reached of asked ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let Some([asked, reached]) = board.total else {
        let text = "nothing is pruned so far";
        frame.render_widget(Paragraph::new(Line::styled(text, QUIET)), inside);
        return;
    };
    let height = usize::from(inside.height);
    let fitting = match board.layers.len() + 1 > height {
        true => height.saturating_sub(2),
        false => board.layers.len(),
    };
    let width = usize::from(inside.width);
    let names = board.layers.iter().take(fitting).map(|layer| short(&layer.name).chars().count());
    // A bar of four columns has room beside the name.
    let names = names.max().unwrap_or(0).clamp(3, width.saturating_sub(4 + 20).max(3));
    let mut lines: Vec<Line<'_>> = board
        .layers
        .iter()
        .take(fitting)
        .map(|layer| row(short(&layer.name), layer.asked, layer.reached, names, width))
        .collect();
    if fitting < board.layers.len() {
        let more = format!("and {} more", board.layers.len() - fitting);
        lines.push(Line::styled(more, QUIET));
    }
    lines.push(row("all", Some(asked), reached, names, width));
    frame.render_widget(Paragraph::new(lines), inside);
}

/// What all names of weights have at their end says nothing.
fn short(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap_or(name)
}

fn row(name: &str, asked: Option<f64>, reached: f64, names: usize, width: usize) -> Line<'static> {
    let name = plain(name);
    let count = name.chars().count();
    // Of a long name the end says more.
    let name: String = match count > names {
        true => "…".chars().chain(name.chars().skip(count - names + 1)).collect(),
        false => name.into_owned(),
    };
    let asked_text = asked.map_or_else(|| "-".to_owned(), |asked| format!("{:.1}", asked * 100.0));
    let text = format!(" {:>5.1} of {asked_text:>5} %", reached * 100.0);
    let bar = width.saturating_sub(names + 1 + text.chars().count());
    let column = |share: f64| (share.clamp(0.0, 1.0) * bar as f64).round() as usize;
    let (full, mark) = (column(reached), asked.map(|asked| column(asked).min(bar.max(1) - 1)));
    let mut spans = vec![Span::raw(format!("{name:<names$} "))];
    spans.extend((0..bar).map(|at| match (mark == Some(at), at < full) {
        (true, _) => Span::styled("┃", Style::new().fg(TEST)),
        (_, true) => Span::styled("█", Style::new().fg(TRAIN)),
        _ => Span::styled("·", QUIET),
    }));
    spans.push(Span::raw(text));
    Line::from(spans)
}

/// The last messages, the newest at the bottom.
fn messages(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let block = Block::bordered().title(" messages ");
    let inside = block.inner(area);
    let lines: Vec<String> = board
        .messages
        .iter()
        .flat_map(|message| message.lines().map(|line| plain(line).into_owned()))
        .collect();
    let first = lines.len().saturating_sub(inside.height.into());
    let lines: Vec<Line<'_>> = lines[first..].iter().map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
