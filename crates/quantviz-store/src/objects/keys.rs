//! Under which keys a session is kept.
//!
//! ```text
//! shakespeare/format                                    what the rest is written in
//! shakespeare/claims/00000/0000000001                   epoch 1 of rank 0 was claimed
//! shakespeare/beats/00000/0000000001                    when its writer said that it lives
//! shakespeare/log/00000/0000000001/00000000000000000/00000000000000000017.snapshot.from120.step120.…
//! shakespeare/segments/00000/0000000001/00000000000000000002.to257.holds256.time…   can be computed from the rest
//! shakespeare/packs/00000/0000000001/00000000000000000001.to1409.holds1024.time…    as can this
//! ```
//!
//! The key of a record is all that is known of it without reading it, so a listing is a timeline. Numbers are as wide as they
//! can get, so that keys sort as records do; the folder is the record's place without its last three digits, so that no
//! folder has many files and a record is found without listing its session.

use std::str::FromStr;

use object_store::path::Path;
use quantviz_core::{Entry, Rank, Record, RecordId, RecordKind, SessionId};

use super::bundles::Bundled;

/// What sessions of this version say of themselves.
pub(super) const FORMAT: &str = "quantviz-session/1";
/// The object in which they do.
pub(super) const MARKER: &str = "format";
/// What there may be in a session beside the marker, in the order in which it is removed: without claims nobody writes.
pub(super) const PARTS: [&str; 5] = [CLAIMS, "beats", LOG, SEGMENTS, PACKS];
const CLAIMS: &str = "claims";
const LOG: &str = "log";
const SEGMENTS: &str = "segments";
const PACKS: &str = "packs";
const THINNED: &str = "thinned";

/// The keys of one session.
#[derive(Clone, Debug)]
pub(super) struct Keys(Path);

impl Keys {
    pub(super) fn new(root: &Path, session: &SessionId) -> Self {
        Keys(root.clone().join(session.as_str()))
    }

    pub(super) fn marker(&self) -> Path {
        self.part(MARKER)
    }

    pub(super) fn part(&self, name: &str) -> Path {
        self.0.clone().join(name)
    }

    pub(super) fn claims(&self, rank: u32) -> Path {
        self.part(CLAIMS).join(wide_rank(rank))
    }

    pub(super) fn claim(&self, rank: u32, epoch: u32) -> Path {
        self.claims(rank).join(wide_epoch(epoch))
    }

    pub(super) fn beat(&self, rank: u32, epoch: u32) -> Path {
        self.part("beats").join(wide_rank(rank)).join(wide_epoch(epoch))
    }

    pub(super) fn log(&self) -> Path {
        self.part(LOG)
    }

    pub(super) fn log_of(&self, rank: u32) -> Path {
        self.log().join(wide_rank(rank))
    }

    pub(super) fn epoch(&self, rank: u32, epoch: u32) -> Path {
        self.log_of(rank).join(wide_epoch(epoch))
    }

    /// Where a record is, beside those whose places differ from its own in the last three digits.
    pub(super) fn folder(&self, id: RecordId) -> Path {
        let seq = wide_seq(id.seq);
        self.epoch(id.rank, id.epoch).join(&seq[..seq.len() - 3])
    }

    /// Sorts behind all keys of a record and of those before it, and before those behind it.
    pub(super) fn behind(&self, id: RecordId) -> Path {
        // What follows a place in a key is a dot.
        self.folder(id).join(format!("{}z", wide_seq(id.seq)))
    }

    pub(super) fn record(&self, record: &Record) -> Path {
        self.folder(record.id).join(name_of(record))
    }

    /// Where the segments of an epoch are, or its packs.
    pub(super) fn bundles(&self, of: Bundled, rank: u32, epoch: u32) -> Path {
        let part = match of {
            Bundled::Statistics => SEGMENTS,
            Bundled::Small => PACKS,
        };
        self.part(part).join(wide_rank(rank)).join(wide_epoch(epoch))
    }

    pub(super) fn bundle(&self, of: Bundled, covered: &Covered) -> Path {
        let Covered { first, last, count, time_ms } = covered;
        let name = format!("{}.to{last}.holds{count}.time{time_ms}", wide_seq(first.seq));
        self.bundles(of, first.rank, first.epoch).join(name)
    }
}

/// The records that a segment covers, or a pack: all snapshots of an epoch from one to another, or all that is small. Records
/// never come back, so those of the same ends and the same number are the same; the time tells them from those of a session
/// that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Covered {
    /// The first one.
    pub(super) first: RecordId,
    /// The place of the last one.
    pub(super) last: u64,
    /// How many there are.
    pub(super) count: u64,
    /// When the first one was kept.
    pub(super) time_ms: u64,
}

impl Covered {
    pub(super) fn has(&self, id: RecordId) -> bool {
        let RecordId { rank, epoch, seq } = self.first;
        (rank, epoch) == (id.rank, id.epoch) && (seq..=self.last).contains(&id.seq)
    }
}

/// What the segment or the pack covers that has this key, among those of an epoch; `None` where no segment has.
pub(super) fn covered_by(key: &Path, rank: u32, epoch: u32) -> Option<Covered> {
    let name = key.filename()?;
    let mut fields = name.split('.');
    let first = fields.next()?;
    let seq = first.parse().ok().filter(|&seq| first == wide_seq(seq))?;
    let [last, count, time_ms] = ["to", "holds", "time"].map(|name| number(fields.next(), name));
    let covered =
        Covered { first: RecordId { rank, epoch, seq }, last: last?, count: count?, time_ms: time_ms? };
    (fields.next().is_none() && seq <= covered.last).then_some(covered)
}

fn wide_rank(rank: u32) -> String {
    format!("{rank:05}")
}

fn wide_epoch(epoch: u32) -> String {
    format!("{epoch:010}")
}

fn wide_seq(seq: u64) -> String {
    format!("{seq:020}")
}

fn name_of(record: &Record) -> String {
    let Record { id, kind, first_step, step, time_ms, bytes, summary_bytes, ranks, is_thinned, .. } = record;
    let seq = wide_seq(id.seq);
    let name = format!(
        "{seq}.{kind}.from{first_step}.step{step}.time{time_ms}.bytes{bytes}.summary{summary_bytes}.of{ranks}"
    );
    if *is_thinned { format!("{name}.{THINNED}") } else { name }
}

/// The number that a key ends with: that of a rank, or of an epoch.
pub(super) fn last_number(key: &Path) -> Option<u32> {
    key.filename()?.parse().ok()
}

/// The record that has this key; `None` where no record has.
pub(super) fn record_of(key: &Path) -> Option<Record> {
    let parts: Vec<_> = key.parts().collect();
    let [.., rank, epoch, folder, name] = parts.as_slice() else { return None };
    let mut fields = name.as_ref().split('.');
    let seq: u64 = fields.next()?.parse().ok()?;
    let kind: RecordKind = fields.next()?.parse().ok()?;
    let [first_step, step, time_ms, bytes, summary_bytes] =
        ["from", "step", "time", "bytes", "summary"].map(|name| number(fields.next(), name));
    let rank = Rank::new(rank.as_ref().parse().ok()?, number(fields.next(), "of")?).ok()?;
    let mut record =
        Record::of(&Entry::new(kind, step?, seq, []), rank, epoch.as_ref().parse().ok()?, time_ms?);
    record.first_step = first_step?;
    record.bytes = bytes?;
    record.summary_bytes = summary_bytes?;
    record.is_thinned = fields.next() == Some(THINNED);
    // One record, one key: what else can be read as numbers is not ours.
    let seq = wide_seq(seq);
    let is_its = name.as_ref() == name_of(&record)
        && folder.as_ref() == &seq[..seq.len() - 3]
        && epoch.as_ref() == wide_epoch(record.id.epoch)
        && record.first_step <= record.step
        && record.summary_bytes <= record.bytes;
    is_its.then_some(record)
}

/// The place that the name of a record begins with.
pub(super) fn seq_in(name: &str) -> Option<u64> {
    name.split('.').next()?.parse().ok()
}

fn number<T: FromStr>(field: Option<&str>, name: &str) -> Option<T> {
    field?.strip_prefix(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&Path::from("some/where"), &"run.1".parse().expect("a name"))
    }

    fn record(rank: u32, epoch: u32, seq: u64, step: u64) -> Record {
        let entry = Entry::snapshot(step, seq, [0; 30], 7).from_step(step / 2);
        Record::of(&entry, Rank::new(rank, 70).expect("one of seventy"), epoch, 1_764_300_000_000)
    }

    #[test]
    fn a_key_is_all_that_is_known_of_a_record() {
        for seq in [0, 1, 999, 1000, 1 << 40, u64::MAX] {
            let whole = record(69, u32::MAX, seq, seq);
            let mut thinned = whole;
            thinned.is_thinned = true;
            for record in [whole, thinned] {
                assert_eq!(record_of(&keys().record(&record)), Some(record));
            }
        }
    }

    #[test]
    fn keys_sort_as_records_do() {
        let records =
            [(0, 1, 0), (0, 1, 9), (0, 1, 10), (0, 1, 12_345), (0, 2, 0), (0, 10, 0), (3, 1, 0), (20, 1, 0)];
        let keys: Vec<[Path; 2]> = records
            .into_iter()
            .map(|(rank, epoch, seq)| record(rank, epoch, seq, u64::MAX - seq))
            .map(|record| [keys().record(&record), keys().behind(record.id)])
            .collect();
        assert!(keys.as_flattened().is_sorted(), "{keys:#?}");
    }

    #[test]
    fn the_key_of_a_segment_says_what_it_covers() {
        let first = RecordId { rank: 3, epoch: 2, seq: 17 };
        let covered = Covered { first, last: 300, count: 256, time_ms: 1_764_300_000_000 };
        let key = keys().bundle(Bundled::Statistics, &covered);
        assert_eq!(covered_by(&key, 3, 2), Some(covered));
        for spoilt in [
            "17.to300.holds256.time1",
            "00000000000000000017.to16.holds1.time1",
            "00000000000000000017.to300.holds256.time1#1",
            "00000000000000000017.to300.holds256",
            "00000000000000000017.to300.holds256.time1.more",
        ] {
            assert_eq!(covered_by(&Path::from(spoilt), 3, 2), None, "{spoilt}");
        }
        let has = |rank, epoch, seq| covered.has(RecordId { rank, epoch, seq });
        assert!(has(3, 2, 17) && has(3, 2, 300));
        assert!(!has(3, 2, 16) && !has(3, 2, 301) && !has(3, 1, 17) && !has(2, 2, 17));
    }

    #[test]
    fn the_longest_key_is_a_name_that_file_systems_take() {
        let mut record = record(0, 1, u64::MAX, u64::MAX);
        (record.first_step, record.time_ms, record.bytes) = (u64::MAX, u64::MAX, u64::MAX);
        (record.summary_bytes, record.ranks, record.is_thinned) = (u64::MAX, 1 << 16, true);
        assert!(name_of(&record).len() < 200, "{}", name_of(&record));
    }

    #[test]
    fn what_is_no_key_of_a_record() {
        let key = keys().record(&record(1, 2, 3, 4)).to_string();
        assert!(record_of(&Path::from(key.as_str())).is_some());
        let spoilt = [
            ("snapshot", "hologram"),
            ("00003.snapshot", "0003.snapshot"),
            (".step4", ".step+4"),
            (".step4", ".step1"),
            (".summary7", ".summary31"),
            (".of70", ".of1"),
            (".of70", ".of70.half"),
            (".of70", ".of70#1"),
            ("/00000000000000000/", "/00000000000000001/"),
            ("/0000000002/", "/2/"),
            ("/log/00001/0000000002", ""),
        ];
        for (from, to) in spoilt {
            let spoilt = key.replace(from, to);
            assert_ne!(spoilt, key, "{from}");
            assert_eq!(record_of(&Path::parse(&spoilt).expect("a path")), None, "{spoilt}");
        }
    }
}
