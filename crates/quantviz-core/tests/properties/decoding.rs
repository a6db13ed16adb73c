//! Stored bytes become the numbers that their type defines.

use proptest::prelude::*;
use quantviz_core::{DType, Elements, Packed, Shape, byte_len, code_values};
use quantviz_testkit::pack;
use quantviz_testkit::strategies::{Tensor, numeric_tensors, tensors};

use crate::reference::{same, values};

/// Bytes that begin where every type may begin.
pub(crate) struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let padded =
            |chunk: &[u8]| std::array::from_fn(|index| chunk.get(index).copied().unwrap_or_default());
        let words = bytes.chunks(16).map(|chunk| u128::from_ne_bytes(padded(chunk))).collect();
        Aligned { words, len: bytes.len() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

fn whole<'a>(tensor: &Tensor, bytes: &'a Aligned) -> Elements<'a> {
    let len = tensor.shape.elements() as usize;
    Elements::from_bytes(tensor.dtype, bytes.bytes(), 0, len).expect("a numeric type, aligned")
}

fn all_same(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(one, other)| same(*one, *other))
}

/// Every code of every type with at most 16 bits: all there is to test.
#[test]
fn every_code_of_every_small_type() {
    let small = DType::ALL.iter().filter(|it| it.is_numeric() && it.bits().is_some_and(|bits| bits <= 16));
    for &dtype in small {
        let bits = dtype.bits().expect("small");
        let tensor = Tensor { dtype, shape: Shape::vector(1 << bits), bytes: pack(0..1u128 << bits, bits) };
        let (bytes, expected) = (Aligned::new(&tensor.bytes), values(&tensor));
        assert!(all_same(&whole(&tensor, &bytes).to_vec(), &expected), "{dtype}");
        if let Some(table) = code_values(dtype) {
            let table: Vec<f64> = table.iter().copied().map(f64::from).collect();
            assert!(all_same(&table, &expected), "the table of {dtype}");
        }
    }
}

/// The largest finite value of a type, and the smallest, are what [`DType::range`] says.
#[test]
fn ranges_are_those_of_the_codes() {
    for &dtype in DType::ALL.iter().filter(|it| it.is_numeric() && it.bits().is_some_and(|bits| bits <= 8)) {
        let values = code_values(dtype).expect("small").iter().copied().map(f64::from);
        let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let ends = finite.iter().copied().reduce(f64::min).zip(finite.iter().copied().reduce(f64::max));
        assert!(dtype.range() == ends || dtype == DType::Bool, "{dtype}: {:?}, not {ends:?}", dtype.range());
    }
}

proptest! {
    #[test]
    fn bytes_become_the_numbers_they_stand_for(tensor in numeric_tensors()) {
        let bytes = Aligned::new(&tensor.bytes);
        let elements = whole(&tensor, &bytes);
        prop_assert_eq!((elements.dtype(), elements.len() as u64), (tensor.dtype, tensor.shape.elements()));
        let (found, expected) = (elements.to_vec(), values(&tensor));
        prop_assert!(all_same(&found, &expected), "{:?} instead of {:?}", found, expected);
    }

    #[test]
    fn slices_are_slices_at_any_offset(tensor in numeric_tensors(), cut in any::<[prop::sample::Index; 4]>()) {
        let (bytes, expected) = (Aligned::new(&tensor.bytes), values(&tensor));
        let elements = whole(&tensor, &bytes);
        let place = |index: usize, len: usize| cut[index].index(len + 1);
        let (a, b) = (place(0, expected.len()), place(1, expected.len()));
        let outer = a.min(b)..a.max(b);
        let (c, d) = (place(2, outer.len()), place(3, outer.len()));
        let inner = c.min(d)..c.max(d);
        let sliced = elements.slice(outer.clone());
        prop_assert!(all_same(&sliced.to_vec(), &expected[outer.clone()]));
        prop_assert!(all_same(&sliced.slice(inner.clone()).to_vec(), &expected[outer.clone()][inner]));
        let direct = Elements::from_bytes(tensor.dtype, bytes.bytes(), outer.start, outer.len());
        prop_assert!(all_same(&direct.expect("within").to_vec(), &expected[outer]));
    }

    #[test]
    fn elements_that_are_not_there_are_none(tensor in tensors(), beyond in 1..1000usize) {
        let bytes = Aligned::new(&tensor.bytes);
        let len = tensor.shape.elements() as usize;
        prop_assert_eq!(tensor.bytes.len() as u64, byte_len(tensor.dtype, &tensor.shape)?);
        // The last byte may have room for more codes than the tensor has.
        let room = tensor.bytes.len() * 8 / tensor.dtype.bits().expect("fixed") as usize;
        let not_there =
            [(0, room + 1), (room, 1), (0, room + beyond), (room, beyond), (usize::MAX, beyond), (beyond, usize::MAX)];
        for (first, len) in not_there {
            prop_assert!(Elements::from_bytes(tensor.dtype, bytes.bytes(), first, len).is_none());
            prop_assert!(Packed::new(tensor.dtype, bytes.bytes(), first, len).is_none());
        }
        let whole = Elements::from_bytes(tensor.dtype, bytes.bytes(), 0, len);
        prop_assert_eq!(whole.is_some(), tensor.dtype.is_numeric());
    }
}
