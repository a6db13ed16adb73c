//! Where the rows of embeddings lie, at the first snapshot, at one in the middle and at the last.

use quantviz_core::{Plan, Result, Run, Snapshot, count, number};

/// An embedding at some steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddingView {
    /// The parameter.
    pub parameter: String,
    /// How many rows there are and how many are shown.
    pub caption: String,
    /// What a length of 1 in the pictures stands for, in all of them.
    pub reach: f32,
    /// From the first to the last.
    pub moments: Vec<EmbeddingMoment>,
    /// That the view has turned in between, and why.
    pub turned: Option<String>,
}

/// An embedding at a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddingMoment {
    /// The step.
    pub step: u64,
    /// What part of the variation is seen.
    pub caption: String,
    /// The rows that are shown.
    pub rows: Vec<PlacedRow>,
}

/// A row in space.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlacedRow {
    /// Where it lies, along three directions, from -1 to 1.
    pub at: [f32; 3],
    /// What it is called: its label, or its number.
    pub name: String,
    /// Whether there is a name that somebody gave.
    pub is_labelled: bool,
}

/// Embeddings that are shown.
const EMBEDDINGS: usize = 2;
/// Rows that are drawn.
const ROWS: usize = 4096;

impl EmbeddingView {
    /// Of a run, in the order of its plan.
    pub(crate) fn of(run: &Run<'_>) -> Result<Vec<Self>> {
        let steps: Vec<u64> = run.timeline().snapshot_steps().into_iter().collect();
        let Some(&last) = steps.last() else { return Ok(Vec::new()) };
        let mut chosen = vec![steps[0], steps[(steps.len() - 1) / 2], last];
        chosen.dedup();
        let mut seen = Vec::new();
        for step in chosen {
            let Some((step, ranks)) = run.nearest(step)? else { continue };
            // Positions are relative to what one rank has seen: those of several do not belong into one picture.
            let has_some =
                |(_, plan): &(Snapshot, std::sync::Arc<Plan>)| !plan.header().embeddings.is_empty();
            seen.extend(ranks.into_iter().find(has_some).map(|(snapshot, plan)| (step, snapshot, plan)));
        }
        let whose = if run.timeline().ranks() > 1 { ", of the first rank that has some" } else { "" };
        let Some((_, _, plan)) = seen.last() else { return Ok(Vec::new()) };
        let embeddings = plan.header().embeddings.iter().take(EMBEDDINGS);
        let named = embeddings.filter_map(|it| plan.header().parameters.get(it.parameter as usize));
        let views = named.filter_map(|named| {
            let of_all = seen.iter().filter_map(|(step, snapshot, plan)| {
                let at = plan.header().embeddings.iter().position(|it| {
                    plan.header().parameters.get(it.parameter as usize).is_some_and(|it| it.name == named.name)
                })?;
                Some((*step, at, plan.as_ref(), places(snapshot, plan, at)?, snapshot))
            });
            let of_all: Vec<_> = of_all.collect();
            let (_, at, plan, ..) = of_all.last()?;
            let planned = plan.header().embeddings.get(*at)?;
            let (rows, _) = named.rows_and_columns();
            let reach = of_all
                .iter()
                .flat_map(|(_, _, _, places, _)| places)
                .flat_map(|row| row.at)
                .fold(f32::MIN_POSITIVE, |reach, it| reach.max(it.abs()));
            let turns = |(_, at, plan, ..): &(u64, usize, &Plan, Vec<PlacedRow>, &Snapshot)| {
                plan.header().embeddings.get(*at).map(|it| it.turns)
            };
            let has_turned = of_all.windows(2).any(|pair| turns(&pair[0]) != turns(&pair[1]));
            let turned = has_turned.then(|| {
                let why = planned.turned_because.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                format!(
                    "The view has turned between these pictures, last at step {}{why}: directions 1 and 2 are not the \
                     same in all of them.",
                    count(planned.basis_step)
                )
            });
            let moments = of_all.iter().map(|(step, at, _, places, snapshot)| EmbeddingMoment {
                step: *step,
                caption: shown(snapshot, *at),
                rows: places
                    .iter()
                    .map(|row| PlacedRow { at: row.at.map(|it| it / reach), ..row.clone() })
                    .collect(),
            });
            Some(EmbeddingView {
                parameter: named.name.clone(),
                caption: match u64::from(planned.rows) {
                    shown if shown < rows => {
                        format!("{} of {} rows, {} numbers each{whose}", count(shown), count(rows), planned.width)
                    }
                    _ => format!("all {} rows, {} numbers each{whose}", count(rows), planned.width),
                },
                reach,
                moments: moments.collect(),
                turned,
            })
        });
        Ok(views.collect())
    }
}

/// What is seen of the variation, and how old it is.
fn shown(snapshot: &Snapshot, at: usize) -> String {
    let Some(state) = snapshot.header().embeddings.get(at) else { return String::new() };
    let share = f64::from(state.shares.iter().sum::<f32>()) * 100.0;
    let best = f64::from(state.best) * 100.0;
    // More than there can be is a share of a variation that was measured earlier.
    let mut caption = match share <= best * 1.01 + 0.5 {
        true => format!("shows {share:.0} % of the variation, at best {best:.0} %"),
        false => "its share of the variation is not known yet".to_owned(),
    };
    if state.as_of != snapshot.step() {
        caption.push_str(&format!("; as of step {}", count(state.as_of)));
    }
    caption
}

/// The rows of an embedding in the units of its numbers; `None` where the snapshot does not have them.
fn places(snapshot: &Snapshot, plan: &Plan, embedding: usize) -> Option<Vec<PlacedRow>> {
    let planned = plan.header().embeddings.get(embedding)?;
    let positions = snapshot.arrays().get::<i16>(&format!("e.{embedding}.position"))?;
    let shown = snapshot.arrays().get::<u32>(&format!("e.{embedding}.position.of"));
    let ids = plan.arrays().get::<u32>(&format!("e.{embedding}.row"));
    let scale = planned.scale / f32::from(i16::MAX);
    let (positions, _) = positions.as_chunks::<3>();
    let row = |(at, position): (usize, &[i16; 3])| {
        let place = match &shown {
            Some(shown) => *shown.get(at)? as usize,
            None => at,
        };
        let label = planned.labels.get(place);
        let id = ids.as_ref().and_then(|ids| ids.get(place).copied());
        Some(PlacedRow {
            at: position.map(|it| f32::from(it) * scale),
            name: label.cloned().unwrap_or_else(|| number(f64::from(id.unwrap_or(place as u32)))),
            is_labelled: label.is_some(),
        })
    };
    let rows: Vec<PlacedRow> = positions.iter().take(ROWS).enumerate().filter_map(row).collect();
    (scale.is_finite() && !rows.is_empty()).then_some(rows)
}
