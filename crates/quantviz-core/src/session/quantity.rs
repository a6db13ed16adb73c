//! What is recorded of every parameter and of every matrix, as columns over the catalogue.

use crate::names::names;

names! {
    /// A number that a snapshot has of each parameter, or of each matrix. Its name is that of the array.
    Quantity {
        /// The smallest weight.
        Min "w.min";
        /// The largest weight.
        Max "w.max";
        /// The mean of the weights.
        Mean "w.mean";
        /// Their standard deviation.
        Std "w.std";
        /// The share of weights that are zero.
        Zeros "w.zeros";
        /// How heavy the tails are: the fourth moment by the square of the variance; 3 of a normal distribution.
        Kurtosis "w.kurtosis";
        /// The size of one step of the optimizer by the size of the weights, both as root mean squares.
        UpdateRatio "w.update_rms";
        /// The change since the snapshot before, as a root mean square.
        Change "w.delta_rms";
        /// How many weights are not finite.
        NonFinite "w.non_finite";
        /// The share of elements that the statistics have looked at: 1 where they are exact.
        Coverage "w.coverage";
        /// The step at which the statistics were taken.
        AsOf "w.as_of";
        /// The smallest gradient.
        GradientMin "g.min";
        /// The largest gradient.
        GradientMax "g.max";
        /// The mean of the gradients.
        GradientMean "g.mean";
        /// Their standard deviation.
        GradientStd "g.std";
        /// The share of gradients that are zero.
        GradientZeros "g.zeros";
        /// How many gradients are not finite.
        GradientNonFinite "g.non_finite";
        /// The share of gradients that the statistics have looked at.
        GradientCoverage "g.coverage";
        /// The step at which the gradient's statistics were taken.
        GradientAsOf "g.as_of";
        /// Whether there is a gradient: 0 nobody asked, 1 the parameter is frozen, 2 there is none, 3 there is one.
        GradientState "g.state";
        /// The largest root mean square of a row by the median of all rows.
        RowPeak "f.row_peak";
        /// The largest root mean square of a column by the median of all columns.
        ColumnPeak "f.col_peak";
        /// How many rows are less than a thousandth of the median.
        DeadRows "f.dead_rows";
        /// How many columns are less than a thousandth of the median.
        DeadColumns "f.dead_cols";
        /// The sum of squares by the square of the largest singular value.
        StableRank "f.stable_rank";
        /// The exponential of the entropy of the squared singular values.
        EffectiveRank "f.effective_rank";
        /// The largest cosine between what two heads make of their inputs.
        HeadSimilarity "f.head_similarity";
        /// The distance from the first snapshot by the norm at the first snapshot, on the sample.
        DistanceFromStart "f.distance_from_start";
        /// The share of sampled weights that one step moves by less than half of what their type can tell apart.
        ShareBelowHalfUlp "f.share_below_half_ulp";
        /// The share of weights within a thousandth of the largest magnitude.
        ShareAtEnds "f.share_at_ends";
        /// How clearly rows fall into clusters: the best silhouette.
        ClusterScore "f.cluster_score";
        /// Decibels that rounding to eight bits with one scale would leave.
        SqnrInt8 "f.sqnr_int8";
        /// Decibels that rounding to eight bits with a scale for each output would leave.
        SqnrInt8Channel "f.sqnr_int8_channel";
        /// The step at which the features of a matrix were taken.
        FeaturesAsOf "f.as_of";
    }
}

impl Quantity {
    /// Whether there is one for each matrix, and not for each parameter.
    pub fn is_of_matrices(self) -> bool {
        self.name().starts_with("f.")
    }

    /// Whether it is a whole number, kept as such.
    pub fn is_count(self) -> bool {
        use Quantity::{AsOf, FeaturesAsOf, GradientAsOf, GradientNonFinite, NonFinite};
        matches!(self, AsOf | FeaturesAsOf | GradientAsOf | GradientNonFinite | NonFinite)
    }

    /// The name without what it is of: `min` of `w.min`, `grad_min` of `g.min`. No two quantities have the same.
    pub fn field(self) -> String {
        match self.name().split_once('.') {
            Some(("g", field)) => format!("grad_{field}"),
            // Weights have one too.
            Some(("f", "as_of")) => "features_as_of".to_owned(),
            Some((_, field)) => field.to_owned(),
            None => self.name().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fields_are_told_apart() {
        let fields: BTreeSet<String> = Quantity::ALL.iter().map(|it| it.field()).collect();
        assert_eq!(fields.len(), Quantity::ALL.len());
    }
}
