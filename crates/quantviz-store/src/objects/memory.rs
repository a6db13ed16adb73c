//! What a store remembers, so that it need not ask again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use quantviz_core::{ErrorKind, Opening, Rank, Result, SessionId, Writer};

use super::bundles::Bundled;
use super::epochs::Claim;

/// Of all sessions that a store was asked about.
#[derive(Default)]
pub(super) struct Memory {
    /// Sessions whose format is known to be ours.
    pub(super) known: BTreeSet<SessionId>,
    writing: HashMap<(SessionId, u32, u32), Arc<Mutex<Writing>>>,
    /// Claims, by rank, of which nobody knows whether they have arrived.
    claims: HashMap<(SessionId, u32), Claim>,
    /// Sessions of which something is being bundled.
    bundling: BTreeSet<(SessionId, Bundled)>,
    /// Those of which a reader could not bundle any more: readers do not try again.
    bundled: BTreeSet<(SessionId, Bundled)>,
}

/// Where a writer is.
#[derive(Default)]
pub(super) struct Writing {
    /// The last place that it wrote to, if that is known.
    pub(super) last: Option<u64>,
    /// The place and time of what may or may not have been written. Sent again, it gets the same key.
    pub(super) sent: Option<(u64, u64)>,
    /// How many records came since some were bundled.
    pub(super) loose: BTreeMap<Bundled, usize>,
}

impl Memory {
    /// What whoever opens a rank has to say: the same once more, if the same was said just now and something went wrong.
    /// Otherwise they would be refused for their own claim.
    pub(super) fn claim(&mut self, session: &SessionId, rank: Rank, opening: Opening, now: u64) -> Claim {
        let unheard = self.claims.remove(&(session.clone(), rank.index()));
        let is_the_same =
            |it: &Claim| it.opening == opening && now.saturating_sub(it.now) < Opening::ALIVE_MS;
        unheard.filter(is_the_same).unwrap_or_else(|| {
            let nonce = RandomState::new().hash_one((now, std::process::id()));
            Claim { opening, now, nonce, is_again: false }
        })
    }

    /// What became of a claim.
    pub(super) fn has_claimed(
        &mut self,
        session: &SessionId,
        rank: Rank,
        claim: Claim,
        outcome: &Result<Writer>,
    ) {
        match outcome {
            Ok(writer) => {
                let writing = Writing { last: Some(0), ..Writing::default() };
                let who = (session.clone(), rank.index(), writer.epoch);
                self.writing.insert(who, Arc::new(Mutex::new(writing)));
            }
            Err(error) if error.kind() == ErrorKind::Io => {
                self.claims.insert((session.clone(), rank.index()), Claim { is_again: true, ..claim });
            }
            Err(_) => {}
        }
    }

    pub(super) fn writing(&mut self, writer: &Writer) -> Arc<Mutex<Writing>> {
        let who = (writer.session.clone(), writer.rank.index(), writer.epoch);
        self.writing.entry(who).or_default().clone()
    }

    /// Whether a session may be bundled now: nobody is at it, and a reader has not tried in vain.
    pub(super) fn begins_to_bundle(&mut self, session: &SessionId, of: Bundled, is_reader: bool) -> bool {
        let what = (session.clone(), of);
        !(is_reader && self.bundled.contains(&what)) && self.bundling.insert(what)
    }

    pub(super) fn has_bundled(&mut self, session: &SessionId, of: Bundled, in_vain: bool) {
        let what = (session.clone(), of);
        self.bundling.remove(&what);
        if in_vain {
            self.bundled.insert(what);
        }
    }

    /// Somebody removed a session.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.known.remove(session);
        self.bundled.retain(|(whose, _)| whose != session);
        self.writing.retain(|(whose, ..), _| whose != session);
    }
}
