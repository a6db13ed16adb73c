//! The models that a path on the command line means.

use std::path::{Path, PathBuf};

use quantviz::view::{GroupHeading, Place};
use quantviz::{Error, ErrorKind, ModelGroup, model_groups};

use crate::Exit;
use crate::layout::{Align, Columns};
use crate::stream::Paint;
use crate::trouble::Trouble;

/// A model to look at.
pub(crate) struct Chosen {
    pub(crate) path: PathBuf,
    /// Which of the variants of a model it is.
    pub(crate) place: Place,
}

/// The model itself, or those in a folder, variants of one model together.
pub(crate) fn chosen(path: &Path) -> Result<Vec<Vec<Chosen>>, Trouble> {
    if !path.is_dir() {
        return Ok(vec![vec![Chosen { path: path.to_owned(), place: Place::default() }]]);
    }
    let groups = model_groups(path).map_err(|error| Trouble::with(path, error))?;
    if groups.is_empty() {
        let message = "there is no model in this folder (of the folders inside it, only onnx/ is searched)";
        return Err(Trouble::with(path, Error::not_found(message)));
    }
    Ok(groups.into_iter().map(variants_of).collect())
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

/// What a model in a folder that cannot be read means for the whole. That it cannot be read yet is no fault of the
/// file.
pub(crate) fn exit_after(error: &Error) -> Exit {
    if error.kind() == ErrorKind::Unsupported { Exit::Done } else { Exit::Trouble }
}
