//! Which elements share a scale, as the shapes of both tell.

use quantviz_core::{Granularity, Shape};

use super::Misfit;

/// The granularity of codes of the shape `codes` that have scales of the shape `scales`; `hinted` has sizes of blocks
/// that are likely, for each axis. Axes that the scales lack are trailing ones that they do not divide.
pub(super) fn granularity(codes: &[u64], scales: &[u64], hinted: &[&[u64]]) -> Result<Granularity, Misfit> {
    let misfit =
        || Misfit::malformed(format!("its scales of shape {scales:?} do not fit its shape {codes:?}"));
    if scales.iter().product::<u64>() == 1 {
        return Ok(Granularity::Tensor);
    }
    if scales.len() > codes.len() {
        return Err(misfit());
    }
    let counts = scales.iter().copied().chain(std::iter::repeat(1));
    let hinted = hinted.iter().copied().chain(std::iter::repeat(&[][..]));
    let sizes: Option<Vec<u64>> = codes
        .iter()
        .zip(counts)
        .zip(hinted)
        .map(|((&dim, count), hinted)| block_size(dim, count, hinted))
        .collect();
    Ok(named(codes, sizes.ok_or_else(misfit)?))
}

/// As [`granularity`] for groups along the last axis.
pub(super) fn along_last(codes: &[u64], scales: &[u64], hinted: &[u64]) -> Result<Granularity, Misfit> {
    let mut axes: Vec<&[u64]> = vec![&[]; codes.len().saturating_sub(1)];
    axes.push(hinted);
    granularity(codes, scales, &axes)
}

fn block_size(dim: u64, count: u64, hinted: &[u64]) -> Option<u64> {
    let likely = hinted.iter().copied().find(|&size| dim.div_ceil(size) == count);
    let even = || (count > 0 && dim.is_multiple_of(count)).then(|| dim / count);
    Some(likely.or_else(even)?.min(dim))
}

/// The simplest word for blocks of these sizes.
fn named(dims: &[u64], sizes: Vec<u64>) -> Granularity {
    let divided: Vec<usize> = (0..dims.len()).filter(|&axis| sizes[axis] != dims[axis]).collect();
    match divided[..] {
        [] => Granularity::Tensor,
        [axis] if sizes[axis] == 1 => Granularity::Axis(axis),
        _ => Granularity::Block(sizes),
    }
}

/// The shape with another last axis.
pub(super) fn with_last(dims: &[u64], last: u64) -> Result<Shape, Misfit> {
    let mut dims = dims.to_vec();
    match dims.last_mut() {
        Some(dim) => *dim = last,
        None => return Err(Misfit::malformed("it has no axes")),
    }
    Shape::new(dims).map_err(|error| Misfit::malformed(error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_scales() {
        let block = |sizes: &[u64]| Some(Granularity::Block(sizes.to_vec()));
        type Case<'a> = (&'a [u64], &'a [u64], &'a [&'a [u64]], Option<Granularity>);
        let cases: &[Case<'_>] = &[
            (&[4, 64], &[], &[], Some(Granularity::Tensor)),
            (&[4, 64], &[1, 1], &[], Some(Granularity::Tensor)),
            (&[4, 64], &[4], &[], Some(Granularity::Axis(0))),
            (&[4, 64], &[4, 1], &[], Some(Granularity::Axis(0))),
            (&[4, 64], &[1, 64], &[], Some(Granularity::Axis(1))),
            (&[4, 64], &[4, 2], &[], block(&[1, 32])),
            (&[4, 65], &[4, 3], &[&[], &[64, 32]], block(&[1, 32])),
            (&[4, 65], &[4, 3], &[], None),
            (&[200, 300], &[2, 3], &[&[128], &[128]], block(&[128, 128])),
            (&[64, 300], &[1, 3], &[&[128], &[128]], block(&[64, 128])),
            (&[2, 8, 64], &[2, 1, 64], &[], block(&[1, 8, 1])),
            (&[2, 8, 64], &[2], &[], Some(Granularity::Axis(0))),
            (&[4, 64], &[4, 2, 2], &[], None),
            (&[4, 64], &[5], &[], None),
        ];
        for (codes, scales, hinted, expected) in cases {
            let found = granularity(codes, scales, hinted).ok();
            assert_eq!(found, *expected, "{scales:?} for {codes:?}");
            let groups = found.and_then(|it| it.groups(&Shape::new(*codes).expect("small")));
            let scales: u64 = scales.iter().product();
            assert!(groups.is_none_or(|groups| groups.count() == scales));
        }
    }
}
