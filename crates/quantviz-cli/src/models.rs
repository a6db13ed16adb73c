//! The models that the paths on the command line mean.

use std::path::{Path, PathBuf};

use quantviz::view::{GroupHeading, Place};
use quantviz::{Error, ModelGroup, folder_of_models_in, group_models, models_among};

use crate::layout::{Align, Columns};
use crate::stream::Paint;
use crate::trouble::Trouble;

/// A model to look at.
pub(crate) struct Chosen {
    pub(crate) path: PathBuf,
    /// Which of the variants of a model it is.
    pub(crate) place: Place,
}

/// What to look at.
pub(crate) enum Choice {
    /// The one file that was named: what is wrong with it is the error of the whole.
    One(PathBuf),
    /// All models of folders, and files that were named together; variants of one model stand together.
    Several(Vec<Vec<Chosen>>),
}

impl Choice {
    pub(crate) fn of(paths: &[PathBuf]) -> Result<Self, Trouble> {
        match paths {
            [path] if !path.is_dir() => return Ok(Choice::One(path.clone())),
            _ => {}
        }
        let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let models = models_among(paths.iter().cloned()).map_err(|error| Trouble::with(first, error))?;
        if models.is_empty() {
            return Err(Trouble::with(first, Error::not_found(nothing_in(first))));
        }
        Ok(Choice::Several(group_models(models).into_iter().map(variants_of).collect()))
    }
}

/// That there is no model in a folder, and where there is one.
fn nothing_in(folder: &Path) -> String {
    match folder_of_models_in(folder) {
        Some(inside) => format!("there is no model in this folder itself; try {}", inside.display()),
        None => {
            "there is no model in this folder (of the folders inside it, only onnx/ is searched)".to_owned()
        }
    }
}

fn variants_of(group: ModelGroup) -> Vec<Chosen> {
    let reference = group.reference.map(|path| path.to_string_lossy().into_owned());
    let place = |variant| Place { group: Some(group.stem.clone()), variant, reference: reference.clone() };
    let variants = group.variants.into_iter();
    variants.map(|variant| Chosen { path: variant.path, place: place(variant.label) }).collect()
}

/// The heading above the variants of one model: which there are, and what they are compared with.
pub(crate) fn heading(heading: &GroupHeading, paint: Paint) -> String {
    let rows: Vec<[String; 3]> = heading
        .variants
        .iter()
        .map(|variant| {
            let reference = if variant.is_reference { "reference" } else { "" };
            [variant.file.clone(), variant.label.clone().unwrap_or_default(), reference.to_owned()]
        })
        .collect();
    let columns = Columns::fitting(&[Align::Left; 3], rows.iter().map(|row| &row[..]));
    let mut text = format!("{}\n", paint.strong(&format!("{}: {} variants", heading.title, rows.len())));
    for row in &rows {
        text.push_str(&paint.quiet(&format!("  {}", columns.line(row))));
        text.push('\n');
    }
    text
}
