//! What every [`ParameterSource`] has to do, as a suite that panics where one does not.

mod meanwhile;
mod model;
mod reading;
mod real;
mod scanning;
mod store;

pub use model::check_model;
use quantviz_core::ParameterSource;
pub use store::check_store;

/// Panics, with the parameter and the broken rule in the message, unless `source` does all that
/// [`ParameterSource`] promises.
///
/// - The model is consistent: layers and parameters name each other, sharing points back; groups of scales fit
///   their shapes, operands exist and have a number for each group, indices of groups and codebooks cover what they are
///   for.
/// - Every part of every parameter arrives whole, in order and without gaps; stored elements in their own type.
/// - A gradient is read by the same rules, or is not found, or refused; whichever it is, for every range.
/// - Every range is that slice of the whole, bit for bit. One beyond the end is malformed and delivers nothing.
/// - Codes stand for what the definition makes of them and the other parts, one by one.
/// - A sink that breaks hears no more, and [`gather`](ParameterSource::gather) picks what reading delivers.
///
/// What cannot be read is excused where its type has no numbers ([`Unsupported`](quantviz_core::ErrorKind)), or
/// where one of the model's warnings names it.
///
/// Everything is read many times over, into memory: hand it small models.
///
/// ```
/// use quantviz_core::MemorySource;
///
/// let source = MemorySource::new().with("steps", ndarray::arr1(&[3u32, 1, 4, 1, 5]));
/// quantviz_testkit::check_source(&source);
/// ```
pub fn check_source(source: &dyn ParameterSource) {
    model::check_model(source.model());
    for id in source.model().parameter_ids() {
        reading::check_parameter(source, id);
        real::check_real(source, id);
    }
}

/// All of [`check_source`], and that a scan gives the same result on any number of threads, tells of its progress
/// and can be called off.
///
/// ```
/// use quantviz_core::MemorySource;
///
/// let source = MemorySource::new().with("steps", ndarray::arr1(&[3u32, 1, 4, 1, 5]));
/// quantviz_testkit::check_sync_source(&source);
/// ```
pub fn check_sync_source(source: &(dyn ParameterSource + Sync)) {
    check_source(source);
    scanning::check_scan(source);
}
