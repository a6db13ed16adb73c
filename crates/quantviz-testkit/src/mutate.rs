//! Damage to valid files, of the kinds that parsers get wrong, the same on every run.

use std::ops::Range;

use crate::random::Random;
use crate::wire::varint;

/// Copies of `valid`, damaged in different ways; the index of a copy is the seed that makes it again with [`mutate`].
///
/// ```
/// let valid = b"\x02\0\0\0\0\0\0\0{}";
/// for (seed, damaged) in quantviz_testkit::mutations(valid, 100).enumerate() {
///     // A parser may refuse `damaged`, but neither panic nor exhaust the machine; `seed` names the case.
///     assert_eq!(damaged, quantviz_testkit::mutate(valid, seed as u64));
/// }
/// ```
pub fn mutations(valid: &[u8], how_many: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..how_many).map(move |seed| mutate(valid, seed as u64))
}

/// The damaged copy of `valid` that belongs to `seed`: mostly one injury, at times up to four.
pub fn mutate(valid: &[u8], seed: u64) -> Vec<u8> {
    let mut patient = Patient { bytes: valid.to_vec(), random: Random::new(seed) };
    // Every injury comes first in turn, so that few seeds try all.
    INJURIES[(seed % INJURIES.len() as u64) as usize](&mut patient);
    for _ in 0..patient.random.pick(&[0, 0, 0, 1, 3]) {
        patient.random.pick(INJURIES)(&mut patient);
    }
    patient.bytes
}

const INJURIES: &[fn(&mut Patient)] = &[
    Patient::flip_bit,
    Patient::change_byte,
    Patient::truncate,
    Patient::remove_slice,
    Patient::repeat_slice,
    Patient::overwrite_length,
    Patient::replace_varint,
    Patient::change_digit,
    Patient::nest_brackets,
];

/// Lengths and counts at which arithmetic goes wrong.
const EXTREMES: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fff8,
    0xffff_ffff_ffff_ffff,
];

struct Patient {
    bytes: Vec<u8>,
    random: Random,
}

impl Patient {
    fn flip_bit(&mut self) {
        let (at, bit) = (self.place(), self.random.below(8));
        self.bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
    }

    fn change_byte(&mut self) {
        let (at, value) = (self.place(), self.random.next() as u8);
        self.bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = value);
    }

    fn truncate(&mut self) {
        let at = self.place();
        self.bytes.truncate(at);
    }

    fn remove_slice(&mut self) {
        let slice = self.slice();
        self.bytes.drain(slice);
    }

    fn repeat_slice(&mut self) {
        let slice = self.slice();
        let copy = self.bytes[slice.clone()].to_vec();
        self.bytes.splice(slice.end..slice.end, copy);
    }

    /// Most often near the beginning, where formats keep their lengths.
    fn overwrite_length(&mut self) {
        let extreme = self.random.pick(EXTREMES).to_le_bytes();
        let width = self.random.pick(&[4, 8]);
        let near = self.random.pick(&[1, 64, usize::MAX]).min(self.bytes.len());
        let at = self.random.index(near);
        self.bytes.iter_mut().skip(at).zip(&extreme[..width]).for_each(|(byte, extreme)| *byte = *extreme);
    }

    /// What follows the number moves.
    fn replace_varint(&mut self) {
        let at = self.place();
        let continued = self.bytes[at..].iter().take(9).take_while(|&&byte| byte >= 0x80).count();
        let end = (at + continued + 1).min(self.bytes.len());
        let extreme = self.random.pick(EXTREMES);
        self.bytes.splice(at..end, varint(extreme));
    }

    /// One digit becomes another, or very many.
    fn change_digit(&mut self) {
        let digits: Vec<usize> =
            (0..self.bytes.len()).filter(|&at| self.bytes[at].is_ascii_digit()).collect();
        if digits.is_empty() {
            return self.change_byte();
        }
        let at = self.random.pick(&digits);
        let digit = b'0' + self.random.below(10) as u8;
        let more: &[u8] = self.random.pick(&[b"", b"", b"", b"999999999999999999999", b"e9", b".5", b"-"]);
        self.bytes.splice(at..=at, [&[digit], more].concat());
    }

    /// Deeper than a recursive parser has stack for, if nothing stops it.
    fn nest_brackets(&mut self) {
        let brackets: Vec<usize> =
            (0..self.bytes.len()).filter(|&at| b"[{".contains(&self.bytes[at])).collect();
        let at = if brackets.is_empty() { self.place() } else { self.random.pick(&brackets) };
        let nest: &[u8] = self.random.pick(&[b"[", b"{\"a\":"]);
        let depth = self.random.pick(&[1, 200, 100_000]);
        self.bytes.splice(at..at, nest.repeat(depth));
    }

    /// The index of a byte; 0 where there is none.
    fn place(&mut self) -> usize {
        self.random.index(self.bytes.len())
    }

    fn slice(&mut self) -> Range<usize> {
        let start = self.place();
        let longest = self.random.pick(&[4, 64, usize::MAX]).min(self.bytes.len() - start);
        let end = start + 1 + self.random.index(longest);
        start..end.min(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_can_be_damaged() {
        for valid in [&b""[..], b"x", b"{\"shape\":[10,20]}", &[0x80; 40]] {
            for (seed, damaged) in mutations(valid, 300).enumerate() {
                assert_eq!(damaged, mutate(valid, seed as u64));
            }
        }
    }

    #[test]
    fn most_copies_differ_from_each_other() {
        let valid: Vec<u8> = (0..=255).collect();
        let damaged: std::collections::BTreeSet<_> = mutations(&valid, 1000).collect();
        assert!(damaged.len() > 900, "{} of 1000", damaged.len());
    }

    #[test]
    fn lengths_digits_and_brackets_are_hit() {
        let valid = br#"........{"w":{"shape":[16]}}"#;
        let damaged: Vec<_> = mutations(valid, 1000).collect();
        let contains = |needle: &[u8]| {
            damaged.iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
        };
        assert!(damaged.iter().any(|bytes| bytes.starts_with(&u64::MAX.to_le_bytes())));
        assert!(contains(b"[99") || contains(b"999999"));
        assert!(contains(&[b'['; 200]));
    }
}
