//! ONNX: a walk that notes where the weights are, a graph parsed from what is left, and layers made of the graph.

mod blocks;
mod graph;
mod packed;
mod quant;
mod roles;
mod tensor;
mod typed;
mod wire;

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use onnx_ir::{Message, ModelProto};
use quantviz_core::{
    Error, Format, Model, ParameterId, ParameterSource, Part, Result, Role, Sink, Warning, WarningKind,
    check_range, part_len, read_derived, role_from_name,
};

use crate::file::ModelFile;
use crate::{BoxedSource, Limits};
use graph::{Graph, Layers, constant_tensor};
use tensor::Tensors;
use wire::Skeleton;

struct OnnxSource {
    model: Model,
    tensors: Tensors,
}

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let file = ModelFile::open(path)?;
    let Skeleton { bytes, payloads } = wire::skeleton(&file, limits)?;
    let proto = ModelProto::parse_from_bytes(&bytes)
        .map_err(|error| Error::malformed(format!("this is no ONNX model, or a damaged one: {error}")))?;
    drop(bytes);
    if proto.graph.is_none() {
        return Err(Error::malformed("this is no ONNX model: it has no graph"));
    }
    let mut tensors = Tensors::new(file, payloads, *limits);
    let layers = read_graph(&proto, &mut tensors, limits)?;

    let mut model = Model::new(Format::Onnx);
    model.file_bytes = tensors.file_bytes();
    model.parameters = std::mem::take(&mut tensors.parameters);
    model.warnings = std::mem::take(&mut tensors.warnings);
    model.layers = layers;
    model.add_module_layers();
    describe_file(&proto, &mut model);
    Ok(Box::new(OnnxSource { model, tensors }))
}

fn read_graph(
    proto: &ModelProto,
    tensors: &mut Tensors,
    limits: &Limits,
) -> Result<Vec<quantviz_core::Layer>> {
    let graph_proto = &proto.graph;
    let initializers = graph_proto.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let mut constants = HashMap::new();
    for (name, tensor) in initializers.chain(graph_proto.node.iter().filter_map(constant_tensor)) {
        if constants.len() == limits.tensors {
            return Err(Error::limit(format!("more than {} tensors", limits.tensors)));
        }
        if constants.insert(name, tensors.add(name, tensor)?).is_some() {
            return Err(Error::malformed("two tensors have this name").in_tensor(name));
        }
    }
    let graph = Graph::new(graph_proto, constants);
    let inputs = graph_proto.input.iter().map(|input| input.name.as_str());
    quant::describe_parameters(&graph, tensors);
    blocks::describe_blocks(&graph, tensors);
    let mut layers =
        Layers::of(inputs, &graph, tensors, limits.graph_bytes, |layers, tensors, layer, origin| {
            quant::claim_path(&graph, layers, tensors, layer, origin);
        })?;
    // Q/DQ pairs first: they know the names of float values.
    quant::describe_activations(&graph, &mut layers, tensors);
    quant::describe_code_operators(&graph, &mut layers, tensors);
    for parameter in tensors.parameters.iter_mut().filter(|parameter| parameter.layer.is_none()) {
        parameter.role = role_from_name(&parameter.name, &parameter.shape).unwrap_or(Role::Other);
    }
    warn_of_what_is_left_out(proto, tensors);
    Ok(layers.list)
}

/// Names what this reader passes over, so that nobody takes silence for absence.
fn warn_of_what_is_left_out(proto: &ModelProto, tensors: &mut Tensors) {
    let graph = &proto.graph;
    let with_subgraphs = graph
        .node
        .iter()
        .filter(|node| node.attribute.iter().any(|it| it.g.is_some() || !it.graphs.is_empty()));
    let left_out = [
        (with_subgraphs.count(), "nodes with subgraphs, whose tensors are not read yet"),
        (graph.sparse_initializer.len(), "sparse initializers, which are not read yet"),
    ];
    for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        let message = format!("the graph has {count} {what}");
        tensors.warnings.push(Warning::general(WarningKind::Unsupported, message));
    }
}

/// Who wrote the file, for which operators, and what else it says about itself.
fn describe_file(proto: &ModelProto, model: &mut Model) {
    model.producer = Some(proto.producer_name.clone()).filter(|name| !name.is_empty());
    let metadata = proto.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
    model.metadata.extend(metadata);
    model.metadata.insert("onnx.ir_version".to_owned(), proto.ir_version.to_string());
    let opsets = proto.opset_import.iter().map(|opset| match opset.domain.as_str() {
        "" => format!("ai.onnx {}", opset.version),
        domain => format!("{domain} {}", opset.version),
    });
    model.metadata.insert("onnx.opset".to_owned(), opsets.collect::<Vec<_>>().join(", "));
    if !proto.producer_version.is_empty() {
        model.metadata.insert("onnx.producer_version".to_owned(), proto.producer_version.clone());
    }
}

impl ParameterSource for OnnxSource {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let parameter = self.model.parameter(id);
        if let Some(packed) = self.tensors.packed(id, part) {
            check_range(&range, part_len(&self.model, id, part)?)
                .and_then(|()| packed.read(&self.tensors, self.model.parameter(packed.holder), range, sink))
                .map_err(|error| error.in_tensor(&parameter.name))
        } else if part != Part::Stored {
            read_derived(self, id, part, range, sink)
        } else {
            self.read_stored(id, range, sink)
        }
    }
}

impl OnnxSource {
    fn read_stored(
        &self,
        id: ParameterId,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let parameter = self.model.parameter(id);
        self.tensors
            .read(id, parameter.dtype, &parameter.shape, range, sink)
            .map_err(|error| error.in_tensor(&parameter.name))
    }
}
