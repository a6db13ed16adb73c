//! What is in a pack: small records, byte for byte, one behind the other, as a safetensors file.

use std::sync::Arc;

use quantviz_core::{ArrayWriter, Arrays, Error, Record, RecordId, Result, Track};
use serde::{Deserialize, Serialize};

const SCHEMA: u32 = 1;
/// The numbers that there are of each record: what tells it from any other that may ever be in its place, and where its
/// bytes end.
const NUMBERS: [&str; 5] = ["seq", "first_step", "step", "time_ms", "end"];
const BYTES: &str = "bytes";

#[derive(Serialize, Deserialize)]
struct Header {
    schema: u32,
    rank: u32,
    epoch: u32,
    /// Of the numbers and of the bytes.
    crc32: u32,
}

/// Records that were packed, in their order.
pub(super) struct Pack {
    header: Header,
    arrays: Arrays,
}

fn numbers_of(record: &Record, end: usize) -> [u64; NUMBERS.len()] {
    [record.id.seq, record.first_step, record.step, record.time_ms, end as u64]
}

impl Pack {
    /// The bytes of a pack of these records of one epoch.
    pub(super) fn write(records: &[(Record, Arc<[u8]>)]) -> Result<Vec<u8>> {
        let Some((first, _)) = records.first() else { return Err(Error::malformed("a pack of no records")) };
        let RecordId { rank, epoch, .. } = first.id;
        let mut columns = NUMBERS.map(|_| Vec::with_capacity(records.len()));
        let mut bytes = Vec::new();
        for (record, its) in records {
            bytes.extend_from_slice(its);
            columns.iter_mut().zip(numbers_of(record, bytes.len())).for_each(|(column, it)| column.push(it));
        }
        let mut arrays = ArrayWriter::default();
        for (name, column) in NUMBERS.iter().zip(&columns) {
            arrays.push(Track::Light, *name, &[column.len()], column);
        }
        arrays.push(Track::Light, BYTES, &[bytes.len()], &bytes);
        let crc32 = checksum(columns.iter().map(Vec::as_slice), &bytes);
        Ok(arrays.finish(&Header { schema: SCHEMA, rank, epoch, crc32 })?.bytes)
    }

    /// Reads a pack; `None`, where it is damaged, or newer than this.
    pub(super) fn parse(bytes: Arc<[u8]>) -> Option<Self> {
        let arrays = Arrays::parse(bytes).ok()?;
        let header: Header = arrays.metadata().ok().filter(|it: &Header| it.schema == SCHEMA)?;
        let pack = Pack { header, arrays };
        let columns: Option<Vec<_>> = NUMBERS.iter().map(|name| pack.arrays.get::<u64>(name)).collect();
        let columns = columns?;
        let crc32 = checksum(columns.iter().map(|it| &**it), &pack.arrays.get::<u8>(BYTES)?);
        let is_whole = crc32 == pack.header.crc32 && columns.iter().all(|it| it.len() == columns[0].len());
        drop(columns);
        is_whole.then_some(pack)
    }

    /// Which of these records are in it, and their bytes.
    pub(super) fn find<'a>(
        &self,
        wanted: impl Iterator<Item = &'a Record>,
    ) -> Option<Vec<(RecordId, Arc<[u8]>)>> {
        let [seq, first_step, step, time_ms, end] = NUMBERS.map(|name| self.arrays.get::<u64>(name));
        let (seq, first_step, step, time_ms, end) = (seq?, first_step?, step?, time_ms?, end?);
        let bytes = self.arrays.get::<u8>(BYTES)?;
        let find = |record: &Record| {
            let at = seq.binary_search(&record.id.seq).ok()?;
            let begin = at.checked_sub(1).map_or(0, |before| end[before]);
            let its = bytes.get(usize::try_from(begin).ok()?..usize::try_from(end[at]).ok()?)?;
            let said = [seq[at], first_step[at], step[at], time_ms[at], record.bytes];
            let is_it = (self.header.rank, self.header.epoch) == (record.id.rank, record.id.epoch)
                && said == [record.id.seq, record.first_step, record.step, record.time_ms, its.len() as u64];
            is_it.then(|| (record.id, Arc::from(its)))
        };
        Some(wanted.filter_map(find).collect())
    }
}

fn checksum<'a>(columns: impl Iterator<Item = &'a [u64]>, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    columns.for_each(|column| column.iter().for_each(|it| hasher.update(&it.to_le_bytes())));
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use quantviz_core::{Entry, Rank, RecordKind};

    use super::*;

    fn record(seq: u64, bytes: &[u8]) -> (Record, Arc<[u8]>) {
        let entry = Entry::new(RecordKind::Scalars, seq * 10, seq, bytes).from_step(seq * 10 - 9);
        (Record::of(&entry, Rank::ONLY, 1, 1000 + seq), Arc::from(bytes))
    }

    fn records() -> Vec<(Record, Arc<[u8]>)> {
        [(3, &b"three"[..]), (4, b""), (9, b"nine"), (11, b"eleven")].map(|(seq, it)| record(seq, it)).into()
    }

    #[test]
    fn what_was_packed_is_found_and_nothing_else() {
        let packed = records();
        let pack = Pack::parse(Pack::write(&packed).expect("writable").into()).expect("whole");
        let found = pack.find(packed.iter().rev().map(|(record, _)| record)).expect("readable");
        let expected: Vec<_> =
            packed.iter().rev().map(|(record, bytes)| (record.id, bytes.clone())).collect();
        assert_eq!(found, expected);
        let (whole, _) = &packed[2];
        let other = |change: &dyn Fn(&mut Record)| {
            let mut other = *whole;
            change(&mut other);
            other
        };
        // Of another session under the same name, of another rank, or written twice in one place.
        let others = [
            other(&|it| it.id.seq = 10),
            other(&|it| it.id.epoch = 2),
            other(&|it| it.id.rank = 1),
            other(&|it| it.time_ms += 1),
            other(&|it| it.step += 1),
            other(&|it| it.first_step -= 1),
            other(&|it| it.bytes += 1),
        ];
        assert_eq!(pack.find(others.iter()).expect("readable"), []);
    }

    #[test]
    fn a_pack_that_was_changed_anywhere_is_none() {
        let whole = Pack::write(&records()).expect("writable");
        for len in 0..whole.len() {
            assert!(Pack::parse(whole[..len].into()).is_none(), "{len}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            let found = Pack::parse(changed.into()).and_then(|pack| {
                let packed = records();
                pack.find(packed.iter().map(|(record, _)| record))
            });
            // What is between the lines of the header may change; what it says may not.
            for (id, bytes) in found.unwrap_or_default() {
                assert!(records().iter().any(|(record, its)| (record.id, its) == (id, &bytes)), "{at}");
            }
        }
    }
}
