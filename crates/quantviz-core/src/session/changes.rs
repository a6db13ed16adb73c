//! What distinguishes two models of which at least one was recorded: told by the elements that were sampled.

#![expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]

use std::collections::HashMap;

use super::at_step::ModelAtStep;
use super::kept::RecordedSample;
use crate::dequantize::for_each_real;
use crate::fidelity::{ErrorSums, sqnr_db};
use crate::{
    DType, Error, ErrorKind, Fidelity, Model, ParameterId, ParameterSource, Part, Result, Role, Shape, bf16,
};

/// A model that is compared with another.
#[derive(Clone, Copy)]
pub enum SampledSide<'a> {
    /// One that was recorded.
    Recorded(&'a ModelAtStep),
    /// One that can be read. Its values are rounded to [`bf16`], as those of samples are when they are recorded: so what is
    /// the same in both is the same here.
    Source(&'a dyn ParameterSource),
}

/// What distinguishes two models.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SampledChanges {
    /// The parameters that both have, in the order of the reference.
    pub parameters: Vec<SampledChange>,
    /// What could not be compared, and why: of the reference, and of the other.
    pub unmatched: [Vec<(String, String)>; 2],
    /// The energy of the reference by that of the differences, in decibels: of all elements, as the samples tell.
    pub sqnr_db: Option<f64>,
    /// The standard error of that, since it is told from samples.
    pub standard_error_db: Option<f64>,
    /// Whether no sampled element differs.
    pub exact: bool,
}

/// What distinguishes one parameter of both.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SampledChange {
    /// Its name in the reference.
    pub parameter: String,
    /// What it is for.
    pub role: Role,
    /// What the reference stores it as, and the other.
    pub dtypes: [DType; 2],
    /// Its shape.
    pub shape: Shape,
    /// Elements that there are; `fidelity.elements` of them were compared.
    pub of: u64,
    /// The measures, of the elements that were compared.
    pub fidelity: Fidelity,
    /// The standard error of its decibels, since they are told from a sample; zero where that has all elements.
    pub standard_error_db: Option<f64>,
    /// The root mean square of the differences by that of the reference.
    pub moved: Option<f64>,
}

/// The numbers of a parameter that are in both.
struct Pairs {
    of: u64,
    values: Vec<(f64, f64)>,
}

impl SampledChanges {
    /// Compares another model with a reference, parameter by parameter, by name: values in the places that were sampled.
    ///
    /// # Errors
    /// Where none of both was recorded, or they have nothing in common.
    pub fn between(reference: SampledSide<'_>, other: SampledSide<'_>) -> Result<Self> {
        if let (SampledSide::Source(_), SampledSide::Source(_)) = (reference, other) {
            return Err(Error::unsupported("nothing is sampled of models that can be read whole"));
        }
        let mut changes = SampledChanges {
            parameters: Vec::new(),
            unmatched: [Vec::new(), Vec::new()],
            sqnr_db: None,
            standard_error_db: None,
            exact: true,
        };
        let mut all = Vec::new();
        for (id, parameter) in reference.compared() {
            let found = other.named(&parameter.name).ok_or_else(|| "it is not in the other".to_owned());
            let pairs = found.and_then(|there| Ok((there, pairs(reference, id, other, there)?)));
            match pairs {
                Ok((there, pairs)) => {
                    changes.parameters.push(pairs.change(reference.model(), id, other.model(), there));
                    all.push(pairs);
                }
                Err(why) => changes.unmatched[0].push((parameter.name.clone(), why)),
            }
        }
        for (_, parameter) in other.compared() {
            if reference.named(&parameter.name).is_none() {
                changes.unmatched[1].push((parameter.name.clone(), "it is not in the reference".to_owned()));
            }
        }
        if changes.parameters.is_empty() {
            let why = changes.unmatched[0].first().map(|(name, why)| format!("; {name}: {why}"));
            let message = format!("no parameter is in both{}", why.unwrap_or_default());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        changes.exact = changes.parameters.iter().all(|it| it.fidelity.exact);
        (changes.sqnr_db, changes.standard_error_db) = decibels(&all);
        Ok(changes)
    }
}

impl<'a> SampledSide<'a> {
    fn model(self) -> &'a Model {
        match self {
            SampledSide::Recorded(model) => model.model(),
            SampledSide::Source(source) => source.model(),
        }
    }

    fn named(self, name: &str) -> Option<ParameterId> {
        match self {
            SampledSide::Recorded(model) => model.parameter_named(name),
            SampledSide::Source(source) => source.model().parameter_named(name),
        }
    }

    /// The parameters that are compared: of files those that training changes, each storage once.
    fn compared(self) -> impl Iterator<Item = (ParameterId, &'a crate::Parameter)> {
        let model = self.model();
        let is_source = matches!(self, SampledSide::Source(_));
        let ids = model.parameter_ids().map(|id| (id, model.parameter(id)));
        let calibrating = if is_source { model.calibrating() } else { Default::default() };
        ids.filter(move |(id, it)| {
            !is_source || it.shares.is_none() && it.role.is_learnt() && !calibrating.contains(id)
        })
    }

    fn sample(self, id: ParameterId) -> Option<RecordedSample> {
        match self {
            SampledSide::Recorded(model) => model.sample(id),
            SampledSide::Source(_) => None,
        }
    }
}

/// The numbers in the places that both have; or why there are none.
fn pairs(
    reference: SampledSide<'_>,
    here: ParameterId,
    other: SampledSide<'_>,
    there: ParameterId,
) -> std::result::Result<Pairs, String> {
    let shapes =
        [reference.model().parameter(here), other.model().parameter(there)].map(|it| it.logical_shape());
    if shapes[0] != shapes[1] {
        return Err(format!("it is {} in the reference and {} in the other", shapes[0], shapes[1]));
    }
    let values = |side: SampledSide<'_>, id, at: &[u64]| match side {
        SampledSide::Source(source) => read(source, id, at).map_err(|error| error.message().to_owned()),
        SampledSide::Recorded(model) => Err(unsampled(model, id)),
    };
    let both =
        |one: Vec<f32>, two: Vec<f32>| one.into_iter().zip(two).map(|(a, b)| (a.into(), b.into())).collect();
    let of = shapes[0].elements();
    let values = match (reference.sample(here), other.sample(there)) {
        (Some(one), Some(two)) => {
            let two: HashMap<u64, f32> = two.at.into_iter().zip(two.values).collect();
            let common = one
                .at
                .iter()
                .zip(one.values)
                .filter_map(|(at, a)| Some((a.into(), f64::from(*two.get(at)?))));
            common.collect::<Vec<_>>()
        }
        (Some(sample), None) => {
            let read = values(other, there, &sample.at)?;
            both(sample.values, read)
        }
        (None, Some(sample)) => both(values(reference, here, &sample.at)?, sample.values),
        (None, None) => {
            let recorded =
                [(reference, here), (other, there)].into_iter().find_map(|(side, id)| match side {
                    SampledSide::Recorded(model) => Some(unsampled(model, id)),
                    SampledSide::Source(_) => None,
                });
            return Err(recorded.unwrap_or_default());
        }
    };
    match values.is_empty() {
        true => Err("the two runs sampled other elements of it".to_owned()),
        false => Ok(Pairs { of, values }),
    }
}

/// Why there is no sample of a parameter.
fn unsampled(model: &ModelAtStep, id: ParameterId) -> String {
    match model.parts(id) {
        Some(parts) => {
            format!(
                "it is in {} parts, and nobody said where in the whole those are that were sampled",
                parts.of
            )
        }
        None => "nothing of it was sampled at this step".to_owned(),
    }
}

/// The real values in some places, as they would have been recorded.
fn read(source: &dyn ParameterSource, id: ParameterId, at: &[u64]) -> Result<Vec<f32>> {
    let mut values = vec![f32::NAN; at.len()];
    if source.model().parameter(id).quantization.is_some() {
        for (value, &at) in values.iter_mut().zip(at) {
            #[expect(clippy::cast_possible_truncation, reason = "as it would have been recorded")]
            for_each_real(source, id, at..at.saturating_add(1), |real| *value = real as f32)?;
        }
    } else {
        source.gather(id, Part::Stored, at, &mut values)?;
    }
    values.iter_mut().for_each(|it| *it = bf16::from_f32(*it).to_f32());
    Ok(values)
}

impl Pairs {
    fn change(&self, from: &Model, here: ParameterId, of: &Model, there: ParameterId) -> SampledChange {
        let mut sums = ErrorSums::default();
        self.values.iter().for_each(|&(a, b)| sums.add(a, b));
        let (one, two) = (from.parameter(here), of.parameter(there));
        let (_, standard_error_db) = decibels(std::slice::from_ref(self));
        let fidelity = Fidelity::of_values(&sums);
        SampledChange {
            parameter: one.name.clone(),
            role: one.role,
            dtypes: [one.dtype, two.dtype],
            shape: one.logical_shape().clone(),
            of: self.of,
            standard_error_db,
            moved: fidelity.noise_to_signal.map(f64::sqrt),
            fidelity,
        }
    }

    /// The squares of the reference and of the difference, of each pair of numbers.
    fn squares(&self) -> Vec<(f64, f64)> {
        let finite = self.values.iter().filter(|(a, b)| a.is_finite() && b.is_finite());
        finite.map(|(a, b)| (a * a, (a - b) * (a - b))).collect()
    }
}

/// The energy of all elements by that of their differences, and the standard error of it: each parameter counts by its
/// elements, and each speaks for itself (a ratio estimator of a stratified sample).
fn decibels(all: &[Pairs]) -> (Option<f64>, Option<f64>) {
    let strata: Vec<(f64, Vec<(f64, f64)>)> = all.iter().map(|it| (it.of as f64, it.squares())).collect();
    let strata = || strata.iter().filter(|(_, squares)| !squares.is_empty());
    let total = |which: fn(&(f64, f64)) -> f64| {
        strata().map(|(of, it)| of * it.iter().map(which).sum::<f64>() / it.len() as f64).sum::<f64>()
    };
    let (reference, error) = (total(|it| it.0), total(|it| it.1));
    let Some(db) = sqnr_db(reference, error) else { return (None, None) };
    let ratio = error / reference;
    let mut variance = 0.0;
    for (of, squares) in strata() {
        let count = squares.len() as f64;
        if count >= *of {
            continue;
        }
        if squares.len() < 2 {
            return (Some(db), None);
        }
        let rest = |&(r, e): &(f64, f64)| e - ratio * r;
        let mean = squares.iter().map(rest).sum::<f64>() / count;
        let spread = squares.iter().map(|it| (rest(it) - mean).powi(2)).sum::<f64>() / (count - 1.0);
        variance += of * of * (1.0 - count / of) * spread / count;
    }
    let relative = variance.sqrt() / reference / ratio;
    (Some(db), Some(10.0 * relative / std::f64::consts::LN_10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: u64, values: &[(f64, f64)]) -> Pairs {
        Pairs { of, values: values.to_vec() }
    }

    #[test]
    fn decibels_count_by_elements() {
        // 90 elements that differ by a tenth, and 10 that are the same: 20 dB, and 10 log (100/90) more.
        let all = [pairs(90, &[(1.0, 1.1), (-1.0, -0.9)]), pairs(10, &[(1.0, 1.0), (1.0, 1.0)])];
        let (db, error) = decibels(&all);
        assert!((db.expect("they differ") - 20.457_574_9).abs() < 1e-6, "{db:?}");
        assert!(error.expect("of samples") < 1e-9, "within each parameter all are alike");
    }

    /// What a sample says is as far from the truth as it says, most of the time.
    #[test]
    fn standard_errors_are_those_of_many_samples() {
        let mut draws = crate::Seeded::new(3, "draws");
        let mut normal = || (0..12).map(|_| draws.share()).sum::<f64>() - 6.0;
        let told: Vec<(f64, f64)> = (0..400)
            .map(|_| {
                let values: Vec<(f64, f64)> = (0..128).map(|_| (normal(), 0.1 * normal())).collect();
                let values: Vec<(f64, f64)> = values.iter().map(|(r, e)| (*r, r + e)).collect();
                let (db, error) = decibels(&[pairs(1_000_000, &values)]);
                (db.expect("they differ"), error.expect("a sample"))
            })
            .collect();
        let count = told.len() as f64;
        let mean = told.iter().map(|it| it.0).sum::<f64>() / count;
        let spread = (told.iter().map(|it| (it.0 - mean).powi(2)).sum::<f64>() / count).sqrt();
        let said = told.iter().map(|it| it.1).sum::<f64>() / count;
        assert!((mean - 20.0).abs() < 0.1, "{mean}");
        assert!((said / spread - 1.0).abs() < 0.15, "said {said}, and they spread by {spread}");
    }

    #[test]
    fn nothing_and_everything() {
        assert_eq!(decibels(&[pairs(4, &[(1.0, 1.0)])]), (None, None));
        assert_eq!(decibels(&[pairs(4, &[(f64::NAN, 1.0)])]), (None, None));
        let whole = decibels(&[pairs(2, &[(1.0, 1.1), (3.0, 3.0)])]);
        assert_eq!(whole.1, Some(0.0), "all elements are no sample");
    }
}
