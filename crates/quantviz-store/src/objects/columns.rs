//! Numbers of many snapshots: from segments as far as there are any, and from summaries otherwise.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use quantviz_core::{Cell, RecordId, Result, Segment, Snapshot};

use super::log::{Log, What};
use super::place::AT_ONCE;
use super::segments::Segments;

/// So that a long history does not have all its summaries in memory.
const SUMMARIES_AT_ONCE: usize = 256;

/// What was asked for, while it is being filled in.
pub(super) struct Columns {
    which: Vec<RecordId>,
    cells: Arc<[Cell]>,
    numbers: Vec<Vec<f32>>,
    /// Of each record, the cells that no segment has answered for: these, or all of them.
    open: Vec<Open>,
}

#[derive(Clone)]
enum Open {
    All,
    These(Arc<[usize]>),
}

impl Columns {
    pub(super) fn new(which: Vec<RecordId>, cells: Vec<Cell>) -> Self {
        let numbers = vec![vec![f32::NAN; which.len()]; cells.len()];
        Columns { numbers, open: vec![Open::All; which.len()], which, cells: cells.into() }
    }

    pub(super) fn finish(self) -> Vec<Vec<f32>> {
        self.numbers
    }

    /// Fills in what segments say; returns how many records none of them covers.
    pub(super) async fn ask_segments(&mut self, segments: &Segments) -> Result<usize> {
        if self.cells.is_empty() {
            return Ok(0);
        }
        let asked = segments.bundles.that_cover(self.which.iter().copied()).await?;
        let read = stream::iter(asked.clone()).map(|covered| {
            let (segments, cells) = (segments.clone(), self.cells.clone());
            async move {
                let segment = segments.open(&covered).await?;
                let columns = segments.columns(&covered, &segment, &cells).await?;
                Some((segment, columns))
            }
        });
        let read: Vec<_> = read.buffered(AT_ONCE).filter_map(async |it| it).collect().await;
        let mut places: Vec<usize> = (0..self.which.len()).collect();
        places.sort_unstable_by_key(|&place| self.which[place]);
        for (segment, columns) in read {
            self.fill(&places, &segment, &columns);
        }
        let is_covered = |id: RecordId| {
            let before = asked.partition_point(|it| it.first <= id);
            before.checked_sub(1).is_some_and(|at| asked[at].has(id))
        };
        Ok(self.which.iter().filter(|&&id| !is_covered(id)).count())
    }

    /// `places` are those of what is asked for, in the order of the records.
    fn fill(&mut self, places: &[usize], segment: &Segment, columns: &[Option<Vec<f32>>]) {
        let unanswered: Arc<[usize]> = (0..columns.len()).filter(|&at| columns[at].is_none()).collect();
        for (row, id) in segment.records().iter().enumerate() {
            let begin = places.partition_point(|&place| self.which[place] < *id);
            for &place in places[begin..].iter().take_while(|&&place| self.which[place] == *id) {
                for (numbers, column) in self.numbers.iter_mut().zip(columns) {
                    if let Some(column) = column {
                        numbers[place] = column[row];
                    }
                }
                self.open[place] = Open::These(unanswered.clone());
            }
        }
    }

    /// Fills in the rest.
    pub(super) async fn ask_summaries(&mut self, log: &Log) -> Result<()> {
        let is_open = |place: &usize| match &self.open[*place] {
            Open::All => !self.cells.is_empty(),
            Open::These(cells) => !cells.is_empty(),
        };
        let places: Vec<usize> = (0..self.which.len()).filter(is_open).collect();
        let all: Vec<usize> = (0..self.cells.len()).collect();
        for places in places.chunks(SUMMARIES_AT_ONCE) {
            let ids = places.iter().map(|&place| self.which[place]).collect();
            for (&place, summary) in places.iter().zip(log.read(ids, What::Summary).await?.answers) {
                let Ok(snapshot) = summary.and_then(Snapshot::parse) else { continue };
                let cells = match &self.open[place] {
                    Open::All => &all[..],
                    Open::These(cells) => cells,
                };
                for &cell in cells {
                    self.numbers[cell][place] = self.cells[cell].of(&snapshot);
                }
            }
        }
        Ok(())
    }
}
