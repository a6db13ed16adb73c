//! safetensors: a JSON header, then the tensors; alone, or as shards under an index.

mod header;
mod json;
mod quant;

use std::ops::{ControlFlow, Range};
use std::path::Path;

use quantviz_core::{
    DType, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role, Sink, Warning,
    WarningKind, check_range, part_len, read_derived, role_from_name,
};

use crate::bytes::{Extent, read_elements};
use crate::file::ModelFile;
use crate::shards::Shards;
use crate::{BoxedSource, Limits, layer_order};
use header::Header;
use quant::Readings;

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let shards = Shards::open(path, limits)?;
    let mut source = SafetensorsSource {
        model: Model::new(Format::Safetensors),
        files: Vec::new(),
        extents: Vec::new(),
        readings: Readings::new(),
    };
    for (index, file) in shards.files.iter().enumerate() {
        source.add_file(index, file, limits)?;
    }
    source.files = shards.describe(&mut source.model, |parameter| source.extents[parameter].file)?;
    quant::describe_all(&mut source, path);
    layer_order::by_number(&mut source.model);
    Ok(Box::new(source))
}

struct SafetensorsSource {
    model: Model,
    files: Vec<ModelFile>,
    /// Where the elements of each parameter are.
    extents: Vec<Extent>,
    /// How parts are read that are not simply stored.
    readings: Readings,
}

impl SafetensorsSource {
    /// Adds all tensors of one file.
    fn add_file(&mut self, index: usize, file: &ModelFile, limits: &Limits) -> Result<()> {
        let header = Header::read(file, limits)?;
        let most = limits.of_model(self.model.file_bytes + file.len()).tensors;
        if self.model.parameters.len() + header.tensors.len() > most {
            return Err(Error::limit(format!("more than {most} tensors"))
                .of_limit("tensors")
                .in_file(file.path()));
        }
        let unused = header.unused_bytes(file.len());
        if unused > 0 {
            let message = format!("{unused} bytes of data belong to no tensor");
            self.model.warnings.push(Warning::general(WarningKind::Odd, message));
        }
        self.model.file_bytes += file.len();
        self.model.metadata.extend(header.metadata);
        for entry in header.tensors {
            if entry.dtype == DType::Unknown {
                let message = format!("the dtype {:?} is not known here", entry.dtype_name);
                self.model.warnings.push(Warning::about(&entry.name, WarningKind::Unsupported, message));
            }
            let role = role_from_name(&entry.name, &entry.shape).unwrap_or(Role::Other);
            self.model.parameters.push(Parameter::new(entry.name, entry.dtype, entry.shape, role));
            self.extents.push(Extent {
                file: index,
                offset: header.data_start + entry.begin,
                len: entry.end - entry.begin,
            });
        }
        Ok(())
    }
}

impl ParameterSource for SafetensorsSource {
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
        if let Some(reading) = self.readings.get(&(id, part)) {
            return part_len(&self.model, id, part)
                .and_then(|len| check_range(&range, len))
                .and_then(|()| reading.read(&self.files, range, sink))
                .map_err(|error| error.in_tensor(&parameter.name));
        }
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        let extent = self.extents[id.index()];
        check_range(&range, parameter.shape.elements())
            .and_then(|()| {
                read_elements(&self.files[extent.file], extent.offset, parameter.dtype, range, sink)
            })
            .map_err(|error| error.in_tensor(&parameter.name))
    }
}
