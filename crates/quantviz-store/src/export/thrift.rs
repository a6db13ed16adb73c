//! Thrift's compact protocol, as much of it as the headers of Parquet need.

/// A struct that is being written.
#[derive(Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    pub(super) fn i32(self, field: u8, value: i32) -> Self {
        self.with(field, I32, |bytes| varint(bytes, zigzag(value.into())))
    }

    pub(super) fn i64(self, field: u8, value: u64) -> Self {
        // There are no negative ones here.
        self.with(field, I64, |bytes| varint(bytes, zigzag(value.cast_signed())))
    }

    pub(super) fn text(self, field: u8, value: &str) -> Self {
        self.with(field, BINARY, |bytes| binary(bytes, value))
    }

    pub(super) fn inner(self, field: u8, value: Struct) -> Self {
        self.with(field, STRUCT, |bytes| bytes.extend(value.end()))
    }

    pub(super) fn structs(self, field: u8, values: Vec<Struct>) -> Self {
        self.list(field, STRUCT, values, |bytes, value| bytes.extend(value.end()))
    }

    pub(super) fn texts(self, field: u8, values: &[&str]) -> Self {
        self.list(field, BINARY, values.to_vec(), binary)
    }

    pub(super) fn i32s(self, field: u8, values: &[i32]) -> Self {
        self.list(field, I32, values.to_vec(), |bytes, value| varint(bytes, zigzag(value.into())))
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn list<T>(self, field: u8, of: u8, values: Vec<T>, mut write: impl FnMut(&mut Vec<u8>, T)) -> Self {
        self.with(field, LIST, |bytes| {
            const SHORT: usize = 15;
            match u8::try_from(values.len()) {
                Ok(len) if values.len() < SHORT => bytes.push(len << 4 | of),
                _ => {
                    bytes.push(0xf0 | of);
                    varint(bytes, values.len() as u64);
                }
            }
            values.into_iter().for_each(|value| write(bytes, value));
        })
    }

    /// Fields come in the order of their numbers, no two farther apart than 15.
    fn with(mut self, field: u8, of: u8, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.bytes.push((field - self.last) << 4 | of);
        self.last = field;
        write(&mut self.bytes);
        self
    }
}

fn binary(bytes: &mut Vec<u8>, text: &str) {
    varint(bytes, text.len() as u64);
    bytes.extend(text.bytes());
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes worked out by hand from the protocol's description.
    #[test]
    fn fields_as_they_are_described() {
        let written = Struct::default().i32(1, -1).i64(3, 150).text(4, "ab").i32s(5, &[0, 3]).end();
        assert_eq!(written, [0x15, 1, 0x26, 0xac, 2, 0x18, 2, b'a', b'b', 0x19, 0x25, 0, 6, 0]);
        let long = Struct::default().i32s(1, &[0; 20]).end();
        assert_eq!(long[..3], [0x19, 0xf5, 20]);
    }
}
