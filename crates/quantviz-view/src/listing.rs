//! The models of a folder, to choose from.

use quantviz_core::one_line;

use crate::group::{Place, common_folder};

/// Models that were found together, in an order in which they can be chosen by number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Where they were found.
    pub title: String,
    /// The models, variants of one beside each other.
    pub rows: Vec<ListedModel>,
}

/// One of the models.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedModel {
    /// What the names of all its variants have in common.
    pub group: String,
    /// Whether it is the first of them.
    pub is_first: bool,
    /// What its name says that it is: `int8`; empty where it says nothing.
    pub variant: String,
    /// The file, without the folder that all of them are in.
    pub file: String,
    /// Whether the others of its group are compared with it.
    pub is_reference: bool,
}

impl Listing {
    /// The listing of these paths, each with what it is. Variants of one model stand together.
    ///
    /// ```
    /// use quantviz_view::{Listing, Place};
    ///
    /// let place = Place { group: Some("net".into()), variant: Some("int8".into()), reference: Some("m/net.onnx".into()) };
    /// let listing = Listing::of("m", &[("m/net.onnx", &place), ("m/net_int8.onnx", &place)]);
    /// assert_eq!(listing.rows[1].file, "net_int8.onnx");
    /// assert!(listing.rows[0].is_reference && !listing.rows[1].is_first);
    /// ```
    pub fn of(title: &str, models: &[(&str, &Place)]) -> Self {
        let common = common_folder(models.iter().map(|(path, _)| *path));
        let row = |(index, (path, place)): (usize, &(&str, &Place))| ListedModel {
            group: place.group.as_deref().map(one_line).unwrap_or_default(),
            is_first: index == 0 || models[index - 1].1.group != place.group,
            variant: place.variant.as_deref().map(one_line).unwrap_or_default(),
            file: one_line(&path[common..]),
            is_reference: place.reference.as_deref() == Some(path),
        };
        Listing { title: one_line(title), rows: models.iter().enumerate().map(row).collect() }
    }
}
