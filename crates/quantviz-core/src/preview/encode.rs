//! The codes themselves, for those who compare them.

use super::Preview;
use super::fit::Extent;
use super::plan::Plan;
use super::rounding::Fitted;
use super::scheme::PreviewScheme;
use super::survey::Survey;
use super::tiles::{Tile, View, in_memory};
use super::weights::find_weights;
use crate::{Error, ParameterId, ParameterSource, Result};

/// A weight after rounding.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EncodedWeight {
    /// The code of every number, in the order of the file: of a table its index, of small floats their value.
    pub codes: Vec<f32>,
    /// The scale of every group, in the order of the first numbers of the groups.
    pub scales: Vec<f64>,
    /// The zero-points of the groups.
    pub zero_points: Vec<f64>,
    /// What codes stand for, in the order of the file.
    pub real: Vec<f64>,
}

pub(super) fn encode<S: ParameterSource + ?Sized>(
    preview: &Preview,
    source: &S,
    parameter: ParameterId,
    scheme: PreviewScheme,
) -> Result<EncodedWeight> {
    let weights = find_weights(source.model(), &preview.rules)?;
    let name = &source.model().parameter(parameter).name;
    let weight = weights.into_iter().find(|weight| weight.parameter == parameter);
    let weight = weight.ok_or_else(|| Error::unsupported("it cannot be rounded").in_tensor(name))?;
    let shape = &source.model().parameter(parameter).shape;
    let survey = Survey::of(source, parameter, 0..shape.elements())?;
    let plan = Plan::of(preview, &View::of(shape, weight.axis), scheme, survey.extent);
    let fits = plan.fit_groups(&mut |tile| tile.read(source, parameter))?;

    let elements = in_memory(shape.elements());
    let (mut codes, mut real, mut groups) = (vec![0.0; elements], vec![0.0; elements], Vec::new());
    for tile in &plan.tiling.tiles {
        let values = tile.read(source, parameter)?;
        for (column, values) in values.chunks(tile.column()).enumerate() {
            let size = if plan.tiling.whole { in_memory(plan.tiling.group) } else { values.len() };
            for (group, values) in values.chunks(size).enumerate() {
                let to = fits.get(tile.first_group() + column).copied();
                let to = to.unwrap_or_else(|| plan.best(values).0);
                let place = |index: usize| tile.place(column, group * size + index);
                // Of a group that lies in several tiles, the first part counts.
                let number = if plan.tiling.whole { groups.len() } else { tile.first_group() + column };
                groups.push((number, place(0), to));
                for (index, &value) in values.iter().enumerate() {
                    let code = scheme.family.codes.code(value, &to);
                    codes[place(index)] = code;
                    real[place(index)] =
                        to.scale * (scheme.family.codes.value(code) - f64::from(to.zero_point));
                }
            }
        }
    }
    groups.sort_by_key(|&(number, first, _)| (number, first));
    groups.dedup_by_key(|(number, ..)| *number);
    groups.sort_by_key(|&(_, first, _)| first);
    Ok(EncodedWeight {
        codes,
        real,
        scales: groups.iter().map(|(.., to)| to.scale).collect(),
        zero_points: groups.iter().map(|(.., to)| f64::from(to.zero_point)).collect(),
    })
}

impl Plan {
    /// What groups that lie in several tiles are rounded with.
    fn fit_groups(&self, read: &mut dyn FnMut(&Tile) -> Result<Vec<f32>>) -> Result<Vec<Fitted>> {
        let mut extents = self.no_extents();
        let mut losses = self.no_losses();
        if self.tiling.whole {
            return Ok(Vec::new());
        }
        if self.needs_extents() {
            for tile in &self.tiling.tiles {
                let values = read(tile)?;
                let found = values.chunks(tile.column()).map(Extent::of);
                extents
                    .iter_mut()
                    .skip(tile.first_group())
                    .zip(found)
                    .for_each(|(extent, part)| *extent = extent.with(part));
            }
        }
        for tile in &self.tiling.tiles {
            let found = self.losses(tile, &read(tile)?, &extents);
            losses.iter_mut().skip(self.first_loss(tile)).zip(found).for_each(|(sum, loss)| *sum += loss);
        }
        let fit = |(&extent, (share, _)): (&Extent, (u8, f64))| {
            self.scheme.family.fit(extent.clipped(share), self.tensor)
        };
        Ok(extents.iter().zip(self.least(&losses)).map(fit).collect())
    }
}
