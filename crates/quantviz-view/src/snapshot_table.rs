//! The parameters of a run at a step as the one table that every front end lists.

use quantviz_core::{count, number, one_line};

use crate::cells::RangeCells;
use crate::session_words::date;
use crate::snapshot_view::{SnapshotHistogram, SnapshotParameter, SnapshotView};
use crate::table::{Bars, Header, ParameterTable, Row};

impl ParameterTable {
    /// The table of a snapshot; histograms are in it where they are asked for.
    pub fn of_snapshot(view: &SnapshotView, histograms: bool) -> Self {
        let rows: Vec<Row> = view.parameters.iter().map(|it| row(it, view.at.step, histograms)).collect();
        let summaries = || view.parameters.iter().filter_map(|it| it.summary.as_ref());
        let mut notes: Vec<String> = view.at.together().into_iter().collect();
        if view.at.thinned {
            notes.push("samples and histograms of this step were pruned; its statistics are here".to_owned());
        }
        if summaries().any(|it| it.sampled) {
            notes.push("sampled: of so many elements, and not of all".to_owned());
        }
        if summaries().any(|it| it.as_of < view.at.step) {
            notes.push("as of: parameters are looked at in turn, these at an earlier step".to_owned());
        }
        let untold = view.parameters.len() - summaries().count();
        if untold > 0 {
            notes.push(format!(
                "of {} parameters no statistics were recorded at this step",
                count(untold as u64)
            ));
        }
        if rows.iter().any(|row| row.histogram.is_some()) {
            notes.push(
                "histograms are of the bins that were recorded, and of a sample of large tensors".to_owned(),
            );
        }
        let apart = |it: &SnapshotHistogram| it.parts.is_some_and(|it| it.recorded < it.of);
        if histograms && view.parameters.iter().filter_map(|it| it.histogram.as_ref()).any(apart) {
            notes.push(
                "of some parameters in parts, histograms are not of all: those of parts were not recorded, or are on grids \
                 that do not fit each other"
                    .to_owned(),
            );
        }
        if !view.left_out.is_empty() {
            notes.push(one_line(&format!("left out: {}", view.left_out.join("; "))));
        }
        ParameterTable {
            header: header(view),
            rows,
            activations: Vec::new(),
            folded: 0,
            warnings: Vec::new(),
            notes,
        }
    }
}

fn header(view: &SnapshotView) -> Header {
    let numbers = view.parameters.iter().map(|it| it.shape.elements()).fold(0, u64::saturating_add);
    let loss = view.scalars.iter().find(|(name, _)| name.to_lowercase().contains("loss"));
    let loss = loss.map(|(name, value)| format!("{} {}", one_line(name), number(value.0)));
    let parameters = match view.parameters.len() {
        1 => "1 parameter".to_owned(),
        several => format!("{} parameters", count(several as u64)),
    };
    let facts =
        [format!("{parameters} with {} numbers", count(numbers)), format!("{} UTC", date(view.at.time_ms))];
    Header { title: view.at.title(), facts: facts.into_iter().chain(loss).collect() }
}

fn row(parameter: &SnapshotParameter, step: u64, histograms: bool) -> Row {
    let summary = parameter.summary.as_ref();
    let non_finite = summary.and_then(|it| it.non_finite).filter(|&it| it > 0);
    let layer = parameter.layer.as_deref().filter(|layer| !parameter.name.starts_with(layer));
    Row {
        name: one_line(&parameter.name),
        layer: layer.map(one_line).unwrap_or_default(),
        op: String::new(),
        dtype: parameter.dtype.to_string(),
        shape: parameter.shape.to_string(),
        range: summary.map(|it| RangeCells::of_numbers([it.min, it.max, it.mean, it.std])),
        taken: summary.and_then(|it| it.caveat(step)),
        scale: None,
        zero_point: None,
        offset: None,
        granularity: None,
        left_out: non_finite.map(|it| format!("{} not finite", count(it))),
        remarks: parameter
            .frozen
            .then(|| "frozen".to_owned())
            .into_iter()
            .chain(missing_parts(parameter))
            .collect(),
        histogram: parameter.histogram.as_ref().filter(|_| histograms).map(bars),
    }
}

/// That not all parts of it were recorded.
fn missing_parts(parameter: &SnapshotParameter) -> Option<String> {
    let parts = parameter.parts.filter(|it| it.recorded < it.of)?;
    Some(format!("{} of {} parts", parts.recorded, parts.of))
}

fn bars(histogram: &SnapshotHistogram) -> Bars {
    let fullest = histogram.shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    Bars {
        shares: histogram.shares.iter().map(|share| (share / fullest).clamp(0.0, 1.0)).collect(),
        low: number(histogram.low),
        high: number(histogram.high),
        codes: false,
    }
}
