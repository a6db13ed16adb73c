//! The scales of activations that several variants of a model fix, side by side.

use std::collections::HashMap;
use std::path::Path;

use quantviz_core::{number, one_line};

use crate::comparison::ComparisonView;
use crate::inspection::ActivationView;

/// Activations that several variants quantize, those first whose scales differ most.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActivationScales {
    /// What the variants are called.
    pub variants: Vec<String>,
    /// A line for each activation.
    pub rows: Vec<ActivationScaleRow>,
    /// How many more there are, whose scales differ less.
    pub left_out: usize,
    /// Whether no scale differs from another.
    pub are_same: bool,
}

/// An activation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActivationScaleRow {
    /// Its name.
    pub tensor: String,
    /// The scale and the zero-point in each variant; `–` where it fixes none.
    pub scales: Vec<String>,
    /// The largest scale by the smallest.
    pub ratio: String,
}

impl ActivationScales {
    /// Rows that are worth a look.
    pub const MOST: usize = 20;

    /// Of the variants of a comparison; `None` where no activation has scales in two of them.
    pub fn of(comparison: &ComparisonView) -> Option<Self> {
        let (mut order, mut by_tensor) = (Vec::new(), HashMap::<&str, Vec<Option<&ActivationView>>>::new());
        for (index, variant) in comparison.variants.iter().enumerate() {
            for activation in variant.activations.iter().filter(|it| it.scale.is_some()) {
                let places = by_tensor.entry(&activation.tensor).or_insert_with(|| {
                    order.push(&*activation.tensor);
                    vec![None; comparison.variants.len()]
                });
                places[index].get_or_insert(activation);
            }
        }
        let mut rows: Vec<(f64, ActivationScaleRow)> = order
            .into_iter()
            .filter_map(|tensor| Some((ratio(&by_tensor[tensor])?, tensor)))
            .map(|(ratio, tensor)| (ratio, ActivationScaleRow::of(tensor, &by_tensor[tensor], ratio)))
            .collect();
        rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        // As far as two decimals show.
        let are_same = rows.iter().all(|(ratio, _)| *ratio < 1.005);
        let left_out = rows.len().saturating_sub(Self::MOST);
        rows.truncate(Self::MOST);
        let name = |path: &str| {
            let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            one_line(&stem.unwrap_or_else(|| path.to_owned()))
        };
        (!rows.is_empty()).then(|| ActivationScales {
            variants: comparison.variants.iter().map(|variant| name(&variant.path)).collect(),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            left_out,
            are_same,
        })
    }
}

/// The largest scale by the smallest, of two at least.
fn ratio(places: &[Option<&ActivationView>]) -> Option<f64> {
    let scales: Vec<f64> = places.iter().flatten().filter_map(|it| it.scale).map(f64::abs).collect();
    let (least, most) =
        scales.iter().fold((f64::INFINITY, 0f64), |(least, most), &it| (least.min(it), most.max(it)));
    (scales.len() > 1).then_some(most / least).filter(|ratio| !ratio.is_nan())
}

impl ActivationScaleRow {
    fn of(tensor: &str, places: &[Option<&ActivationView>], ratio: f64) -> Self {
        let cell = |place: &Option<&ActivationView>| {
            let activation = (*place)?;
            let scale = number(activation.scale?);
            Some(
                activation.zero_point.map_or(scale.clone(), |zero| format!("{scale}, zero {}", number(zero))),
            )
        };
        ActivationScaleRow {
            tensor: one_line(tensor),
            scales: places.iter().map(|place| cell(place).unwrap_or_else(|| "–".to_owned())).collect(),
            ratio: format!("{ratio:.2}"),
        }
    }
}
