//! What every [`SnapshotStore`] has to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quantviz_core::{
    Cursor, Entry, ErrorKind, Opening, Rank, Record, RecordId, RecordKind, SessionId, SnapshotStore, Timeline,
};

/// Opens the same store anew, as another process would.
type Reopen<'a> = &'a (dyn Fn() -> Box<dyn SnapshotStore> + Sync);

/// Panics, with the broken rule in the message, unless the store that `reopen` opens does all that [`SnapshotStore`]
/// promises. It has to be empty at first; `wait` lets so much time pass, for it and for nobody else if it has a clock of its
/// own.
///
/// It is opened again between writing and reading. That an entry outlives a process that is killed, it cannot tell.
pub fn check_store(reopen: Reopen<'_>, wait: &dyn Fn(Duration)) {
    let check = Check { reopen, wait };
    check.what_was_written_is_read();
    check.what_is_not_there();
    check.entries_that_are_sent_again();
    check.one_writer_at_a_time();
    check.a_writer_that_went_away();
    check.ranks();
    check.cursors();
    check.what_is_taken_away();
    check.sessions();
    check.readers_beside_writers();
    check.thinned_while_it_is_written_and_read();
}

pub(super) struct Check<'a> {
    pub(super) reopen: Reopen<'a>,
    wait: &'a dyn Fn(Duration),
}

pub(super) fn id(name: &str) -> SessionId {
    name.parse().expect("a name")
}

fn note(step: u64, seq: u64) -> Entry {
    Entry::new(RecordKind::Note, step, seq, format!("{seq}").into_bytes())
}

impl Check<'_> {
    pub(super) fn store(&self) -> Box<dyn SnapshotStore> {
        (self.reopen)()
    }

    pub(super) fn records(&self, session: &SessionId) -> Vec<Record> {
        self.store().records(session, &Cursor::default()).expect("records can be listed")
    }

    fn what_was_written_is_read(&self) {
        let session = id("written");
        let store = self.store();
        let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        let kinds = RecordKind::ALL.into_iter().filter(|kind| *kind != RecordKind::Opened);
        let mut entries: Vec<Entry> = (1..)
            .zip(kinds)
            .map(|(seq, kind)| Entry::new(kind, 10 * seq, seq, vec![seq.to_le_bytes()[0]; 3]))
            .collect();
        entries.push(Entry::new(RecordKind::Note, 0, 100, []));
        entries.push(Entry::new(RecordKind::Scalars, u64::MAX, 101, *b"{}").from_step(3));
        let large: Vec<u8> =
            (0..(1u32 << 20) + 1).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        entries.push(Entry::snapshot(7, 1 << 40, large, 20_000));
        let appended: Vec<Record> =
            entries.iter().map(|entry| store.append(&writer, entry).expect("there is room")).collect();
        drop(store);
        let records = self.records(&session);
        let opened = records.first().expect("there are records");
        assert_eq!(
            (opened.kind, opened.id, opened.step),
            (RecordKind::Opened, RecordId { rank: 0, epoch: writer.epoch, seq: 0 }, 0),
            "an epoch begins with a record that says so"
        );
        assert_eq!(records[1..], appended, "records are listed as they were kept, in their order");
        for (record, entry) in appended.iter().zip(&entries) {
            assert_eq!(
                (record.kind, record.step, record.first_step, record.id.seq),
                (entry.kind, entry.step, entry.first_step, entry.seq)
            );
            assert_eq!((record.bytes, record.summary_bytes), (entry.bytes.len() as u64, entry.summary_len));
            assert!(!record.is_thinned, "nobody has thinned it");
        }
        let ids: Vec<RecordId> = appended.iter().rev().map(|record| record.id).collect();
        let store = self.store();
        let read = store.read(&session, &ids).expect("readable");
        let summaries = store.summaries(&session, &ids).expect("readable");
        assert_eq!((read.len(), summaries.len()), (ids.len(), ids.len()), "an answer for each");
        for ((read, summary), entry) in read.into_iter().zip(summaries).zip(entries.iter().rev()) {
            assert_eq!(read.expect("was kept"), entry.bytes, "record {}", entry.seq);
            let len = usize::try_from(entry.summary_len).expect("in memory");
            assert_eq!(
                summary.expect("was kept")[..],
                entry.bytes[..len],
                "the summary of record {}",
                entry.seq
            );
        }
    }

    fn what_is_not_there(&self) {
        let (session, nothing) = (id("nothing"), RecordId { rank: 0, epoch: 1, seq: 1 });
        let store = self.store();
        assert!(self.records(&session).is_empty(), "a session that is not there has no records");
        for answer in [store.read(&session, &[nothing]), store.summaries(&session, &[nothing])] {
            let answers = answer.expect("to look for it is no error");
            let error = answers[0].as_ref().expect_err("there is none");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
        store.thin(&session, &[nothing]).expect("nothing to thin is no error");
        store.remove(&session, &[nothing]).expect("nothing to remove is no error");
        store.remove_session(&session).expect("nothing to remove is no error");
        assert!(
            store.sessions().expect("listed").iter().all(|it| it.id != session),
            "looking makes no session"
        );
    }

    fn entries_that_are_sent_again(&self) {
        let session = id("again");
        let store = self.store();
        let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        let first = store.append(&writer, &note(1, 5)).expect("kept");
        (self.wait)(Duration::from_millis(5));
        assert_eq!(store.append(&writer, &note(1, 5)).expect("sent again"), first, "the first record stands");
        store.append(&writer, &note(2, 9)).expect("places may be missing");
        assert_eq!(self.store().append(&writer, &note(1, 5)).expect("sent again later"), first);
        let refused = |entry: &Entry, why: &str| {
            let error = self.store().append(&writer, entry).expect_err(why);
            assert_eq!(error.kind(), ErrorKind::Refused, "{why}: {error}");
        };
        refused(&note(3, 5), "another step in the same place");
        refused(&Entry::new(RecordKind::Note, 1, 5, *b"6"), "other bytes in the same place");
        refused(&note(1, 7), "a place before the last");
        refused(&note(0, 0), "the place of the beginning");
        assert_eq!(self.records(&session).iter().map(|it| it.id.seq).collect::<Vec<_>>(), [0, 5, 9]);
    }

    fn one_writer_at_a_time(&self) {
        let session = id("claimed");
        let store = self.store();
        let first = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        store.append(&first, &note(40, 1)).expect("kept");
        let error = self.store().open(&session, Rank::ONLY, Opening::New).expect_err("the first one lives");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("claimed"), "the session is named: {error}");
        store.append(&first, &note(50, 2)).expect("whoever was refused has changed nothing");

        let second =
            self.store().open(&session, Rank::ONLY, Opening::Resume { step: 45 }).expect("takes over");
        assert!(second.epoch > first.epoch, "epochs rise");
        for error in [
            store.append(&first, &note(60, 3)).expect_err("driven out"),
            store.append(&first, &note(50, 2)).expect_err("driven out, even to send again"),
            store.beat(&first).expect_err("driven out"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        }
        self.store().append(&second, &note(45, 1)).expect("kept");
        let timeline = Timeline::of(self.records(&session));
        let notes = timeline.alive().filter(|record| record.kind == RecordKind::Note);
        let alive: Vec<(u32, u64)> = notes.map(|record| (record.id.epoch, record.step)).collect();
        assert_eq!(
            alive,
            [(first.epoch, 40), (second.epoch, 45)],
            "what was written again is no longer true"
        );
    }

    fn a_writer_that_went_away(&self) {
        let session = id("silent");
        let store = self.store();
        let first = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        store.append(&first, &note(1, 1)).expect("kept");
        let alive = Duration::from_millis(Opening::ALIVE_MS);
        let written = self.records(&session).iter().map(|record| record.time_ms).max();
        assert_eq!(store.heard_ms(&session).expect("known"), written, "nothing was heard since");
        (self.wait)(alive - Duration::from_secs(5));
        store.beat(&first).expect("it lives");
        assert!(store.heard_ms(&session).expect("known") >= written, "time goes on");
        assert_eq!(store.heard_ms(&id("nobody")).expect("known"), None);
        (self.wait)(alive - Duration::from_secs(5));
        self.store().open(&session, Rank::ONLY, Opening::New).expect_err("it was heard from");
        (self.wait)(Duration::from_secs(6));
        let second = self.store().open(&session, Rank::ONLY, Opening::New).expect("it went away");
        assert!(second.epoch > first.epoch, "epochs rise");
        assert!(store.append(&first, &note(2, 2)).is_err(), "it comes too late");
        let timeline = Timeline::of(self.records(&session));
        assert!(
            timeline.alive().all(|record| record.id.epoch == second.epoch),
            "a run that begins anew keeps nothing"
        );
    }

    fn ranks(&self) {
        let session = id("ranks");
        let store = self.store();
        let ranks = [0, 1, 2].map(|index| Rank::new(index, 3).expect("one of three"));
        let writers = ranks.map(|rank| store.open(&session, rank, Opening::New).expect("nobody has it"));
        for (writer, step) in writers.iter().rev().zip([10, 20, 10]) {
            store.append(writer, &Entry::snapshot(step, 1, *b"snapshot", 4)).expect("kept");
        }
        store.open(&session, ranks[1], Opening::Resume { step: 0 }).expect("takes over");
        store.append(&writers[0], &note(11, 2)).expect("another rank is not touched");
        let timeline = Timeline::of(self.records(&session));
        assert_eq!(timeline.ranks(), 3);
        let at = |step| timeline.snapshots_at(step).iter().map(|it| it.id.rank).collect::<Vec<_>>();
        assert_eq!((at(10), at(20)), (vec![0, 2], Vec::new()));
    }

    fn cursors(&self) {
        let session = id("followed");
        let store = self.store();
        let ranks = [0, 1].map(|index| Rank::new(index, 2).expect("one of two"));
        let writers = ranks.map(|rank| store.open(&session, rank, Opening::New).expect("nobody has it"));
        let mut cursor = Cursor::default();
        let mut seen: Vec<RecordId> = Vec::new();
        let mut look = || {
            for record in self.store().records(&session, &cursor.clone()).expect("listed") {
                cursor.pass(record.id);
                seen.push(record.id);
            }
        };
        for seq in 1..4 {
            store.append(&writers[1], &note(seq, seq)).expect("kept");
            look();
            look();
            if seq == 2 {
                store.append(&writers[0], &note(seq, seq)).expect("kept");
            }
        }
        look();
        let all: Vec<RecordId> = self.records(&session).iter().map(|record| record.id).collect();
        assert_eq!(seen.len(), all.len(), "nothing is seen twice");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>(), all.iter().collect(), "nothing is missed");
    }

    fn what_is_taken_away(&self) {
        let session = id("thinned");
        let store = self.store();
        let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        let bytes: Arc<[u8]> = Arc::from(*b"summary and the rest");
        let snapshot = |seq| Entry::snapshot(seq, seq, bytes.clone(), 7);
        let ids: Vec<RecordId> =
            (1..5).map(|seq| store.append(&writer, &snapshot(seq)).expect("kept").id).collect();
        store.thin(&session, &ids[1..3]).expect("thinned");
        store.thin(&session, &ids[1..2]).expect("thinned twice");
        store.remove(&session, &ids[2..3]).expect("removed");
        store.remove(&session, &ids[2..3]).expect("removed twice");
        drop(store);
        let store = self.store();
        let left = self.records(&session);
        let thinned: Vec<(u64, bool)> =
            left.iter().map(|record| (record.id.seq, record.is_thinned)).collect();
        assert_eq!(thinned, [(0, false), (1, false), (2, true), (4, false)]);
        assert_eq!(left[2].bytes, bytes.len() as u64, "how large it was is still known");
        let read = store.read(&session, &ids).expect("readable");
        let is_there: Vec<bool> = read.iter().map(Result::is_ok).collect();
        assert_eq!(is_there, [true, false, false, true]);
        let missing = read.into_iter().filter_map(Result::err);
        missing.for_each(|error| assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"));
        let summaries = store.summaries(&session, &ids).expect("readable");
        let summaries: Vec<Option<Arc<[u8]>>> = summaries.into_iter().map(Result::ok).collect();
        let summary: Arc<[u8]> = Arc::from(*b"summary");
        assert_eq!(summaries, [Some(summary.clone()), Some(summary.clone()), None, Some(summary)]);
        let again = store.append(&writer, &snapshot(2)).expect("the same, sent again");
        assert!(again.is_thinned, "what was thinned stays so");
    }

    fn sessions(&self) {
        let store = self.store();
        // Names that begin alike are names of different sessions.
        let names = ["run", "run-1", "run.1", "run-10"];
        for (name, step) in names.iter().zip([1, 2, 3, 4]) {
            let writer = store.open(&id(name), Rank::ONLY, Opening::New).expect("nobody has it");
            store.append(&writer, &note(step, 1)).expect("kept");
        }
        store.remove_session(&id("run-1")).expect("removed");
        drop(store);
        let all = self.store().sessions().expect("listed");
        assert!(all.is_sorted_by(|one, other| one.id < other.id), "by name");
        let of = |name: &str| all.iter().find(|it| it.id == id(name)).map(|it| (it.records, it.last_step));
        assert_eq!(names.map(of), [Some((2, 1)), None, Some((2, 3)), Some((2, 4))]);
        assert!(self.records(&id("run-1")).is_empty(), "nothing is left of it");
        let store = self.store();
        let writer = store.open(&id("run-1"), Rank::ONLY, Opening::New).expect("nobody has it any more");
        store.append(&writer, &note(9, 1)).expect("it can be begun again");
    }
}
