//! HTML that is XML too: what comes from users goes through [`Esc`].
use std::fmt::{self, Display, Write};

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Html {
    text: String,
    ids: usize,
}

/// Writes to an [`Html`] as `write!` does; nothing can fail.
macro_rules! put {
    ($html:expr, $($part:tt)*) => { $html.put(format_args!($($part)*)) };
}
pub(super) use put;

/// Text that stands for itself, in elements and attributes alike. What XML does not allow, and what
/// would turn the text around, is written as an escape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Esc<'a>(pub(super) &'a str);

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' => escaped(f, c)?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped(f, c)?,
                '\u{fffe}' | '\u{ffff}' => escaped(f, c)?,
                c if c.is_control() => escaped(f, c)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    write!(f, "{}", c.escape_unicode())
}

impl Html {
    pub(super) fn put(&mut self, text: fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes all");
    }

    /// A number that no other element of the page has.
    pub(super) fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A paragraph.
    pub(super) fn p(&mut self, class: &str, text: &str) {
        put!(self, "<p class=\"{class}\">{}</p>\n", Esc(text));
    }

    /// A section under a heading that links can name.
    pub(super) fn section(&mut self, id: &str, title: &str, fill: impl FnOnce(&mut Self)) {
        put!(self, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n", Esc(title));
        fill(self);
        put!(self, "</section>\n");
    }

    /// Charts beside each other.
    pub(super) fn charts(&mut self, class: &str, fill: impl FnOnce(&mut Self)) {
        put!(self, "<div class=\"charts {class}\">\n");
        fill(self);
        put!(self, "</div>\n");
    }

    /// What opens when it is asked for.
    pub(super) fn details(&mut self, summary: &str, fill: impl FnOnce(&mut Self)) {
        put!(self, "<details><summary>{}</summary>\n", Esc(summary));
        fill(self);
        put!(self, "</details>\n");
    }

    /// A table. The first cell of a row names it.
    pub(super) fn table(&mut self, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        self.table_of("", caption, head, rows);
    }

    /// Names with what is to say of them.
    pub(super) fn facts(&mut self, caption: &str, rows: &[Vec<String>]) {
        self.table_of("facts", caption, &["what", "value"], rows);
    }

    /// A table whose last row is that of all.
    pub(super) fn table_with_total(&mut self, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        self.table_of("total", caption, head, rows);
    }

    fn table_of(&mut self, class: &str, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        let said = Esc(caption);
        put!(self, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{said}\">");
        put!(self, "<table class=\"{class}\">\n<caption>{said}</caption>\n<thead><tr>");
        head.iter().for_each(|name| put!(self, "<th scope=\"col\">{}</th>", Esc(name)));
        put!(self, "</tr></thead>\n<tbody>\n");
        for row in rows {
            put!(self, "<tr>");
            for (at, cell) in row.iter().enumerate() {
                let long = if cell.chars().count() > 40 { " class=\"text\"" } else { "" };
                match at {
                    0 => put!(self, "<th scope=\"row\"{long}>{}</th>", Esc(cell)),
                    _ => put!(self, "<td{long}>{}</td>", Esc(cell)),
                }
            }
            put!(self, "</tr>\n");
        }
        put!(self, "</tbody></table></div>\n");
    }
}

/// Bytes as text for a URL of data.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let at = (word >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > three.len() { '=' } else { char::from(DIGITS[at]) });
        }
    }
    text
}
