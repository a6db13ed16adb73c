//! A number over the steps of a run, in as many columns as there is room for.

/// A curve. Places are shares: 0 is the first step and the lowest value, 1 the last and the highest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Curve {
    /// The first and the last step.
    pub steps: (u64, u64),
    /// The lowest and the highest value; the same where there is but one.
    pub range: (f64, f64),
    /// What falls into each column, from the first step to the last.
    pub columns: Vec<CurveColumn>,
}

/// What falls into a column: nothing of what is low or high in it is lost, however many steps there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CurveColumn {
    /// The lowest and the highest value in it, as shares of the range; `None` where no value falls into it.
    pub span: Option<(f64, f64)>,
    /// The first and the last of them, which join it to its neighbours.
    pub ends: Option<(f64, f64)>,
    /// How many values in it are not finite.
    pub not_finite: u32,
}

impl Curve {
    /// Of values at ascending steps; `None` where none of them is finite.
    ///
    /// ```
    /// use quantviz_view::Curve;
    ///
    /// let curve = Curve::of(&[(0, 4.0), (51, 8.0), (52, f64::NAN), (100, 0.0)], 2).ok_or("nothing finite")?;
    /// assert_eq!((curve.steps, curve.range), ((0, 100), (0.0, 8.0)));
    /// assert_eq!(curve.columns[0].span, Some((0.5, 0.5)));
    /// assert_eq!((curve.columns[1].span, curve.columns[1].not_finite), (Some((0.0, 1.0)), 1));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn of(series: &[(u64, f64)], columns: usize) -> Option<Self> {
        let finite = || series.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let low = finite().reduce(f64::min)?;
        let high = finite().reduce(f64::max)?;
        let steps = (series.first()?.0, series.last()?.0);
        let share = |value: f64| match high - low {
            height if height > 0.0 => ((value - low) / height).clamp(0.0, 1.0),
            _ => 0.5,
        };
        let mut all = vec![CurveColumn::default(); columns.max(1)];
        let width = u128::from(steps.1.saturating_sub(steps.0)) + 1;
        for &(step, value) in series {
            let at = u128::from(step.saturating_sub(steps.0)) * all.len() as u128 / width;
            let at = usize::try_from(at).unwrap_or(0).min(all.len() - 1);
            let column = &mut all[at];
            if !value.is_finite() {
                column.not_finite = column.not_finite.saturating_add(1);
                continue;
            }
            let place = share(value);
            let (least, most) = column.span.unwrap_or((place, place));
            column.span = Some((least.min(place), most.max(place)));
            column.ends = Some((column.ends.map_or(place, |ends| ends.0), place));
        }
        Some(Curve { steps, range: (low, high), columns: all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spike_among_many_steps_is_not_lost() {
        let series: Vec<(u64, f64)> =
            (0..100_000).map(|step| (step, if step == 77_777 { 100.0 } else { 1.0 })).collect();
        let curve = Curve::of(&series, 60).expect("finite");
        let spikes: Vec<usize> =
            (0..60).filter(|&at| curve.columns[at].span.is_some_and(|(_, high)| high == 1.0)).collect();
        assert_eq!(spikes, [77_777 * 60 / 100_000]);
    }

    #[test]
    fn what_has_no_height_or_no_width_is_drawn_all_the_same() {
        let flat = Curve::of(&[(5, 2.0)], 3).expect("finite");
        assert_eq!((flat.range, flat.columns[0].span), ((2.0, 2.0), Some((0.5, 0.5))));
        assert_eq!(Curve::of(&[(0, f64::NAN)], 3), None);
        assert_eq!(Curve::of(&[], 3), None);
        let ends = Curve::of(&[(0, 0.0), (u64::MAX, f64::MAX)], 3).expect("finite");
        assert_eq!(ends.columns[2].span, Some((1.0, 1.0)));
    }
}
