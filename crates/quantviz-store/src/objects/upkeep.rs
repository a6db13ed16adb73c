//! Bundling what was appended: now, or in the background.

use quantviz_core::{RecordId, Result, SessionId};

use super::bundles::Bundled;
use super::compaction::compact;
use super::runtime::in_background;
use super::store::SessionStore;

impl SessionStore {
    /// Keeps the statistics of snapshots once more, as columns, and small records many in one object, wherever that is not
    /// done yet, and returns when it is done. Whoever appends or reads does the same in the background; this is for those who
    /// have just written a whole session, or are about to read one often. Returns how many objects were written.
    pub fn compact(&self, session: &SessionId) -> Result<usize> {
        let segments = self.segments(session);
        let written = self.within(session, |log| async move {
            Ok(compact(&log, &segments, None).await? + log.packs().compact(&log, None).await?)
        })?;
        Ok(written.unwrap_or(0))
    }

    /// The same of one or the other, and nobody waits for it: of an epoch, or of all. What goes wrong matters to nobody:
    /// reading is slower without. Returns whether it began.
    pub(super) fn bundle_in_background(
        &self,
        session: &SessionId,
        of: Bundled,
        epoch: Option<RecordId>,
    ) -> bool {
        if !self.lock().begins_to_bundle(session, of, epoch.is_none()) {
            return false;
        }
        let (store, id) = (self.clone(), session.clone());
        let (log, segments) = (self.log(session), self.segments(session));
        let started = in_background(async move {
            let written = match of {
                Bundled::Statistics => compact(&log, &segments, epoch).await,
                Bundled::Small => log.packs().compact(&log, epoch).await,
            };
            let in_vain = written.unwrap_or(0) == 0 && epoch.is_none();
            store.lock().has_bundled(&id, of, in_vain);
        });
        if started.is_err() {
            self.lock().has_bundled(session, of, false);
        }
        started.is_ok()
    }
}
