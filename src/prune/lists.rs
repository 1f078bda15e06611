//! Commas, lists and quotes of the string form.
use super::parse::malformed;
use crate::Result;

/// The text between top-level commas, each with its position in characters, from 1.
pub(super) fn entries(text: &str) -> Result<Vec<(usize, &str)>> {
    let mut entries = Vec::new();
    let (mut start, mut open, mut quote) = ((0, 1), None, None);
    // Whether nothing of an item is there yet: a quote elsewhere is a letter as any other.
    let mut fresh = false;
    for (position, (index, c)) in (1..).zip(text.char_indices()) {
        if quote.is_some() {
            // The second of two opens again what the first has closed.
            quote = quote.filter(|_| c != '"');
            fresh = quote.is_none();
            continue;
        }
        match (c, open) {
            ('"', Some(_)) if fresh => quote = Some(position),
            ('[', None) => open = Some(position),
            (']', Some(_)) => open = None,
            ('[', Some(_)) | (']', None) => {
                return Err(malformed(format!("stray `{c}` at character {position}")));
            }
            (',', None) => {
                entries.push((start.1, &text[start.0..index]));
                start = (index + 1, position + 1);
            }
            _ => {}
        }
        fresh = matches!(c, '[' | ',') || fresh && c.is_whitespace();
    }
    if let Some(position) = quote {
        let message = format!("the quote opened at character {position} is never closed; add `\"`");
        return Err(malformed(message));
    }
    if let Some(position) = open {
        let message = format!("the list opened at character {position} is never closed; add `]`");
        return Err(malformed(message));
    }
    entries.push((start.1, &text[start.0..]));
    Ok(entries)
}

/// The items of a list, out of their quotes, those left out that are empty.
pub(super) fn items(text: &str) -> Result<Vec<String>, String> {
    let one_list = || format!("{text}: must be one list in brackets, like [fc3,embed]");
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let mut rest = inner.ok_or_else(one_list)?.trim_start();
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.find([',', '[', ']']).unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        rest = match (behind.chars().next(), behind.strip_prefix(',')) {
            (None, _) => "",
            (_, Some(next)) => next.trim_start(),
            (Some('[' | ']'), _) => return Err(one_list()),
            _ => return Err(format!("\"{item}\"{behind}: must be a comma behind the quote")),
        };
        if !item.is_empty() {
            items.push(item);
        }
    }
    Ok(items)
}

/// The item whose opening quote has been read, and what is behind it.
fn unquoted(mut rest: &str) -> Result<(String, &str), String> {
    let mut item = String::new();
    loop {
        let never = || format!("\"{rest}: the quote is never closed; add `\"`");
        let (part, behind) = rest.split_once('"').ok_or_else(never)?;
        item += part;
        match behind.strip_prefix('"') {
            Some(again) => {
                item.push('"');
                rest = again;
            }
            None => return Ok((item, behind.trim_start())),
        }
    }
}

/// An item as it is written: in quotes where it could be misread.
pub(super) fn quoted(item: &str) -> String {
    let plain = item.trim() == item && !item.contains([',', '[', ']']) && !item.starts_with('"');
    if plain { item.to_owned() } else { format!("\"{}\"", item.replace('"', "\"\"")) }
}
