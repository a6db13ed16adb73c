//! The ends of recorded values, and how many lie on them: whatever was clipped has many at an end.

/// The smallest and the largest of finite values, and how often each occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ends {
    count: u64,
    low: Option<End>,
    high: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    at: f64,
    many: u64,
}

impl Ends {
    pub(super) fn add(&mut self, values: &[f64]) {
        for &value in values.iter().filter(|value| value.is_finite()) {
            self.count += 1;
            reach(&mut self.low, value, |value, end| value < end);
            reach(&mut self.high, value, |value, end| value > end);
        }
    }

    /// The distance of both ends.
    pub(super) fn width(&self) -> f64 {
        self.high.zip(self.low).map_or(0.0, |(high, low)| high.at - low.at)
    }

    /// The ends at which values pile up, as clipping leaves them; infinite where they do not.
    pub(super) fn clipped_to(&self) -> (f64, f64) {
        let pile =
            |end: Option<End>| end.filter(|it| it.many > 1 && it.many >= self.count / PILE).map(|it| it.at);
        (pile(self.low).unwrap_or(f64::NEG_INFINITY), pile(self.high).unwrap_or(f64::INFINITY))
    }
}

/// One of so many values at an end is a pile.
const PILE: u64 = 100;

fn reach(end: &mut Option<End>, value: f64, is_beyond: impl Fn(f64, f64) -> bool) {
    match end {
        Some(end) if !is_beyond(value, end.at) => end.many += u64::from(end.at == value),
        _ => *end = Some(End { at: value, many: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clipped_to(values: &[f64]) -> (f64, f64) {
        let mut ends = Ends::default();
        // Piece by piece, as they are read.
        values.chunks(3).for_each(|piece| ends.add(piece));
        ends.clipped_to()
    }

    #[test]
    fn piles() {
        let none = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(clipped_to(&[]), none);
        assert_eq!(clipped_to(&[1.0, 2.0, 3.0]), none);
        assert_eq!(clipped_to(&[0.0, 2.0, 0.0, 3.0, f64::NAN]), (0.0, f64::INFINITY));
        assert_eq!(clipped_to(&[1.0, 2.0, 0.0, 3.0, 3.0, 0.0]), (0.0, 3.0));
        // Two of a thousand are none.
        let mut many: Vec<f64> = (0..1000).map(f64::from).collect();
        many[500] = 0.0;
        assert_eq!(clipped_to(&many), none);
    }
}
