//! What a run has step by step: its scalars, and its snapshots, those of which only statistics are left included.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::entry::{Record, RecordKind};
use super::ids::RecordId;
use super::plan::Plan;
use super::run::{Run, Series};
use super::scalars::ScalarBatch;
use super::snapshot::Snapshot;
use crate::{Error, ErrorKind, Result};

/// What one rank recorded of a step: all of it, or the statistics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RankSnapshot {
    /// The record that holds it.
    pub record: Record,
    /// What was recorded.
    pub snapshot: Snapshot,
    /// What its columns are over.
    pub plan: Arc<Plan>,
}

impl Run<'_> {
    /// The statistics of the step that is nearest to this one, of every rank that has them. Thinning leaves statistics, so
    /// this may be nearer than what [`nearest`](Run::nearest) finds. `None` where there are no snapshots at all.
    pub fn statistics_near(&self, step: u64) -> Result<Option<(u64, Vec<RankSnapshot>)>> {
        let snapshots = self.snapshots();
        let nearest = snapshots.iter().map(|it| it.step).min_by_key(|&it| (it.abs_diff(step), it));
        let Some(nearest) = nearest else { return Ok(None) };
        let of_step = snapshots.into_iter().filter(|it| it.step == nearest);
        let ranks = of_step.map(|&record| {
            let snapshot = self.summary(record.id)?;
            Ok(RankSnapshot { record, snapshot, plan: self.plan_needed(&record)? })
        });
        Ok(Some((nearest, ranks.collect::<Result<_>>()?)))
    }

    /// Everything that was said beside the parameters, by name. Where several ranks say the same, that of the first one
    /// counts; what a resumed run has written again, counts as the last time.
    pub fn scalars(&self) -> Result<BTreeMap<String, Series>> {
        self.scalars_in(0..=u64::MAX)
    }

    /// The same of some steps: for who goes through a long run piece by piece.
    pub fn scalars_in(&self, steps: RangeInclusive<u64>) -> Result<BTreeMap<String, Series>> {
        let is_of_them = |it: &&Record| {
            it.kind == RecordKind::Scalars && it.first_step <= *steps.end() && it.step >= *steps.start()
        };
        let batches: Vec<&Record> = self.timeline().alive().filter(is_of_them).collect();
        let ids: Vec<RecordId> = batches.iter().map(|it| it.id).collect();
        let mut all: BTreeMap<String, BTreeMap<u64, (std::cmp::Reverse<u32>, f64)>> = BTreeMap::new();
        for (record, bytes) in batches.iter().zip(self.read(&ids)?) {
            let batch = ScalarBatch::parse(&bytes?).map_err(|it| self.in_record(it, record.id))?;
            let until = self.timeline().superseded_from(record.id.rank, record.id.epoch).unwrap_or(u64::MAX);
            let rank = std::cmp::Reverse(record.id.rank);
            for (name, values) in batch.series() {
                let mut values = values.filter(|(step, _)| *step < until && steps.contains(step)).peekable();
                if values.peek().is_none() {
                    continue;
                }
                let series = all.entry(name.to_owned()).or_default();
                for (step, value) in values {
                    let place = series.entry(step).or_insert((rank, value));
                    if rank >= place.0 {
                        *place = (rank, value);
                    }
                }
            }
        }
        let in_order = |series: BTreeMap<u64, (_, f64)>| series.into_iter().map(|(step, (_, it))| (step, it));
        Ok(all.into_iter().map(|(name, series)| (name, in_order(series).collect())).collect())
    }

    /// What was recorded in some snapshots, all of it where it is kept and `whole` is asked for, else the statistics: those of
    /// one that was thinned since the session was listed, too.
    pub fn snapshots_of(&self, records: &[Record], whole: bool) -> Result<Vec<RankSnapshot>> {
        let is_read = |it: &&Record| whole && !it.is_thinned;
        let ids: Vec<RecordId> = records.iter().filter(is_read).map(|it| it.id).collect();
        let mut read = self.read(&ids)?.into_iter();
        let thinned: Vec<&Record> = records.iter().filter(|it| !is_read(it)).collect();
        let mut summaries = self.summaries(&thinned)?.into_iter();
        let snapshots = records.iter().map(|record| {
            let gone = || Error::not_found(format!("session {}: record {} is gone", self.id(), record.id));
            let is_read = is_read(&record);
            let mut record = *record;
            let snapshot = match is_read {
                true => match read.next().ok_or_else(gone)? {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        record.is_thinned = true;
                        self.summary(record.id)?
                    }
                    bytes => Snapshot::parse(bytes?).map_err(|it| self.in_record(it, record.id))?,
                },
                false => summaries.next().ok_or_else(gone)?,
            };
            Ok(RankSnapshot { record, snapshot, plan: self.plan_needed(&record)? })
        });
        snapshots.collect()
    }

    fn plan_needed(&self, record: &Record) -> Result<Arc<Plan>> {
        let gone =
            || Error::not_found(format!("session {}: the plan of record {} is gone", self.id(), record.id));
        self.plan_of(record.id).cloned().ok_or_else(gone)
    }
}
