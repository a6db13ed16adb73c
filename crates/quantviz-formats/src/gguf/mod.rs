//! GGUF, the format of llama.cpp: metadata, then tensors, most of them in blocks of codes with their scales.

mod blocks;
mod cursor;
mod header;
mod metadata;
mod read;
mod scales;
mod split;
mod unpack;

use std::ops::{ControlFlow, Range};
use std::path::Path;

use quantviz_core::{
    DTypeClass, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role, Sink,
    Warning, WarningKind, check_range, part_len, read_derived, role_from_name,
};

use crate::bytes::read_elements;
use crate::file::ModelFile;
use crate::shards::Shards;
use crate::{BoxedSource, Limits, layer_order};
use blocks::BlockType;
use header::{Entry, Header};
use read::Blocks;

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let shards = Shards::open(path, limits)?;
    let mut model = Model::new(Format::Gguf);
    let mut places = Vec::new();
    let is_split = shards.files.len() > 1;
    for (index, file) in shards.files.iter().enumerate() {
        let header = Header::read(file, limits).map_err(|error| error.in_file(file.path()))?;
        let most = limits.of_model(model.file_bytes + file.len()).tensors;
        if model.parameters.len() + header.tensors.len() > most {
            return Err(Error::limit(format!("more than {most} tensors"))
                .of_limit("tensors")
                .in_file(file.path()));
        }
        if is_split {
            split::check_file(file.path(), &header.metadata.texts)
                .map_err(|error| error.in_file(file.path()))?;
        }
        model.file_bytes += file.len();
        // The first file says it all, the others hardly more than which they are.
        for (key, value) in header.metadata.texts {
            model.metadata.entry(key).or_insert(value);
        }
        for entry in header.tensors {
            places.push(Place { file: index, offset: header.data_start + entry.begin });
            add_parameter(&mut model, entry);
        }
    }
    model.producer = model.metadata.get("general.quantized_by").cloned();
    if is_split && shards.missing == 0 {
        split::check_together(&model)?;
    }
    split::warn_of_others(&mut model, path);
    let files = shards.describe(&mut model, |parameter| places[parameter].file)?;
    scales::attach(&mut model);
    model.add_module_layers();
    layer_order::by_number(&mut model);
    Ok(Box::new(GgufSource { model, files, places }))
}

struct GgufSource {
    model: Model,
    files: Vec<ModelFile>,
    /// Where the elements of each parameter are.
    places: Vec<Place>,
}

/// Where something begins.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    offset: u64,
}

fn add_parameter(model: &mut Model, entry: Entry) {
    let block_type = BlockType::of(entry.dtype);
    if let Some(message) = why_unreadable(&entry, block_type) {
        model.warnings.push(Warning::about(&entry.name, WarningKind::Unsupported, message));
    }
    let role = role_from_name(&entry.name, &entry.shape).unwrap_or(Role::Other);
    let quantization = block_type.map(|block_type| block_type.descriptor(&entry.shape));
    let mut parameter = Parameter::new(entry.name, entry.dtype, entry.shape, role);
    parameter.quantization = quantization;
    model.parameters.push(parameter);
}

fn why_unreadable(entry: &Entry, block_type: Option<&BlockType>) -> Option<String> {
    match entry.dtype.class() {
        DTypeClass::Opaque => Some(format!("the type {} is not known here", entry.type_id)),
        DTypeClass::Quantized if block_type.is_none() => {
            Some(format!("the values of {} cannot be computed here", entry.dtype))
        }
        _ => None,
    }
}

impl ParameterSource for GgufSource {
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
        let Place { file, offset } = self.places[id.index()];
        let file = &self.files[file];
        let in_tensor = |error: Error| error.in_tensor(&parameter.name);
        check_range(&range, part_len(&self.model, id, part)?).map_err(in_tensor)?;
        if part == Part::Stored {
            return read_elements(file, offset, parameter.dtype, range, sink).map_err(in_tensor);
        }
        let blocks = BlockType::of(parameter.dtype).map(|block_type| {
            let blocks = parameter.shape.elements() / block_type.elements() as u64;
            Blocks { file, offset, block_type, blocks }
        });
        let packed = blocks.and_then(|blocks| blocks.read(part, range.clone(), sink));
        match packed {
            Some(result) => result.map_err(in_tensor),
            None => read_derived(self, id, part, range, sink),
        }
    }
}
