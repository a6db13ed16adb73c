//! What every source can do once it can be read: arrays, summaries, histograms, and a scan of everything.

use std::ops::ControlFlow;

use ndarray::{ArrayD, IxDyn};

use crate::code_counts::CodeCounts;
use crate::dequantize::{for_each_real, read_values};
use crate::job::bins_over;
use crate::real_sums::summarize_real;
use crate::scan::{Measured, Progress, Scan};
use crate::source::measured_part;
use crate::values::Values;
use crate::{
    Block, Element, Error, Histogram, ParameterId, ParameterSource, Part, RangeSummary, Result, Shape, Sink,
    part_len,
};

/// Everything that builds on [`ParameterSource`]; every source has it.
pub trait SourceExt: ParameterSource {
    /// The elements of a parameter as an array of numbers, whatever type they are stored in: the stored ones, or the
    /// codes where they are packed into other elements.
    fn array(&self, id: ParameterId) -> Result<ArrayD<f64>> {
        let parameter = self.model().parameter(id);
        array_of(parameter.logical_shape(), self.values(id, measured_part(parameter))?)
    }

    /// The stored elements of a parameter as an array of exactly the type they are stored in.
    fn stored_array<T: Element>(&self, id: ParameterId) -> Result<ArrayD<T>> {
        let parameter = self.model().parameter(id);
        if parameter.dtype != T::DTYPE {
            let message = format!("it is stored as {}, not as {}", parameter.dtype, T::DTYPE);
            return Err(Error::unsupported(message).in_tensor(&parameter.name));
        }
        let mut values = Vec::new();
        let mut sink = |block: Block<'_>| {
            values.extend_from_slice(T::slice(&block.elements).unwrap_or_default());
            ControlFlow::Continue(())
        };
        let _ = self.read(id, Part::Stored, 0..parameter.shape.elements(), &mut sink)?;
        array_of(&parameter.shape, values)
    }

    /// The real numbers that a quantized parameter stands for, computed in f64 and rounded once; the stored ones of
    /// any other.
    fn real_array(&self, id: ParameterId) -> Result<ArrayD<f32>> {
        let parameter = self.model().parameter(id);
        let shape = parameter.logical_shape();
        let mut values = Vec::new();
        #[expect(clippy::cast_possible_truncation, reason = "rounded to the nearest f32")]
        let push = |value| values.push(value as f32);
        match parameter.quantization {
            Some(_) => for_each_real(self, id, 0..shape.elements(), push)?,
            None => self.values(id, Part::Stored)?.into_iter().for_each(push),
        }
        array_of(shape, values)
    }

    /// The codes of a quantized parameter, as numbers: one element each, whatever they are packed into, and computed where
    /// the file holds the numbers that they stand for.
    ///
    /// # Errors
    /// Where it is not quantized, or cannot be read.
    ///
    /// ```
    /// use ndarray::arr2;
    /// use quantviz_core::{
    ///     DType, Encoding, Granularity, MemorySource, Operand, ParameterSource, QuantDescriptor, SourceExt,
    /// };
    ///
    /// let halves = Operand::One { value: 0.5, parameter: None };
    /// let descriptor =
    ///     QuantDescriptor::of_stored(Encoding::Other, "my own", DType::I8, Granularity::Tensor, halves, None);
    /// let source = MemorySource::new().with("bias", arr2(&[[1.5f32]])).with("codes", arr2(&[[3i8, -4]]));
    /// let source = source.quantized(descriptor.expect("i8 holds codes"))?;
    /// let codes = source.model().parameter_named("codes").expect("was added");
    /// assert_eq!(source.code_array(codes)?, arr2(&[[3.0, -4.0]]).into_dyn());
    /// assert_eq!(source.real_array(codes)?, arr2(&[[1.5, -2.0]]).into_dyn());
    /// let bias = source.model().parameter_named("bias").expect("was added");
    /// assert!(source.code_array(bias).is_err());
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    fn code_array(&self, id: ParameterId) -> Result<ArrayD<f64>> {
        let parameter = self.model().parameter(id);
        if parameter.quantization.is_none() {
            return Err(Error::not_found("it is not quantized, and has no codes").in_tensor(&parameter.name));
        }
        array_of(parameter.logical_shape(), self.values(id, Part::Codes)?)
    }

    /// Every element of a part, as f64.
    fn values(&self, id: ParameterId, part: Part) -> Result<Vec<f64>> {
        read_values(self, id, part, 0..part_len(self.model(), id, part)?)
    }

    /// The summary of the stored elements of a parameter, or of its codes where they are packed into other elements.
    fn summary(&self, id: ParameterId) -> Result<RangeSummary> {
        Ok(look_at(self, id)?.summary())
    }

    /// The summary of the real numbers that a quantized parameter stands for; that of the stored ones of any other.
    fn real_summary(&self, id: ParameterId) -> Result<RangeSummary> {
        let parameter = self.model().parameter(id);
        match parameter.quantization {
            Some(_) => summarize_real(self, id, 0..parameter.logical_shape().elements()),
            None => self.summary(id),
        }
    }

    /// The histogram of what [`summary`](Self::summary) summarises, over its own range. `None` where that range has no
    /// width.
    fn histogram(&self, id: ParameterId, bins: usize) -> Result<Option<Histogram>> {
        let values = look_at(self, id)?;
        let Some(summary) = values.unbinned() else { return Ok(values.count_in(&values.summary(), bins)) };
        let Some(mut bins) = bins_over(summary, bins) else { return Ok(None) };
        let mut sink = |block: Block<'_>| {
            bins.add(&block.elements);
            ControlFlow::Continue(())
        };
        read_measured(self, id, &mut sink)?;
        Ok(Some(bins.into_histogram()))
    }

    /// Every number among the codes of a quantized parameter, in ascending order (zeros by their signs, what is not a
    /// number last), and how often it occurs. `None` for codes of more than eight bits.
    fn code_counts(&self, id: ParameterId) -> Result<Option<Vec<(f64, u64)>>> {
        let mut counts: Option<CodeCounts> = None;
        let mut sink = |block: Block<'_>| {
            match (&mut counts, CodeCounts::of(&block.elements)) {
                (Some(counts), Some(more)) => counts.merge(&more),
                (_, more) => counts = more,
            }
            if counts.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let _ = self.read(id, Part::Codes, 0..part_len(self.model(), id, Part::Codes)?, &mut sink)?;
        Ok(counts.map(|counts| {
            let mut all: Vec<(f64, u64)> = counts.values().collect();
            all.iter_mut().filter(|(code, _)| code.is_nan()).for_each(|(code, _)| *code = f64::NAN);
            all.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            all.dedup_by(|(code, times), (kept, all)| {
                let same = code.total_cmp(kept).is_eq();
                *all += if same { *times } else { 0 };
                same
            });
            all
        }))
    }

    /// Measures many parameters in parallel. `progress` hears of every step and calls the scan off by breaking.
    ///
    /// One unreadable tensor does not end the scan: its [`Measured::error`] says why. The result does not depend on
    /// the number of threads.
    ///
    /// # Errors
    /// Only when `progress` breaks: [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    fn scan(
        &self,
        scan: &Scan,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<Measured>>
    where
        Self: Sync,
    {
        let mut all = Vec::new();
        self.scan_each(scan, progress, &mut |measured| all.push(measured))?;
        Ok(all)
    }

    /// Like [`scan`](Self::scan), for those who keep only some of what is measured: `each` hears of every parameter, in
    /// order, soon after it was measured.
    fn scan_each(
        &self,
        scan: &Scan,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
        each: &mut dyn FnMut(Measured),
    ) -> Result<()>
    where
        Self: Sync,
    {
        scan.run(self, progress, each)
    }
}

impl<S: ParameterSource + ?Sized> SourceExt for S {}

fn read_measured<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    sink: &mut dyn Sink,
) -> Result<()> {
    let parameter = source.model().parameter(id);
    let part = measured_part(parameter);
    source.read(id, part, 0..part_len(source.model(), id, part)?, sink).map(|_| ())
}

fn look_at<S: ParameterSource + ?Sized>(source: &S, id: ParameterId) -> Result<Values> {
    let mut values = Values::default();
    let mut sink = |block: Block<'_>| {
        values.add(&block.elements);
        ControlFlow::Continue(())
    };
    read_measured(source, id, &mut sink)?;
    Ok(values)
}

fn array_of<T>(shape: &Shape, values: Vec<T>) -> Result<ArrayD<T>> {
    let dims: Result<Vec<usize>, _> = shape.dims().iter().map(|&dim| usize::try_from(dim)).collect();
    let dims = dims.map_err(|_| Error::limit(format!("{shape} does not fit this machine's memory")))?;
    ArrayD::from_shape_vec(IxDyn(&dims), values).map_err(|error| Error::malformed(error.to_string()))
}
