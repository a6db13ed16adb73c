//! From codes to the real numbers they stand for, in f64.

use std::ops::{ControlFlow, Range};

use crate::elements::for_each_type;
use crate::quant::Groups;
use crate::{Block, Element, Elements, Error, ParameterId, ParameterSource, Part, RangeSummary, Result};

/// The scale and the zero-point of every group that a range of a parameter touches.
struct Calibration {
    groups: Groups,
    first_group: u64,
    scales: Vec<f64>,
    /// Empty where every zero-point is code 0.
    zero_points: Vec<f64>,
}

/// Codes that share a scale and a zero-point.
struct Run<'a> {
    codes: Elements<'a>,
    scale: f64,
    zero_point: f64,
}

impl Calibration {
    fn load<S: ParameterSource + ?Sized>(source: &S, id: ParameterId, range: &Range<u64>) -> Result<Self> {
        let parameter = source.model().parameter(id);
        let groups = parameter.quantization.as_ref().and_then(|it| it.groups(&parameter.shape));
        let groups =
            groups.ok_or_else(|| Error::malformed("its scales do not fit").in_tensor(&parameter.name))?;
        let span = groups.span(range);
        let scales = read_values(source, id, Part::Scales, span.clone())?;
        let has_zero_points = parameter.quantization.as_ref().is_some_and(|it| it.zero_point.is_some());
        let zero_points = if has_zero_points {
            read_values(source, id, Part::ZeroPoints, span.clone())?
        } else {
            Vec::new()
        };
        Ok(Calibration { groups, first_group: span.start, scales, zero_points })
    }

    fn for_each_run(&self, block: &Block<'_>, mut f: impl FnMut(Run<'_>)) {
        let mut done = 0;
        while done < block.elements.len() {
            let start = block.start + done as u64;
            let (group, run) = self.groups.at(start);
            let end =
                usize::try_from(run).map_or(block.elements.len(), |run| block.elements.len().min(done + run));
            #[expect(clippy::cast_possible_truncation, reason = "an index into what was just read")]
            let group = (group - self.first_group) as usize;
            f(Run {
                codes: block.elements.slice(done..end),
                scale: self.scales.get(group).copied().unwrap_or(f64::NAN),
                zero_point: self.zero_points.get(group).copied().unwrap_or(0.0),
            });
            done = end;
        }
    }
}

impl Run<'_> {
    fn for_each(&self, mut f: impl FnMut(f64)) {
        self.codes.for_each(|code| f(self.scale * (code - self.zero_point)));
    }

    /// How often each value occurs, for codes of at most eight bits.
    fn value_counts(&self) -> Option<impl Iterator<Item = (f64, u64)> + Clone> {
        let counts = code_counts(&self.codes)?;
        let (scale, zero_point) = (self.scale, self.zero_point);
        Some(counts.map(move |(code, times)| (scale * (code - zero_point), times)))
    }
}

fn code_counts(codes: &Elements<'_>) -> Option<impl Iterator<Item = (f64, u64)> + Clone + use<>> {
    let mut counts = [0u64; 256];
    let first = match codes {
        Elements::U8(codes) => {
            codes.iter().for_each(|&code| counts[usize::from(code)] += 1);
            0.0
        }
        Elements::I8(codes) => {
            codes.iter().for_each(|&code| counts[usize::from(code.cast_unsigned() ^ 0x80)] += 1);
            -128.0
        }
        _ => return None,
    };
    Some((0u8..=255).map(move |index| first + f64::from(index)).zip(counts))
}

/// Pushes the real values of the elements `range` into `sink`, in order.
pub(crate) fn for_each_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    mut sink: impl FnMut(f64),
) -> Result<()> {
    let calibration = Calibration::load(source, id, &range)?;
    let mut block = |block: Block<'_>| {
        calibration.for_each_run(&block, |run| run.for_each(&mut sink));
        ControlFlow::Continue(())
    };
    source.read(id, Part::Codes, range, &mut block).map(|_| ())
}

/// The summary of the real values of the elements `range`.
pub(crate) fn summarize_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
) -> Result<RangeSummary> {
    /// Runs from which on counting codes is quicker than computing values.
    const WORTH_COUNTING: usize = 1024;
    const AT_ONCE: usize = 4096;
    let calibration = Calibration::load(source, id, &range)?;
    let mut summary = RangeSummary::default();
    let mut values: Vec<f64> = Vec::with_capacity(AT_ONCE);
    let mut block = |block: Block<'_>| {
        calibration.for_each_run(&block, |run| {
            if run.codes.len() >= WORTH_COUNTING
                && let Some(counts) = run.value_counts()
            {
                summary.merge(&RangeSummary::of_counted(counts));
                return;
            }
            run.for_each(|value| {
                values.push(value);
                if values.len() == AT_ONCE {
                    summary.merge(&RangeSummary::of(&values));
                    values.clear();
                }
            });
        });
        ControlFlow::Continue(())
    };
    let _ = source.read(id, Part::Codes, range, &mut block)?;
    summary.merge(&RangeSummary::of(&values));
    Ok(summary)
}

/// All values of a range of a part.
pub(crate) fn read_values<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    let mut sink = |block: Block<'_>| {
        for_each_type!(
            &block.elements,
            slice => values.extend(slice.iter().map(|value| value.to_f64())),
            packed => values.extend(packed.codes().map(|code| f64::from(packed.values()[usize::from(code)])))
        );
        ControlFlow::Continue(())
    };
    let _ = source.read(id, part, range, &mut sink)?;
    Ok(values)
}
