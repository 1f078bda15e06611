//! Protocol buffers, as far as event files need them.

/// A message under construction.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// The message that `fill` writes.
    pub(super) fn new(fill: impl FnOnce(&mut Self)) -> Self {
        let mut message = Self::default();
        fill(&mut message);
        message
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn varint(&mut self, field: u64, value: u64) {
        self.raw_varint(field << 3);
        self.raw_varint(value);
    }

    pub(super) fn double(&mut self, field: u64, value: f64) {
        self.raw_varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    /// Repeated doubles, packed.
    pub(super) fn doubles(&mut self, field: u64, values: impl Iterator<Item = f64>) {
        self.bytes(field, &values.flat_map(f64::to_le_bytes).collect::<Vec<u8>>());
    }

    /// A string, bytes, or anything else that comes with its length.
    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// The message within this one that `fill` writes.
    pub(super) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        self.bytes(field, &Self::new(fill).0);
    }

    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
