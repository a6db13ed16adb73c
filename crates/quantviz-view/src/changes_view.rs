//! What distinguishes models of which some were recorded: what `quantviz compare SESSION@STEP …` prints.

use std::collections::HashSet;

use quantviz_core::{
    DType, Fidelity, Model, ModelAtStep, Result, Role, SampledChange, SampledChanges, Shape, count, number,
    one_line,
};
use serde::Serialize;

use crate::comparison::UnmatchedParameter;
use crate::fidelity_table::sqnr;
use crate::request::{Request, Selection};
use crate::snapshot_view::StepName;

/// Models beside a reference, told by sampled elements: the schema `quantviz.changes/1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChangesView {
    /// The name and the version of this shape of data.
    pub schema: &'static str,
    /// What the others are compared with.
    pub reference: ChangedModel,
    /// What sampled elements are rounded to when they are recorded, and those of files when they are compared.
    pub recorded_as: DType,
    /// The others, in the order that they were named.
    pub others: Vec<ChangedView>,
}

/// A model that is compared: a file, or a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChangedModel {
    /// The path or the snapshot, as it was given.
    pub name: String,
    /// Which snapshot it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<StepName>,
}

/// A model beside the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChangedView {
    /// Which one.
    pub model: ChangedModel,
    /// The energy of the reference by that of the differences, in decibels.
    pub sqnr_db: Option<f64>,
    /// The standard error of that.
    pub standard_error_db: Option<f64>,
    /// Whether no element that was compared differs.
    pub exact: bool,
    /// Whether fewer elements were compared than there are.
    pub sampled: bool,
    /// Elements that were compared.
    pub count: u64,
    /// Elements that there are.
    pub of: u64,
    /// The parameters that both have, those first that differ most.
    pub parameters: Vec<ChangeView>,
    /// What could not be compared.
    pub unmatched: UnmatchedChanges,
}

/// What could not be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnmatchedChanges {
    /// Parameters of the reference.
    pub reference: Vec<UnmatchedParameter>,
    /// Parameters of the other.
    pub other: Vec<UnmatchedParameter>,
}

/// What distinguishes a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the measures are those of quantviz_core::Fidelity, by their names")]
pub struct ChangeView {
    /// Its name.
    pub parameter: String,
    /// What it is for.
    pub role: Role,
    /// Its shape.
    pub shape: Shape,
    /// What the reference stores it as.
    pub reference_dtype: DType,
    /// What the other stores it as.
    pub dtype: DType,
    /// Whether fewer elements were compared than there are.
    pub sampled: bool,
    /// Elements that were compared.
    pub count: u64,
    /// Elements that there are.
    pub of: u64,
    pub sqnr_db: Option<f64>,
    /// The standard error of `sqnr_db`; zero where all elements were compared.
    pub standard_error_db: Option<f64>,
    pub exact: bool,
    /// The root mean square of the differences by that of the reference.
    pub moved: Option<f64>,
    pub mse: Option<f64>,
    pub max_abs_error: Option<f64>,
    pub mean_error: Option<f64>,
    pub cosine: Option<f64>,
    pub relative_error: Option<f64>,
    pub common_factor: Option<f64>,
    pub non_finite: u64,
    /// The smallest and the largest of the elements that were compared.
    pub reference_range: Option<[f64; 2]>,
    /// The same of the other.
    pub range: Option<[f64; 2]>,
}

impl ChangesView {
    /// The version of the data that this serializes to.
    pub const SCHEMA: &str = "quantviz.changes/1";

    /// Models beside a reference.
    pub fn of(reference: ChangedModel, others: Vec<ChangedView>) -> Self {
        ChangesView { schema: Self::SCHEMA, reference, recorded_as: DType::Bf16, others }
    }
}

impl ChangedModel {
    /// A file.
    pub fn file(path: impl Into<String>) -> Self {
        ChangedModel { name: path.into(), snapshot: None }
    }

    /// A snapshot.
    pub fn snapshot(name: impl Into<String>, model: &ModelAtStep) -> Self {
        ChangedModel { name: name.into(), snapshot: Some(StepName::of(model)) }
    }

    /// What people call it.
    pub fn title(&self) -> String {
        self.snapshot.as_ref().map_or_else(|| one_line(&self.name), StepName::title)
    }
}

impl ChangedView {
    /// What was found to distinguish a model from the reference.
    pub fn of(model: ChangedModel, changes: &SampledChanges) -> Self {
        let mut ranked: Vec<&SampledChange> = changes.parameters.iter().collect();
        ranked.sort_by(|one, other| one.fidelity.rank().total_cmp(&other.fidelity.rank()));
        let parameters: Vec<ChangeView> = ranked.into_iter().map(ChangeView::of).collect();
        let (count, of) = totals(&parameters);
        let unmatched = |side: &[(String, String)]| {
            let view = |(parameter, why): &(String, String)| UnmatchedParameter {
                parameter: parameter.clone(),
                why: why.clone(),
            };
            side.iter().map(view).collect()
        };
        ChangedView {
            model,
            sqnr_db: changes.sqnr_db,
            standard_error_db: changes.standard_error_db,
            exact: changes.exact,
            sampled: count < of,
            count,
            of,
            parameters,
            unmatched: UnmatchedChanges {
                reference: unmatched(&changes.unmatched[0]),
                other: unmatched(&changes.unmatched[1]),
            },
        }
    }

    /// Leaves what a request names of the reference; what is said of the whole stays what it is.
    ///
    /// # Errors
    /// [`UnknownName`](quantviz_core::ErrorKind::UnknownName) where the reference does not have it.
    pub fn only(&mut self, reference: &Model, request: &Request) -> Result<()> {
        let selection = Selection::of(reference, request)?;
        let names: HashSet<&str> =
            selection.parameters.iter().map(|&id| reference.parameter(id).name.as_str()).collect();
        self.parameters.retain(|it| names.contains(it.parameter.as_str()));
        self.unmatched.reference.retain(|it| names.contains(it.parameter.as_str()));
        self.unmatched.other.clear();
        Ok(())
    }
}

fn totals(parameters: &[ChangeView]) -> (u64, u64) {
    let sum = |of: fn(&ChangeView) -> u64| parameters.iter().map(of).fold(0, u64::saturating_add);
    (sum(|it| it.count), sum(|it| it.of))
}

impl ChangeView {
    fn of(change: &SampledChange) -> Self {
        let Fidelity { elements, .. } = change.fidelity;
        let fidelity = &change.fidelity;
        let range = |range: Option<(f64, f64)>| range.map(|(low, high)| [low, high]);
        ChangeView {
            parameter: change.parameter.clone(),
            role: change.role,
            shape: change.shape.clone(),
            reference_dtype: change.dtypes[0],
            dtype: change.dtypes[1],
            sampled: elements < change.of,
            count: elements,
            of: change.of,
            sqnr_db: fidelity.sqnr_db,
            standard_error_db: change.standard_error_db,
            exact: fidelity.exact,
            moved: change.moved,
            mse: fidelity.mse,
            max_abs_error: fidelity.max_abs_error,
            mean_error: fidelity.mean_error,
            cosine: fidelity.cosine,
            relative_error: fidelity.relative_error,
            common_factor: fidelity.common_factor,
            non_finite: fidelity.non_finite,
            reference_range: range(fidelity.reference_range),
            range: range(fidelity.quantized_range),
        }
    }
}

/// A model beside the reference, to be read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangesTable {
    /// Which model.
    pub title: String,
    /// What to say of the whole.
    pub facts: Vec<String>,
    /// Its parameters, those first that differ most.
    pub rows: Vec<ChangeRow>,
    /// What could not be compared, a line each.
    pub unmatched: Vec<String>,
    /// What is to be kept in mind, a line each.
    pub notes: Vec<String>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangeRow {
    /// Its name.
    pub name: String,
    /// The decibels that are left of the reference: `24.1 ±0.3`, `the same`.
    pub decibels: String,
    /// How much it has moved: the size of the difference by its own.
    pub moved: String,
    /// The largest difference.
    pub largest: String,
    /// How many elements that is told from: `sampled 128`, `all 64`.
    pub compared: String,
    /// What else is to be known.
    pub remarks: Vec<String>,
}

impl ChangesTable {
    /// Of one of the others.
    pub fn of(view: &ChangedView) -> Self {
        let told = match (view.sqnr_db, view.exact) {
            (None, true) => "the same".to_owned(),
            (db, exact) => format!("{} dB{}", sqnr(db, exact), plus_minus(view.standard_error_db)),
        };
        let of = match view.sampled {
            true => format!("sampled {} of {} numbers", count(view.count), count(view.of)),
            false => format!("all {} numbers", count(view.of)),
        };
        let parameters = match view.parameters.len() {
            1 => "1 parameter".to_owned(),
            several => format!("{} parameters", count(several as u64)),
        };
        let facts = vec![told, of, parameters];
        let unmatched = |what: &str, all: &[UnmatchedParameter]| -> Vec<String> {
            all.iter().map(|it| one_line(&format!("{what}{}: {}", it.parameter, it.why))).collect()
        };
        let mut lines = unmatched("", &view.unmatched.reference);
        lines.extend(unmatched("", &view.unmatched.other));
        let mut notes = vec![
            "dB: the energy of the reference by that of the differences; moved: their size by its own"
                .to_owned(),
            "sampled numbers are kept as bf16, to three digits: what differs by less is the same here"
                .to_owned(),
        ];
        let rows: Vec<ChangeRow> = view.parameters.iter().map(ChangeRow::of).collect();
        let is_told = |text: &String| text.contains('±');
        if facts.iter().chain(rows.iter().map(|row| &row.decibels)).any(is_told) {
            notes.insert(1, "±: the standard error, since it is told from a sample".to_owned());
        }
        ChangesTable { title: view.model.title(), facts, rows, unmatched: lines, notes }.with_ranks(view)
    }

    fn with_ranks(mut self, view: &ChangedView) -> Self {
        self.notes.extend(view.model.snapshot.as_ref().and_then(StepName::together));
        self
    }
}

fn plus_minus(error: Option<f64>) -> String {
    error.filter(|&it| it >= 0.05).map(|it| format!(" ±{it:.1}")).unwrap_or_default()
}

impl ChangeRow {
    fn of(view: &ChangeView) -> Self {
        let decibels = match (view.sqnr_db, view.exact) {
            (None, true) => "the same".to_owned(),
            (db, exact) => format!("{}{}", sqnr(db, exact), plus_minus(view.standard_error_db)),
        };
        let percent = |share: f64| match share * 100.0 {
            percent if percent >= 1000.0 => format!("{} times", number(share)),
            percent => format!("{} %", number(percent)),
        };
        let factor = view.common_factor.map(|it| format!("about {} times the reference", number(it)));
        let broken = (view.non_finite > 0).then(|| format!("{} not finite", count(view.non_finite)));
        let dtype = (view.dtype != view.reference_dtype)
            .then(|| format!("{} in the reference, {} here", view.reference_dtype, view.dtype));
        ChangeRow {
            name: one_line(&view.parameter),
            decibels,
            moved: view.moved.map(percent).unwrap_or_default(),
            largest: view.max_abs_error.map(number).unwrap_or_default(),
            compared: match view.sampled {
                true => format!("sampled {}", count(view.count)),
                false => format!("all {}", count(view.of)),
            },
            remarks: [broken, factor, dtype].into_iter().flatten().collect(),
        }
    }
}
