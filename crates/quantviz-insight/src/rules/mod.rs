//! The rules: one file for each family of them.

mod activations;
mod bias;
mod codes;
mod graph;
pub(crate) mod pairs;
mod scales;
mod weights;
mod zero_points;

use crate::Finding;
use crate::case::Case;

/// Adds what it finds in one file.
type FileRule = fn(&Case<'_>, &mut Vec<Finding>);

/// Everything that can be said of one file alone.
pub(crate) const FILE_RULES: &[FileRule] = &[
    scales::bad,
    scales::negative,
    scales::subnormal,
    scales::equal_channels,
    graph::misfit,
    zero_points::bad,
    zero_points::symmetric_254,
    codes::short_reach,
    codes::clipped,
    codes::nan,
    bias::scale,
    bias::saturated,
    activations::uncalibrated,
    weights::float,
    weights::saturating,
    graph::codes_too_new,
    graph::no_zero_point,
    zero_points::not_symmetric,
];
