//! Borrowed runs of elements in the type they are stored in.

use std::ops::Range;

use half::{bf16, f16};

use crate::DType;
use crate::minifloat::code_values;
use crate::real::{Real, f32_of_f16};

/// A type of more than eight bits, or of exactly eight, that Rust can hold in a slice.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// The dtype that is stored like this.
    const DTYPE: DType;

    /// The narrower of `f32` and `f64` that holds every number of this type; `f64` where neither does.
    type Real: Real;

    /// The number, rounded to the nearest `f64` where it is a 64-bit integer.
    fn to_real(self) -> Self::Real;

    /// The number, rounded to the nearest `f64` where it is a 64-bit integer.
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.to_real().into()
    }

    /// A slice of this type, as [`Elements`].
    fn elements(slice: &[Self]) -> Elements<'_>;

    /// The slice inside, if it is of this type.
    fn slice<'a>(elements: &Elements<'a>) -> Option<&'a [Self]>;
}

macro_rules! elements {
    ($($variant:ident $type:ty as $real:ty, $to_real:expr;)*) => {
        /// Elements as they are stored: a slice of a Rust type, or [`Packed`] codes for the types that Rust has no
        /// number for.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Elements<'a> {
            $(#[doc = concat!("`", stringify!($type), "`")] $variant(&'a [$type]),)*
            /// Codes of at most eight bits whose meaning is a table.
            Packed(Packed<'a>),
        }

        $(impl Element for $type {
            const DTYPE: DType = DType::$variant;

            type Real = $real;

            #[inline(always)]
            fn to_real(self) -> $real {
                let to_real: fn($type) -> $real = $to_real;
                to_real(self)
            }

            fn elements(slice: &[Self]) -> Elements<'_> {
                Elements::$variant(slice)
            }

            fn slice<'a>(elements: &Elements<'a>) -> Option<&'a [Self]> {
                match elements {
                    Elements::$variant(slice) => Some(slice),
                    _ => None,
                }
            }
        })*

        /// Runs one generic body for whichever type is inside.
        macro_rules! for_each_type {
            ($elements:expr, $slice:ident => $body:expr, $packed:ident => $packed_body:expr) => {
                match $elements {
                    $($crate::Elements::$variant($slice) => $body,)*
                    $crate::Elements::Packed($packed) => $packed_body,
                }
            };
        }
        pub(crate) use for_each_type;

        impl<'a> Elements<'a> {
            /// The type they are stored in.
            pub fn dtype(&self) -> DType {
                match self {
                    $(Elements::$variant(_) => DType::$variant,)*
                    Elements::Packed(packed) => packed.dtype(),
                }
            }

            /// `len` elements of `dtype` that begin `first` elements into `bytes` (little-endian). `None` when the
            /// bytes are too few, not aligned for the type, or of a type without elements that can be taken one by
            /// one.
            pub fn from_bytes(dtype: DType, bytes: &'a [u8], first: usize, len: usize) -> Option<Self> {
                match dtype {
                    $(DType::$variant => {
                        let slice: &[$type] = bytemuck::try_cast_slice(bytes).ok()?;
                        Some(Elements::$variant(slice.get(first..first.checked_add(len)?)?))
                    })*
                    _ => Packed::new(dtype, bytes, first, len).map(Elements::Packed),
                }
            }
        }
    };
}

#[expect(clippy::cast_precision_loss, reason = "statistics are in f64, as numpy's astype(float64)")]
mod exact {
    pub(super) fn i64(value: i64) -> f64 {
        value as f64
    }
    pub(super) fn u64(value: u64) -> f64 {
        value as f64
    }
}

elements! {
    F64 f64 as f64, |value| value;
    F32 f32 as f32, |value| value;
    F16 f16 as f32, |value| f32_of_f16(value.to_bits());
    Bf16 bf16 as f32, |value| f32::from_bits(u32::from(value.to_bits()) << 16);
    I64 i64 as f64, exact::i64;
    I32 i32 as f64, f64::from;
    I16 i16 as f32, f32::from;
    I8 i8 as f32, f32::from;
    U64 u64 as f64, exact::u64;
    U32 u32 as f64, f64::from;
    U16 u16 as f32, f32::from;
    U8 u8 as f32, f32::from;
}

impl<'a> Elements<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        for_each_type!(self, slice => slice.len(), packed => packed.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of `range`.
    ///
    /// # Panics
    /// Where the range ends beyond [`len`](Self::len), as slices do.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Elements<'a> {
        for_each_type!(self, slice => Element::elements(&slice[range]), packed => Elements::Packed(packed.slice(range)))
    }

    /// Calls `f` with every value, in order.
    #[inline]
    pub fn for_each(&self, mut f: impl FnMut(f64)) {
        for_each_type!(
            self,
            slice => slice.iter().for_each(|value| f(value.to_f64())),
            packed => {
                let table = packed.values();
                packed.codes().for_each(|code| f(f64::from(table[usize::from(code)])));
            }
        );
    }

    /// Every value, in order.
    pub fn to_vec(&self) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.len());
        self.for_each(|value| values.push(value));
        values
    }
}

/// Codes of at most eight bits, side by side, low bits first.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    dtype: DType,
    bits: usize,
    bytes: &'a [u8],
    first: usize,
    len: usize,
}

impl<'a> Packed<'a> {
    /// `len` codes that begin `first` codes into `bytes`; `None` if they are not there or `dtype` has more than
    /// eight bits.
    pub fn new(dtype: DType, bytes: &'a [u8], first: usize, len: usize) -> Option<Self> {
        let bits = dtype.bits().filter(|&bits| bits <= 8)? as usize;
        let end = first.checked_add(len)?.checked_mul(bits)?.div_ceil(8);
        (end <= bytes.len()).then_some(Packed { dtype, bits, bytes, first, len })
    }

    /// The value of every code.
    pub fn values(&self) -> &'static [f32] {
        code_values(self.dtype).unwrap_or_default()
    }

    /// The type that gives them their meaning.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// The bits of one code.
    pub(crate) fn bits(&self) -> usize {
        self.bits
    }

    /// The codes that share no byte with others, as bytes, between the few before and behind them.
    pub(crate) fn whole_bytes(&self) -> (Packed<'a>, &'a [u8], Packed<'a>) {
        let per_byte = 8 / self.bits;
        let before = (self.first.next_multiple_of(per_byte) - self.first).min(self.len);
        let start = (self.first + before).div_ceil(per_byte);
        let whole = (self.len - before) / per_byte;
        let bytes = self.bytes.get(start..start + whole).unwrap_or_default();
        (self.slice(0..before), bytes, self.slice(before + whole * per_byte..self.len))
    }

    /// Adds every value, in order.
    #[inline(always)]
    pub(crate) fn push_values(&self, values: &mut Vec<f64>) {
        let table = self.values();
        let value = |code: usize| table.get(code).map_or(f64::NAN, |&value| f64::from(value));
        if 8 % self.bits != 0 {
            values.extend(self.codes().map(|code| value(code.into())));
            return;
        }
        let (before, bytes, behind) = self.whole_bytes();
        values.extend(before.codes().map(|code| value(code.into())));
        match self.bits {
            8 => values.extend(bytes.iter().map(|&byte| value(byte.into()))),
            bits => values.extend(bytes.iter().flat_map(|&byte| {
                let mask = (1 << bits) - 1;
                (0..8 / bits).map(move |place| value(usize::from(byte) >> (place * bits) & mask))
            })),
        }
        values.extend(behind.codes().map(|code| value(code.into())));
    }

    /// Adds every code, in order.
    pub(crate) fn push_codes(&self, codes: &mut Vec<u8>) {
        if self.bits != 4 {
            return codes.extend(self.codes());
        }
        // By far the most are like this, and vectors take them apart.
        let (before, bytes, behind) = self.whole_bytes();
        codes.extend(before.codes());
        codes.extend(bytes.iter().flat_map(|&byte| [byte & 0xf, byte >> 4]));
        codes.extend(behind.codes());
    }

    /// The codes, in order.
    pub fn codes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let Packed { bits, bytes, .. } = *self;
        let mask = u8::MAX >> (8 - bits);
        (self.first..self.first + self.len).map(move |index| {
            let (byte, shift) = (index * bits / 8, index * bits % 8);
            // A code of six bits may begin in one byte and end in the next.
            let next = if shift + bits > 8 { bytes[byte + 1] } else { 0 };
            (u16::from_le_bytes([bytes[byte], next]) >> shift).to_le_bytes()[0] & mask
        })
    }

    fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} is not within {} codes",
            self.len
        );
        Packed { first: self.first + range.start, len: range.len(), ..*self }
    }
}
