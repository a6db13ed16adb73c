//! GGUF, the format of llama.cpp: metadata, then tensors, most of them in blocks of codes with their scales.

mod blocks;
mod cursor;
mod header;
mod metadata;
mod read;
mod scales;
mod unpack;

use std::ops::{ControlFlow, Range};
use std::path::Path;

use quantviz_core::{
    DTypeClass, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role, Sink,
    Warning, WarningKind, check_range, part_len, read_derived, role_from_name,
};

use crate::bytes::read_elements;
use crate::file::ModelFile;
use crate::{BoxedSource, Limits};
use blocks::BlockType;
use header::{Entry, Header};
use read::Blocks;

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let file = ModelFile::open(path)?;
    let header = Header::read(&file, limits)?;
    let mut model = Model::new(Format::Gguf);
    model.file_bytes = file.len();
    model.metadata = header.metadata.texts;
    model.producer = model.metadata.get("general.quantized_by").cloned();
    warn_of_other_files(&mut model);
    let mut offsets = Vec::with_capacity(header.tensors.len());
    for entry in header.tensors {
        offsets.push(header.data_start + entry.begin);
        add_parameter(&mut model, entry);
    }
    scales::attach(&mut model);
    model.add_module_layers();
    Ok(Box::new(GgufSource { model, file, offsets }))
}

struct GgufSource {
    model: Model,
    file: ModelFile,
    /// Where the elements of each parameter are.
    offsets: Vec<u64>,
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

fn warn_of_other_files(model: &mut Model) {
    let files = model.metadata.get("split.count").and_then(|count| count.parse::<u64>().ok());
    if let Some(files) = files.filter(|&files| files > 1) {
        let message =
            format!("this is one of {files} files of a model; the tensors of the others are not shown");
        model.warnings.push(Warning::general(WarningKind::Missing, message));
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
        let offset = self.offsets[id.index()];
        let in_tensor = |error: Error| error.in_tensor(&parameter.name);
        check_range(&range, part_len(&self.model, id, part)?).map_err(in_tensor)?;
        if part == Part::Stored {
            return read_elements(&self.file, offset, parameter.dtype, range, sink).map_err(in_tensor);
        }
        let blocks =
            BlockType::of(parameter.dtype).map(|block_type| Blocks { file: &self.file, offset, block_type });
        let packed = blocks.and_then(|blocks| blocks.read(part, range.clone(), sink));
        match packed {
            Some(result) => result.map_err(in_tensor),
            None => read_derived(self, id, part, range, sink),
        }
    }
}
