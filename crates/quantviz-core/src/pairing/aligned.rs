//! The numbers of a reference in the order of the codes that were made of them.

use std::ops::Range;

use crate::dequantize::{add_values, read_values};
use crate::{Error, ParameterId, ParameterSource, Part, Result};

/// How the reference has to be turned to lie beside the codes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Alignment {
    /// Whether rows of one are columns of the other.
    pub transposed: bool,
    /// What each channel of the reference was multiplied with before it was quantized.
    pub gain: Gain,
    /// The part of the reference that was quantized, where it is not all of it.
    pub split: Option<Split>,
    /// Whether rows of each head are in another order, as llama.cpp has those of queries and keys.
    pub permuted: bool,
}

/// What channels were multiplied with before they were quantized.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Gain {
    /// With nothing.
    #[default]
    None,
    /// With what the batch normalisation behind them does, which was folded into them.
    BatchNorm {
        /// The layer's name.
        name: String,
        /// What each channel was multiplied with.
        factors: Vec<f64>,
        /// What was added to it then.
        shifts: Vec<f64>,
    },
    /// Each output with a factor that nothing in the file explains.
    Output(Vec<f64>),
    /// Each input with a factor that nothing in the file explains.
    Input(Vec<f64>),
}

/// A part of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// The axis that it was divided along.
    pub axis: usize,
    /// The positions that the part has.
    pub range: Range<u64>,
}

impl Split {
    /// The positions `range` along an axis.
    pub fn new(axis: usize, range: Range<u64>) -> Self {
        Split { axis, range }
    }
}

/// A reference, and how it lies.
pub(crate) struct Aligned<'a> {
    pub(crate) source: &'a (dyn ParameterSource + Sync),
    pub(crate) id: ParameterId,
    pub(crate) alignment: &'a Alignment,
    /// The shape of the codes.
    pub(crate) dims: Vec<u64>,
    /// The axis of the codes that gains lie along.
    pub(crate) gain_axis: usize,
}

impl Aligned<'_> {
    /// Replaces `values` by the numbers beside the codes `range`.
    pub(crate) fn read(&self, range: Range<u64>, values: &mut Vec<f64>) -> Result<()> {
        values.clear();
        if self.alignment.transposed {
            self.read_columns(&range, values)?
        } else {
            self.read_rows(&range, values)?
        }
        self.multiply(range.start, values);
        Ok(())
    }

    fn stored(&self, range: Range<u64>) -> Result<Vec<f64>> {
        read_values(self.source, self.id, Part::Stored, range)
    }

    /// Elements before and in one position of the axis that is split, in the reference and in its part.
    fn strides(&self) -> (u64, u64, u64) {
        let dims = self.source.model().parameter(self.id).shape.dims();
        match &self.alignment.split {
            Some(Split { axis, range }) => {
                let inner: u64 = dims[axis + 1..].iter().product();
                (dims[*axis] * inner, (range.end - range.start) * inner, range.start * inner)
            }
            None => (u64::MAX, u64::MAX, 0),
        }
    }

    fn read_rows(&self, range: &Range<u64>, values: &mut Vec<f64>) -> Result<()> {
        let (whole, part, skipped) = self.strides();
        let mut at = range.start;
        while at < range.end {
            let (outer, offset) = (at / part, at % part);
            let len = (part - offset).min(range.end - at);
            let start = outer * whole + skipped + offset;
            add_values(self.source, self.id, Part::Stored, start..start + len, values)?;
            at += len;
        }
        Ok(())
    }

    /// Row `i` of the codes is column `i` of the reference.
    fn read_columns(&self, range: &Range<u64>, values: &mut Vec<f64>) -> Result<()> {
        let [_, columns] = self.dims[..] else { return Err(not_a_matrix()) };
        let rows = range.start / columns..range.end.div_ceil(columns);
        if rows.end - rows.start == 1 {
            let row = rows.start * columns;
            values.extend(self.turned(rows, range.start - row..range.end - row)?);
            return Ok(());
        }
        let first = (range.start - rows.start * columns) as usize;
        let turned = self.turned(rows, 0..columns)?;
        values.extend_from_slice(&turned[first..first + (range.end - range.start) as usize]);
        Ok(())
    }

    /// Some rows and columns of the codes, row by row, where they are columns and rows of the reference.
    fn turned(&self, rows: Range<u64>, columns: Range<u64>) -> Result<Vec<f64>> {
        let &[_, width] = self.source.model().parameter(self.id).shape.dims() else {
            return Err(not_a_matrix());
        };
        let (mut first_row, mut first_column) = (0, 0);
        if let Some(Split { axis, range }) = &self.alignment.split {
            *if *axis == 0 { &mut first_row } else { &mut first_column } = range.start;
        }
        let (height, len) = ((rows.end - rows.start) as usize, (columns.end - columns.start) as usize);
        let mut turned = vec![0.0; height * len];
        for (place, column) in columns.enumerate() {
            let start = (first_row + column) * width + first_column + rows.start;
            for (row, value) in self.stored(start..start + height as u64)?.into_iter().enumerate() {
                turned[row * len + place] = value;
            }
        }
        Ok(turned)
    }

    /// A part of a matrix, row by row.
    pub(super) fn tile(&self, rows: Range<u64>, columns: Range<u64>, width: u64) -> Result<Vec<f64>> {
        if self.alignment.transposed {
            return self.turned(rows, columns);
        }
        let mut all = Vec::new();
        for row in rows {
            self.read_rows(&(row * width + columns.start..row * width + columns.end), &mut all)?;
        }
        Ok(all)
    }

    /// The axis of the codes that inputs lie along.
    pub(super) fn input_axis(&self) -> usize {
        if self.gain_axis == 0 && self.dims.len() > 1 { 1 } else { 0 }
    }

    fn multiply(&self, start: u64, values: &mut [f64]) {
        let nothing: &[f64] = &[];
        let (axis, factors, shifts) = match &self.alignment.gain {
            Gain::None => return,
            Gain::BatchNorm { factors, shifts, .. } => (self.gain_axis, &factors[..], &shifts[..]),
            Gain::Output(factors) => (self.gain_axis, &factors[..], nothing),
            Gain::Input(factors) => (self.input_axis(), &factors[..], nothing),
        };
        let inner: u64 = self.dims.iter().skip(axis + 1).product::<u64>().max(1);
        for (index, value) in (start..).zip(values) {
            // Factors are fitted to what has none yet.
            let channel =
                |all: &[f64]| all.get((index / inner % (all.len() as u64).max(1)) as usize).copied();
            *value = *value * channel(factors).unwrap_or(1.0) + channel(shifts).unwrap_or(0.0);
        }
    }
}

/// Whole rows, about as many elements at a time as are worth a turn.
pub(crate) fn pieces(dims: &[u64]) -> impl Iterator<Item = Range<u64>> + use<> {
    const PIECE: u64 = 1 << 20;
    let elements: u64 = dims.iter().product();
    let row = dims.get(1..).unwrap_or_default().iter().product::<u64>().max(1);
    let step = (PIECE / row).max(1) * row;
    (0..elements.div_ceil(step)).map(move |piece| piece * step..elements.min((piece + 1) * step))
}

fn not_a_matrix() -> Error {
    Error::malformed("only matrices are transposed")
}
