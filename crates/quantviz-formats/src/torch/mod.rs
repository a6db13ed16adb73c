//! PyTorch: archives and older files whose catalogue is a pickle, of which nothing is ever run.

mod archive;
mod arena;
mod bytes;
mod catalogue;
mod dtypes;
mod export;
mod harmful;
mod input;
mod pickle;
mod pickled;
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
use crate::shards::Shards;
use crate::{BoxedSource, Limits};
use catalogue::{Catalogue, Location};
pub(crate) use zip::{Archive, Member as Entry};

pub(crate) fn open(path: &Path, limits: &Limits) -> Result<BoxedSource> {
    let shards = Shards::open(path, limits)?;
    let Some(first) = shards.files.first() else { return Err(Error::malformed("the index lists no file")) };
    let limits = limits.of_model(shards.files.iter().map(ModelFile::len).sum());
    let mut catalogue = Catalogue::new(first, &limits);
    for (index, file) in shards.files.iter().enumerate() {
        catalogue.turn_to(index, file);
        archive::read(&mut catalogue).map_err(|error| error.in_file(file.path()))?;
    }
    let (mut model, locations) = catalogue.finish();
    let files = shards.describe(&mut model, |parameter| locations[parameter].file)?;
    Ok(Box::new(TorchSource { model, files, locations }))
}

/// The names of all that is in a zip archive.
pub(crate) fn names_in_archive(file: &ModelFile, limits: &Limits) -> Result<Vec<String>> {
    zip::names(file, limits)
}

struct TorchSource {
    model: Model,
    files: Vec<ModelFile>,
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
            .and_then(|()| {
                let Location { file, elements } = &self.locations[id.index()];
                match elements {
                    Ok(view) => view.read(&self.files[*file], parameter.dtype, &parameter.shape, range, sink),
                    Err((kind, message)) => Err(Error::new(*kind, message)),
                }
            })
            .map_err(|error| error.in_tensor(&parameter.name))
    }
}
