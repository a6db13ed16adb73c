//! From codes to the real numbers they stand for, in f64.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use crate::calibration::{Calibration, for_each_calibration};
use crate::elements::for_each_type;
use crate::{Block, Element, Elements, ParameterId, ParameterSource, Part, Result};

/// Values that are looked at together: they stay in the first-level cache.
pub(crate) const AT_ONCE: usize = 4096;

/// Codes that are computed with the same numbers.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) codes: Elements<'a>,
    pub(crate) table: Option<&'a [f32]>,
    pub(crate) affine: Affine,
}

/// From a code, or what a table has for it, to the real number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: f64,
    pub(crate) zero_point: f64,
    pub(crate) offset: f64,
}

impl Affine {
    #[inline(always)]
    pub(crate) fn real(&self, value: f64) -> f64 {
        self.scale * (value - self.zero_point) + self.offset
    }
}

impl Calibration {
    /// What the codes of a group are computed with, but for an outer level of scales.
    #[inline(always)]
    pub(crate) fn affine(&self, group: u64) -> Affine {
        Affine {
            scale: self.scales.of(group),
            zero_point: self.zero_points.of(group),
            offset: self.offsets.of(group),
        }
    }

    /// What one code is computed with.
    pub(crate) fn affine_at(&self, index: u64) -> Affine {
        let affine = self.affine(self.groups.at(index).0);
        match &self.outer {
            Some((groups, scales)) => {
                Affine { scale: affine.scale * scales.of(groups.at(index).0), ..affine }
            }
            None => affine,
        }
    }

    #[inline(always)]
    pub(crate) fn for_each_run(&self, block: &Block<'_>, mut f: impl FnMut(Run<'_>)) {
        let (mut done, mut walk) = (0, self.groups.walk(block.start));
        while done < block.elements.len() {
            let (group, mut run) = walk.here();
            let mut affine = self.affine(group);
            if let Some((outer_groups, outer_scales)) = &self.outer {
                let (outer_group, outer_run) = outer_groups.at(block.start + done as u64);
                affine.scale *= outer_scales.of(outer_group);
                run = run.min(outer_run);
            }
            let left = block.elements.len() - done;
            let len = usize::try_from(run).map_or(left, |run| run.min(left));
            f(Run { codes: block.elements.slice(done..done + len), table: self.table.as_deref(), affine });
            done += len;
            walk.go(len as u64);
        }
    }

    /// Whether codes side by side have numbers side by side, so that rows are quicker than runs.
    pub(crate) fn is_by_columns(&self, block: &Block<'_>) -> bool {
        let is_empty = block.elements.is_empty();
        !is_empty && self.outer.is_none() && self.groups.neighbours_at(block.start).is_some()
    }

    /// The real values of a block, many at a time, where each code has the numbers of the next group: nothing is looked
    /// up for a single code.
    #[inline(always)]
    pub(crate) fn for_each_row<S: Simd>(&self, simd: S, block: &Block<'_>, mut f: impl FnMut(&[f64])) {
        let (mut done, mut values) = (0, Vec::new());
        while done < block.elements.len()
            && let Some((group, row)) = self.groups.neighbours_at(block.start + done as u64)
        {
            let left = (block.elements.len() - done).min(AT_ONCE);
            let len = usize::try_from(row).map_or(left, |row| row.min(left));
            simd.vectorize(
                #[inline(always)]
                || self.compute_row(&block.elements.slice(done..done + len), group, &mut values),
            );
            f(&values);
            done += len;
        }
    }

    /// Replaces `values` by what these codes stand for, the first of which is in that group.
    #[inline(always)]
    fn compute_row(&self, codes: &Elements<'_>, first: u64, values: &mut Vec<f64>) {
        values.clear();
        push_values(codes, values);
        if let Some(table) = &self.table {
            values.iter_mut().for_each(|value| *value = in_table(table, *value));
        }
        self.zero_points.apply(first, values, |value, zero| value - zero);
        self.scales.apply(first, values, |value, scale| value * scale);
        self.offsets.apply(first, values, |value, offset| value + offset);
    }
}

impl Run<'_> {
    fn for_each(&self, mut f: impl FnMut(f64)) {
        self.codes.for_each(|code| f(self.real(code)));
    }

    #[inline]
    pub(crate) fn real(&self, code: f64) -> f64 {
        self.affine.real(self.table.map_or(code, |table| in_table(table, code)))
    }

    /// Adds all real values of a run that is not long.
    #[inline(always)]
    pub(crate) fn push_reals<S: Simd>(&self, simd: S, values: &mut Vec<f64>) {
        simd.vectorize(
            #[inline(always)]
            || match (self.table, &self.codes) {
                (Some(table), Elements::U8(codes)) => {
                    let value = |code: u8| table.get(usize::from(code)).map_or(f64::NAN, |&it| f64::from(it));
                    values.extend(codes.iter().map(|&code| self.affine.real(value(code))));
                }
                (table, codes) => {
                    let first = values.len();
                    push_values(codes, values);
                    let values = &mut values[first..];
                    match table {
                        Some(table) => values
                            .iter_mut()
                            .for_each(|value| *value = self.affine.real(in_table(table, *value))),
                        None => values.iter_mut().for_each(|value| *value = self.affine.real(*value)),
                    }
                }
            },
        );
    }

    /// The codes in parts that are not long.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Run<'_>> {
        (0..self.codes.len()).step_by(AT_ONCE).map(|start| Run {
            codes: self.codes.slice(start..self.codes.len().min(start + AT_ONCE)),
            ..*self
        })
    }
}

pub(crate) fn in_table(table: &[f32], code: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a small table"
    )]
    table.get(code as usize).map_or(f64::NAN, |&value| f64::from(value))
}

#[inline(always)]
pub(crate) fn push_values(elements: &Elements<'_>, values: &mut Vec<f64>) {
    for_each_type!(
        elements,
        slice => values.extend(slice.iter().map(|value| value.to_f64())),
        packed => packed.push_values(values)
    );
}

/// Pushes the real values of the elements `range` into `sink`, in order.
pub(crate) fn for_each_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    mut sink: impl FnMut(f64),
) -> Result<()> {
    let all = for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut block = |block: Block<'_>| {
            if calibration.is_by_columns(&block) {
                dispatch!(Level::new(), simd => calibration.for_each_row(simd, &block, |values| {
                    values.iter().for_each(|&value| sink(value));
                }));
            } else {
                calibration.for_each_run(&block, |run| run.for_each(&mut sink));
            }
            ControlFlow::Continue(())
        };
        source.read(id, Part::Codes, range, &mut block)
    });
    all.map(|_| ())
}

/// Gives the real values of the elements `range` to `sink`, in order and many at a time.
pub(crate) fn for_each_real_slice<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    sink: &mut dyn FnMut(&[f64]),
) -> Result<()> {
    let mut values = Vec::new();
    for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut block = |block: Block<'_>| {
            dispatch!(Level::new(), simd => if calibration.is_by_columns(&block) {
                calibration.for_each_row(simd, &block, |values| sink(values));
            } else {
                calibration.for_each_run(&block, |run| {
                    for part in run.parts() {
                        part.push_reals(simd, &mut values);
                        if values.len() >= AT_ONCE {
                            sink(&values);
                            values.clear();
                        }
                    }
                });
                // What follows may come by columns, and is not to overtake this.
                sink(&values);
                values.clear();
            });
            ControlFlow::Continue(())
        };
        source.read(id, Part::Codes, range, &mut block)
    })
    .map(|_| ())
}

/// All values of a range of a part.
pub(crate) fn read_values<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    add_values(source, id, part, range, &mut values)?;
    Ok(values)
}

/// Adds all values of a range of a part.
pub(crate) fn add_values<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    values: &mut Vec<f64>,
) -> Result<()> {
    let mut sink = |block: Block<'_>| {
        dispatch!(Level::new(), simd => simd.vectorize(
            #[inline(always)]
            || push_values(&block.elements, values),
        ));
        ControlFlow::Continue(())
    };
    source.read(id, part, range, &mut sink).map(|_| ())
}
