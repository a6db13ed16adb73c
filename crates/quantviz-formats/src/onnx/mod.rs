//! ONNX: a walk that notes where the weights are, a graph parsed from what is left, and layers made of the graph.

mod data_files;
mod flatten;
mod graph;
mod packed;
mod places;
mod protobuf;
mod quant;
mod roles;
mod sparse;
mod tensor;
mod typed;
mod wire;

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use onnx_ir::{Message, ModelProto, NodeProto};
use quantviz_core::{
    Block, DType, Elements, Error, ErrorKind, Format, Layer, Model, Note, ParameterId, ParameterSource, Part,
    Result, Role, Sink, check_range, part_len, read_derived, role_from_name,
};

use crate::file::ModelFile;
use crate::{BoxedSource, Limits};
use flatten::{FlatGraph, SparseTensor, flatten};
use graph::{Graph, Layers};
use tensor::Tensors;
use wire::Skeleton;

struct OnnxSource {
    model: Model,
    tensors: Tensors,
}

/// Room for the catalogue grows with the bytes of a model. Which files beside it are its own only the graph tells, and
/// nearly every graph has room without: so the others are looked for when it has not.
pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let file = ModelFile::open(path)?;
    let own_bytes = file.len();
    let refusal = match open_within(file, own_bytes, limits) {
        Err(error) if error.kind() == ErrorKind::Limit => error,
        outcome => return outcome,
    };
    let file = ModelFile::open(path)?;
    match data_files::bytes(&file, limits) {
        Ok(bytes @ 1..) => open_within(file, own_bytes.saturating_add(bytes), limits),
        _ => Err(refusal),
    }
}

/// Opens a model of so many bytes.
fn open_within(file: ModelFile, model_bytes: u64, limits: &Limits) -> Result<BoxedSource> {
    let limits = &limits.of_model(model_bytes);
    let Skeleton { bytes, payloads } = wire::skeleton(&file, model_bytes, limits)?;
    let mut proto = ModelProto::parse_from_bytes(&bytes)
        .map_err(|error| Error::malformed(format!("this is no ONNX model, or a damaged one: {error}")))?;
    drop(bytes);
    let mut graph = flatten(&mut proto, limits)?;
    let mut tensors = Tensors::new(file, payloads, *limits);
    let (layers, notes) = read_graph(&graph, opset(&proto), &mut tensors, limits)?;

    let mut model = Model::new(Format::Onnx);
    model.file_bytes = tensors.file_bytes();
    model.parameters = std::mem::take(&mut tensors.parameters);
    model.warnings = std::mem::take(&mut tensors.warnings);
    model.layers = layers;
    model.outputs = std::mem::take(&mut graph.outputs);
    model.notes = notes;
    model.add_module_layers();
    describe_file(&proto, &mut model);
    Ok(Box::new(OnnxSource { model, tensors }))
}

/// The version of ONNX's own operators.
fn opset(proto: &ModelProto) -> Option<i64> {
    let own = |domain: &str| matches!(domain, "" | "ai.onnx");
    proto.opset_import.iter().find(|opset| own(&opset.domain)).map(|opset| opset.version)
}

fn read_graph(
    flat: &FlatGraph,
    opset: Option<i64>,
    tensors: &mut Tensors,
    limits: &Limits,
) -> Result<(Vec<Layer>, Vec<Note>)> {
    let mut constants = HashMap::new();
    let mut know = |name, id| match constants.insert(name, id) {
        None => Ok(()),
        Some(_) => Err(Error::malformed("two tensors have this name").in_tensor(name)),
    };
    for tensor in &flat.tensors {
        know(tensor.name.as_str(), tensors.add(&tensor.name, tensor)?)?;
    }
    for sparse in &flat.sparse {
        know(sparse.values.name.as_str(), tensors.add_sparse(&sparse.values.name, sparse)?)?;
    }
    for node in flat.nodes.iter().filter(|node| node.op_type == "Constant") {
        let Some(name) = node.output.first().filter(|name| !name.is_empty()) else { continue };
        if let Some(id) = add_constant(node, name, tensors)? {
            know(name, id)?;
        }
    }
    let elements = |id: ParameterId| tensors.parameters[id.index()].shape.elements();
    let graph = Graph::new(&flat.nodes, constants, flat.given().collect(), elements);
    quant::describe_constants(&graph, tensors);
    let mut layers =
        Layers::of(&flat.inputs, &graph, tensors, limits.graph_bytes, |layers, tensors, layer, origin| {
            quant::claim_path(&graph, layers, tensors, layer, origin);
        })?;
    quant::describe_layers(&graph, &flat.annotations, &mut layers, tensors);
    for parameter in tensors.parameters.iter_mut().filter(|parameter| parameter.layer.is_none()) {
        parameter.role = role_from_name(&parameter.name, &parameter.shape).unwrap_or(Role::Other);
    }
    let notes = quant::take_notes(&graph, tensors, opset);
    Ok((layers.list, notes))
}

/// The tensor of a Constant node; `None` where it holds texts.
fn add_constant(node: &NodeProto, name: &str, tensors: &mut Tensors) -> Result<Option<ParameterId>> {
    for attribute in &node.attribute {
        let id = match attribute.name.as_str() {
            "value" => attribute.t.as_ref().map(|tensor| tensors.add(name, tensor)),
            "sparse_value" => attribute.sparse_tensor.as_ref().map(|sparse| {
                let values = sparse.values.clone().unwrap_or_default();
                let indices = sparse.indices.clone().unwrap_or_default();
                tensors.add_sparse(name, &SparseTensor { values, indices, dims: sparse.dims.clone() })
            }),
            "value_float" => {
                let bytes = u64::from(attribute.f.to_bits()).to_le_bytes();
                Some(tensors.add_number(name, DType::F32, bytes))
            }
            "value_int" => Some(tensors.add_number(name, DType::I64, attribute.i.to_le_bytes())),
            "value_floats" => Some(tensors.add_list(name, DType::F32, attribute)),
            "value_ints" => Some(tensors.add_list(name, DType::I64, attribute)),
            _ => None,
        };
        if id.is_some() {
            return id.transpose();
        }
    }
    Ok(None)
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
        } else if let Some(numbers) = self.tensors.listed(id, part) {
            check_range(&range, numbers.len() as u64).map_err(|error| error.in_tensor(&parameter.name))?;
            let elements = Elements::F64(&numbers[range.start as usize..range.end as usize]);
            Ok(sink.block(Block { start: range.start, elements }))
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
