//! What every store has to do while others write, read and thin the same session.

use quantviz_core::{Cursor, Entry, ErrorKind, Opening, Rank, RecordId, SnapshotStore};

use super::store::{Check, id};

impl Check<'_> {
    pub(super) fn readers_beside_writers(&self) {
        const ENTRIES: u64 = 40;
        let session = id("busy");
        let ranks = [0, 1, 2].map(|index| Rank::new(index, 3).expect("one of three"));
        let writers =
            ranks.map(|rank| self.store().open(&session, rank, Opening::New).expect("nobody has it"));
        let reopen = self.reopen;
        let seen = std::thread::scope(|scope| {
            for writer in &writers {
                scope.spawn(move || {
                    let store = reopen();
                    for seq in 1..=ENTRIES {
                        let bytes = vec![seq.to_le_bytes()[0]; 2000];
                        store.append(writer, &Entry::snapshot(seq, seq, bytes, 10)).expect("there is room");
                    }
                });
            }
            let (store, session) = (reopen(), &session);
            let reader = scope.spawn(move || {
                let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
                while seen.len() < 3 * (ENTRIES as usize + 1) {
                    let records = store.records(session, &cursor).expect("listed");
                    let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                    for (record, bytes) in records.iter().zip(store.read(session, &ids).expect("readable")) {
                        let bytes = bytes.expect("what is listed is there, whole");
                        assert_eq!(bytes.len() as u64, record.bytes);
                        let value = record.id.seq.to_le_bytes()[0];
                        assert!(bytes.iter().all(|&byte| byte == value), "record {}", record.id);
                        cursor.pass(record.id);
                    }
                    seen.extend(ids);
                }
                seen
            });
            reader.join().expect("the reader found nothing wrong")
        });
        for rank in 0..3 {
            let of_rank: Vec<u64> = seen.iter().filter(|it| it.rank == rank).map(|it| it.seq).collect();
            assert_eq!(of_rank, (0..=ENTRIES).collect::<Vec<_>>(), "each once, in their order");
        }
    }

    pub(super) fn thinned_while_it_is_written_and_read(&self) {
        const ENTRIES: u64 = 40;
        let session = id("thinned-meanwhile");
        let writer = self.store().open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        let reopen = self.reopen;
        std::thread::scope(|scope| {
            let (writer, session) = (&writer, &session);
            let writing = scope.spawn(move || {
                // Who thins is not who writes.
                let (store, other) = (reopen(), reopen());
                for seq in 1..=ENTRIES {
                    let entry = Entry::snapshot(seq, seq, vec![seq.to_le_bytes()[0]; 2000], 10);
                    let id = store.append(writer, &entry).expect("there is room").id;
                    other.thin(session, &[RecordId { seq: seq.saturating_sub(2), ..id }]).expect("thinned");
                }
            });
            let store = reopen();
            let (mut seen, mut is_over) = (0, false);
            while !is_over {
                is_over = writing.is_finished();
                let records = store.records(session, &Cursor::default()).expect("listed");
                assert!(records.len() >= seen, "what is thinned is still listed");
                seen = records.len();
                let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                let whole = store.read(session, &ids).expect("readable");
                let summaries = store.summaries(session, &ids).expect("readable");
                for ((record, whole), summary) in records.iter().zip(whole).zip(summaries) {
                    let value = record.id.seq.to_le_bytes()[0];
                    let summary = summary.expect("a summary is always there");
                    assert_eq!(summary[..], vec![value; record.summary_bytes as usize], "{}", record.id);
                    match whole {
                        Ok(bytes) => assert_eq!(bytes[..], vec![value; record.bytes as usize]),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                    }
                }
            }
        });
        let left = self.records(&session);
        let whole: Vec<u64> = left.iter().filter(|it| it.is_whole_snapshot()).map(|it| it.id.seq).collect();
        assert_eq!(whole, [ENTRIES - 1, ENTRIES]);
    }
}
