//! What measuring a parameter means, in pieces that do not depend on the number of threads.

use std::ops::{ControlFlow, Range};

use crate::half_counts::is_counted;
use crate::job::{Job, Summarize, Task};
use crate::scales::come_along;
use crate::source::measured_part;
use crate::{Block, DType, Error, ParameterId, ParameterSource, Part, Result};

/// What measuring one parameter means.
pub(crate) struct Work {
    part: Part,
    elements: u64,
    /// How many elements one job reads.
    piece: u64,
    /// Whether there are real numbers behind what is measured.
    quantized: bool,
    /// Whether what is measured are the codes themselves, so that one look is enough for both.
    codes: bool,
    /// Whether that look finds out about the scales as well.
    scales: bool,
    /// The type of numbers that are counted.
    counted: Option<DType>,
    /// Whether a histogram needs a second look: the range of the whole is known only after the first.
    binned_later: bool,
}

impl Work {
    /// Nothing, but the reason, for what cannot be measured.
    pub(crate) fn of<S: ParameterSource + ?Sized>(source: &S, id: ParameterId, binned: bool) -> Result<Self> {
        let parameter = source.model().parameter(id);
        let part = measured_part(parameter);
        let packed = part == Part::Codes;
        if !parameter.dtype.is_numeric() && !packed {
            let message = format!("{} values cannot be measured", parameter.dtype);
            return Err(Error::unsupported(message).in_tensor(&parameter.name));
        }
        let bits = parameter.dtype.bits().filter(|_| !packed).unwrap_or(8);
        let elements = parameter.logical_shape().elements();
        let piece = PIECE_BYTES * 8 / u64::from(bits);
        // A shape can claim any size without a byte behind it: see that there is something before planning for it.
        if elements > piece {
            let _ = source.read(id, part, 0..1, &mut |_: Block<'_>| ControlFlow::Break(()))?;
        }
        // What is counted needs no second look: the counts know the rest.
        let counted = Some(parameter.dtype).filter(|&dtype| !packed && is_counted(dtype, elements));
        let binned_later = binned && elements > piece && bits > 8 && counted.is_none();
        let quantization = parameter.quantization.as_ref();
        let codes = quantization.is_some_and(|it| it.computed.is_none());
        let scales = quantization.is_some_and(|it| come_along(it, &parameter.shape, piece)) && elements > 0;
        Ok(Work {
            part,
            elements,
            piece,
            quantized: quantization.is_some(),
            codes,
            scales,
            counted,
            binned_later,
        })
    }

    /// Elements to look at before all ranges are known.
    pub(crate) fn first_look(&self) -> u64 {
        self.elements.saturating_mul(if self.quantized && !self.codes { 2 } else { 1 })
    }

    pub(crate) fn all(&self) -> u64 {
        self.first_look().saturating_add(if self.binned_later { self.elements } else { 0 })
    }

    /// The work in pieces that do not depend on the number of threads.
    pub(crate) fn jobs(&self, slot: usize, parameter: ParameterId) -> Vec<Job> {
        let pieces = || pieces(self.elements, self.piece);
        let job = |task, range| Job { slot, parameter, part: self.part, task, range };
        let whole = self.elements <= self.piece;
        let counted = self.counted;
        let summarize = Task::Summarize(Summarize { whole, codes: self.codes, scales: self.scales, counted });
        let mut jobs: Vec<Job> = pieces().map(|range| job(summarize.clone(), range)).collect();
        if self.quantized && !self.scales {
            jobs.push(job(Task::Calibrate, 0..0));
        }
        if self.quantized && !self.codes {
            jobs.extend(pieces().map(|range| job(Task::Dequantize, range)));
        }
        jobs
    }
}

/// What one job reads at most: enough to be worth a turn, small enough to share the work of a large tensor.
const PIECE_BYTES: u64 = 16 << 20;

/// At least one, so that an empty tensor is measured too.
fn pieces(elements: u64, piece: u64) -> impl Iterator<Item = Range<u64>> {
    (0..elements.div_ceil(piece).max(1)).map(move |index| index * piece..elements.min((index + 1) * piece))
}
