//! The families of schemes: one row each says what its codes are, what its scales follow from, and what they take.

use super::rounding::{Arithmetic, Codes, E2M1, E4M3, NF4, Whole};

/// What schemes of one name have in common, whichever weights share a scale.
#[derive(Debug)]
pub(super) struct Family {
    /// What their names begin with.
    pub(super) name: &'static str,
    pub(super) shared: Shared,
    /// Bits of a code, of a scale and of a zero-point.
    pub(super) bits: u64,
    pub(super) scale_bits: u64,
    pub(super) zero_point_bits: u64,
    pub(super) codes: Codes,
    pub(super) fit: Fit,
    /// What normally distributed weights of 1024×1024 come to, in dB: with the first way of sharing scales that there
    /// is, or in blocks of 32.
    pub(super) good_db: f64,
    /// By how much that changes per channel, or with blocks twice as large.
    pub(super) good_step_db: f64,
}

/// Which weights can share a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shared {
    /// All of a tensor, or those of a channel: `int8`, `int8-channel`.
    TensorOrChannel,
    /// As many as the name says, then an ending: `int4-block32-asym`.
    Blocks(&'static str),
    /// This many, of which the name says nothing.
    Fixed(u64),
}

/// What a scale and a zero-point follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// From minus the largest magnitude to plus the largest in this many steps.
    Symmetric(f64),
    /// From the smallest number to the largest, zero among them, in this many steps.
    MinMax(f64),
    /// The number of the largest magnitude is this many steps below the zero-point, whatever its sign.
    SignedLargest(f32),
    /// The largest magnitude is the largest value there is.
    Largest(f32),
    /// A power of two: that below the largest magnitude, less this many doublings.
    PowerOfTwo(i32),
    /// An eight-bit float, times one number for the whole tensor: the largest magnitude is the largest value there is.
    TwoLevels(f32),
}

impl Family {
    /// Bits of what all scales are multiplied with.
    pub(super) fn outer_bits(&self) -> u64 {
        if matches!(self.fit, Fit::TwoLevels(_)) { 32 } else { 0 }
    }
}

/// `QuantizeLinear` as onnxruntime's quantize_static uses it.
const fn static_codes(low: f32, high: f32) -> Codes {
    Codes::Whole(Whole { low, high, arithmetic: Arithmetic::DivideHalfToEven })
}

/// A row for MatMulNBits, whose codes are unsigned.
const fn nbits(name: &'static str, bits: u64, fit: Fit, [good_db, good_step_db]: [f64; 2]) -> Family {
    let (shared, zero_point_bits) = match fit {
        Fit::MinMax(_) => (Shared::Blocks("-asym"), bits),
        _ => (Shared::Blocks(""), 0),
    };
    let high = match bits {
        2 => 3.0,
        4 => 15.0,
        _ => 255.0,
    };
    let codes = Codes::Whole(Whole { low: 0.0, high, arithmetic: Arithmetic::MultiplyHalfAway });
    Family { name, shared, bits, scale_bits: 32, zero_point_bits, codes, fit, good_db, good_step_db }
}

const WHOLE: Family = Family {
    name: "",
    shared: Shared::TensorOrChannel,
    bits: 8,
    scale_bits: 32,
    zero_point_bits: 8,
    codes: static_codes(-128.0, 127.0),
    fit: Fit::Symmetric(254.0),
    good_db: 38.8,
    good_step_db: 3.3,
};

const BLOCKS: Family = Family {
    name: "",
    shared: Shared::Blocks(""),
    bits: 4,
    scale_bits: 32,
    zero_point_bits: 0,
    codes: Codes::Float(E2M1),
    fit: Fit::Largest(1.0),
    good_db: 21.2,
    good_step_db: -0.4,
};

/// In the order in which they are listed.
pub(super) const FAMILIES: &[Family] = &[
    Family { name: "int8", ..WHOLE },
    Family {
        name: "uint8",
        codes: static_codes(0.0, 255.0),
        fit: Fit::MinMax(255.0),
        good_db: 39.2,
        good_step_db: 3.4,
        ..WHOLE
    },
    Family {
        name: "int4-ort",
        bits: 4,
        zero_point_bits: 4,
        codes: static_codes(-8.0, 7.0),
        fit: Fit::Symmetric(15.0),
        good_db: 14.2,
        ..WHOLE
    },
    nbits("int4", 4, Fit::SignedLargest(8.0), [21.3, -0.8]),
    nbits("int4", 4, Fit::MinMax(15.0), [21.9, -1.0]),
    nbits("int8", 8, Fit::SignedLargest(128.0), [45.5, -0.9]),
    nbits("int8", 8, Fit::MinMax(255.0), [46.5, -1.0]),
    nbits("int2", 2, Fit::SignedLargest(2.0), [8.8, -0.7]),
    nbits("int2", 2, Fit::MinMax(3.0), [7.9, -1.1]),
    Family {
        name: "f8-e4m3",
        zero_point_bits: 0,
        codes: Codes::Float(E4M3),
        fit: Fit::Largest(448.0),
        good_db: 31.6,
        good_step_db: 0.0,
        ..WHOLE
    },
    Family {
        name: "mxfp4",
        shared: Shared::Fixed(32),
        scale_bits: 8,
        fit: Fit::PowerOfTwo(2),
        good_db: 18.9,
        ..BLOCKS
    },
    Family {
        name: "nvfp4",
        shared: Shared::Fixed(16),
        scale_bits: 8,
        fit: Fit::TwoLevels(6.0),
        good_db: 20.4,
        ..BLOCKS
    },
    Family { name: "nf4", codes: Codes::Table(&NF4), ..BLOCKS },
];
