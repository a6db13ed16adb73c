//! PyTorch: archives and older files whose catalogue is a pickle, of which nothing is ever run.

mod archive;
mod arena;
mod bytes;
mod catalogue;
mod dtypes;
mod export;
mod input;
mod pickle;
mod storages;
mod strided;
mod tensor;
mod tree;
mod zip;

use std::ops::{ControlFlow, Range};
use std::path::Path;

use quantviz_core::{
    Error, Model, ParameterId, ParameterSource, Part, Result, Sink, check_range, read_derived,
};

use crate::file::ModelFile;
use crate::{BoxedSource, Limits};
use catalogue::{Catalogue, Location};

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let file = ModelFile::open(path)?;
    let mut catalogue = Catalogue::new(&file, limits);
    archive::read(&mut catalogue)?;
    let (model, locations) = catalogue.finish();
    Ok(Box::new(TorchSource { model, file, locations }))
}

struct TorchSource {
    model: Model,
    file: ModelFile,
    /// Where the elements of each parameter are.
    locations: Vec<Location>,
}

impl ParameterSource for TorchSource {
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
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        let parameter = self.model.parameter(id);
        check_range(&range, parameter.shape.elements())
            .and_then(|()| match &self.locations[id.index()] {
                Location::View(view) => view.read(&self.file, parameter.dtype, &parameter.shape, range, sink),
                Location::Unreadable(kind, message) => Err(Error::new(*kind, message)),
            })
            .map_err(|error| error.in_tensor(&parameter.name))
    }
}
