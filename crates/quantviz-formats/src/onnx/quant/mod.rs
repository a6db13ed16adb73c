//! Which codes stand for which numbers: one module for each way in which graphs say it.

mod activations;
mod annotations;
mod arithmetic;
mod arrange;
mod blocks;
mod code_operators;
mod encodings;
mod fake;
mod inputs;
mod integer;
mod linear;
mod notes;
mod outputs;
mod reason;
mod scales;

use onnx_ir::NodeProto;
use quantviz_core::{
    DType, Encoding, Granularity, LayerId, Operand, Parameter, ParameterId, QuantDescriptor, Role, Shape,
    Warning, WarningKind,
};

use super::flatten::{Annotation, node_name};
use super::graph::{Graph, Layers, Origin, Source, input, is_linear, is_product, is_shift};
use super::tensor::Tensors;
use arrange::{Arrangement, granularity_of};
pub(super) use integer::{IntegerProduct, integer_products};
pub(super) use notes::take as take_notes;
pub(super) use reason::Reason;
use scales::Scales;

/// Describes what constants stand for, as far as that does not depend on layers.
pub(super) fn describe_constants(graph: &Graph<'_>, tensors: &mut Tensors) {
    linear::describe(graph, tensors);
    fake::describe(graph, tensors);
    blocks::describe(graph, tensors);
    arithmetic::describe(graph, tensors);
}

/// Describes the rest, and lists activations with the layers that make them.
pub(super) fn describe_layers<'a>(
    graph: &Graph<'a>,
    annotations: &'a [Annotation],
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
) {
    let model = tensors.path().to_owned();
    // Q/DQ pairs first: they know the names of float values.
    activations::describe(graph, layers, tensors);
    code_operators::describe(graph, layers, tensors);
    integer::describe(graph, layers, tensors);
    annotations::describe(graph, annotations, layers, tensors);
    encodings::describe(&model, graph, layers, tensors);
    inputs::describe(graph, layers, tensors);
    outputs::find(graph, tensors);
    warn_of_unknown_operators(graph, tensors);
}

/// The constants of a graph.
struct Constants<'a> {
    graph: &'a Graph<'a>,
    tensors: &'a Tensors,
}

impl Constants<'_> {
    /// The number that a value is.
    fn number(&self, name: &str) -> Option<f64> {
        let id = self.graph.parameter(name)?;
        let is_number = self.tensors.parameters[id.index()].shape.elements() == 1;
        is_number.then(|| self.tensors.scalar(id).ok()).flatten()
    }

    /// What a Clip leaves of a range of codes; all of it, where its bounds leave none.
    fn clipped(&self, node: &NodeProto, (low, high): (f64, f64)) -> (f64, f64) {
        let bound = |slot| self.number(input(node, slot)?);
        let left =
            (bound(1).map_or(low, |bound| bound.max(low)), bound(2).map_or(high, |bound| bound.min(high)));
        if left.0 < left.1 { left } else { (low, high) }
    }

    /// Whether two names are the same single number.
    fn same_number(&self, a: &str, b: &str) -> bool {
        let number = |name| match self.scales(name).ok()?.operand {
            Operand::One { value, .. } => Some(value.to_bits()),
            _ => None,
        };
        number(a).is_some_and(|a| number(b) == Some(a))
    }

    /// How a parameter is arranged on its way into a slot, and its shape there.
    fn arrangement(
        &self,
        node: &NodeProto,
        slot: usize,
        shape: &Shape,
    ) -> Result<(Arrangement, Shape), String> {
        let origin = self.graph.origin(input(node, slot).unwrap_or_default());
        let mut nodes: Vec<_> = self.graph.path(origin).collect();
        nodes.reverse();
        if nodes.iter().any(|node| is_linear(node) || is_product(node)) {
            return Err("it is computed with on its way".into());
        }
        let arrangement = Arrangement::of(shape, nodes, self)?;
        let arranged = Shape::new(arrangement.dims.clone()).map_err(|error| error.message().to_owned())?;
        Ok((arrangement, arranged))
    }
}

/// Gives the constants of hidden nodes between a parameter and its layer to that layer.
pub(super) fn claim_path<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    layer: LayerId,
    origin: Origin<'a>,
) {
    let path: Vec<_> = graph.path(origin).collect();
    let scaled_by = match origin.source {
        Source::Parameter(id) => {
            tensors.parameters[id.index()].quantization.as_ref().map(|it| it.source.clone())
        }
        Source::Value(_) => None,
    };
    let is_on_path = |name: &str| graph.parameter(name).map(Source::Parameter) == Some(origin.source);
    for node in path.into_iter().rev() {
        for slot in usize::from(!is_product(node))..node.input.len() {
            if is_product(node) && input(node, slot).is_some_and(is_on_path) {
                continue;
            }
            let role = match slot {
                1 if is_linear(node) => Role::Scale,
                2 if is_linear(node) => Role::ZeroPoint,
                _ if is_product(node) && scaled_by.as_deref() == Some(&node.op_type) => Role::Scale,
                _ if is_shift(node) && scaled_by.is_some() => Role::ZeroPoint,
                _ => Role::Constant,
            };
            claim_input(graph, layers, tensors, layer, node, slot, role);
        }
    }
}

/// Operators of vendors and of versions to come: their codes must not pass for numbers.
fn warn_of_unknown_operators(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.layer_nodes().filter(|node| !matches!(&*node.domain, "" | "ai.onnx" | "ai.onnx.ml")) {
        for id in node.input.iter().filter_map(|name| graph.parameter(name)) {
            let parameter = &tensors.parameters[id.index()];
            let looks_like_codes = parameter.dtype.bits().is_some_and(|bits| bits <= 8)
                && parameter.dtype != DType::Bool
                && parameter.shape.rank() >= 2
                && matches!(parameter.role, Role::Weight | Role::Embedding | Role::Constant | Role::Other);
            if looks_like_codes && parameter.quantization.is_none() {
                let message =
                    format!("what its codes mean to {} {} is not known here", node.domain, node.op_type);
                tensors.warn_undescribed(id, message);
            }
        }
        if node.op_type.starts_with("QOrdered") {
            let message = format!("{} of {} is not supported", node.op_type, node_name(node));
            tensors.warnings.push(Warning::general(WarningKind::Unsupported, message));
        }
    }
}

fn descriptor(
    parameter: &Parameter,
    encoding: Encoding,
    source: &str,
    granularity: Granularity,
    scales: Scales,
    zero_points: Option<Scales>,
) -> Result<QuantDescriptor, Reason> {
    zero_points_fit(&granularity, &parameter.shape, zero_points.as_ref())?;
    let zero_point = zero_points.map(|zero_points| zero_points.operand);
    QuantDescriptor::of_stored(encoding, source, parameter.dtype, granularity, scales.operand, zero_point)
        .filter(|_| scales.outer.is_none())
        .ok_or_else(|| format!("{} cannot hold codes", parameter.dtype).into())
}

/// Whether there is a zero-point for each group, or one for all.
fn zero_points_fit(
    granularity: &Granularity,
    shape: &Shape,
    zero_points: Option<&Scales>,
) -> Result<(), Reason> {
    let groups =
        granularity.groups(shape).ok_or_else(|| Reason::misfit("its scales do not fit its shape"))?.count();
    match zero_points.map(|zero_points| zero_points.shape.elements()) {
        Some(count) if count != groups && count != 1 => {
            Err(Reason::misfit(format!("it has {count} zero-points for {groups} scales")))
        }
        _ => Ok(()),
    }
}

/// Which elements share a scale, where the shapes are made to fit as numpy does.
fn broadcast(shape: &Shape, scales: &Shape) -> Result<Granularity, Reason> {
    if scales.elements() == 1 {
        return Ok(Granularity::Tensor);
    }
    let misfit = || Reason::misfit(format!("its scales of shape {scales} do not fit its shape {shape}"));
    let missing = shape.rank().checked_sub(scales.rank()).ok_or_else(misfit)?;
    let scale_dims = std::iter::repeat_n(1, missing).chain(scales.dims().iter().copied());
    let sizes = shape.dims().iter().zip(scale_dims).map(|(&dim, count)| match count {
        1 => Some(dim),
        count if count == dim => Some(1),
        _ => None,
    });
    let sizes: Vec<u64> = sizes.collect::<Option<_>>().ok_or_else(misfit)?;
    Ok(granularity_of(sizes, shape.dims()))
}

fn per_axis(shape: &Shape, scales: &Shape, axis: Option<i64>) -> Result<Granularity, Reason> {
    let Some(axis) = axis else {
        return Err(Reason::misfit(format!("it has {} scales and no axis", scales.elements())));
    };
    let index = resolve_axis(shape, axis)?;
    let channels = shape.dims()[index];
    if scales.rank() != 1 || scales.elements() != channels {
        return Err(Reason::misfit(format!(
            "its scales of shape {scales} do not fit the {channels} channels of axis {axis}"
        )));
    }
    Ok(Granularity::Axis(index))
}

fn resolve_axis(shape: &Shape, axis: i64) -> Result<usize, Reason> {
    let misfit = || Reason::misfit(format!("its scales are for axis {axis}, its shape is {shape}"));
    axis_at(axis, shape.rank()).ok_or_else(misfit)
}

/// The index of an axis that may be counted from the end.
fn axis_at(axis: i64, rank: usize) -> Option<usize> {
    let index = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(index).ok().filter(|&index| index < rank)
}

/// A number that is already known, or the parameter to read it from.
fn operand(tensors: &Tensors, id: ParameterId) -> Operand {
    if tensors.parameters[id.index()].shape.elements() != 1 {
        return Operand::Parameter(id);
    }
    match tensors.scalar(id) {
        Ok(value) => Operand::One { value, parameter: Some(id) },
        Err(_) => Operand::Parameter(id),
    }
}

/// The constant that a value is picked from: quantizers leave rows of an embedding as codes.
fn gathered_from(graph: &Graph<'_>, value: &str) -> Option<ParameterId> {
    let gather = graph.maker(value).filter(|maker| maker.op_type == "Gather")?;
    graph.parameter(input(gather, 0)?)
}

fn constant_input(graph: &Graph<'_>, node: &NodeProto, slot: usize) -> Option<ParameterId> {
    graph.parameter(input(node, slot)?)
}

fn claim_input<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    layer: LayerId,
    node: &'a NodeProto,
    slot: usize,
    role: Role,
) {
    for id in input(node, slot).map(|name| scales::leaves(graph, name)).unwrap_or_default() {
        layers.claim_as(tensors, layer, id, role);
    }
}

fn int_attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

fn float_attribute(node: &NodeProto, name: &str) -> Option<f64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| f64::from(attribute.f))
}
