//! Proptest strategies for shapes, tensors of every type, and granularities.
//!
//! ```
//! use proptest::prelude::*;
//! use quantviz_core::{Elements, byte_len};
//! use quantviz_testkit::strategies::tensors;
//!
//! proptest!(|(tensor in tensors())| {
//!     prop_assert_eq!(tensor.bytes.len() as u64, byte_len(tensor.dtype, &tensor.shape)?);
//! });
//! ```

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{DType, DTypeClass, Granularity, Shape};

use crate::pack;

/// A type, a shape, and the little-endian bytes of that many elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The type of the elements.
    pub dtype: DType,
    /// The shape of the elements.
    pub shape: Shape,
    /// The elements, packed where they have fewer than eight bits.
    pub bytes: Vec<u8>,
}

/// Shapes of at most four dimensions and some hundred elements, with ones and now and then a zero among them.
pub fn shapes() -> impl Strategy<Value = Shape> {
    let dim = prop_oneof![1 => Just(0u64), 6 => Just(1), 30 => 2..=7u64];
    let dims = prop_oneof![9 => vec(dim, 0..=4), 1 => vec(8..=700u64, 1)];
    dims.prop_map(|dims| Shape::new(dims).expect("small"))
}

/// Types whose elements all take the same number of bits.
pub fn dtypes() -> impl Strategy<Value = DType> {
    let fixed: Vec<DType> = DType::ALL.iter().copied().filter(|dtype| dtype.bits().is_some()).collect();
    select(fixed)
}

/// Types whose elements are numbers.
pub fn numeric_dtypes() -> impl Strategy<Value = DType> {
    let numeric: Vec<DType> = DType::ALL.iter().copied().filter(|dtype| dtype.is_numeric()).collect();
    select(numeric)
}

/// Tensors of every type with a fixed width.
pub fn tensors() -> impl Strategy<Value = Tensor> {
    (dtypes(), shapes()).prop_flat_map(|(dtype, shape)| tensors_of(dtype, shape))
}

/// Tensors of every type whose elements are numbers.
pub fn numeric_tensors() -> impl Strategy<Value = Tensor> {
    (numeric_dtypes(), shapes()).prop_flat_map(|(dtype, shape)| tensors_of(dtype, shape))
}

/// Tensors of this type and shape: some with moderate values only, some with NaNs, infinities, subnormals, minus
/// zeros and extremes among them, and with noise where the last byte has bits to spare.
///
/// # Panics
/// Where the elements of `dtype` differ in length.
pub fn tensors_of(dtype: DType, shape: Shape) -> impl Strategy<Value = Tensor> {
    let bits = dtype.bits().expect("a type of fixed width");
    let moderate = moderate_codes(dtype, bits);
    let spare = (8 / bits.min(8)) as usize;
    let anything = prop_oneof![
        2 => moderate.clone(),
        1 => select(extreme_codes(dtype, bits)),
        1 => any::<u128>(),
    ];
    let len = shape.elements() as usize;
    let codes = prop_oneof![vec(moderate, len + spare), vec(anything, len + spare)];
    codes.prop_map(move |codes| {
        let mut bytes = pack(codes, bits);
        bytes.truncate((len * bits as usize).div_ceil(8));
        Tensor { dtype, shape: shape.clone(), bytes }
    })
}

/// Every kind of granularity that fits `shape`, blocks that divide its axes and blocks that do not.
pub fn granularities(shape: &Shape) -> BoxedStrategy<Granularity> {
    let blocks: Vec<_> = shape.dims().iter().map(|&dim| 1..=dim + 1).collect();
    let blocks = blocks.prop_map(Granularity::Block);
    match shape.rank() {
        0 => prop_oneof![Just(Granularity::Tensor), blocks].boxed(),
        rank => {
            prop_oneof![1 => Just(Granularity::Tensor), 2 => (0..rank).prop_map(Granularity::Axis), 2 => blocks]
                .boxed()
        }
    }
}

/// Bits of the exponent and of the mantissa.
fn float_fields(dtype: DType) -> Option<(u32, u32)> {
    Some(match dtype {
        DType::F64 => (11, 52),
        DType::F32 => (8, 23),
        DType::F16 => (5, 10),
        DType::Bf16 => (8, 7),
        DType::F8E4M3Fn | DType::F8E4M3FnUz => (4, 3),
        DType::F8E5M2 | DType::F8E5M2FnUz => (5, 2),
        DType::F8E8M0 => (8, 0),
        DType::F6E2M3 => (2, 3),
        DType::F6E3M2 => (3, 2),
        DType::F4E2M1 => (2, 1),
        _ => return None,
    })
}

/// Floats near one, and whole numbers near zero.
fn moderate_codes(dtype: DType, bits: u32) -> BoxedStrategy<u128> {
    if let Some((exponent_bits, mantissa_bits)) = float_fields(dtype) {
        let one = (1u128 << (exponent_bits - 1)) - 1;
        let largest = (1 << exponent_bits) - 2;
        let exponents = one.saturating_sub(3).max(1)..=(one + 3).min(largest);
        let sign = any::<bool>().prop_map(move |sign| u128::from(sign) << (exponent_bits + mantissa_bits));
        return (sign, exponents, 0..1u128 << mantissa_bits)
            .prop_map(move |(sign, exponent, mantissa)| sign | exponent << mantissa_bits | mantissa)
            .boxed();
    }
    match dtype.class() {
        DTypeClass::Complex => any::<u128>().boxed(),
        DTypeClass::Bool => (0..2u128).boxed(),
        DTypeClass::Signed => (-(1i128 << (bits.min(8) - 1))..1 << (bits.min(8) - 1))
            .prop_map(|value| value.cast_unsigned())
            .boxed(),
        _ => (0..1u128 << bits.min(8)).boxed(),
    }
}

/// Zeros, subnormals, infinities, NaNs and the ends of the range, where the type has them.
fn extreme_codes(dtype: DType, bits: u32) -> Vec<u128> {
    let (exponent_bits, mantissa_bits) = float_fields(dtype).unwrap_or((bits - 1, 0));
    let sign = 1u128 << (bits - 1);
    let exponent = ((1u128 << exponent_bits) - 1) << mantissa_bits;
    let magnitudes = [
        0,
        1,
        (1 << mantissa_bits) - 1,
        1 << mantissa_bits,
        exponent - 1,
        exponent,
        exponent | 1,
        exponent | 1 << mantissa_bits.saturating_sub(1),
        sign - 1,
    ];
    magnitudes.iter().flat_map(|magnitude| [*magnitude, magnitude | sign]).collect()
}
