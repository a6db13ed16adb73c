//! The types that elements are stored in, and how many bytes they take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Shape};

/// How the elements of a [`DType`] lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Every element takes this many bits; fewer than eight are packed, low bits first, without gaps between
    /// rows.
    Bits(u32),
    /// Rows are cut into blocks of `elements`, each of which takes `bytes`.
    Block {
        /// Elements in a block.
        elements: u32,
        /// Bytes of a block, its scales included.
        bytes: u32,
    },
    /// Elements differ in length, or nobody knows it.
    Varying,
}

/// What the stored bits of a [`DType`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DTypeClass {
    /// Truth values.
    Bool,
    /// Whole numbers from zero on.
    Unsigned,
    /// Whole numbers in two's complement.
    Signed,
    /// Floating-point numbers.
    Float,
    /// Pairs of floating-point numbers.
    Complex,
    /// Text.
    Text,
    /// Codes and their scales together, as GGUF stores them.
    Quantized,
    /// Nothing that is known here.
    Opaque,
}

macro_rules! dtypes {
    ($($variant:ident $name:literal $class:ident $layout:expr;)*) => {
        /// The type of a stored element: every one that ONNX (through IR version 14), safetensors, torch and GGUF
        /// have.
        ///
        /// Its name is what `quantviz inspect` prints:
        ///
        /// ```
        /// use quantviz_core::DType;
        ///
        /// assert_eq!(DType::F8E4M3Fn.name(), "f8_e4m3fn");
        /// assert_eq!("bf16".parse(), Ok(DType::Bf16));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum DType {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl DType {
            /// Every dtype there is.
            pub const ALL: &[DType] = &[$(DType::$variant),*];

            /// The name in tables, in JSON and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(DType::$variant => $name),* }
            }

            /// What the stored bits mean.
            pub fn class(self) -> DTypeClass {
                match self { $(DType::$variant => DTypeClass::$class),* }
            }

            /// How elements lie in memory.
            pub fn layout(self) -> Layout {
                match self { $(DType::$variant => $layout),* }
            }
        }
    };
}

const fn block(elements: u32, bytes: u32) -> Layout {
    Layout::Block { elements, bytes }
}

dtypes! {
    F64 "f64" Float Layout::Bits(64);
    F32 "f32" Float Layout::Bits(32);
    F16 "f16" Float Layout::Bits(16);
    Bf16 "bf16" Float Layout::Bits(16);
    F8E4M3Fn "f8_e4m3fn" Float Layout::Bits(8);
    F8E4M3FnUz "f8_e4m3fnuz" Float Layout::Bits(8);
    F8E5M2 "f8_e5m2" Float Layout::Bits(8);
    F8E5M2FnUz "f8_e5m2fnuz" Float Layout::Bits(8);
    F8E8M0 "f8_e8m0" Float Layout::Bits(8);
    F6E2M3 "f6_e2m3" Float Layout::Bits(6);
    F6E3M2 "f6_e3m2" Float Layout::Bits(6);
    F4E2M1 "f4_e2m1" Float Layout::Bits(4);
    I64 "i64" Signed Layout::Bits(64);
    I32 "i32" Signed Layout::Bits(32);
    I16 "i16" Signed Layout::Bits(16);
    I8 "i8" Signed Layout::Bits(8);
    I4 "i4" Signed Layout::Bits(4);
    I2 "i2" Signed Layout::Bits(2);
    U64 "u64" Unsigned Layout::Bits(64);
    U32 "u32" Unsigned Layout::Bits(32);
    U16 "u16" Unsigned Layout::Bits(16);
    U8 "u8" Unsigned Layout::Bits(8);
    U4 "u4" Unsigned Layout::Bits(4);
    U2 "u2" Unsigned Layout::Bits(2);
    Bool "bool" Bool Layout::Bits(8);
    C32 "c32" Complex Layout::Bits(32);
    C64 "c64" Complex Layout::Bits(64);
    C128 "c128" Complex Layout::Bits(128);
    String "string" Text Layout::Varying;
    Q1_0 "Q1_0" Quantized block(128, 18);
    Q4_0 "Q4_0" Quantized block(32, 18);
    Q4_1 "Q4_1" Quantized block(32, 20);
    Q5_0 "Q5_0" Quantized block(32, 22);
    Q5_1 "Q5_1" Quantized block(32, 24);
    Q8_0 "Q8_0" Quantized block(32, 34);
    // 40 bytes in gguf-py, which says what files hold. ggml's own block has 36 since its two floats became halves, but
    // it is for activations: no file is known to have it.
    Q8_1 "Q8_1" Quantized block(32, 40);
    Q2K "Q2_K" Quantized block(256, 84);
    Q3K "Q3_K" Quantized block(256, 110);
    Q4K "Q4_K" Quantized block(256, 144);
    Q5K "Q5_K" Quantized block(256, 176);
    Q6K "Q6_K" Quantized block(256, 210);
    Q8K "Q8_K" Quantized block(256, 292);
    Iq1S "IQ1_S" Quantized block(256, 50);
    Iq1M "IQ1_M" Quantized block(256, 56);
    Iq2Xxs "IQ2_XXS" Quantized block(256, 66);
    Iq2Xs "IQ2_XS" Quantized block(256, 74);
    Iq2S "IQ2_S" Quantized block(256, 82);
    Iq3Xxs "IQ3_XXS" Quantized block(256, 98);
    Iq3S "IQ3_S" Quantized block(256, 110);
    Iq4Nl "IQ4_NL" Quantized block(32, 18);
    Iq4Xs "IQ4_XS" Quantized block(256, 136);
    Tq1_0 "TQ1_0" Quantized block(256, 54);
    Tq2_0 "TQ2_0" Quantized block(256, 66);
    Mxfp4 "MXFP4" Quantized block(32, 17);
    Nvfp4 "NVFP4" Quantized block(64, 36);
    Unknown "unknown" Opaque Layout::Varying;
}

impl DType {
    /// Bits of one element, where every element takes the same number.
    pub fn bits(self) -> Option<u32> {
        match self.layout() {
            Layout::Bits(bits) => Some(bits),
            Layout::Block { .. } | Layout::Varying => None,
        }
    }

    /// Whether the elements are real numbers that can be ordered and measured one by one.
    pub fn is_numeric(self) -> bool {
        use DTypeClass::{Bool, Float, Signed, Unsigned};
        matches!(self.class(), Bool | Unsigned | Signed | Float)
    }

    /// Smallest and largest finite value of a type with at most 32 bits, where a quantizer can aim at it.
    pub fn range(self) -> Option<(f64, f64)> {
        let symmetric = |largest: f64| Some((-largest, largest));
        match self {
            DType::F8E4M3Fn => symmetric(448.0),
            DType::F8E4M3FnUz => symmetric(240.0),
            DType::F8E5M2 | DType::F8E5M2FnUz => symmetric(57344.0),
            DType::F8E8M0 => Some((2f64.powi(-127), 2f64.powi(127))),
            DType::F6E2M3 => symmetric(7.5),
            DType::F6E3M2 => symmetric(28.0),
            DType::F4E2M1 => symmetric(6.0),
            _ => {
                let bits = self.bits().filter(|&bits| bits <= 32)?;
                match self.class() {
                    DTypeClass::Signed => {
                        let half = f64::from(1u32 << (bits - 1));
                        Some((-half, half - 1.0))
                    }
                    DTypeClass::Unsigned => Some((0.0, f64::from(u32::MAX >> (32 - bits)))),
                    _ => None,
                }
            }
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(name: &str) -> std::result::Result<Self, Self::Err> {
        DType::ALL.iter().copied().find(|dtype| dtype.name() == name).ok_or(UnknownDType)
    }
}

/// The name is none of [`DType::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no dtype has this name")]
pub struct UnknownDType;

impl Serialize for DType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(|_| serde::de::Error::custom(format_args!("no dtype is named {name:?}")))
    }
}

/// The bytes that a tensor takes: the one place where sizes are computed, so that no file can overflow them.
///
/// ```
/// use quantviz_core::{DType, Shape, byte_len};
///
/// assert_eq!(byte_len(DType::F32, &Shape::new([16, 3, 3, 3])?)?, 1728);
/// assert_eq!(byte_len(DType::I4, &Shape::new([3, 3])?)?, 5); // nine nibbles
/// assert!(byte_len(DType::Q4K, &Shape::new([100])?).is_err()); // blocks hold 256
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn byte_len(dtype: DType, shape: &Shape) -> Result<u64> {
    let elements = shape.elements();
    let too_large = || Error::malformed(format!("{dtype} {shape} takes more than 2^64 bytes"));
    match dtype.layout() {
        Layout::Bits(bits) => {
            let bits = u128::from(elements) * u128::from(bits);
            u64::try_from(bits.div_ceil(8)).map_err(|_| too_large())
        }
        Layout::Block { elements: per_block, bytes } => {
            let row = shape.dims().last().copied().unwrap_or(1);
            if row % u64::from(per_block) != 0 {
                let message = format!("rows of {row} do not divide into {dtype}'s blocks of {per_block}");
                return Err(Error::malformed(message));
            }
            (elements / u64::from(per_block)).checked_mul(u64::from(bytes)).ok_or_else(too_large)
        }
        Layout::Varying => Err(Error::unsupported(format!("the length of {dtype} elements is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
        }
    }

    #[test]
    fn ranges_of_integers() {
        assert_eq!(DType::I8.range(), Some((-128.0, 127.0)));
        assert_eq!(DType::U4.range(), Some((0.0, 15.0)));
        assert_eq!(DType::I32.range(), Some((-2147483648.0, 2147483647.0)));
        assert_eq!(DType::U32.range(), Some((0.0, 4294967295.0)));
        assert_eq!(DType::I64.range(), None);
    }

    #[test]
    fn sizes_do_not_overflow() {
        let huge = Shape::new([u64::MAX]).expect("one dimension always fits");
        assert!(byte_len(DType::F32, &huge).is_err());
        assert_eq!(byte_len(DType::I4, &huge).expect("half as many bytes"), u64::MAX / 2 + 1);
        assert_eq!(byte_len(DType::Q8_0, &Shape::new([2, 64]).expect("small")).expect("four blocks"), 136);
    }
}
