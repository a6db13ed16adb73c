//! The port that every model comes through: names first, values on demand.

use std::ops::{ControlFlow, Range};

use crate::quantize::compute_codes;
use crate::{
    Elements, Error, Groups, Model, Operand, Parameter, ParameterId, QuantDescriptor, Result, Shape,
};

/// What of a parameter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The elements as the file has them.
    Stored,
    /// The codes of a quantized parameter, one element each, in its logical order.
    Codes,
    /// The scale of each group.
    Scales,
    /// The outer scales of scales that have two levels; none where they have one.
    OuterScales,
    /// The zero-point of each group; none where the file has none.
    ZeroPoints,
    /// What is added in each group after scaling; none where the file says it with zero-points.
    Offsets,
    /// What the last step of training found the loss to change by, one number for each stored element. Only a network
    /// in training has it. Where there is none, reading it is an error of the kind
    /// [`NotFound`](crate::ErrorKind::NotFound); of a frozen parameter, of the kind [`Refused`](crate::ErrorKind::Refused).
    Gradient,
}

/// A run of elements on its way to a [`Sink`].
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The index of the first one.
    pub start: u64,
    /// The elements.
    pub elements: Elements<'a>,
}

/// Where a source pushes what it reads. Every `FnMut(Block) -> ControlFlow<()>` is one.
pub trait Sink {
    /// Takes the next block. Blocks come in ascending order and without gaps; `Break` ends the reading.
    fn block(&mut self, block: Block<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(Block<'_>) -> ControlFlow<()>> Sink for F {
    fn block(&mut self, block: Block<'_>) -> ControlFlow<()> {
        self(block)
    }
}

/// A model: a file, tensors in memory, a network in training, or your own type.
///
/// A source needs to deliver its stored elements and nothing else; [`read_derived`] does the rest, and everything in
/// [`SourceExt`](crate::SourceExt) builds on it. It need be neither `Send` nor `Sync`; what works in parallel asks
/// for `Sync` itself.
///
/// ```
/// use std::ops::{ControlFlow, Range};
/// use quantviz_core::{
///     Block, DType, Elements, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role, Shape, Sink,
///     SourceExt, check_range, read_derived,
/// };
///
/// /// The counters of some simulation.
/// struct Counters {
///     model: Model,
///     values: Vec<u32>,
/// }
///
/// impl ParameterSource for Counters {
///     fn model(&self) -> &Model {
///         &self.model
///     }
///
///     fn read(
///         &self,
///         id: ParameterId,
///         part: Part,
///         range: Range<u64>,
///         sink: &mut dyn Sink,
///     ) -> Result<ControlFlow<()>> {
///         if part != Part::Stored {
///             return read_derived(self, id, part, range, sink);
///         }
///         check_range(&range, self.values.len() as u64)?;
///         let elements = Elements::U32(&self.values[range.start as usize..range.end as usize]);
///         Ok(sink.block(Block { start: range.start, elements }))
///     }
/// }
///
/// let mut model = Model::new(Format::Memory);
/// model.parameters.push(Parameter::new("visits", DType::U32, Shape::vector(4), Role::Other));
/// model.add_module_layers();
/// let counters = Counters { model, values: vec![4, 0, 0, 12] };
/// let visits = counters.model().parameter_named("visits").expect("was just added");
/// assert_eq!(counters.summary(visits)?.mean(), Some(4.0));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub trait ParameterSource {
    /// Everything but the values. Opening a source costs this much, never the weights.
    fn model(&self) -> &Model;

    /// Pushes the elements `range` of a part into `sink`: row-major, in ascending blocks without gaps. A sink that
    /// breaks ends the reading with `Ok(Break)`.
    ///
    /// # Errors
    /// Blocks that came before an error are valid. A range beyond the end is malformed, and nothing is delivered.
    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>>;

    /// Writes the elements at the indices `at` to `out`, in the order of `at`.
    ///
    /// # Panics
    /// Where `at` and `out` differ in length.
    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        assert_eq!(at.len(), out.len(), "one place for every index");
        for (&index, out) in at.iter().zip(out) {
            let range = index..index.saturating_add(1);
            #[expect(clippy::cast_possible_truncation, reason = "a gathered sample is in f32")]
            let mut sink = |block: Block<'_>| {
                // Whoever delivers more than was asked for is not listened to.
                block.elements.slice(0..block.elements.len().min(1)).for_each(|value| *out = value as f32);
                ControlFlow::Break(())
            };
            let _ = self.read(id, part, range, &mut sink)?;
        }
        Ok(())
    }
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<S: ParameterSource + ?Sized> ParameterSource for $pointer {
            fn model(&self) -> &Model {
                (**self).model()
            }

            fn read(
                &self,
                id: ParameterId,
                part: Part,
                range: Range<u64>,
                sink: &mut dyn Sink,
            ) -> Result<ControlFlow<()>> {
                (**self).read(id, part, range, sink)
            }

            fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
                (**self).gather(id, part, at, out)
            }
        }
    )*};
}

delegate!(&S, Box<S>, std::sync::Arc<S>);

/// What summaries and histograms are of: the stored elements, or the codes where they are packed into other elements.
pub(crate) fn measured_part(parameter: &Parameter) -> Part {
    let is_packed = parameter.quantization.as_ref().is_some_and(|it| it.logical.is_some());
    if is_packed { Part::Codes } else { Part::Stored }
}

/// How many elements a part has.
pub fn part_len(model: &Model, id: ParameterId, part: Part) -> Result<u64> {
    let parameter = model.parameter(id);
    let quantization = parameter.quantization.as_ref();
    let groups = |of: fn(&QuantDescriptor, &Shape) -> Option<Groups>| {
        let quantization =
            quantization.ok_or_else(|| Error::not_found("it is not quantized").in_tensor(&parameter.name))?;
        let misfit = || Error::malformed("its scales do not fit its shape").in_tensor(&parameter.name);
        of(quantization, &parameter.shape).map(|groups| groups.count()).ok_or_else(misfit)
    };
    match part {
        Part::Stored | Part::Gradient => Ok(parameter.shape.elements()),
        Part::Codes => Ok(parameter.logical_shape().elements()),
        Part::Scales => groups(QuantDescriptor::groups),
        Part::OuterScales if quantization.is_some_and(|it| it.outer_scale.is_none()) => Ok(0),
        Part::OuterScales => groups(QuantDescriptor::outer_groups),
        Part::ZeroPoints if quantization.is_some_and(|it| it.zero_point.is_none()) => Ok(0),
        Part::Offsets if quantization.is_some_and(|it| it.offset.is_none()) => Ok(0),
        Part::ZeroPoints | Part::Offsets => groups(QuantDescriptor::groups),
    }
}

/// Refuses a range that ends beyond `len`, or before it begins.
pub fn check_range(range: &Range<u64>, len: u64) -> Result<()> {
    if range.start <= range.end && range.end <= len {
        return Ok(());
    }
    Err(Error::malformed(format!("elements {}..{} were asked for, there are {len}", range.start, range.end)))
}

/// Pushes the elements `range` of some that lie in memory, side by side: what [`ParameterSource::read`] does for those.
///
/// ```
/// use std::ops::ControlFlow;
/// use quantviz_core::{Block, Elements, read_elements};
///
/// let weights = [0.5f32, -1.5, 2.0, 0.25];
/// let mut read = Vec::new();
/// let mut sink = |block: Block<'_>| {
///     read.extend(block.elements.to_vec());
///     ControlFlow::Continue(())
/// };
/// read_elements(&Elements::F32(&weights), 1..3, &mut sink)?;
/// assert_eq!(read, [-1.5, 2.0]);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
///
/// # Errors
/// Beyond their end there are none: [`check_range`] says so.
pub fn read_elements(
    elements: &Elements<'_>,
    range: Range<u64>,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>> {
    check_range(&range, elements.len() as u64)?;
    if range.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "those that lie in memory have indices that fit")]
    let elements = elements.slice(range.start as usize..range.end as usize);
    Ok(sink.block(Block { start: range.start, elements }))
}

/// Reads the parts that follow from the stored elements of a parameter and of those its descriptor names: what
/// [`ParameterSource::read`] does for every [`Part`] that the source has nothing special for.
///
/// # Errors
/// Of stored elements and of packed codes nothing follows: reading those is up to the source. So are gradients, which
/// it is said not to have.
pub fn read_derived<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>> {
    let parameter = source.model().parameter(id);
    let len = part_len(source.model(), id, part)?;
    check_range(&range, len).map_err(|error| error.in_tensor(&parameter.name))?;
    let no_gradient = || Err(Error::not_found("there is no gradient of it").in_tensor(&parameter.name));
    let up_to_the_source = |what| Err(Error::unsupported(what).in_tensor(&parameter.name));
    let Some(quantization) = parameter.quantization.as_ref().filter(|_| part != Part::Stored) else {
        return match part {
            // Asking the source again would never end.
            Part::Stored => up_to_the_source("this source does not read its stored elements"),
            Part::Gradient => no_gradient(),
            _ => source.read(id, Part::Stored, range, sink),
        };
    };
    let operand = match (part, quantization.computed) {
        (Part::Codes, Some(dtype)) => return compute_codes(source, id, dtype, range, sink),
        (Part::Codes, None) if quantization.logical.is_some() => {
            return up_to_the_source("this source cannot unpack it");
        }
        (Part::Stored | Part::Codes, _) => return source.read(id, Part::Stored, range, sink),
        (Part::Gradient, _) => return no_gradient(),
        (Part::Scales, _) => Some(&quantization.scale),
        (Part::OuterScales, _) => quantization.outer_scale.as_ref().map(|outer| &outer.scale),
        (Part::ZeroPoints, _) => quantization.zero_point.as_ref(),
        (Part::Offsets, _) => quantization.offset.as_ref(),
    };
    let Some(operand) = operand else { return Ok(ControlFlow::Continue(())) };
    const AT_ONCE: usize = 8192;
    let mut start = range.start;
    let mut values = Vec::new();
    while start < range.end {
        let end = range.end.min(start + AT_ONCE as u64);
        read_operand(source, operand, start..end, &mut values)
            .map_err(|error| error.in_tensor(&parameter.name))?;
        if sink.block(Block { start, elements: Elements::F64(&values) }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        start = end;
    }
    Ok(ControlFlow::Continue(()))
}

/// The values of an operand for the groups of `range`.
fn read_operand<S: ParameterSource + ?Sized>(
    source: &S,
    operand: &Operand,
    range: Range<u64>,
    values: &mut Vec<f64>,
) -> Result<()> {
    values.clear();
    let len =
        usize::try_from(range.end - range.start).map_err(|_| Error::limit("more groups than memory"))?;
    match operand {
        Operand::One { value, .. } => values.resize(len, *value),
        Operand::Parameter(id) => {
            let single = source.model().parameter(*id).shape.elements() == 1;
            let stored = if single { 0..1 } else { range };
            let mut sink = |block: Block<'_>| {
                block.elements.for_each(|value| values.push(value));
                ControlFlow::Continue(())
            };
            let _ = source.read(*id, Part::Stored, stored, &mut sink)?;
            if let (true, Some(&value)) = (single, values.first()) {
                values.resize(len, value);
            }
        }
        Operand::Product(factors) => {
            values.resize(len, 1.0);
            let mut factor_values = Vec::new();
            for factor in factors {
                read_operand(source, factor, range.clone(), &mut factor_values)?;
                values.iter_mut().zip(&factor_values).for_each(|(product, factor)| *product *= factor);
            }
        }
        Operand::Packed => return Err(Error::unsupported("this source cannot unpack it")),
    }
    Ok(())
}
