//! Where a text may be cut so that its pieces have the ids that they have within the whole.
//!
//! Ids are looked up word by word, once a text is split into words. So a cut is right where a word
//! of the whole begins, and neither part is split into other words than before. Between a line end
//! with one visible character before it, and a letter or digit, that holds for two kinds of
//! tokenizers:
//!
//! - *byte-level*: the patterns of GPT-2, Llama 3 and Qwen 2 have no branch that matches a line end
//!   and then something visible. Only `\s+(?!\S)` looks ahead: of several white-space characters
//!   it leaves the last one over where something visible follows. Here there is one, the line end,
//!   and it is a word (or the end of one) whether anything follows or not.
//! - *words*: where white space parts words and is dropped, as BERT's tokenizer does it.
//!
//! Normalisations are those that change characters one by one, or with marks behind them.
use tokenizers::normalizers::NormalizerWrapper as Normalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper as PreTokenizer;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::SplitDelimiterBehavior;

/// The ids that a tokenizer adds around those of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

/// The frame of a tokenizer whose texts may be cut at [`last`]; `None` for any other.
pub(super) fn frame(library: &tokenizers::Tokenizer) -> Option<Frame> {
    let normalizers = library.get_normalizer().map_or(Vec::new(), normalizers);
    let splits = library.get_pre_tokenizer().map_or(Vec::new(), pre_tokenizers);
    // Behind ByteLevel a line end is another character, so it comes last.
    let (last, others) = splits.split_last()?;
    let byte_level = others.iter().all(|split| is_byte_level(split))
        && !others.iter().any(|split| matches!(split, PreTokenizer::ByteLevel(_)))
        && is_byte_level(last)
        && splits.iter().any(|split| !matches!(split, PreTokenizer::Digits(_)) && parts(split))
        && normalizers.iter().all(|n| is_local(n));
    let words = matches!(splits[..], [only] if is_words(only))
        && normalizers.iter().all(|n| is_local(n) || cleans(n));
    let added = library.get_added_tokens_decoder();
    let crosses = added.values().any(|token| {
        let mut pairs = token.content.chars().zip(token.content.chars().skip(1));
        let first = token.content.chars().next();
        pairs.any(|(a, b)| a.is_whitespace() && b.is_alphanumeric())
            || token.lstrip && first.is_some_and(char::is_alphanumeric)
    });
    if crosses || !(byte_level || words) {
        return None;
    }
    // What is added does not depend on the text.
    let with = library.encode_fast(PROBE, true).ok()?;
    let alone = library.encode_fast(PROBE, false).ok()?;
    let (with, alone) = (with.get_ids(), alone.get_ids());
    let at = with.windows(alone.len().max(1)).position(|ids| ids == alone)?;
    let (before, after) = (with[..at].to_vec(), with[at + alone.len()..].to_vec());
    Some(Frame { before, after })
}

/// The last place in `text` where it may be cut.
pub(super) fn last(text: &str) -> Option<usize> {
    let ends = text.rmatch_indices('\n').map(|(end, _)| end);
    ends.filter(|&end| {
        let (before, after) = (text[..end].chars().next_back(), text[end + 1..].chars().next());
        before.is_some_and(|c| c.is_alphanumeric() || c.is_ascii_graphic())
            && after.is_some_and(char::is_alphanumeric)
    })
    .map(|end| end + 1)
    .next()
}

fn normalizers(normalizer: &Normalizer) -> Vec<&Normalizer> {
    match normalizer {
        Normalizer::Sequence(all) => all.as_ref().iter().flat_map(normalizers).collect(),
        one => vec![one],
    }
}

fn pre_tokenizers(pre_tokenizer: &PreTokenizer) -> Vec<&PreTokenizer> {
    match pre_tokenizer {
        PreTokenizer::Sequence(all) => all.as_ref().iter().flat_map(pre_tokenizers).collect(),
        one => vec![one],
    }
}

/// Whether a line end stays one, and what is around it is changed on either side alone.
fn is_local(normalizer: &Normalizer) -> bool {
    use Normalizer::{Lowercase, NFC, NFD, NFKC, NFKD};
    matches!(normalizer, NFC(_) | NFD(_) | NFKC(_) | NFKD(_) | Lowercase(_))
}

/// Whether it may besides make a space of a line end, and drop characters.
fn cleans(normalizer: &Normalizer) -> bool {
    matches!(normalizer, Normalizer::BertNormalizer(_) | Normalizer::StripAccents(_))
}

fn is_byte_level(pre_tokenizer: &PreTokenizer) -> bool {
    match pre_tokenizer {
        PreTokenizer::ByteLevel(bytes) => !bytes.add_prefix_space,
        PreTokenizer::Digits(_) => true,
        split => parts(split),
    }
}

/// Whether it begins a word behind a line end.
fn parts(pre_tokenizer: &PreTokenizer) -> bool {
    match pre_tokenizer {
        PreTokenizer::ByteLevel(bytes) => bytes.use_regex,
        PreTokenizer::Split(split) => {
            let known = matches!(&split.pattern, SplitPattern::Regex(p) if KNOWN.contains(&&**p));
            known && !split.invert && split.behavior == SplitDelimiterBehavior::Isolated
        }
        _ => false,
    }
}

fn is_words(pre_tokenizer: &PreTokenizer) -> bool {
    use PreTokenizer::{BertPreTokenizer, Whitespace, WhitespaceSplit};
    matches!(pre_tokenizer, BertPreTokenizer(_) | Whitespace(_) | WhitespaceSplit(_))
}

const PROBE: &str = "a b";
/// The patterns of GPT-2, of Llama 3, and of Qwen 2 and 3.
const KNOWN: &[&str] = &[
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    concat!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    concat!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
];
