//! The parameters of a run by layer and by kind, coloured by what a step says of them.

use std::collections::{BTreeMap, HashMap};

use quantviz_core::{PlanHeader, PlannedParameter, Quantity, Scalar, Statistics, TransformerPart, one_line};
use serde::Serialize;

use crate::measure::Measure;

/// A table of layers and kinds: the same place for the same thing at every step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SessionGrid {
    /// What cells say: the name of a quantity.
    pub measure: String,
    /// The kinds, from left to right.
    pub columns: Vec<String>,
    /// The layers, from the input to the output.
    pub rows: Vec<GridRow>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GridRow {
    /// What it is called.
    pub label: String,
    /// What of each kind there is in it.
    pub cells: Vec<GridCell>,
}

/// All parameters of one kind in one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GridCell {
    /// Their names.
    pub parameters: Vec<String>,
    /// What is known of them.
    pub state: GridState,
    /// What is measured, of all of them: the smallest of smallest values, the sum of counts, else the mean, every weight
    /// counting once.
    pub value: Option<Scalar>,
    /// How much that is beside other cells, from 0 to 4, on a scale of ratios where everything is above zero.
    pub level: Option<u8>,
}

/// What is known of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GridState {
    /// There are no such parameters.
    #[default]
    None,
    /// They have been measured.
    Measured,
    /// They are not trained.
    Frozen,
    /// They have not been measured at this step.
    Missing,
}

const LEVELS: f64 = 5.0;
/// Where a kind stands that only layers have, or only what is around them.
const KINDS: [(&str, &[TransformerPart]); 8] = [
    ("emb", &[TransformerPart::TokenEmbedding, TransformerPart::PositionEmbedding]),
    ("QKV", &[TransformerPart::QueryKeyValue]),
    ("proj", &[TransformerPart::Projection]),
    ("MLP in", &[TransformerPart::MlpIn]),
    ("MLP out", &[TransformerPart::MlpOut]),
    ("conv", &[TransformerPart::Convolution]),
    ("norm", &[TransformerPart::Norm]),
    ("head", &[TransformerPart::Head]),
];
const OTHER: &str = "other";
/// Kinds of models that are no transformers, and all others together.
const MOST_KINDS: usize = 64;

/// Where a row stands, and what it is called.
type RowKey = (u8, String, u64, String);

impl SessionGrid {
    /// Of the statistics of a step.
    pub fn of(catalogue: &PlanHeader, statistics: &Statistics, measure: Measure) -> Self {
        let parameters = &catalogue.parameters;
        let is_transformer = parameters.iter().any(|it| it.part.is_some_and(is_of_transformers));
        let mut places: BTreeMap<(RowKey, usize), Vec<usize>> = BTreeMap::new();
        let mut columns: Vec<String> = match is_transformer {
            true => KINDS.iter().map(|(name, _)| (*name).to_owned()).chain([OTHER.to_owned()]).collect(),
            false => Vec::new(),
        };
        let (mut kinds, mut modules) = (HashMap::new(), HashMap::new());
        for (at, parameter) in parameters.iter().enumerate() {
            let key = if is_transformer {
                (transformer_row(parameter), kind_of(parameter))
            } else {
                let (row, column) = module_and_name(&parameter.name);
                let column = match kinds.get(&column) {
                    Some(&known) => known,
                    None => {
                        // Where every parameter is of a kind of its own, there are no kinds.
                        let column = if columns.len() < MOST_KINDS { column } else { OTHER.to_owned() };
                        *kinds.entry(column.clone()).or_insert_with(|| {
                            columns.push(column);
                            columns.len() - 1
                        })
                    }
                };
                // Modules stay in the order of the plan.
                let first = *modules.entry(row.clone()).or_insert(at);
                ((1, String::new(), first as u64, row), column)
            };
            places.entry(key).or_default().push(at);
        }
        let used: Vec<usize> =
            (0..columns.len()).filter(|column| places.keys().any(|(_, it)| it == column)).collect();
        let mut keys: Vec<&RowKey> = places.keys().map(|(row, _)| row).collect();
        keys.dedup();
        let rows = keys.iter().map(|&key| {
            let of_column = |column: &usize| match places.get(&(key.clone(), *column)) {
                Some(which) => cell(parameters, which, statistics, measure),
                None => GridCell::default(),
            };
            GridRow { label: one_line(&key.3), cells: used.iter().map(of_column).collect() }
        });
        let mut rows: Vec<GridRow> = rows.collect();
        set_levels(&mut rows);
        let columns = used.iter().map(|&at| one_line(&columns[at])).collect();
        SessionGrid { measure: measure.name(), columns, rows }
    }
}

fn is_of_transformers(part: TransformerPart) -> bool {
    !matches!(part, TransformerPart::Norm | TransformerPart::Convolution)
}

fn kind_of(parameter: &PlannedParameter) -> usize {
    let of_part = |part| KINDS.iter().position(|(_, parts)| parts.contains(&part));
    parameter.part.and_then(of_part).unwrap_or(KINDS.len())
}

fn transformer_row(parameter: &PlannedParameter) -> RowKey {
    let modules: Vec<&str> = parameter.name.split(['.', '/']).collect();
    let number = modules.iter().enumerate().find_map(|(at, it)| Some((at, it.parse::<u64>().ok()?)));
    match (parameter.part, number) {
        (Some(TransformerPart::TokenEmbedding), _) => (0, String::new(), 0, "tokens".into()),
        (Some(TransformerPart::PositionEmbedding), _) => (0, String::new(), 1, "positions".into()),
        (Some(TransformerPart::Head), _) => (2, String::new(), 1, "head".into()),
        (_, Some((at, number))) => {
            let stack = modules[..at].iter().find(|it| matches!(**it, "encoder" | "decoder"));
            let label = stack.map_or(format!("layer {number}"), |stack| format!("{stack} {number}"));
            (1, stack.copied().unwrap_or_default().to_owned(), number, label)
        }
        (Some(TransformerPart::Norm), None) => (2, String::new(), 0, "around".into()),
        _ => (2, String::new(), 2, OTHER.into()),
    }
}

/// `fc.weight` is the `weight` of `fc`.
fn module_and_name(name: &str) -> (String, String) {
    match name.rsplit_once(['.', '/']) {
        Some((module, own)) => (module.to_owned(), own.to_owned()),
        None => ("(root)".to_owned(), name.to_owned()),
    }
}

fn cell(
    parameters: &[PlannedParameter],
    which: &[usize],
    statistics: &Statistics,
    measure: Measure,
) -> GridCell {
    let names = which.iter().map(|&at| parameters[at].name.clone()).collect();
    let measured: Vec<(f64, f64)> = which
        .iter()
        .filter_map(|&at| {
            #[expect(clippy::cast_precision_loss, reason = "a weight")]
            let weight = parameters[at].elements() as f64;
            Some((measure.of(statistics, at)?, weight))
        })
        .collect();
    if measure.is_of_steps() && which.iter().all(|&at| is_frozen(statistics, at)) {
        return GridCell { parameters: names, state: GridState::Frozen, ..GridCell::default() };
    }
    let Some(value) = together(&measured, measure) else {
        return GridCell { parameters: names, state: GridState::Missing, ..GridCell::default() };
    };
    GridCell { parameters: names, state: GridState::Measured, value: Some(Scalar(value)), level: None }
}

/// Whether a parameter is not trained.
pub(crate) fn is_frozen(statistics: &Statistics, parameter: usize) -> bool {
    statistics.value(Quantity::GradientState, parameter) == Some(FROZEN)
}

/// What a snapshot says of the gradient of a parameter that is not trained.
const FROZEN: f64 = 1.0;

fn together(measured: &[(f64, f64)], measure: Measure) -> Option<f64> {
    let values = || measured.iter().map(|(value, _)| *value);
    let with_nan = |fold: fn(f64, f64) -> f64| {
        values().reduce(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { fold(a, b) })
    };
    use Quantity as Q;
    match measure {
        Measure::Recorded(Q::Min | Q::GradientMin) => with_nan(f64::min),
        Measure::Recorded(Q::Max | Q::GradientMax) => with_nan(f64::max),
        Measure::Recorded(Q::NonFinite | Q::GradientNonFinite | Q::DeadRows | Q::DeadColumns) => {
            values().reduce(|a, b| a + b)
        }
        Measure::Recorded(Q::AsOf | Q::GradientAsOf | Q::FeaturesAsOf) => with_nan(f64::min),
        _ => {
            let weights: f64 = measured.iter().map(|(_, weight)| weight).sum();
            let sum: f64 = measured.iter().map(|(value, weight)| value * weight).sum();
            (!measured.is_empty()).then(|| if weights > 0.0 { sum / weights } else { f64::NAN })
        }
    }
}

fn set_levels(rows: &mut [GridRow]) {
    let values = || rows.iter().flat_map(|row| &row.cells).filter_map(|cell| Some(cell.value?.0));
    let finite = || values().filter(|value| value.is_finite());
    let is_ratio = finite().all(|value| value >= 0.0);
    let scale = |value: f64| if is_ratio { value.ln() } else { value };
    let scaled = || finite().map(scale).filter(|it| it.is_finite());
    let low = scaled().reduce(f64::min).unwrap_or(0.0);
    let high = scaled().reduce(f64::max).unwrap_or(0.0);
    for cell in rows.iter_mut().flat_map(|row| &mut row.cells) {
        let Some(value) = cell.value.map(|it| it.0).filter(|it| it.is_finite()) else { continue };
        // Zero is the least there is of a ratio.
        let share = match scale(value) {
            f64::NEG_INFINITY => 0.0,
            scaled if high > low => (scaled - low) / (high - low),
            _ => 0.5,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 4")]
        let level = (share.clamp(0.0, 1.0) * LEVELS).floor().min(LEVELS - 1.0) as u8;
        cell.level = Some(level);
    }
}

#[cfg(test)]
mod tests {
    use quantviz_core::{
        ArrayWriter, DType, Format, Model, Parameter, Rank, Shape, Snapshot, SnapshotHeader, Track,
        role_from_name,
    };

    use super::*;

    /// A plan of these parameters, of four elements each but for the last, of forty; and a snapshot with these numbers.
    fn grid(names: &[&str], ratios: &[f32], states: &[u8]) -> SessionGrid {
        let mut model = Model::new(Format::Memory);
        for (at, name) in names.iter().enumerate() {
            let shape = Shape::new([2, if at + 1 == names.len() { 20 } else { 2 }]).expect("small");
            let role = role_from_name(name, &shape).unwrap_or(quantviz_core::Role::Weight);
            model.parameters.push(Parameter::new(*name, DType::F32, shape, role));
        }
        let chosen: Vec<_> = model.parameter_ids().collect();
        let header = PlanHeader::new("run", &model, &chosen);
        let mut arrays = ArrayWriter::default();
        arrays.push(Track::Light, Quantity::UpdateRatio.name(), &[ratios.len()], ratios);
        arrays.push(Track::Light, Quantity::GradientState.name(), &[states.len()], states);
        let written = SnapshotHeader::new("run", Rank::ONLY, 7, "plan").write(arrays).expect("written");
        let statistics = Statistics::of(&Snapshot::parse(written.bytes).expect("read"), &header);
        SessionGrid::of(&header, &statistics, Measure::Recorded(Quantity::UpdateRatio))
    }

    #[test]
    fn layers_and_kinds_of_a_transformer() {
        let names = [
            "wte.weight",
            "h.0.attn.c_attn.weight",
            "h.10.mlp.c_fc.weight",
            "h.2.mlp.c_fc.weight",
            "ln_f.weight",
            "h.0.attn.c_attn.bias",
        ];
        let grid = grid(&names, &[1e-3, 1e-4, f32::NAN, 1e-2, 0.0, 3e-4], &[3, 3, 3, 3, 1, 3]);
        assert_eq!(grid.columns, ["emb", "QKV", "MLP in", "norm"]);
        let labels: Vec<&str> = grid.rows.iter().map(|row| &*row.label).collect();
        assert_eq!(labels, ["tokens", "layer 0", "layer 2", "layer 10", "around"]);
        let qkv = &grid.rows[1].cells[1];
        assert_eq!(qkv.parameters, ["h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias"]);
        // A tenth of the weights moves by 1e-4, the rest by 3e-4.
        let expected = (4.0 * 1e-4 + 40.0 * 3e-4) / 44.0;
        assert!((qkv.value.expect("measured").0 - expected).abs() < 1e-9);
        assert_eq!(grid.rows[1].cells[0].state, GridState::None);
        assert_eq!(grid.rows[4].cells[3].state, GridState::Frozen);
        let levels = [&grid.rows[0].cells[0], qkv, &grid.rows[2].cells[2]].map(|cell| cell.level);
        assert_eq!(levels, [Some(1), Some(0), Some(4)]);
        // A change that is no number was not taken.
        let broken = &grid.rows[3].cells[2];
        assert!(broken.state == GridState::Missing && broken.level.is_none());
    }

    #[test]
    fn nothing_is_the_least() {
        let levels = |ratios: &[f32]| -> Vec<Option<u8>> {
            let grid = grid(&["a.weight", "b.weight", "c.weight"], ratios, &[]);
            grid.rows.iter().map(|row| row.cells[0].level).collect()
        };
        assert_eq!(levels(&[0.0, 0.3, 0.0]), [Some(0), Some(2), Some(0)]);
        assert_eq!(levels(&[0.0, 0.0, 0.0]), [Some(0); 3]);
    }

    #[test]
    fn other_networks_have_a_row_for_each_module() {
        let grid = grid(&["b.weight", "odd", "a.gain"], &[1.0, 1.0], &[]);
        assert_eq!(grid.columns, ["weight", "odd", "gain"]);
        let labels: Vec<&str> = grid.rows.iter().map(|row| &*row.label).collect();
        assert_eq!(labels, ["b", "(root)", "a"]);
        assert_eq!(grid.rows[2].cells[2].state, GridState::Missing);
        assert_eq!(grid.rows[0].cells[0].level, Some(2), "all the same is the middle");
    }
}
