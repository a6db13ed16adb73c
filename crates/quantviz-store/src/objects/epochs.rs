//! Who may write a rank.

use bytes::Bytes;
use quantviz_core::{Error, ErrorKind, Opening, Rank, Result, SessionId, Writer};

use super::keys::{FORMAT, last_number};
use super::listing::Listing;

/// The most that a marker, a claim or a beat may take.
const SMALL: u64 = 1000;
/// How often somebody else may be faster, before that is no accident.
const LAPS: u32 = 100;

/// The writers of one session.
#[derive(Clone, Debug)]
pub(super) struct Epochs {
    pub(super) session: SessionId,
    pub(super) listing: Listing,
}

/// What somebody says who opens a rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) opening: Opening,
    pub(super) now: u64,
    /// Tells it from all other claims.
    pub(super) nonce: u64,
    /// It was made before, and whether it has arrived nobody knows.
    pub(super) is_again: bool,
}

impl Claim {
    fn bytes(&self) -> Bytes {
        Bytes::from(format!("{} {:016x}\n", self.now, self.nonce))
    }
}

impl Epochs {
    /// Whether there is a session, and in a format that is known here.
    pub(super) async fn is_there(&self) -> Result<bool> {
        let Listing { place, keys } = &self.listing;
        let Some((bytes, _)) = place.read(&keys.marker(), SMALL).await? else { return Ok(false) };
        let session = &self.session;
        match bytes.strip_suffix(b"\n").and_then(|it| it.split_at_checked(FORMAT.len() - 1)) {
            Some(_) if bytes[..] == marker()[..] => Ok(true),
            Some((family, version)) if FORMAT.as_bytes().starts_with(family) => {
                let version = String::from_utf8_lossy(version);
                Err(Error::unsupported(format!(
                    "session {session} is kept as quantviz-session/{version}, and this quantviz reads {FORMAT}: update quantviz"
                )))
            }
            _ => Err(Error::malformed(format!(
                "session {session}: its object \"format\" does not say {FORMAT:?}; it is damaged, or no session of quantviz"
            ))),
        }
    }

    /// Claims the next epoch.
    pub(super) async fn claim(&self, rank: Rank, claim: &Claim) -> Result<Writer> {
        let Claim { opening, now, is_again, .. } = *claim;
        self.begin().await?;
        for _ in 0..LAPS {
            let latest = self.latest(rank.index()).await?;
            if let Some(epoch) = latest.filter(|_| is_again)
                && self.is_ours(rank.index(), epoch, claim).await?
            {
                return Ok(Writer::new(self.session.clone(), rank, epoch));
            }
            if let (Opening::New, Some(epoch)) = (opening, latest) {
                let silent_ms = now.saturating_sub(self.heard(rank.index(), epoch).await?);
                if silent_ms < Opening::ALIVE_MS {
                    return Err(opening.refused(&self.session, rank, silent_ms));
                }
            }
            let next = latest.unwrap_or(0).checked_add(1);
            let next =
                next.ok_or_else(|| Error::limit(format!("session {}: no epochs are left", self.session)))?;
            if self.claim_epoch(rank.index(), next, claim).await? {
                return Ok(Writer::new(self.session.clone(), rank, next));
            }
        }
        let session = &self.session;
        Err(Error::refused(format!("session {session}: others keep opening it; take another name")))
    }

    async fn begin(&self) -> Result<()> {
        let Listing { place, keys } = &self.listing;
        if !self.is_there().await? && !place.create(&keys.marker(), marker()).await? {
            self.is_there().await?;
        }
        Ok(())
    }

    async fn claim_epoch(&self, rank: u32, epoch: u32, claim: &Claim) -> Result<bool> {
        let Listing { place, keys } = &self.listing;
        // It may be this very claim, sent twice over a bad line.
        Ok(place.create(&keys.claim(rank, epoch), claim.bytes()).await?
            || self.is_ours(rank, epoch, claim).await?)
    }

    async fn is_ours(&self, rank: u32, epoch: u32, claim: &Claim) -> Result<bool> {
        let Listing { place, keys } = &self.listing;
        Ok(place
            .read(&keys.claim(rank, epoch), SMALL)
            .await?
            .is_some_and(|(found, _)| found == claim.bytes()))
    }

    /// The last epoch that was claimed, or of which records are left.
    async fn latest(&self, rank: u32) -> Result<Option<u32>> {
        let Listing { place, keys } = &self.listing;
        let claimed = place.keys_in(&keys.claims(rank), |_| true).await?;
        let claimed = claimed.iter().filter_map(last_number).max();
        Ok(claimed.max(self.listing.last_epoch(rank).await?))
    }

    /// When the writer of an epoch was last heard from.
    pub(super) async fn heard(&self, rank: u32, epoch: u32) -> Result<u64> {
        let Listing { place, keys } = &self.listing;
        let mut heard = self.listing.last_in(rank, epoch).await?.map_or(0, |last| last.time_ms);
        for key in [keys.claim(rank, epoch), keys.beat(rank, epoch)] {
            let told = place.read(&key, SMALL).await?;
            heard = heard.max(told.and_then(|(bytes, _)| time_in(&bytes)).unwrap_or(0));
        }
        Ok(heard)
    }

    pub(super) async fn beat(&self, writer: &Writer, now: u64) -> Result<()> {
        self.check(writer).await?;
        let Listing { place, keys } = &self.listing;
        place.overwrite(&keys.beat(writer.rank.index(), writer.epoch), Bytes::from(format!("{now}\n"))).await
    }

    /// Whether this writer may still write.
    pub(super) async fn check(&self, writer: &Writer) -> Result<()> {
        let Listing { place, keys } = &self.listing;
        let rank = writer.rank.index();
        let claims = place.keys_in(&keys.claims(rank), |_| true).await?;
        let claimed = || claims.iter().filter_map(last_number);
        let session = &self.session;
        match claimed().max() {
            Some(last) if last > writer.epoch => Err(Error::refused(format!(
                "session {session}, rank {rank}: somebody has opened it again, as epoch {last}, and epoch {} may no longer write",
                writer.epoch
            ))),
            _ if claimed().any(|epoch| epoch == writer.epoch) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                format!("session {session}, rank {rank}: nobody has opened it, or it was removed"),
            )),
        }
    }
}

fn marker() -> Bytes {
    Bytes::from(format!("{FORMAT}\n"))
}

/// The number at the beginning of a line; `None` where the line does not end, because something cut it off.
fn time_in(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    line.split(' ').next()?.parse().ok()
}
