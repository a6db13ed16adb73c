//! The numbers of a whole, of those of its parts.

use super::quantity::Quantity;
use super::statistics::{Group, Statistics};

/// What is known of a part.
pub(super) struct Told<'a> {
    /// Elements that it has.
    pub(super) elements: f64,
    pub(super) statistics: &'a Statistics,
    /// Its place in those.
    pub(super) at: usize,
}

impl Told<'_> {
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        self.statistics.value(quantity, self.at)
    }

    /// How many of its elements are finite, as far as it was looked at.
    fn finite(&self, coverage: Quantity, non_finite: Quantity) -> f64 {
        let looked_at = self.value(coverage).unwrap_or(1.0) * self.elements;
        let share = self.value(non_finite).map_or(0.0, |it| it / looked_at);
        self.elements * (1.0 - share).clamp(0.0, 1.0)
    }
}

/// What can be put together of parts, of a whole with so many elements. Of what was sampled of a part, every element of the part
/// counts.
pub(super) fn pool(parts: &[Told<'_>], group: Group, whole: f64) -> Vec<(Quantity, Option<f64>)> {
    let Some([coverage, as_of, non_finite, zeros, min, max, mean, std]) = group.of_values() else {
        return Vec::new();
    };
    let known = |quantity| parts.iter().filter_map(move |it| Some((it.value(quantity)?, it)));
    // Of a part without a finite element there is none: that is no reason to have none of the whole.
    let extreme = |quantity, fold: fn(f64, f64) -> f64| {
        let any = known(quantity).map(|(value, _)| value);
        any.reduce(|a, b| {
            if a.is_nan() {
                b
            } else if b.is_nan() {
                a
            } else {
                fold(a, b)
            }
        })
    };
    let sum = |quantity| known(quantity).map(|(value, _)| value).reduce(|a, b| a + b);
    let looked_at = known(coverage).map(|(share, it)| share * it.elements).reduce(|a, b| a + b);
    let moments = Moments::of(known(mean).filter_map(|(value, it)| {
        Some((value, it.value(std)?, it.finite(coverage, non_finite))).filter(|it| it.0.is_finite())
    }));
    let no_number = known(mean).next().map(|_| f64::NAN);
    let mut pooled = vec![
        (coverage, looked_at.map(|it| if whole > 0.0 { it / whole } else { 0.0 })),
        (as_of, extreme(as_of, f64::min)),
        (non_finite, sum(non_finite)),
        (zeros, average(known(zeros).map(|(value, it)| (value, it.elements)))),
        (min, extreme(min, f64::min)),
        (max, extreme(max, f64::max)),
        (mean, moments.map(|it| it.mean).or(no_number)),
        (std, moments.map(|it| it.variance.sqrt()).or(no_number)),
    ];
    if group == Group::Weights {
        let squares = known(Quantity::Change).map(|(value, it)| (value * value, it.elements));
        pooled.push((Quantity::Change, average(squares).map(f64::sqrt)));
        // The change of one step by what there is, of each part; of the whole, both are added up before one is divided by the other.
        let of_update = known(Quantity::UpdateRatio).filter_map(|(ratio, it)| {
            let size = it.value(mean)?.powi(2) + it.value(std)?.powi(2);
            Some((ratio * ratio, size * it.elements))
        });
        pooled.push((Quantity::UpdateRatio, average(of_update).map(f64::sqrt)));
    }
    pooled
}

/// The mean of numbers by how much each counts; `None` of nothing.
fn average(all: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let sums = all.fold((0.0, 0.0), |sums, (value, weight)| (sums.0 + value * weight, sums.1 + weight));
    (sums.1 > 0.0).then(|| sums.0 / sums.1)
}

#[derive(Clone, Copy)]
struct Moments {
    mean: f64,
    variance: f64,
}

impl Moments {
    /// Of means, standard deviations, and how much each counts.
    fn of(parts: impl Iterator<Item = (f64, f64, f64)>) -> Option<Self> {
        let parts: Vec<(f64, f64, f64)> = parts.collect();
        let mean = average(parts.iter().map(|&(mean, _, weight)| (mean, weight)))?;
        // About the mean of all, so that nothing is lost where that is far from zero.
        let squares =
            parts.iter().map(|&(of_part, std, weight)| (std * std + (of_part - mean).powi(2), weight));
        Some(Moments { mean, variance: average(squares)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(all: &[(Quantity, f64)]) -> Statistics {
        let mut statistics = Statistics::nothing(1);
        all.iter().for_each(|&(quantity, value)| statistics.set(quantity, 0, Some(value)));
        statistics
    }

    fn pooled(parts: &[(f64, Statistics)], whole: f64, wanted: Quantity) -> Option<f64> {
        let told: Vec<Told<'_>> = parts
            .iter()
            .map(|(elements, statistics)| Told { elements: *elements, statistics, at: 0 })
            .collect();
        pool(&told, Group::Weights, whole).into_iter().find(|(quantity, _)| *quantity == wanted)?.1
    }

    #[test]
    fn parts_count_by_their_elements() {
        use Quantity::{Change, Coverage, Max, Mean, Min, NonFinite, Std, UpdateRatio, Zeros};
        // 1, 3 and 5 zeros; 8, 8.
        let odd = numbers(&[
            (Mean, 4.0 / 7.0),
            (Std, 1.0497813),
            (Min, 0.0),
            (Max, 3.0),
            (Zeros, 5.0 / 7.0),
            (NonFinite, 0.0),
            (Coverage, 1.0),
            (Change, 2.0),
            (UpdateRatio, 0.0),
        ]);
        let even = numbers(&[
            (Mean, 8.0),
            (Std, 0.0),
            (Min, 8.0),
            (Max, 8.0),
            (Zeros, 0.0),
            (NonFinite, 0.0),
            (Coverage, 1.0),
            (Change, 0.0),
            (UpdateRatio, 1.0),
        ]);
        let parts = [(7.0, odd), (2.0, even)];
        let of = |quantity| pooled(&parts, 9.0, quantity).expect("both have it");
        let values = [1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 8.0f64];
        let mean = values.iter().sum::<f64>() / 9.0;
        let std = (values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 9.0).sqrt();
        assert!((of(Mean) - mean).abs() < 1e-12 && (of(Std) - std).abs() < 1e-7, "{}", of(Std));
        assert_eq!((of(Min), of(Max), of(Coverage)), (0.0, 8.0, 1.0));
        assert!((of(Zeros) - 5.0 / 9.0).abs() < 1e-12);
        assert!((of(Change) - (7.0 * 4.0 / 9.0f64).sqrt()).abs() < 1e-12);
        // All of the 128 that the squares of the second part come to moves, and nothing of the 10 of the first.
        assert!((of(UpdateRatio) - (128.0f64 / 138.0).sqrt()).abs() < 1e-7, "{}", of(UpdateRatio));
        assert_eq!(pooled(&parts, 18.0, Coverage), Some(0.5), "half of it nobody has recorded");
    }

    #[test]
    fn what_is_not_finite_counts_nowhere_but_where_it_is_counted() {
        use Quantity::{Coverage, Max, Mean, Min, NonFinite, Std};
        let nan = f64::NAN;
        let none =
            numbers(&[(Mean, nan), (Std, nan), (Min, nan), (Max, nan), (NonFinite, 4.0), (Coverage, 1.0)]);
        let half =
            numbers(&[(Mean, 2.0), (Std, 1.0), (Min, 1.0), (Max, 3.0), (NonFinite, 2.0), (Coverage, 1.0)]);
        let all =
            numbers(&[(Mean, 6.0), (Std, 0.0), (Min, 6.0), (Max, 6.0), (NonFinite, 0.0), (Coverage, 1.0)]);
        let parts = [(4.0, none.clone()), (4.0, half), (2.0, all)];
        let of = |quantity| pooled(&parts, 10.0, quantity).expect("some have it");
        assert_eq!((of(Mean), of(Min), of(Max), of(NonFinite)), (4.0, 1.0, 6.0, 6.0));
        // 1, 3, 6, 6.
        assert!((of(Std) - 4.5f64.sqrt()).abs() < 1e-12, "{}", of(Std));
        assert!(pooled(&[(4.0, none)], 4.0, Mean).expect("it was looked at").is_nan());
    }
}
