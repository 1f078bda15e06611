//! The bytes of a GGUF file of version 3: a header, keys with values, where each tensor lies, and
//! the tensors.
use crate::storage::Dtype;

/// Elements of a tensor begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 32;
const VERSION: u32 = 3;

/// A key and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    key: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Count(u32),
    Float(f32),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
}

impl Entry {
    fn new(key: &str, value: Value) -> Self {
        Self { key: key.to_owned(), value }
    }

    pub(super) fn count(key: &str, value: u32) -> Self {
        Self::new(key, Value::Count(value))
    }

    pub(super) fn float(key: &str, value: f64) -> Self {
        Self::new(key, Value::Float(value as f32))
    }

    pub(super) fn flag(key: &str, value: bool) -> Self {
        Self::new(key, Value::Flag(value))
    }

    pub(super) fn text(key: &str, value: &str) -> Self {
        Self::new(key, Value::Text(value.to_owned()))
    }

    pub(super) fn texts(key: &str, value: Vec<String>) -> Self {
        Self::new(key, Value::Texts(value))
    }

    pub(super) fn numbers(key: &str, value: Vec<i32>) -> Self {
        Self::new(key, Value::Numbers(value))
    }
}

/// The numbers by which the format knows its types of values.
mod kind {
    pub(super) const COUNT: u32 = 4;
    pub(super) const NUMBER: u32 = 5;
    pub(super) const FLOAT: u32 = 6;
    pub(super) const FLAG: u32 = 7;
    pub(super) const TEXT: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
}

/// The number by which the format knows a type of elements.
fn element_kind(dtype: &Dtype) -> u32 {
    match dtype {
        Dtype::F16 => 1,
        Dtype::BF16 => 30,
        _ => 0,
    }
}

/// A tensor as the header says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    /// Slowest first.
    pub(super) shape: Vec<usize>,
    pub(super) bytes: u64,
}

/// All that is before the first tensor, padding included.
pub(super) fn header(entries: &[Entry], tensors: &[Described]) -> Vec<u8> {
    let mut out = Out(b"GGUF".to_vec());
    out.word(VERSION);
    out.long(tensors.len() as u64);
    out.long(entries.len() as u64);
    for Entry { key, value } in entries {
        out.text(key);
        match value {
            Value::Count(count) => out.words([kind::COUNT, *count]),
            Value::Float(value) => out.words([kind::FLOAT, value.to_bits()]),
            Value::Flag(flag) => {
                out.word(kind::FLAG);
                out.0.push((*flag).into());
            }
            Value::Text(text) => {
                out.word(kind::TEXT);
                out.text(text);
            }
            Value::Texts(texts) => {
                out.words([kind::ARRAY, kind::TEXT]);
                out.long(texts.len() as u64);
                texts.iter().for_each(|text| out.text(text));
            }
            Value::Numbers(numbers) => {
                out.words([kind::ARRAY, kind::NUMBER]);
                out.long(numbers.len() as u64);
                numbers.iter().for_each(|number| out.word(number.cast_unsigned()));
            }
        }
    }
    let mut offset = 0;
    for tensor in tensors {
        out.text(&tensor.name);
        out.word(tensor.shape.len() as u32);
        tensor.shape.iter().rev().for_each(|&extent| out.long(extent as u64));
        out.word(element_kind(&tensor.dtype));
        out.long(offset);
        offset += tensor.bytes.next_multiple_of(ALIGNMENT);
    }
    let Out(mut bytes) = out;
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    bytes
}

/// Bytes so far, little-endian.
struct Out(Vec<u8>);

impl Out {
    fn word(&mut self, word: u32) {
        self.0.extend(word.to_le_bytes());
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) {
        words.into_iter().for_each(|word| self.word(word));
    }

    fn long(&mut self, long: u64) {
        self.0.extend(long.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.long(text.len() as u64);
        self.0.extend(text.as_bytes());
    }
}
