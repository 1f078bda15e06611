//! What is drawn on a terminal as a picture for the documents.
use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Size of a cell in the picture.
const CELL: [u32; 2] = [8, 16];

/// The buffer as an SVG on a dark ground. Dots, bars and borders are shapes, since fonts draw them
/// in many widths; the other characters stand in their cells, whatever the font.
pub fn svg(buffer: &Buffer) -> String {
    let [w, h] = CELL;
    let [width, height] = [u32::from(buffer.area.width) * w, u32::from(buffer.area.height) * h];
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"monospace\" font-size=\"13\">\n<rect width=\"{width}\" \
         height=\"{height}\" fill=\"#16181d\"/>\n"
    );
    for y in 0..buffer.area.height {
        let row: Vec<&Cell> = (0..buffer.area.width).map(|x| &buffer[(x, y)]).collect();
        let mut x = 0;
        for run in row.chunk_by(|a, b| a.fg == b.fg && a.bg == b.bg && a.modifier == b.modifier) {
            draw(&mut out, run, [x * w, u32::from(y) * h]);
            x += run.len() as u32;
        }
    }
    out + "</svg>\n"
}

/// Cells of one style, from the corner `[x, y]` on.
fn draw(out: &mut String, run: &[&Cell], [x, y]: [u32; 2]) {
    let [w, h] = CELL;
    let style = run[0];
    let has = |modifier| style.modifier.contains(modifier);
    let (mut ink, mut ground) = (colour(style.fg, "#d8dce4"), colour(style.bg, ""));
    if has(Modifier::REVERSED) {
        (ink, ground) = ("#16181d", ink);
    }
    if !ground.is_empty() {
        let width = run.len() as u32 * w;
        writeln!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="{h}" fill="{ground}"/>"#)
            .expect("a string takes all");
    }
    let (mut path, mut letters, mut places) = (String::new(), String::new(), Vec::new());
    for (cell, x) in run.iter().zip((x..).step_by(w as usize)) {
        let letter = cell.symbol().chars().next().unwrap_or(' ');
        if !shape(&mut path, letter, [x, y]) && letter != ' ' {
            match letter {
                '&' => letters.push_str("&amp;"),
                '<' => letters.push_str("&lt;"),
                letter => letters.push(letter),
            }
            places.push(x.to_string());
        }
    }
    let dim = if has(Modifier::DIM) { r#" opacity="0.6""# } else { "" };
    let bold = if has(Modifier::BOLD) { r#" font-weight="bold""# } else { "" };
    if !path.is_empty() {
        writeln!(out, r#"<path fill="{ink}"{dim} d="{}"/>"#, path.trim()).expect("a string");
    }
    if !letters.is_empty() {
        let (places, y) = (places.join(" "), y + 12);
        writeln!(out, r#"<text x="{places}" y="{y}" fill="{ink}"{dim}{bold}>{letters}</text>"#)
            .expect("a string takes all");
    }
}

/// Appends what a character looks like, where it is no letter.
fn shape(path: &mut String, letter: char, [x, y]: [u32; 2]) -> bool {
    let [w, h] = CELL;
    let mut rect = |dx: u32, dy: u32, width: u32, height: u32| {
        write!(path, "M{} {}h{width}v{height}h-{width}z", x + dx, y + dy).expect("a string");
    };
    // Half of a cell's lines: to the left, right, top and bottom of its middle.
    let arms = match letter {
        '─' => [true, true, false, false],
        '│' => [false, false, true, true],
        '┌' => [false, true, false, true],
        '┐' => [true, false, false, true],
        '└' => [false, true, true, false],
        '┘' => [true, false, true, false],
        '\u{2800}'..='\u{28ff}' => {
            // Three rows of two dots, column by column, and the two of the fourth row.
            let places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
            let bits = u32::from(letter) - 0x2800;
            for (_, (column, row)) in (0..8).zip(places).filter(|(bit, _)| bits >> bit & 1 == 1) {
                rect(1 + 4 * column, 1 + 4 * row, 2, 2);
            }
            return true;
        }
        // Eighths of a cell from the left.
        '\u{2588}'..='\u{258f}' => {
            rect(0, 0, w * (0x2590 - u32::from(letter)) / 8, h);
            return true;
        }
        '┃' => {
            rect(w / 2 - 1, 0, 3, h);
            return true;
        }
        '·' => {
            rect(w / 2 - 1, h / 2 - 1, 2, 2);
            return true;
        }
        '•' => {
            rect(w / 2 - 2, h / 2 - 2, 4, 4);
            return true;
        }
        _ => return false,
    };
    let [left, right, top, bottom] = arms;
    let [cx, cy] = [w / 2, h / 2];
    if left || right {
        let from = if left { 0 } else { cx };
        rect(from, cy, if right { w - from } else { cx + 1 - from }, 1);
    }
    if top || bottom {
        let from = if top { 0 } else { cy };
        rect(cx, from, 1, if bottom { h - from } else { cy + 1 - from });
    }
    true
}

/// Of the colours that the dashboard uses.
fn colour(colour: Color, otherwise: &'static str) -> &'static str {
    match colour {
        Color::Cyan => "#56b6c2",
        Color::Yellow => "#e5c07b",
        _ => otherwise,
    }
}
