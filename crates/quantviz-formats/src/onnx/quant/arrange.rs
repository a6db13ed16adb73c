//! What carriers do to the shape of a constant, and what groups of the arranged elements are groups of the stored ones.

use onnx_ir::NodeProto;
use quantviz_core::{Granularity, Shape};

use super::{Constants, axis_at, int_attribute};
use crate::onnx::graph::input;

/// A step from a shape to another.
enum Step {
    /// Axis `i` of what comes out is axis `axes[i]` of what goes in.
    Transpose(Vec<usize>),
    /// The same elements in the same order.
    Reshape { from: Vec<u64> },
}

/// How the elements of a constant are arranged anew on their way.
pub(super) struct Arrangement {
    steps: Vec<Step>,
    /// The shape in the end.
    pub(super) dims: Vec<u64>,
}

impl Arrangement {
    /// What these nodes do, the first of which reads something of this shape.
    pub(super) fn of<'a>(
        shape: &Shape,
        nodes: impl IntoIterator<Item = &'a NodeProto>,
        constants: &Constants<'_>,
    ) -> Result<Self, String> {
        let mut arrangement = Arrangement { steps: Vec::new(), dims: shape.dims().to_vec() };
        for node in nodes {
            arrangement.add(node, constants)?;
        }
        Ok(arrangement)
    }

    fn add(&mut self, node: &NodeProto, constants: &Constants<'_>) -> Result<(), String> {
        let dims = &self.dims;
        let misfit = || format!("its shape does not fit {}", node.op_type);
        let reshaped = match node.op_type.as_str() {
            "Transpose" => {
                let axes = transposed(node, dims.len()).ok_or_else(misfit)?;
                self.dims = axes.iter().map(|&axis| dims[axis]).collect();
                self.steps.push(Step::Transpose(axes));
                return Ok(());
            }
            "Reshape" => {
                let wanted = constants.list(node, "shape", 1)?.ok_or_else(misfit)?;
                reshape(dims, &wanted, int_attribute(node, "allowzero").unwrap_or(0) != 0)
            }
            "Flatten" => flatten(dims, int_attribute(node, "axis").unwrap_or(1)),
            "Squeeze" => squeeze(dims, constants.list(node, "axes", 1)?.as_deref()),
            "Unsqueeze" => unsqueeze(dims, &constants.list(node, "axes", 1)?.ok_or_else(misfit)?),
            _ => return Ok(()),
        };
        let reshaped = reshaped.ok_or_else(misfit)?;
        let from = std::mem::replace(&mut self.dims, reshaped);
        self.steps.push(Step::Reshape { from });
        Ok(())
    }

    /// The granularity of the stored elements that gives each the scale that `granularity` gives it in the end.
    pub(super) fn back(&self, granularity: Granularity) -> Result<Granularity, String> {
        if self.steps.is_empty() || granularity == Granularity::Tensor {
            return Ok(granularity);
        }
        let mut sizes = sizes_of(&granularity, &self.dims);
        let mut dims = self.dims.clone();
        for step in self.steps.iter().rev() {
            let before = match step {
                Step::Transpose(axes) => transpose_back(&sizes, &dims, axes),
                Step::Reshape { from } => reshape_back(&sizes, &dims, from).map(|it| (it, from.clone())),
            };
            (sizes, dims) = before.ok_or("its scales are for another arrangement of its elements")?;
        }
        Ok(granularity_of(sizes, &dims))
    }
}

/// How much of every axis a group spans.
pub(super) fn sizes_of(granularity: &Granularity, dims: &[u64]) -> Vec<u64> {
    granularity.sizes(dims).unwrap_or_else(|| dims.to_vec())
}

/// The plainest granularity whose groups span this much.
pub(super) fn granularity_of(sizes: Vec<u64>, dims: &[u64]) -> Granularity {
    let mut divided = sizes.iter().zip(dims).enumerate().filter(|(_, (size, dim))| size < dim);
    match (divided.next(), divided.next()) {
        (None, _) => Granularity::Tensor,
        (Some((axis, (1, _))), None) => Granularity::Axis(axis),
        _ => Granularity::Block(sizes),
    }
}

fn transposed(node: &NodeProto, rank: usize) -> Option<Vec<usize>> {
    let Some(attribute) = node.attribute.iter().find(|attribute| attribute.name == "perm") else {
        return Some((0..rank).rev().collect());
    };
    let axes: Option<Vec<usize>> = attribute.ints.iter().map(|&axis| usize::try_from(axis).ok()).collect();
    let axes = axes?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank).then_some(axes)
}

fn reshape(dims: &[u64], wanted: &[i64], allow_zero: bool) -> Option<Vec<u64>> {
    let elements: u64 = dims.iter().product();
    let mut reshaped = Vec::with_capacity(wanted.len());
    for (axis, &dim) in wanted.iter().enumerate() {
        reshaped.push(match dim {
            // Filled in below.
            -1 => 1,
            0 if !allow_zero => *dims.get(axis)?,
            dim => u64::try_from(dim).ok()?,
        });
    }
    if let Some(open) = wanted.iter().position(|&dim| dim == -1) {
        let known = reshaped.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))?;
        reshaped[open] = elements.checked_div(known)?;
    }
    let product = reshaped.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
    (product == Some(elements)).then_some(reshaped)
}

fn flatten(dims: &[u64], axis: i64) -> Option<Vec<u64>> {
    let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
    let (outer, inner) = dims.split_at_checked(usize::try_from(axis).ok()?)?;
    Some(vec![outer.iter().product(), inner.iter().product()])
}

fn squeeze(dims: &[u64], axes: Option<&[i64]>) -> Option<Vec<u64>> {
    let Some(axes) = axes else { return Some(dims.iter().copied().filter(|&dim| dim != 1).collect()) };
    let axes = resolved(axes, dims.len())?;
    let gone = |axis: &usize| axes.contains(axis);
    axes.iter()
        .all(|&axis| dims[axis] == 1)
        .then(|| dims.iter().enumerate().filter(|(axis, _)| !gone(axis)).map(|(_, &dim)| dim).collect())
}

fn unsqueeze(dims: &[u64], axes: &[i64]) -> Option<Vec<u64>> {
    let rank = dims.len() + axes.len();
    let axes = resolved(axes, rank)?;
    let mut rest = dims.iter().copied();
    let unsqueezed: Option<Vec<u64>> =
        (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next() }).collect();
    unsqueezed.filter(|_| rest.next().is_none())
}

fn resolved(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|&axis| axis_at(axis, rank)).collect()
}

/// What groups of these sizes are before a transposition, if they are numbered in the same order there.
fn transpose_back(sizes: &[u64], dims: &[u64], axes: &[usize]) -> Option<(Vec<u64>, Vec<u64>)> {
    let mut before = (vec![0; axes.len()], vec![0; axes.len()]);
    for (index, &axis) in axes.iter().enumerate() {
        (before.0[axis], before.1[axis]) = (sizes[index], dims[index]);
    }
    let divided = |&index: &usize| sizes[index] < dims[index];
    let origins = (0..axes.len()).filter(divided).map(|index| axes[index]);
    origins.is_sorted().then_some(before)
}

/// What groups of these sizes are before a reshaping, if they are blocks there.
///
/// A group along an axis is a range of the index of the elements: those with the same `index % high / low`. An axis of
/// the other shape is whole, cut into blocks or cut into single elements by it, or lies across its border.
fn reshape_back(sizes: &[u64], dims: &[u64], from: &[u64]) -> Option<Vec<u64>> {
    let mut before = from.to_vec();
    let mut inner: u64 = dims.iter().product();
    for (&size, &dim) in sizes.iter().zip(dims) {
        if dim == 0 {
            return None;
        }
        inner /= dim;
        if size >= dim {
            continue;
        }
        let (low, high) = (inner.checked_mul(size)?, inner * dim);
        if dim % size != 0 {
            return None;
        }
        let mut stride = 1;
        for (axis, &length) in from.iter().enumerate().rev() {
            let end = stride * length;
            let is_apart = length == 1 || end <= low || stride >= high;
            if !is_apart {
                let block = (low / stride).max(1);
                let fits = end <= high && (low <= stride || low % stride == 0) && length % block == 0;
                if !fits || before[axis] != length {
                    return None;
                }
                before[axis] = block;
            }
            stride = end;
        }
    }
    Some(before)
}

/// The slot of a node that is a list of whole numbers, which older operator sets have as an attribute.
impl Constants<'_> {
    fn list(&self, node: &NodeProto, attribute: &str, slot: usize) -> Result<Option<Vec<i64>>, String> {
        if let Some(attribute) = node.attribute.iter().find(|it| it.name == attribute) {
            return Ok(Some(attribute.ints.clone()));
        }
        let Some(name) = input(node, slot) else { return Ok(None) };
        let list = self.graph.parameter(name).and_then(|id| self.tensors.short_list(id));
        list.map(Some).ok_or_else(|| format!("the shape that {} gives it is not known", node.op_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group of every element, in the order of the arranged shape.
    fn groups(dims: &[u64], sizes: &[u64]) -> Vec<u64> {
        let shape = Shape::new(dims).expect("small");
        let groups = Granularity::Block(sizes.to_vec()).groups(&shape).expect("fits");
        (0..shape.elements()).map(|index| groups.at(index).0).collect()
    }

    #[test]
    fn groups_stay_the_same_through_a_reshape_or_are_given_up() {
        let shapes: &[&[u64]] = &[
            &[24],
            &[4, 6],
            &[6, 4],
            &[2, 12],
            &[2, 3, 4],
            &[4, 3, 2],
            &[1, 24],
            &[24, 1],
            &[2, 1, 12],
            &[8, 3],
        ];
        let mut found = 0;
        for dims in shapes {
            for axis in 0..dims.len() {
                for size in (1..=dims[axis]).filter(|size| dims[axis] % size == 0) {
                    let mut sizes = dims.to_vec();
                    sizes[axis] = size;
                    for from in shapes {
                        let Some(before) = reshape_back(&sizes, dims, from) else { continue };
                        assert_eq!(
                            groups(from, &before),
                            groups(dims, &sizes),
                            "{from:?} to {dims:?} by {sizes:?}"
                        );
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 200, "{found} of them can be said");
    }

    #[test]
    fn an_axis_that_a_reshape_splits_or_merges() {
        // 27 scales of four rows of 27, stored as 3×3×3.
        assert_eq!(reshape_back(&[4, 1], &[4, 27], &[4, 3, 3, 3]), Some(vec![4, 1, 1, 1]));
        // Three rows stored as one: blocks of four.
        assert_eq!(reshape_back(&[1, 4], &[3, 4], &[12]), Some(vec![4]));
        // Every fourth element shares a scale.
        assert_eq!(reshape_back(&[3, 1], &[3, 4], &[12]), None);
        // Blocks along both axes.
        assert_eq!(reshape_back(&[1, 2], &[3, 4], &[3, 2, 2]), Some(vec![1, 1, 2]));
    }

    #[test]
    fn a_transposition_keeps_one_divided_axis() {
        assert_eq!(transpose_back(&[1, 4], &[3, 4], &[1, 0]), Some((vec![4, 1], vec![4, 3])));
        assert_eq!(transpose_back(&[1, 2], &[3, 4], &[1, 0]), None);
        assert_eq!(transpose_back(&[1, 4, 2], &[3, 4, 6], &[0, 2, 1]), Some((vec![1, 2, 4], vec![3, 6, 4])));
    }

    #[test]
    fn shapes_as_onnx_defines_them() {
        assert_eq!(reshape(&[2, 3, 4], &[0, -1], false), Some(vec![2, 12]));
        assert_eq!(reshape(&[2, 3], &[7], false), None);
        assert_eq!(reshape(&[0, 3], &[0, 5], true), Some(vec![0, 5]));
        assert_eq!(flatten(&[2, 3, 4], -1), Some(vec![6, 4]));
        assert_eq!(squeeze(&[1, 3, 1], None), Some(vec![3]));
        assert_eq!(squeeze(&[1, 3, 1], Some(&[-1])), Some(vec![1, 3]));
        assert_eq!(unsqueeze(&[3], &[0, -1]), Some(vec![1, 3, 1]));
        assert_eq!(unsqueeze(&[3], &[0, 0]), None);
    }
}
