//! Codes that no file holds: they follow from the stored numbers, as QuantizeLinear defines it.

use std::ops::{ControlFlow, Range};

use crate::calibration::for_each_calibration;
use crate::minifloat::Rounding;
use crate::{Block, DType, DTypeClass, Elements, ParameterId, ParameterSource, Part, Result, Sink};

/// Pushes the codes `range` of a parameter whose stored elements are the numbers before quantization.
///
/// Division and rounding are in f32, as in the runtimes that would do it; halves go to the even code. Of a codebook, the
/// code is how many of the middles between its entries lie at or below the number.
pub(crate) fn compute_codes<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    dtype: DType,
    range: Range<u64>,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>> {
    let descriptor = source.model().parameter(id).quantization.as_ref();
    let (low, high) = descriptor.map_or((f64::MIN, f64::MAX), |it| it.code_range);
    let middles = descriptor.and_then(|it| it.table.as_deref()).map(middles);
    let rounding = (dtype.class() == DTypeClass::Float).then(|| Rounding::to(dtype));
    let mut codes = Codes::of(dtype);
    for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut quantize = |block: Block<'_>| {
            codes.clear();
            calibration.for_each_run(&block, |run| {
                #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is that of f32")]
                run.codes.for_each(|stored| {
                    let scaled = stored as f32 / run.affine.scale as f32;
                    codes.push(match (&middles, &rounding) {
                        (Some(middles), _) => {
                            middles.iter().map(|middle| f64::from(middle * run.affine.scale <= stored)).sum()
                        }
                        (None, Some(rounding)) => f64::from(rounding.nearest(scaled)),
                        (None, None) => {
                            (f64::from(scaled.round_ties_even()) + run.affine.zero_point).clamp(low, high)
                        }
                    });
                });
            });
            sink.block(Block { start: block.start, elements: codes.elements() })
        };
        source.read(id, Part::Stored, range, &mut quantize)
    })
}

/// What lies half-way between the entries of a table that ascends.
fn middles(table: &[f32]) -> Vec<f64> {
    table.windows(2).map(|pair| f64::midpoint(pair[0].into(), pair[1].into())).collect()
}

/// Codes in the narrowest type that slices have for them.
enum Codes {
    Signed(Vec<i8>),
    Unsigned(Vec<u8>),
    Wide(Vec<i32>),
    Float(Vec<f32>),
}

impl Codes {
    fn of(dtype: DType) -> Self {
        match (dtype.class(), dtype.bits()) {
            (DTypeClass::Float, _) => Codes::Float(Vec::new()),
            (DTypeClass::Signed, Some(..=8)) => Codes::Signed(Vec::new()),
            (_, Some(..=8)) => Codes::Unsigned(Vec::new()),
            _ => Codes::Wide(Vec::new()),
        }
    }

    fn clear(&mut self) {
        match self {
            Codes::Signed(codes) => codes.clear(),
            Codes::Unsigned(codes) => codes.clear(),
            Codes::Wide(codes) => codes.clear(),
            Codes::Float(codes) => codes.clear(),
        }
    }

    /// What is no number becomes code 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the type's range"
    )]
    fn push(&mut self, code: f64) {
        match self {
            Codes::Signed(codes) => codes.push(code as i8),
            Codes::Unsigned(codes) => codes.push(code as u8),
            Codes::Wide(codes) => codes.push(code as i32),
            Codes::Float(codes) => codes.push(code as f32),
        }
    }

    fn elements(&self) -> Elements<'_> {
        match self {
            Codes::Signed(codes) => Elements::I8(codes),
            Codes::Unsigned(codes) => Elements::U8(codes),
            Codes::Wide(codes) => Elements::I32(codes),
            Codes::Float(codes) => Elements::F32(codes),
        }
    }
}
