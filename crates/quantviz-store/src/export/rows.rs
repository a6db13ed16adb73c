//! A session as rows: one for each step and parameter, and for each step with scalars one without a parameter.

use std::collections::{BTreeMap, BTreeSet};

use quantviz_core::{PlanHeader, Quantity, RecordKind, Run, Statistics};

use super::about::About;
use super::pieces::{Piece, Pieces, What};
use super::{Export, ExportFormat, Exported, Hear, Result, told};

/// What the columns are.
pub(super) struct Head {
    /// Whether there is a column for the rank.
    pub(super) ranks: bool,
    /// The names of the scalars, in the order of their columns.
    pub(super) scalars: Vec<String>,
    /// What is said of the whole, as JSON.
    pub(super) about: String,
}

/// The names of all columns, each another: of a scalar that is called as another column is, `scalars/` is before its name.
pub(super) fn columns(head: &Head) -> Vec<String> {
    let mut columns = vec!["step".to_owned()];
    columns.extend(head.ranks.then(|| "rank".to_owned()));
    columns.push("parameter".to_owned());
    columns.extend(Quantity::ALL.iter().map(|it| it.field()));
    for name in &head.scalars {
        let mut name = name.clone();
        while columns.contains(&name) || name == "rank" {
            name = format!("scalars/{name}");
        }
        columns.push(name);
    }
    columns
}

/// A row. What is `None` was not recorded.
pub(super) struct Row<'a> {
    pub(super) step: u64,
    pub(super) of: Of<'a>,
}

/// What a row is of.
pub(super) enum Of<'a> {
    /// The scalars, in their order.
    Scalars(&'a [Option<f64>]),
    /// A parameter, with its quantities in their order.
    Parameter { rank: u32, name: &'a str, values: &'a [Option<f64>] },
}

/// A format that tables are written in.
pub(super) trait Table {
    fn begin(&mut self, head: &Head) -> Result<()>;

    fn row(&mut self, row: &Row<'_>) -> Result<()>;

    /// As many rows as are in memory at once are there.
    fn end_piece(&mut self) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()>;
}

pub(super) fn write(
    export: &Export,
    pieces: &Pieces<'_>,
    table: &mut dyn Table,
    hear: Hear<'_>,
) -> Result<Exported> {
    pieces.expect(2);
    let mut names = BTreeSet::new();
    pieces.each(What::Scalars, hear, &mut |piece| {
        names.extend(piece.scalars.into_keys());
        Ok(())
    })?;
    let plans = pieces.plans();
    let (notes, without_room) = told::notes(pieces.run, &export.steps)?;
    let has_ranks = pieces.run.timeline().ranks() > 1;
    let together = has_ranks && !export.each_rank;
    let head = Head {
        ranks: has_ranks && export.each_rank,
        scalars: names.into_iter().collect(),
        about: About::of(pieces.run, pieces, &plans, &notes).to_json()?,
    };
    table.begin(&head)?;
    let mut writing = Writing { export, head, table, rows: 0, parameters: BTreeSet::new() };
    match together {
        true => pieces.each(What::Scalars, hear, &mut |piece| writing.piece_of_all(pieces.run, piece))?,
        false => pieces.each(What::Statistics, hear, &mut |piece| writing.piece(piece))?,
    }
    writing.table.end()?;
    let steps: BTreeSet<u64> = pieces.snapshots().iter().map(|it| it.step).collect();
    Ok(Exported {
        snapshots: steps.len() as u64,
        parameters: writing.parameters.len() as u64,
        scalars: writing.head.scalars.len() as u64,
        rows: writing.rows,
        arrays: 0,
        left_out: left_out(export, pieces, notes.len(), without_room),
    })
}

/// What tables have no place for.
fn left_out(export: &Export, pieces: &Pieces<'_>, notes: usize, without_room: usize) -> Vec<String> {
    let probes = told::of_kind(pieces.run, RecordKind::Probe, &export.steps).len();
    let has_notes = export.format != ExportFormat::Csv;
    [
        told::without("note", if has_notes { 0 } else { notes }, "csv has no place: the other formats have"),
        told::without("note", without_room, "there is no room: choose some steps"),
        told::without("probe", probes, "tables have no place: npz and safetensors have"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rows of scalars, by step.
type Scalars = BTreeMap<u64, Vec<Option<f64>>>;

struct Writing<'a> {
    export: &'a Export,
    head: Head,
    table: &'a mut dyn Table,
    rows: u64,
    parameters: BTreeSet<String>,
}

impl Writing<'_> {
    fn piece(&mut self, piece: Piece) -> Result<()> {
        let mut scalars = self.rows_of(&piece);
        for taken in &piece.snapshots {
            self.scalars_until(taken.record.step, &mut scalars)?;
            let (plan, rank) = (taken.plan.header(), taken.record.id.rank);
            self.parameters(taken.record.step, rank, plan, &Statistics::of(&taken.snapshot, plan))?;
        }
        self.scalars(scalars)?;
        self.table.end_piece()
    }

    /// A piece of what all ranks together have recorded.
    fn piece_of_all(&mut self, run: &Run<'_>, piece: Piece) -> Result<()> {
        let mut scalars = self.rows_of(&piece);
        if let Some(steps) = piece.steps {
            run.each_step_in(steps, &mut |reading| {
                self.scalars_until(reading.step(), &mut scalars)?;
                self.parameters(reading.step(), 0, reading.catalogue(), reading.statistics())
            })?;
        }
        self.scalars(scalars)?;
        self.table.end_piece()
    }

    fn rows_of(&self, piece: &Piece) -> Scalars {
        let mut scalars = Scalars::new();
        for (at, name) in self.head.scalars.iter().enumerate() {
            for &(step, value) in piece.scalars.get(name).into_iter().flatten() {
                let row = scalars.entry(step).or_insert_with(|| vec![None; self.head.scalars.len()]);
                row[at] = Some(value);
            }
        }
        scalars
    }

    /// Scalars of a step stand before its parameters.
    fn scalars_until(&mut self, step: u64, scalars: &mut Scalars) -> Result<()> {
        let later = scalars.split_off(&step.saturating_add(1));
        self.scalars(std::mem::replace(scalars, later))
    }

    fn scalars(&mut self, rows: Scalars) -> Result<()> {
        for (step, values) in rows {
            self.table.row(&Row { step, of: Of::Scalars(&values) })?;
            self.rows += 1;
        }
        Ok(())
    }

    fn parameters(&mut self, step: u64, rank: u32, plan: &PlanHeader, statistics: &Statistics) -> Result<()> {
        let wanted = plan.parameters.iter().enumerate().filter(|(_, it)| self.export.wants(&it.name));
        for (at, parameter) in wanted {
            let values: Vec<Option<f64>> =
                Quantity::ALL.iter().map(|&quantity| statistics.value(quantity, at)).collect();
            let name = &parameter.name;
            self.table.row(&Row { step, of: Of::Parameter { rank, name, values: &values } })?;
            self.rows += 1;
            if !self.parameters.contains(name) {
                self.parameters.insert(name.clone());
            }
        }
        Ok(())
    }
}
