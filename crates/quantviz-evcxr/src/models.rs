//! What a path means: one model, or several to choose from.

use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use quantviz_core::{Error, ErrorKind, Result};
use quantviz_formats::{ModelGroup, folder_of_models_in, model_groups};
use quantviz_html::Fragment;
use quantviz_view::{Listing, Place, nearest};

use crate::show::{Show, shows_itself};
use crate::{Comparison, Histogram, Layer, Model, Parameter, Which, plain};

/// Opens a model, or a folder with models. A path that does not begin at the root begins in the folder of the notebook.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let models = open("../../fixtures/resnet8")?;
/// assert!(format!("{models:?}").contains("0  resnet8  fp32   resnet8_fp32.onnx   the reference"));
/// assert_eq!(models.model("int8")?.path(), models.model(2)?.path());
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
///
/// # Errors
/// Where nothing is there, there is no model in the folder, or the model cannot be read.
pub fn open(path: impl AsRef<Path>) -> Result<Models> {
    let path = whole(path.as_ref())?;
    if !path.is_dir() {
        return Ok(Models { groups: Vec::new(), only: Some(Model::open(&path)?), path });
    }
    let groups = model_groups(&path).map_err(|error| error.in_file(&path))?;
    Models::of(path, groups)
}

/// The path from the root on, since whoever reads an error does not know in which folder the kernel runs. The name of the
/// file stays what it is: caches have links whose names say more than those of what they lead to.
fn whole(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io(path, error))?;
    let parent_and_name = absolute.parent().zip(absolute.file_name());
    let plain = parent_and_name.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name)));
    // There, canonical paths are none that people write.
    Ok(plain.filter(|_| !cfg!(windows)).unwrap_or(absolute))
}

/// What [`open`] found: the one model, if there is one; else a listing to choose from.
///
/// What can be asked of a model can be asked of this, if it is one.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let one = open("../../fixtures/resnet8/resnet8_int8.onnx")?;
/// assert_eq!(one.values("fc.weight_quantized")?.shape(), [10, 64]);
/// let several = open("../../fixtures/resnet8")?;
/// assert!(several.values("fc.weight_quantized").is_err(), "of which of them?");
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Models {
    path: PathBuf,
    groups: Vec<ModelGroup>,
    only: Option<Model>,
}

shows_itself!(Models);

impl Models {
    fn of(path: PathBuf, groups: Vec<ModelGroup>) -> Result<Self> {
        let files: Vec<&PathBuf> = groups.iter().flat_map(|it| &it.variants).map(|it| &it.path).collect();
        let only = match files[..] {
            [] => return Err(Error::not_found(nothing_in(&path)).in_file(path)),
            [file] => Some(Model::open(file)?),
            _ => None,
        };
        Ok(Models { path, groups, only })
    }

    /// One of the models, by its number in the listing, by what distinguishes it (`int8`), or by its file.
    ///
    /// # Errors
    /// Where there is no such model or more than one, or it cannot be read.
    pub fn model(&self, which: impl Which) -> Result<Model> {
        if let (Some(model), Some(0)) = (&self.only, which.number()) {
            return Ok(model.clone());
        }
        let listing = self.listing();
        let paths: Vec<&Path> = match &self.only {
            Some(model) => vec![model.path()],
            None => self.groups.iter().flat_map(|it| &it.variants).map(|it| &*it.path).collect(),
        };
        let Some(number) = which.number() else {
            let name = which.name();
            let is_meant = |index: &usize| {
                let (path, row) = (paths[*index], &listing.rows[*index]);
                let (file, stem) = (path.file_name(), path.file_stem());
                let is_file = [file, stem].iter().flatten().any(|it| **it == *name);
                row.variant.eq_ignore_ascii_case(&name) || row.file == name || is_file
            };
            let meant: Vec<usize> = (0..paths.len()).filter(is_meant).collect();
            return match meant[..] {
                [one] => self.opened(paths[one]),
                [] => Err(self.unknown(&name, &listing)),
                _ => Err(self.choose(&format!("several models are called {name:?}"))),
            };
        };
        let path = paths.get(number).ok_or_else(|| {
            let last = paths.len() - 1;
            let message = format!("there is no model {number}: the last one is {last}");
            Error::new(ErrorKind::UnknownName, message).in_file(&self.path)
        })?;
        self.opened(path)
    }

    /// The variants of one model, by the name that they have in common.
    ///
    /// # Errors
    /// Where there are none of this name.
    pub fn group(&self, name: &str) -> Result<Models> {
        match self.groups.iter().find(|group| group.stem == name) {
            Some(group) => Models::of(self.path.clone(), vec![group.clone()]),
            None => {
                let known = self.groups.iter().map(|group| group.stem.as_str());
                Err(unknown("model", name, known).in_file(&self.path))
            }
        }
    }

    /// The float model of the folder beside everything that was made of it.
    ///
    /// # Errors
    /// Where there is no float model with quantized variants, or more than one of them, or one cannot be read.
    pub fn compare(&self) -> Result<Comparison> {
        let whole = self.groups.iter().filter_map(|group| Some((group.reference.as_ref()?, group)));
        let whole: Vec<(&PathBuf, &ModelGroup)> =
            whole.filter(|(_, group)| group.variants.len() > 1).collect();
        let [(reference, group)] = whole[..] else {
            let names: Vec<String> = whole.iter().map(|(_, group)| format!("{:?}", group.stem)).collect();
            let why = match names.len() {
                0 => "no model in it has a float reference with variants beside it: say `float.compare(&quantized)`"
                    .to_owned(),
                _ => format!("several models in it have variants: say `.group(NAME)?.compare()` with one of {}", names.join(", ")),
            };
            return Err(Error::unsupported(why).in_file(&self.path));
        };
        let mut quantized = Vec::new();
        for variant in group.variants.iter().filter(|variant| variant.path != *reference) {
            let model = Model::open(&variant.path)?;
            if model.is_quantized() {
                quantized.push(model);
            }
        }
        if quantized.is_empty() {
            let why = "nothing beside it is quantized: there is nothing to compare it with";
            return Err(Error::not_found(why).in_file(reference));
        }
        Comparison::of(&Model::open(reference)?, &quantized)
    }

    /// [`Model::layer`] of the one model.
    ///
    /// # Errors
    /// As there, and where there are several models.
    pub fn layer(&self, name: &str) -> Result<Layer> {
        self.one()?.layer(name)
    }

    /// [`Model::parameter`] of the one model.
    ///
    /// # Errors
    /// As there, and where there are several models.
    pub fn parameter(&self, name: &str) -> Result<Parameter> {
        self.one()?.parameter(name)
    }

    /// [`Model::histogram`] of the one model.
    ///
    /// # Errors
    /// As there, and where there are several models.
    pub fn histogram(&self, name: &str) -> Result<Histogram> {
        self.one()?.histogram(name)
    }

    /// [`Model::values`] of the one model.
    ///
    /// # Errors
    /// As there, and where there are several models.
    pub fn values(&self, name: &str) -> Result<ArrayD<f32>> {
        self.one()?.values(name)
    }

    /// [`Model::codes`] of the one model.
    ///
    /// # Errors
    /// As there, and where there are several models.
    pub fn codes(&self, name: &str) -> Result<ArrayD<f64>> {
        self.one()?.codes(name)
    }

    fn one(&self) -> Result<&Model> {
        self.only.as_ref().ok_or_else(|| self.choose("there are several models here"))
    }

    fn opened(&self, path: &Path) -> Result<Model> {
        match &self.only {
            Some(model) => Ok(model.clone()),
            None => Model::open(path),
        }
    }

    fn choose(&self, why: &str) -> Error {
        let message = format!("{why}: choose one by its number or its file, as in `.model(0)?`");
        Error::new(ErrorKind::UnknownName, message).in_file(&self.path)
    }

    fn unknown(&self, name: &str, listing: &Listing) -> Error {
        let variants = listing.rows.iter().map(|row| row.variant.as_str()).filter(|it| !it.is_empty());
        let files = listing.rows.iter().map(|row| row.file.as_str());
        unknown("model", name, variants.chain(files)).in_file(&self.path)
    }

    fn listing(&self) -> Listing {
        let mut models: Vec<(String, Place)> = Vec::new();
        for group in &self.groups {
            let reference = group.reference.as_ref().filter(|_| group.variants.len() > 1);
            let reference = reference.map(|path| path.to_string_lossy().into_owned());
            for variant in &group.variants {
                let place = Place {
                    group: Some(group.stem.clone()),
                    variant: variant.label.clone(),
                    reference: reference.clone(),
                };
                models.push((variant.path.to_string_lossy().into_owned(), place));
            }
        }
        if let (Some(model), true) = (&self.only, models.is_empty()) {
            models.push((model.path().to_string_lossy().into_owned(), Place::default()));
        }
        let models: Vec<(&str, &Place)> = models.iter().map(|(path, place)| (path.as_str(), place)).collect();
        Listing::of(&self.path.to_string_lossy(), &models)
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let message = match nearest(name, known) {
        Some(nearest) => format!("no {what} is named {name:?}; the nearest is {nearest:?}"),
        None => format!("no {what} is named {name:?}, nor anything near it"),
    };
    Error::new(ErrorKind::UnknownName, message)
}

fn nothing_in(folder: &Path) -> String {
    match folder_of_models_in(folder) {
        Some(inside) => format!("there is no model in this folder itself; try {}", inside.display()),
        None => {
            "there is no model in this folder (of the folders inside it, only onnx/ is searched)".to_owned()
        }
    }
}

impl Show for Models {
    fn plain(&self) -> String {
        match &self.only {
            Some(model) => model.plain(),
            None => plain::listing(&self.listing()),
        }
    }

    fn html(&self, name: &str) -> String {
        match &self.only {
            Some(model) => model.html(name),
            None => Fragment::of_listing(&self.listing(), name).html().to_owned(),
        }
    }
}
