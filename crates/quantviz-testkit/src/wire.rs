//! Protocol buffers on the wire, written field by field, so that a test decides about every byte.
//!
//! ```
//! use quantviz_testkit::wire::Message;
//!
//! // The examples of the encoding guide.
//! assert_eq!(Message::new().varint(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
//! assert_eq!(Message::new().bytes(2, b"testing").into_bytes(), b"\x12\x07testing");
//! ```

/// How a field is encoded: the low three bits of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WireType {
    /// A base-128 number.
    Varint = 0,
    /// Eight bytes.
    Fixed64 = 1,
    /// A length, and that many bytes.
    Length = 2,
    /// The start of a group, which nothing writes any more.
    StartGroup = 3,
    /// The end of a group.
    EndGroup = 4,
    /// Four bytes.
    Fixed32 = 5,
}

/// A message, as the bytes of the fields written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A message without fields.
    pub fn new() -> Self {
        Message::default()
    }

    /// A number: `int32`, `int64`, `uint32`, `uint64`, `bool` or an enum.
    #[must_use]
    pub fn varint(self, field: u32, value: u64) -> Self {
        self.tag(field, WireType::Varint).raw(&varint(value))
    }

    /// A signed number: negative ones take ten bytes.
    #[must_use]
    pub fn int(self, field: u32, value: i64) -> Self {
        self.varint(field, value.cast_unsigned())
    }

    /// Four bytes: a `float` or `fixed32`.
    #[must_use]
    pub fn fixed32(self, field: u32, bits: u32) -> Self {
        self.tag(field, WireType::Fixed32).raw(&bits.to_le_bytes())
    }

    /// Eight bytes: a `double` or `fixed64`.
    #[must_use]
    pub fn fixed64(self, field: u32, bits: u64) -> Self {
        self.tag(field, WireType::Fixed64).raw(&bits.to_le_bytes())
    }

    /// Bytes, a string or a packed repeated field.
    #[must_use]
    pub fn bytes(self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.claimed(field, bytes.len() as u64, bytes)
    }

    /// A nested message.
    #[must_use]
    pub fn message(self, field: u32, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    /// The same message nested in itself `depth` times.
    #[must_use]
    pub fn nested(self, field: u32, depth: usize) -> Self {
        (0..depth).fold(self, |inner, _| Message::new().message(field, &inner))
    }

    /// Packed numbers.
    #[must_use]
    pub fn packed(self, field: u32, values: impl IntoIterator<Item = i64>) -> Self {
        let payload: Vec<u8> = values.into_iter().flat_map(|value| varint(value.cast_unsigned())).collect();
        self.bytes(field, payload)
    }

    /// All fields of another message.
    #[must_use]
    pub fn append(self, other: &Message) -> Self {
        self.raw(&other.0)
    }

    /// Bytes behind a length that need not be theirs.
    #[must_use]
    pub fn claimed(self, field: u32, length: u64, bytes: &[u8]) -> Self {
        self.tag(field, WireType::Length).raw(&varint(length)).raw(bytes)
    }

    /// A tag with nothing behind it.
    #[must_use]
    pub fn tag(self, field: u32, wire_type: WireType) -> Self {
        self.raw(&varint(u64::from(field) << 3 | u64::from(wire_type as u8)))
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A number in base 128, low digits first.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(128), [0x80, 0x01]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }

    #[test]
    fn every_kind_of_field() {
        let inner = Message::new().int(1, -1);
        let message = Message::new()
            .fixed32(1, 1)
            .fixed64(2, 2)
            .message(3, &inner)
            .packed(4, [3, 270, 86942])
            .tag(5, WireType::StartGroup)
            .claimed(6, 300, b"x");
        let expected = [
            &[0x0d, 1, 0, 0, 0][..],
            &[0x11, 2, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x22, 6, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05],
            &[0x2b],
            &[0x32, 0xac, 0x02, b'x'],
        ];
        assert_eq!(message.into_bytes(), expected.concat());
    }

    #[test]
    fn nesting() {
        assert_eq!(Message::new().nested(1, 3).into_bytes(), [0x0a, 4, 0x0a, 2, 0x0a, 0]);
    }
}
