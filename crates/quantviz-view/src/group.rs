//! Models of a folder that are variants of one: which of them each is, and what stands above them.

use quantviz_core::one_line;
use serde::{Deserialize, Serialize};

/// Which of the variants of a model a file is. All is null for a file that was opened by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What the names of all variants have in common.
    pub group: Option<String>,
    /// What the name says that distinguishes this one: `int8 per-channel`.
    pub variant: Option<String>,
    /// The path of the variant that the others are compared with.
    pub reference: Option<String>,
}

/// What to say above the variants of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHeading {
    /// What their names have in common.
    pub title: String,
    /// A line for each.
    pub variants: Vec<VariantLine>,
}

/// A variant of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantLine {
    /// The path, from the folder that all of them are in.
    pub file: String,
    /// What distinguishes it.
    pub label: Option<String>,
    /// Whether the others are compared with it.
    pub is_reference: bool,
}

impl GroupHeading {
    /// The heading of these paths and what each is. `None` for a model that stands alone.
    pub fn of(variants: &[(&str, &Place)]) -> Option<Self> {
        let (_, first) = variants.first().filter(|_| variants.len() > 1)?;
        let common = common_folder(variants.iter().map(|(path, _)| *path));
        let line = |(path, place): &(&str, &Place)| VariantLine {
            file: one_line(&path[common..]),
            label: place.variant.as_deref().map(one_line),
            is_reference: place.reference.as_deref() == Some(path),
        };
        Some(GroupHeading {
            title: first.group.as_deref().map(one_line)?,
            variants: variants.iter().map(line).collect(),
        })
    }
}

/// How much of all paths is the folder that they have in common.
pub(crate) fn common_folder<'a>(mut paths: impl Iterator<Item = &'a str>) -> usize {
    let first = paths.next().unwrap_or_default();
    let folder_in = |path: &str, len: usize| path[..len].rfind(['/', '\\']).map_or(0, |at| at + 1);
    paths.fold(folder_in(first, first.len()), |common, path| {
        let alike = first.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count();
        let alike = (0..=alike.min(common)).rev().find(|&at| first.is_char_boundary(at)).unwrap_or(0);
        folder_in(first, alike)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_they_have_in_common() {
        let files = |paths: &[&str]| {
            let place = Place { group: Some("m".to_owned()), ..Place::default() };
            let variants: Vec<_> = paths.iter().map(|path| (*path, &place)).collect();
            let heading = GroupHeading::of(&variants).expect("more than one");
            heading.variants.into_iter().map(|line| line.file).collect::<Vec<_>>()
        };
        assert_eq!(files(&["a/m.onnx", "a/m_int8.onnx"]), ["m.onnx", "m_int8.onnx"]);
        assert_eq!(files(&["a/m.pt", "a/onnx/m.onnx"]), ["m.pt", "onnx/m.onnx"]);
        assert_eq!(files(&["m.pt", "onnx/m.onnx"]), ["m.pt", "onnx/m.onnx"]);
        assert_eq!(files(&["ä/é.pt", "ä/è.pt"]), ["é.pt", "è.pt"]);
        assert_eq!(files(&["é/m.pt", "è/m.pt"]), ["é/m.pt", "è/m.pt"]);
    }

    #[test]
    fn a_model_by_itself_has_no_heading() {
        assert_eq!(GroupHeading::of(&[]), None);
        assert_eq!(GroupHeading::of(&[("m.pt", &Place::default())]), None);
        assert_eq!(GroupHeading::of(&[("m.pt", &Place::default()), ("n.pt", &Place::default())]), None);
    }
}
