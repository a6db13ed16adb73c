//! What people wrote and computed on the way: notes, which are few words, and probes, which are small arrays.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use quantviz_core::{Probe, Record, RecordKind, Run, RunNote, count};

use super::Result;
use super::arrays::{ArrayFile, Specs, Type, floats};
use super::pieces::AT_ONCE;

/// The notes of some steps, and how many of them there was no room for: what is said of the whole is in memory at once, and
/// readers expect it to be small.
pub(super) fn notes(run: &Run<'_>, steps: &RangeInclusive<u64>) -> Result<(Vec<RunNote>, usize)> {
    let mut records = of_kind(run, RecordKind::Note, steps);
    let all = records.len();
    let mut bytes = 0;
    records.retain(|it| {
        bytes += it.bytes;
        bytes <= AT_ONCE
    });
    Ok((run.notes_of(&records)?, all - records.len()))
}

/// That a format has no place for something.
pub(super) fn without(kind: &str, all: usize, others: &str) -> Option<String> {
    let plural = if all == 1 { "" } else { "s" };
    (all > 0).then(|| format!("{} {kind}{plural}, for which {others}", count(all as u64)))
}

/// The records of a kind, in the order of their steps.
pub(super) fn of_kind(run: &Run<'_>, kind: RecordKind, steps: &RangeInclusive<u64>) -> Vec<Record> {
    let alive = run.timeline().alive().filter(|it| it.kind == kind && steps.contains(&it.step));
    let mut records: Vec<Record> = alive.copied().collect();
    records.sort_by_key(|it| (it.step, it.id));
    records
}

/// The probes of some steps: one array for each name and shape, stacked over the steps at which there is one.
pub(super) struct Probes {
    records: Vec<Record>,
    /// By what stands before the name, name and shape, how many there are.
    counts: BTreeMap<Key, u64>,
    /// The places of the values and of their steps.
    places: BTreeMap<Key, (usize, usize)>,
    ranks: bool,
}

type Key = (String, String, Vec<usize>);

impl Probes {
    /// One look at all of them.
    pub(super) fn of(run: &Run<'_>, steps: &RangeInclusive<u64>) -> Result<Self> {
        let mut probes = Probes {
            records: of_kind(run, RecordKind::Probe, steps),
            counts: BTreeMap::new(),
            places: BTreeMap::new(),
            ranks: run.timeline().ranks() > 1,
        };
        let mut counts = BTreeMap::new();
        probes.each(run, &mut |key, _| {
            *counts.entry(key).or_default() += 1;
            Ok(())
        })?;
        probes.counts = counts;
        Ok(probes)
    }

    /// The arrays that they become.
    pub(super) fn place(&mut self, specs: &mut Specs) {
        for (key, count) in &self.counts {
            let (before, name, shape) = key;
            let shape: Vec<u64> = [*count].into_iter().chain(shape.iter().map(|&it| it as u64)).collect();
            let values = specs.add(&format!("{before}probe/{name}"), Type::F32, &shape);
            let steps = specs.add(&format!("{before}probe/{name}/steps"), Type::U64, &[*count]);
            self.places.insert(key.clone(), (values, steps));
        }
    }

    pub(super) fn write(&self, run: &Run<'_>, file: &mut ArrayFile<'_>) -> Result<()> {
        self.each(run, &mut |key, probe| {
            let Some(&(values, steps)) = self.places.get(&key) else { return Ok(()) };
            file.push(values, &floats(&probe.values));
            file.push(steps, &probe.step.to_le_bytes());
            file.flush()
        })
    }

    /// Reads them, as many at once as memory has room for.
    fn each(&self, run: &Run<'_>, see: &mut dyn FnMut(Key, Probe) -> Result<()>) -> Result<()> {
        let mut rest = &self.records[..];
        while !rest.is_empty() {
            let mut bytes = 0u64;
            let fits = |it: &&Record| {
                bytes = bytes.saturating_add(it.bytes);
                bytes <= AT_ONCE
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (some, others) = rest.split_at(count);
            for (record, probe) in some.iter().zip(run.probes_of(some)?) {
                let before = if self.ranks { format!("rank{}/", record.id.rank) } else { String::new() };
                see((before, probe.name.clone(), probe.shape.clone()), probe)?;
            }
            rest = others;
        }
        Ok(())
    }
}
