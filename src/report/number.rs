//! Numbers as people read them.
use crate::error::Bytes;

/// What a number counts, so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    /// A part of 1, as a percentage.
    Share,
    Bytes,
    Milliseconds,
    Seconds,
    Count,
}

impl Unit {
    /// The value in full, for tables.
    pub(super) fn full(self, value: f64) -> String {
        if value.is_nan() {
            return "NaN".to_owned();
        }
        if value.is_infinite() {
            return if value > 0.0 { "infinite" } else { "-infinite" }.to_owned();
        }
        match self {
            Self::Plain => digits(value, 4),
            Self::Share => percent(value),
            Self::Bytes => Bytes(value.max(0.0) as u64).to_string(),
            Self::Milliseconds => format!("{} ms", digits(value, 3)),
            Self::Seconds => seconds(value),
            Self::Count => thousands(value.max(0.0) as u64),
        }
    }

    /// The value on an axis whose ticks are `step` apart.
    pub(super) fn tick(self, value: f64, step: f64) -> String {
        // So many decimals that values of such a distance can be told from each other, exactly.
        let places = |step: f64| {
            let exact = |places: &i32| {
                let scaled = step.abs() * 10f64.powi(*places);
                (scaled - scaled.round()).abs() < 1e-3 * scaled
            };
            (0..=6).find(exact).unwrap_or(6) as usize
        };
        match self {
            Self::Share => format!("{:.*} %", places(step * 100.0), value * 100.0),
            Self::Bytes => Bytes(value.max(0.0) as u64).to_string(),
            _ if value != 0.0 && (value.abs() >= 1e6 || value.abs() < 1e-3) => {
                let text = format!("{value:.1e}");
                text.replace(".0e", "e")
            }
            Self::Count if value >= 10_000.0 => thousands(value as u64),
            _ => format!("{:.*}", places(step), value),
        }
    }
}

/// A part of 1 as a percentage.
pub(super) fn percent(value: f64) -> String {
    format!("{:.2} %", value * 100.0)
}

/// So many digits that count.
pub(super) fn digits(value: f64, count: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let order = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&order) {
        return format!("{:.*e}", (count - 1).max(0) as usize, value);
    }
    format!("{:.*}", (count - 1 - order).clamp(0, 12) as usize, value)
}

/// A whole number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time as people say it.
pub(super) fn seconds(value: f64) -> String {
    let whole = value.round() as u64;
    match value {
        ..1.0 => format!("{} ms", digits(value * 1e3, 3)),
        ..100.0 => format!("{value:.1} s"),
        ..6000.0 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Extents as people write them.
pub(super) fn shape(extents: &[usize]) -> String {
    extents.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
