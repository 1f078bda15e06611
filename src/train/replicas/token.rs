//! What a server tells ranks to compute, and what they answer, as bytes.
//!
//! A message is a header of whole words and then values as they lie in memory, which a reader takes
//! from it without a copy. Ranks are of one build on machines of one byte order; anything else
//! shows in the first word.
use std::borrow::Cow;

use bytemuck::{Pod, Zeroable, cast_slice, try_cast_slice};

use crate::data::Cursor;
use crate::{Error, Result};

/// What a rank is to compute a gradient for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Token {
    /// Global step of the weights that it is computed with.
    pub step: u64,
    /// Its batch.
    pub cursor: Cursor,
}

/// What a rank says of a gradient besides its values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Report {
    /// What it was computed for.
    pub token: Token,
    /// Rows of its batch.
    pub rows: usize,
    /// Mean loss over them.
    pub loss: f32,
    /// What the network is measured by first, over them; `None` where it has no metric.
    pub metric: Option<f64>,
    /// Seconds that it took to compute.
    pub seconds: f64,
    /// Seconds that the rank has waited for the token.
    pub waited: f64,
}

/// What a rank tells the server.
#[derive(Debug, Clone, PartialEq)]
pub enum ToServer {
    /// It is there and wants a token.
    Hello {
        /// Which one it is.
        rank: usize,
    },
    /// It has computed a gradient.
    Gradient(Report, Values),
    /// It cannot go on.
    Failed {
        /// Why.
        message: String,
    },
}

/// What the server tells a rank.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// To compute a gradient.
    Work(Token, Values),
    /// To wait: there is nothing to do, and the server is there.
    Wait,
    /// To end.
    Stop {
        /// Why.
        why: String,
    },
}

/// Values that have come in a message, and stay in it.
#[derive(Clone, PartialEq)]
pub struct Values {
    bytes: Vec<u8>,
    header: usize,
    floats: usize,
    words: Option<usize>,
}

/// The header of every message: what has no meaning in one is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
struct Header {
    magic: u32,
    kind: u32,
    step: u64,
    epoch: u64,
    row: u64,
    /// Rows of a batch; of a hello the rank.
    rows: u64,
    /// Floats that follow; bytes of a text.
    floats: u64,
    /// Words that follow those.
    words: u64,
    metric: f64,
    seconds: f64,
    waited: f64,
    loss: f32,
    flags: u32,
}

const MAGIC: u32 = u32::from_be_bytes(*b"sct1");
const HEADER: usize = size_of::<Header>();
const HELLO: u32 = 1;
const GRADIENT: u32 = 2;
const FAILED: u32 = 3;
const WORK: u32 = 4;
const STOP: u32 = 5;
const WAIT: u32 = 6;
const HAS_METRIC: u32 = 1;
const HAS_WORDS: u32 = 2;

impl ToServer {
    /// Writes [`Hello`](Self::Hello).
    pub fn hello(rank: usize) -> Vec<u8> {
        let header = Header { kind: HELLO, rows: rank as u64, ..Header::default() };
        header.begin(0)
    }

    /// Writes [`Gradient`](Self::Gradient): the values of all parameters one after the other.
    pub fn gradient(report: &Report, values: &[&[f32]]) -> Vec<u8> {
        let Report { token, rows, loss, metric, seconds, waited } = *report;
        let header = Header {
            kind: GRADIENT,
            rows: rows as u64,
            floats: len(values) as u64,
            metric: metric.unwrap_or_default(),
            flags: if metric.is_some() { HAS_METRIC } else { 0 },
            seconds,
            waited,
            loss,
            ..Header::of(token)
        };
        let mut bytes = header.begin(4 * len(values));
        values.iter().for_each(|part| bytes.extend_from_slice(cast_slice(part)));
        bytes
    }

    /// Writes [`Failed`](Self::Failed).
    pub fn failed(message: &str) -> Vec<u8> {
        text(FAILED, message)
    }

    /// Reads what rank `from` has sent.
    ///
    /// # Errors
    /// [`Error::Message`] for bytes that are no such message.
    pub fn read(from: usize, bytes: Vec<u8>) -> Result<Self> {
        let header = Header::read(from, &bytes)?;
        Ok(match header.kind {
            HELLO => {
                header.check_len(from, &bytes, 0)?;
                Self::Hello { rank: number(from, "a rank", header.rows)? }
            }
            GRADIENT => {
                let report = Report {
                    token: header.token(),
                    rows: number(from, "rows", header.rows)?,
                    loss: header.loss,
                    metric: (header.flags & HAS_METRIC != 0).then_some(header.metric),
                    seconds: header.seconds,
                    waited: header.waited,
                };
                Self::Gradient(report, Values::read(from, &header, bytes)?)
            }
            FAILED => Self::Failed { message: header.text(from, &bytes)? },
            kind => return Err(unknown(from, kind)),
        })
    }
}

impl ToWorker {
    /// Writes [`Work`](Self::Work): the values of all parameters one after the other, and where
    /// they have changed for this rank the words of all masks.
    pub fn work(token: Token, parameters: &[&[f32]], masks: Option<&[&[u32]]>) -> Vec<u8> {
        let words = masks.map_or(0, len);
        let header = Header {
            kind: WORK,
            floats: len(parameters) as u64,
            words: words as u64,
            flags: if masks.is_some() { HAS_WORDS } else { 0 },
            ..Header::of(token)
        };
        let mut bytes = header.begin(4 * (len(parameters) + words));
        parameters.iter().for_each(|part| bytes.extend_from_slice(cast_slice(part)));
        masks.into_iter().flatten().for_each(|part| bytes.extend_from_slice(cast_slice(part)));
        bytes
    }

    /// Writes [`Wait`](Self::Wait).
    pub fn wait() -> Vec<u8> {
        Header { kind: WAIT, ..Header::default() }.begin(0)
    }

    /// Writes [`Stop`](Self::Stop).
    pub fn stop(why: &str) -> Vec<u8> {
        text(STOP, why)
    }

    /// Reads what rank `from`, the server, has sent.
    ///
    /// # Errors
    /// [`Error::Message`] for bytes that are no such message.
    pub fn read(from: usize, bytes: Vec<u8>) -> Result<Self> {
        let header = Header::read(from, &bytes)?;
        Ok(match header.kind {
            WORK => Self::Work(header.token(), Values::read(from, &header, bytes)?),
            WAIT => {
                header.check_len(from, &bytes, 0)?;
                Self::Wait
            }
            STOP => Self::Stop { why: header.text(from, &bytes)? },
            kind => return Err(unknown(from, kind)),
        })
    }
}

impl Values {
    /// Gradients or parameters. Borrowed from the message, unless it lies askew in memory.
    pub fn floats(&self) -> Cow<'_, [f32]> {
        aligned(&self.bytes[self.header..][..4 * self.floats])
    }

    /// Words of masks, where there are any.
    pub fn masks(&self) -> Option<Cow<'_, [u32]>> {
        self.words.map(|words| aligned(&self.bytes[self.header + 4 * self.floats..][..4 * words]))
    }

    fn read(from: usize, header: &Header, bytes: Vec<u8>) -> Result<Self> {
        let floats = number(from, "values", header.floats)?;
        let words = number(from, "words", header.words)?;
        let has_words = header.flags & HAS_WORDS != 0;
        if words > 0 && !has_words {
            return Err(bad(from, format!("has {words} words of masks and says that it has none")));
        }
        let body = floats.checked_add(words).and_then(|n| n.checked_mul(4));
        let body =
            body.ok_or_else(|| bad(from, format!("states {floats} values, {words} words")))?;
        header.check_len(from, &bytes, body)?;
        Ok(Self { bytes, header: HEADER, floats, words: has_words.then_some(words) })
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("floats", &self.floats).field("words", &self.words).finish()
    }
}

impl Header {
    fn of(Token { step, cursor }: Token) -> Self {
        Self { step, epoch: cursor.epoch, row: cursor.row, ..Self::default() }
    }

    fn token(&self) -> Token {
        Token { step: self.step, cursor: Cursor { epoch: self.epoch, row: self.row } }
    }

    /// A message that begins with it, with room for `body` bytes more.
    fn begin(self, body: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + body);
        bytes.extend_from_slice(bytemuck::bytes_of(&Self { magic: MAGIC, ..self }));
        bytes
    }

    fn read(from: usize, bytes: &[u8]) -> Result<Self> {
        let Some(header) = bytes.get(..HEADER) else {
            return Err(bad(from, format!("has {} bytes, a header has {HEADER}", bytes.len())));
        };
        let header: Self = bytemuck::pod_read_unaligned(header);
        if header.magic != MAGIC {
            let message = format!("begins with {:08x}, not {MAGIC:08x}", header.magic);
            return Err(bad(from, message));
        }
        Ok(header)
    }

    fn check_len(&self, from: usize, bytes: &[u8], body: usize) -> Result<()> {
        let (have, states) = (bytes.len() - HEADER, body);
        if have == states {
            return Ok(());
        }
        Err(bad(from, format!("has {have} bytes after its header, which states {states}")))
    }

    fn text(&self, from: usize, bytes: &[u8]) -> Result<String> {
        self.check_len(from, bytes, number(from, "bytes", self.floats)?)?;
        Ok(String::from_utf8_lossy(&bytes[HEADER..]).into_owned())
    }
}

fn text(kind: u32, text: &str) -> Vec<u8> {
    let mut bytes =
        Header { kind, floats: text.len() as u64, ..Header::default() }.begin(text.len());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn aligned<T: Pod>(bytes: &[u8]) -> Cow<'_, [T]> {
    try_cast_slice(bytes).map_or_else(|_| bytemuck::pod_collect_to_vec(bytes).into(), Cow::Borrowed)
}

fn len<T>(parts: &[&[T]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

fn number(from: usize, what: &str, number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| bad(from, format!("states {number} {what}")))
}

fn unknown(from: usize, kind: u32) -> Error {
    bad(from, format!("is of kind {kind}, which this rank does not take"))
}

fn bad(from: usize, message: String) -> Error {
    Error::Message { from, message }
}
