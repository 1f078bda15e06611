//! Types of elements, by the names that the safetensors format gives them.
use std::fmt;

/// The type of a tensor's elements, named as files name it.
#[allow(non_camel_case_types, reason = "the format's own spelling")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// A byte that is 0 or 1.
    BOOL,
    /// 4-bit float of the microscaling formats (E2M1), two in a byte.
    F4,
    /// 6-bit float of the microscaling formats, four in three bytes.
    F6_E2M3,
    /// 6-bit float of the microscaling formats, four in three bytes.
    F6_E3M2,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// 8-bit float.
    F8_E5M2,
    /// 8-bit float.
    F8_E4M3,
    /// A scale: an exponent without sign and without a zero.
    F8_E8M0,
    /// 8-bit float without a negative zero.
    F8_E4M3FNUZ,
    /// 8-bit float without a negative zero.
    F8_E5M2FNUZ,
    /// Signed integer of 16 bits.
    I16,
    /// Unsigned integer of 16 bits.
    U16,
    /// Half-precision float.
    F16,
    /// Brain float.
    BF16,
    /// Signed integer of 32 bits.
    I32,
    /// Unsigned integer of 32 bits.
    U32,
    /// 32-bit float.
    F32,
    /// Complex number of two 32-bit floats.
    C64,
    /// 64-bit float.
    F64,
    /// Signed integer of 64 bits.
    I64,
    /// Unsigned integer of 64 bits.
    U64,
    /// One that this version does not know: its bytes can be copied.
    Other(Box<str>),
}

/// Bits of an element that make it another number than zero, of the types of whole bytes.
const ALL: [u8; 8] = [0xff; 8];
/// The same without the sign of a float.
const FLOAT: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
const COMPLEX: [u8; 8] = [0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f];

/// Each type with its name and its bits.
const KNOWN: [(Dtype, &str, u64); 22] = [
    (Dtype::BOOL, "BOOL", 8),
    (Dtype::F4, "F4", 4),
    (Dtype::F6_E2M3, "F6_E2M3", 6),
    (Dtype::F6_E3M2, "F6_E3M2", 6),
    (Dtype::U8, "U8", 8),
    (Dtype::I8, "I8", 8),
    (Dtype::F8_E5M2, "F8_E5M2", 8),
    (Dtype::F8_E4M3, "F8_E4M3", 8),
    (Dtype::F8_E8M0, "F8_E8M0", 8),
    (Dtype::F8_E4M3FNUZ, "F8_E4M3FNUZ", 8),
    (Dtype::F8_E5M2FNUZ, "F8_E5M2FNUZ", 8),
    (Dtype::I16, "I16", 16),
    (Dtype::U16, "U16", 16),
    (Dtype::F16, "F16", 16),
    (Dtype::BF16, "BF16", 16),
    (Dtype::I32, "I32", 32),
    (Dtype::U32, "U32", 32),
    (Dtype::F32, "F32", 32),
    (Dtype::C64, "C64", 64),
    (Dtype::F64, "F64", 64),
    (Dtype::I64, "I64", 64),
    (Dtype::U64, "U64", 64),
];

impl Dtype {
    /// The type that files call `name`.
    pub fn named(name: &str) -> Self {
        let known = KNOWN.into_iter().find(|(_, known, _)| *known == name);
        known.map_or_else(|| Self::Other(name.into()), |(dtype, ..)| dtype)
    }

    /// Bits of an element; `None` where this version does not know the type.
    pub fn bits(&self) -> Option<u64> {
        KNOWN.iter().find(|(dtype, ..)| dtype == self).map(|&(.., bits)| bits)
    }

    /// The bits of an element that say whether it is zero.
    pub(super) fn mask(&self) -> Option<&'static [u8]> {
        Some(match self {
            Self::F4 | Self::F6_E2M3 | Self::F6_E3M2 | Self::F8_E8M0 | Self::Other(_) => {
                return None;
            }
            Self::F8_E5M2 | Self::F8_E4M3 => &FLOAT[7..],
            Self::F16 | Self::BF16 => &FLOAT[6..],
            Self::F32 => &FLOAT[4..],
            Self::F64 => &FLOAT,
            Self::C64 => &COMPLEX,
            // Without a negative zero: its code stands for what is not a number.
            Self::BOOL | Self::U8 | Self::I8 | Self::F8_E4M3FNUZ | Self::F8_E5M2FNUZ => &ALL[7..],
            Self::I16 | Self::U16 => &ALL[6..],
            Self::I32 | Self::U32 => &ALL[4..],
            Self::I64 | Self::U64 => &ALL,
        })
    }

    /// How many elements of `bytes`, of which there are whole ones, are not zero; the sign of a
    /// float does not count. `None` where that cannot be told: of types that this version does not
    /// know, and of 6 bits, whose order within their three bytes the format leaves open.
    pub fn nonzero(&self, bytes: &[u8]) -> Option<u64> {
        if *self == Self::F4 {
            let of = |byte: &u8| u64::from(byte & 0x07 != 0) + u64::from(byte & 0x70 != 0);
            return Some(bytes.iter().map(of).sum());
        }
        if *self == Self::F8_E8M0 {
            return Some(bytes.len() as u64);
        }
        let mask = self.mask()?;
        let is_set = |element: &&[u8]| element.iter().zip(mask).any(|(b, m)| b & m != 0);
        Some(bytes.chunks_exact(mask.len()).filter(is_set).count() as u64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(name) => f.write_str(name),
            known => write!(f, "{known:?}"),
        }
    }
}
