//! `quantization_annotation`: scales and zero-points of tensors by name, beside the graph.

use quantviz_core::{Activation, DType, DTypeClass, Encoding, Granularity, LayerId, Role, Shape};

use super::{Constants, descriptor};
use crate::onnx::flatten::Annotation;
use crate::onnx::graph::{Graph, Layers};
use crate::onnx::tensor::Tensors;

pub(super) fn describe<'a>(
    graph: &Graph<'a>,
    annotations: &'a [Annotation],
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
) {
    for annotation in annotations {
        let Some(scale) = &annotation.scale else { continue };
        let constants = Constants { graph, tensors };
        let described = constants.scales(scale).and_then(|scales| {
            let zero_points = annotation.zero_point.as_deref().map(|name| constants.zero_points(name));
            Ok((scales, zero_points.transpose()?))
        });
        if let Some(id) = graph.constant(&annotation.tensor) {
            let parameter = &tensors.parameters[id.index()];
            if parameter.quantization.is_some() {
                continue;
            }
            let described = described.and_then(|(scales, zero_points)| {
                if parameter.dtype.class() == DTypeClass::Float && parameter.dtype.bits() >= Some(16) {
                    return Err("it is annotated with a scale, but its codes are not in the file".into());
                }
                let granularity = granularity(&parameter.shape, &scales.shape)?;
                let source = "quantization_annotation";
                descriptor(parameter, Encoding::Annotation, source, granularity, scales, zero_points)
            });
            let layer = parameter.layer;
            match described {
                Ok(descriptor) => tensors.parameters[id.index()].quantization = Some(descriptor),
                Err(message) => tensors.warn_undescribed(id, message),
            }
            if let Some(layer) = layer {
                claim(annotation, graph, layers, tensors, layer);
            }
        } else if let (Some(maker), Ok((scales, zero_points))) = (layers.maker(&annotation.tensor), described)
        {
            let zero_point_dtype = zero_points.as_ref().map(|it| it.dtype);
            claim(annotation, graph, layers, tensors, maker);
            if layers.described.insert(&annotation.tensor) {
                layers.list[maker.index()].activations.push(Activation::new(
                    annotation.tensor.clone(),
                    zero_point_dtype.unwrap_or(DType::U8),
                    scales.operand,
                    zero_points.map(|it| it.operand),
                ));
            }
        }
    }
}

/// Gives scale and zero-point of an annotation to a layer.
fn claim(
    annotation: &Annotation,
    graph: &Graph<'_>,
    layers: &mut Layers<'_>,
    tensors: &mut Tensors,
    layer: LayerId,
) {
    for (name, role) in [(&annotation.scale, Role::Scale), (&annotation.zero_point, Role::ZeroPoint)] {
        if let Some(id) = name.as_deref().and_then(|name| graph.constant(name)) {
            layers.claim_as(tensors, layer, id, role);
        }
    }
}

/// One scale for everything, or for each channel of the axis that has as many: an annotation does not say which.
fn granularity(shape: &Shape, scales: &Shape) -> Result<Granularity, String> {
    if scales.elements() == 1 { Ok(Granularity::Tensor) } else { axis_of(shape, scales) }
}

/// The only axis that has as many channels as there are scales.
pub(super) fn axis_of(shape: &Shape, scales: &Shape) -> Result<Granularity, String> {
    let count = scales.elements();
    let mut axes = shape.dims().iter().enumerate().filter(|(_, dim)| **dim == count).map(|(axis, _)| axis);
    match (axes.next(), axes.next()) {
        (Some(axis), None) => Ok(Granularity::Axis(axis)),
        _ => Err(format!("it has {count} scales, and which axis of {shape} they are for is not said")),
    }
}
