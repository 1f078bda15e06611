//! The dashboard drawn into memory, from numbers that are made up.
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use secateur::gpu::Memory;
use secateur::nn::Metric;

use super::board::Layer;
use super::svg::svg;
use super::*;
use crate::cli::needs;

/// A run of 1,800 steps at `step`, pruned to 90 % between the 200th and the 1,200th.
fn board(step: u64) -> Board {
    let subject = "digits, mlp:128-64".to_owned();
    let mut board = Board::new("pruned", 1800).of(subject, "An adapter (vulkan)".to_owned());
    board.memory =
        Some(Memory { persistent: 233_882, scratch: 133_939, unshared: 200_000, staging: 299_622 });
    board.say("from step 0".to_owned());
    let mut noise = 1u32;
    for at in 1..=step {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(noise >> 8) / f64::from(1 << 24) - 0.5;
        let time = at as f64;
        let hurt = if at > 200 { 0.3 * (-(time - 900.0).powi(2) / 90_000.0).exp() } else { 0.0 };
        let loss = 2.2 * (-time / 120.0).exp() + hurt + 0.08 + 0.1 * noise.abs();
        let right = 0.97 - 0.85 * (-time / 100.0).exp() - 0.2 * hurt + 0.03 * noise;
        board.stepped(at, loss as f32, Some((Metric::Accuracy, right.min(1.0))), 1.0 / 512.0);
        if at % 90 == 0 {
            board.test_loss.push(at, 2.1 * (-time / 120.0).exp() + hurt + 0.14);
            board.test_figure.push(at, 0.95 - 0.8 * (-time / 100.0).exp() - 0.2 * hurt);
        }
        if at >= 200 && at.is_multiple_of(20) {
            let asked = 0.9 * (1.0 - (1.0 - ((time - 200.0) / 1000.0).min(1.0)).powi(3));
            let layer =
                |name: &str, asked, reached| Layer { name: name.to_owned(), asked, reached };
            board.layers = vec![
                layer("fc1.weight", Some(asked), asked),
                layer("fc2.weight", Some(asked), asked),
                layer("fc3.weight", None, 0.8 * asked),
            ];
            (board.asked, board.total) = (asked, Some([asked, 0.99 * asked]));
        }
    }
    for at in [400, 700] {
        if at < step {
            board.say(format!("saved step {at} in 0.02 s"));
        }
    }
    board
}

fn drawn(board: &Board, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
    terminal.draw(|frame| draw::draw(frame, board, Duration::from_secs(3723))).expect("memory");
    terminal.backend().clone()
}

#[test]
fn a_run_under_way() {
    assert_snapshot!("wide", drawn(&board(900), 110, 32));
    assert_snapshot!("usual", drawn(&board(900), 80, 24));
    assert_snapshot!("least", drawn(&board(900), 50, 14));
}

#[test]
fn before_the_first_step_and_at_the_end() {
    assert_snapshot!("begins", drawn(&Board::new("dense", 100), 80, 24));
    let mut board = board(1800);
    board.stopping = true;
    assert_snapshot!("ends", drawn(&board, 80, 24));
}

/// Names of others, and more layers than rows.
#[test]
fn many_layers_with_names_that_steer_terminals() {
    let mut board = board(300);
    board.subject = "csv:\u{1b}[2J.csv, mlp:8".to_owned();
    board.say("a message\nof two lines with \u{1b}[31mcolour".to_owned());
    let layer = |i| Layer {
        name: format!("model.layers.{i}.self_attn.q_\u{7}proj.weight"),
        asked: Some(0.5),
        reached: f64::from(i) / 40.0,
    };
    board.layers = (0..40).map(layer).collect();
    let drawn = drawn(&board, 80, 24).to_string();
    assert!(!drawn.contains(['\u{1b}', '\u{7}']), "{drawn}");
    assert_snapshot!("many", drawn);
}

/// No size, number or length is a panic.
#[test]
fn nothing_is_too_small_or_too_strange() {
    let mut strange = board(10);
    for (step, loss) in [(11, f32::NAN), (12, f32::INFINITY), (13, 1e30), (14, -1e-30)] {
        strange.stepped(step, loss, Some((Metric::MeanSquaredError, loss.into())), 0.0);
    }
    strange.total = Some([f64::NAN, 2.0]);
    strange.layers = vec![Layer { name: String::new(), asked: Some(-1.0), reached: f64::NAN }];
    strange.steps = 0;
    for board in [strange, Board::default(), board(900)] {
        for width in (0..120).step_by(7) {
            for height in (0..40).step_by(3) {
                drawn(&board, width, height);
            }
        }
    }
}

/// As many points as a terminal can show, whatever the number of steps, and the same mean.
#[test]
fn curves_take_a_fixed_memory() {
    let mut series = series::Series::default();
    (1..=100_000).for_each(|step| series.push(step, (step % 2) as f64));
    let points = series.points();
    assert!((200..512).contains(&points.len()), "{}", points.len());
    assert!(points.is_sorted_by(|a, b| a.0 < b.0));
    let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
    assert!((mean - 0.5).abs() < 1e-3, "{mean}");
    series.back_to(500);
    assert!(series.points().iter().all(|point| point.0 <= 500.0));
}

/// `docs/dashboard.svg` is what is drawn today; `INSTA_UPDATE=always` draws it anew.
#[test]
fn the_picture_of_the_documents() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard.svg");
    let now = svg(drawn(&board(900), 110, 32).buffer());
    roxmltree::Document::parse(&now).expect("an SVG is XML");
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&path, &now).expect("docs can be written to");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(now == there, "{} is another picture than what is drawn now", path.display());
}

/// Set where [`a_panic_gives_the_terminal_back`] runs itself in a terminal of its own, to panic there.
#[cfg(target_os = "linux")]
const PANICS: &str = "SECATEUR_TEST_PANICS";

/// Its message is on the screen that stays, and the terminal is as it was.
#[cfg(target_os = "linux")]
#[test]
fn a_panic_gives_the_terminal_back() {
    if std::env::var_os(PANICS).is_some() {
        let mut screen = screen::take().expect("a terminal");
        screen::draw(&mut screen, |frame| draw::draw(frame, &board(300), Duration::ZERO));
        output::divert(Some(Box::new(|_| {})));
        panic!("on purpose");
    }
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let program = std::env::current_exe().expect("this test");
    let lines = format!(
        "stty rows 30 cols 100; stty -a >before; {} --exact {} --nocapture; stty -a >after",
        program.display(),
        "cli::dashboard::tests::a_panic_gives_the_terminal_back",
    );
    let mut script = Command::new("script");
    script.args(["-qec", &lines, "/dev/null"]).current_dir(&folder);
    script.env("TERM", "xterm-256color").env(PANICS, "1");
    let Ok(done) = script.stdin(Stdio::piped()).output() else {
        return needs::missing(needs::TOOLS, "there is no script");
    };
    let [before, after] = ["before", "after"]
        .map(|name| fs::read_to_string(folder.path().join(name)).expect("what stty said"));
    assert_eq!(before, after);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let (shown, left) = said.rsplit_once("\u{1b}[?1049l").expect("the other screen is left");
    assert!(shown.contains("\u{1b}[?1049h") && left.contains("\u{1b}[?25h"), "{said}");
    assert!(!shown.contains("on purpose") && left.contains("on purpose"), "{said}");
}
