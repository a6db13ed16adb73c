//! How often each code of at most eight bits occurs: from that, everything else about them follows exactly.

use crate::minifloat::code_values;
use crate::{DType, Elements, Packed};

/// The counts of all codes of one type.
#[derive(Clone, Debug)]
pub(crate) struct CodeCounts {
    dtype: DType,
    /// By the bits of the code.
    counts: [u64; CODES],
}

pub(crate) const CODES: usize = 256;
/// Neighbours are often the same, and need not wait for each other where they are counted in tables of their own.
pub(crate) const TABLES: usize = 4;
pub(crate) type Tables = [[u32; CODES]; TABLES];
/// So few codes that no count overflows.
const MOST: usize = 1 << 31;

impl CodeCounts {
    /// The counts of some elements; `None` for types of more than eight bits.
    pub(crate) fn of(elements: &Elements<'_>) -> Option<Self> {
        let mut counts = [0; CODES];
        for start in (0..elements.len().max(1)).step_by(MOST) {
            let mut tables = [[0; CODES]; TABLES];
            count(&elements.slice(start..elements.len().min(start + MOST)), &mut tables)?;
            tables.iter().for_each(|table| add(&mut counts, table));
        }
        Some(CodeCounts { dtype: elements.dtype(), counts })
    }

    /// Counts by the bits of the code.
    pub(crate) fn new(dtype: DType, counts: [u64; CODES]) -> Self {
        CodeCounts { dtype, counts }
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Adds the counts of other codes of the same type.
    pub(crate) fn merge(&mut self, other: &CodeCounts) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(here, there)| *here += there);
    }

    /// The smallest and the largest of codes that are whole numbers of eight bits.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        // In two's complement the upper half of all codes comes first.
        let first = match self.dtype {
            DType::U8 => 0,
            DType::I8 => CODES / 2,
            _ => return None,
        };
        let place = |code: usize| (code + first) % CODES;
        let value_of = code_values_of(self.dtype);
        let value = |code: usize| value_of(place(code));
        let occurs = |code: &usize| self.counts[place(*code)] > 0;
        Some((value((0..CODES).find(occurs)?), value((0..CODES).rev().find(occurs)?)))
    }

    /// Every number that the codes are, with the number of times it occurs.
    pub(crate) fn values(&self) -> impl Iterator<Item = (f64, u64)> + Clone + use<'_> {
        let value = code_values_of(self.dtype);
        let occurring = self.counts.iter().enumerate().filter(|(_, times)| **times > 0);
        occurring.map(move |(code, &times)| (value(code), times))
    }
}

/// Adds the counts of elements to tables, the sum of which is the counts; `None` for types of more than eight bits.
pub(crate) fn count(elements: &Elements<'_>, tables: &mut Tables) -> Option<()> {
    match elements {
        Elements::U8(codes) => count_bytes(codes, tables),
        Elements::I8(codes) => count_bytes(bytemuck::cast_slice(codes), tables),
        Elements::Packed(packed) => count_packed(packed, tables),
        _ => return None,
    }
    Some(())
}

/// Adds what a table has to the counts.
pub(crate) fn add(counts: &mut [u64; CODES], table: &[u32; CODES]) {
    counts.iter_mut().zip(table).for_each(|(count, &times)| *count += u64::from(times));
}

/// What the bits of a code mean, of a type that is looked up once; NaN where there is no such code.
pub(crate) fn code_values_of(dtype: DType) -> impl Fn(usize) -> f64 + Copy {
    let table = code_values(dtype).unwrap_or_default();
    move |code| table.get(code).map_or(f64::NAN, |&value| f64::from(value))
}

fn count_packed(packed: &Packed<'_>, tables: &mut Tables) {
    let bits = packed.bits();
    if 8 % bits != 0 {
        packed.codes().for_each(|code| tables[0][usize::from(code)] += 1);
        return;
    }
    let (before, bytes, behind) = packed.whole_bytes();
    if bits == 8 {
        count_bytes(bytes, tables);
    } else {
        // Bytes are counted, and then taken apart once each, however often they occur.
        let mut of_bytes = [[0; CODES]; TABLES];
        count_bytes(bytes, &mut of_bytes);
        let codes_of =
            |byte: usize| (0..8 / bits).map(move |place| byte >> (place * bits) & (CODES - 1) >> (8 - bits));
        for (byte, &times) in of_bytes.iter().flat_map(|table| table.iter().enumerate()) {
            codes_of(byte).for_each(|code| tables[0][code] += times);
        }
    }
    before.codes().chain(behind.codes()).for_each(|code| tables[0][usize::from(code)] += 1);
}

fn count_bytes(bytes: &[u8], tables: &mut Tables) {
    let (words, rest) = bytes.as_chunks::<8>();
    for &word in words {
        // Taken apart by shifts: bytes that are loaded one by one share the load unit with the counts.
        let word = u64::from_le_bytes(word);
        for place in 0..8 {
            tables[place % TABLES][(word >> (8 * place) & 0xff) as usize] += 1;
        }
    }
    rest.iter().for_each(|&byte| tables[0][usize::from(byte)] += 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All types of at most eight bits, from any place within a byte.
    #[test]
    fn counts_are_those_of_the_elements_one_by_one() {
        let bytes: Vec<u8> = (0..2000u32).map(|index| ((index * index) >> 3).to_le_bytes()[0]).collect();
        let small = |dtype: &DType| dtype.is_numeric() && dtype.bits().is_some_and(|bits| bits <= 8);
        for dtype in DType::ALL.iter().copied().filter(small) {
            for (first, len) in [(0, 2000), (1, 1500), (3, 1), (5, 0), (7, 700)] {
                let elements = Elements::from_bytes(dtype, &bytes, first, len).expect("there are enough");
                let counts = CodeCounts::of(&elements).expect("small");
                let mut found: Vec<f64> = counts
                    .values()
                    .flat_map(|(value, times)| {
                        std::iter::repeat_n(value, usize::try_from(times).unwrap_or(0))
                    })
                    .collect();
                let mut expected = elements.to_vec();
                found.sort_by(f64::total_cmp);
                expected.sort_by(f64::total_cmp);
                let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(found), bits(expected), "{dtype} {first} {len}");
            }
        }
    }
}
