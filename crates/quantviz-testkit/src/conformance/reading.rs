//! The rules of reading: all of it, in order, nothing else, and not past a break.

use std::ops::{ControlFlow, Range};

use quantviz_core::{
    Block, DTypeClass, Error, ErrorKind, Model, ParameterId, ParameterSource, Part, Result, Warning,
    WarningKind, part_len,
};

use crate::random::Random;

pub(super) fn check_parameter(source: &dyn ParameterSource, id: ParameterId) {
    let stored = Subject { source, id, part: Part::Stored };
    let values = stored.check();
    if let (Some(values), Some(earlier)) = (values, source.model().parameter(id).shares) {
        let earlier = Subject { id: earlier, ..stored }.read(0..values.len() as u64, None);
        stored
            .require(values == earlier.values, || "it differs from the parameter that it shares with".into());
    }
    let derived = [Part::Codes, Part::Scales, Part::OuterScales, Part::ZeroPoints, Part::Offsets]
        .map(|part| Subject { part, ..stored });
    match &source.model().parameter(id).quantization {
        Some(quantization) => {
            let [codes, ..] = derived.each_ref().map(Subject::check);
            let (low, high) = quantization.code_range;
            let codes = codes.iter().flatten().map(|&bits| f64::from_bits(bits));
            let outside = codes.filter(|code| code.is_finite()).find(|code| !(low..=high).contains(code));
            let rule = |code| format!("code {code} is not between {low} and {high}");
            derived[0].require(outside.is_none(), || rule(outside.unwrap_or_default()));
        }
        None => derived[1..].iter().for_each(Subject::check_absent),
    }
    Subject { part: Part::Gradient, ..stored }.check_gradient();
}

/// One part of one parameter.
#[derive(Clone, Copy)]
struct Subject<'a> {
    source: &'a dyn ParameterSource,
    id: ParameterId,
    part: Part,
}

/// What came of one reading.
struct Delivery {
    /// The bits of the values as f64, so that NaNs compare too.
    values: Vec<u64>,
    result: Result<ControlFlow<()>>,
}

impl Subject<'_> {
    /// All rules; the values, if they can be read.
    fn check(&self) -> Option<Vec<u64>> {
        let len = match part_len(self.source.model(), self.id, self.part) {
            Ok(len) => len,
            Err(error) => self.fail(&format!("it has no length: {error}")),
        };
        let whole = self.read(0..len, None);
        match whole.result {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => self.fail("Break, though the sink never broke"),
            Err(error) if is_excused(self.source.model(), self.id, &error) => return None,
            Err(error) => self.fail(&format!("unreadable, and no warning says so: {error}")),
        }
        let values = whole.values;
        let delivered = values.len() as u64;
        self.require(delivered == len, || format!("{delivered} of {len} elements were delivered"));
        self.check_ranges(&values);
        self.check_beyond(len);
        self.check_break(&values);
        self.check_gather(&values);
        Some(values)
    }

    fn check_ranges(&self, values: &[u64]) {
        for range in some_ranges(values.len() as u64) {
            let read = self.read(range.clone(), None);
            let whole = matches!(read.result, Ok(ControlFlow::Continue(())));
            self.require(whole, || format!("{range:?} gave {:?}", read.result));
            let expected = &values[range.start as usize..range.end as usize];
            self.require(read.values == expected, || {
                format!("{range:?} is not that slice of the whole: {}", difference(&read.values, expected))
            });
        }
    }

    fn check_beyond(&self, len: u64) {
        let beyond = len.saturating_add(1);
        let ends = [(0, beyond), (len, beyond), (beyond, beyond), (0, u64::MAX), (u64::MAX, u64::MAX)];
        let reversed = [(1, 0), (len, 0), (beyond, len), (u64::MAX, 0)];
        for (start, end) in ends.into_iter().chain(reversed) {
            if start > end || end > len {
                self.check_refused(start..end, &format!("there are {len}"));
            }
        }
    }

    /// A gradient that is not found, or refused because the parameter is frozen; or there as every other part.
    fn check_gradient(&self) {
        let absent = |result: &Result<ControlFlow<()>>| {
            let kind = result.as_ref().err().map(Error::kind);
            kind.filter(|kind| matches!(kind, ErrorKind::NotFound | ErrorKind::Refused))
        };
        let Some(why) = absent(&self.read(0..0, None).result) else {
            self.check();
            return;
        };
        let whole = self.read(0..part_len(self.source.model(), self.id, self.part).unwrap_or(0), None);
        self.require(absent(&whole.result) == Some(why), || {
            format!("0..0 is {why:?}, all of it gave {:?}", whole.result)
        });
        self.require(whole.values.is_empty(), || format!("delivered, though it is {why:?}"));
    }

    /// A part that a parameter without quantization does not have.
    fn check_absent(&self) {
        let read = self.read(0..1, None);
        self.require(read.result.is_err(), || "read, though the parameter is not quantized".into());
        self.require(read.values.is_empty(), || "delivered, though the parameter is not quantized".into());
    }

    fn check_refused(&self, range: Range<u64>, why: &str) {
        let read = self.read(range.clone(), None);
        let refused = read.result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Malformed);
        self.require(refused, || format!("{range:?} is not Malformed ({why}) but {:?}", read.result));
        self.require(read.values.is_empty(), || format!("{range:?} delivered something ({why})"));
    }

    fn check_break(&self, values: &[u64]) {
        let len = values.len() as u64;
        for range in [0..len, len / 3..len] {
            for blocks in [1, 2, 3] {
                let read = self.read(range.clone(), Some(blocks));
                let delivered = read.values.len() as u64;
                let whole = delivered == range.end - range.start;
                match read.result {
                    Ok(ControlFlow::Break(())) => {}
                    // Fewer blocks came than the sink would have taken.
                    Ok(ControlFlow::Continue(())) if whole => {}
                    result => {
                        self.fail(&format!("{range:?} gave {result:?} to a sink that broke, not Ok(Break)"))
                    }
                }
                let start = range.start as usize;
                let expected = &values[start..start + read.values.len()];
                self.require(read.values == expected, || {
                    format!("{range:?}, broken off, is not the beginning of the whole")
                });
            }
        }
    }

    fn check_gather(&self, values: &[u64]) {
        let len = values.len() as u64;
        let mut random = Random::new(len);
        let mut at: Vec<u64> = (0..8.min(len * 8)).map(|_| random.below(len)).collect();
        at.extend(at.clone().into_iter().rev());
        at.extend([0, len.wrapping_sub(1), 0].into_iter().filter(|&index| index < len));
        let mut gathered = vec![0f32; at.len()];
        if let Err(error) = self.source.gather(self.id, self.part, &at, &mut gathered) {
            self.fail(&format!("it cannot be gathered: {error}"));
        }
        for (&index, gathered) in at.iter().zip(gathered) {
            let read = f64::from_bits(values[index as usize]) as f32;
            let same = gathered.to_bits() == read.to_bits() || (gathered.is_nan() && read.is_nan());
            self.require(same, || format!("element {index} is gathered as {gathered}, but read as {read}"));
        }
        let beyond = self.source.gather(self.id, self.part, &[len], &mut [0.0]);
        let refused = beyond.as_ref().is_err_and(|error| error.kind() == ErrorKind::Malformed);
        self.require(refused, || format!("gathering element {len} of {len} is not Malformed but {beyond:?}"));
    }

    /// Reads into a sink that follows the rules of delivery block by block, and breaks after so many blocks.
    fn read(&self, range: Range<u64>, break_after: Option<usize>) -> Delivery {
        let mut values = Vec::new();
        let mut left = break_after;
        let mut broke = false;
        let dtype = self.source.model().parameter(self.id).dtype;
        let mut sink = |block: Block<'_>| {
            self.require(!broke, || format!("{range:?}: a block came after the sink broke"));
            let found = block.elements.dtype();
            self.require(self.part != Part::Stored || found == dtype, || {
                format!("{range:?}: elements came as {found}, but they are stored as {dtype}")
            });
            let expected = range.start.saturating_add(values.len() as u64);
            self.require(block.elements.is_empty() || block.start == expected, || {
                format!("{range:?}: a block starts at {}, not at {expected}", block.start)
            });
            let room = range.end.saturating_sub(expected);
            self.require(block.elements.len() as u64 <= room, || {
                format!("{range:?}: {} elements came where {room} were left", block.elements.len())
            });
            block.elements.for_each(|value| values.push(value.to_bits()));
            left = left.map(|left| left - 1);
            broke = left == Some(0);
            if broke { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result = self.source.read(self.id, self.part, range.clone(), &mut sink);
        self.require(!broke || !matches!(result, Ok(ControlFlow::Continue(()))), || {
            format!("{range:?}: the sink broke, and the reading is not Ok(Break)")
        });
        Delivery { values, result }
    }

    fn require(&self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.fail(&rule());
        }
    }

    fn fail(&self, rule: &str) -> ! {
        panic!("parameter {:?}, {:?}: {rule}", self.source.model().parameter(self.id).name, self.part)
    }
}

/// Types without numbers need not be readable, nor what the model warns of.
pub(super) fn is_excused(model: &Model, id: ParameterId, error: &Error) -> bool {
    let parameter = model.parameter(id);
    let numberless =
        matches!(parameter.dtype.class(), DTypeClass::Complex | DTypeClass::Text | DTypeClass::Quantized);
    let is_about = |warning: &Warning| {
        warning.parameter.as_ref() == Some(&parameter.name) && warning.kind != WarningKind::Odd
    };
    model.warnings.iter().any(is_about) || (numberless && error.kind() == ErrorKind::Unsupported)
}

/// Ranges at which blocks, bytes and vector registers end, and some at which nothing does.
fn some_ranges(len: u64) -> Vec<Range<u64>> {
    let middle = len / 2;
    let mut ranges = vec![
        0..0,
        len..len,
        middle..middle,
        0..len.min(1),
        len.saturating_sub(1)..len,
        len.min(1)..len,
        0..len.saturating_sub(1),
        len / 3..len - len / 5,
        middle.saturating_sub(3)..len.min(middle + 4),
    ];
    let mut random = Random::new(len);
    for _ in 0..12 {
        let (one, other) = (random.below(len + 1), random.below(len + 1));
        ranges.push(one.min(other)..one.max(other));
    }
    ranges
}

fn difference(found: &[u64], expected: &[u64]) -> String {
    if found.len() != expected.len() {
        return format!("{} elements instead of {}", found.len(), expected.len());
    }
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected).unwrap_or_default();
    let value = |values: &[u64]| values.get(at).copied().map_or(f64::NAN, f64::from_bits);
    format!("its element {at} is {}, not {}", value(found), value(expected))
}
