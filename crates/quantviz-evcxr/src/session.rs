//! A training run that was recorded.

use std::time::{SystemTime, UNIX_EPOCH};

use quantviz_core::{Result, SnapshotStore};
use quantviz_html::Fragment;
use quantviz_view::{RunPage, count};

use crate::show::{Show, inert, shows_itself};

/// A training run that was recorded, as it was when it was opened.
#[derive(Clone)]
pub struct Session {
    page: RunPage,
}

/// Reads a session of a store that you bring: a `SessionStore` of `quantviz-store` for a folder, or any other.
///
/// ```
/// use quantviz_core::{SessionId, SnapshotStore};
/// use quantviz_evcxr::show_session;
/// # fn shown(store: &dyn SnapshotStore) -> quantviz_evcxr::Result<()> {
/// show_session(store, "shakespeare")?; // the last thing in a cell: shows itself
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) where the store has no such session.
pub fn show_session(store: &dyn SnapshotStore, session: &str) -> Result<Session> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Ok(Session { page: RunPage::of_session(store, session, now_ms)? })
}

impl Show for Session {
    fn plain(&self) -> String {
        let RunPage { title, verdict, sentences, facts, moved, moved_by, notes, .. } = &self.page;
        let mut lines = vec![title.clone(), format!("{verdict}. {}", sentences.join(" ")), facts.join(" · ")];
        lines.extend(moved.iter().map(|it| format!("{}  {moved_by} {}", it.parameter, it.update)));
        lines.extend(notes.last().map(|it| format!("step {}: {}", count(it.step), it.text)));
        lines.iter().map(|line| inert(&quantviz_core::one_line(line))).collect::<Vec<_>>().join("\n")
    }

    fn html(&self, name: &str) -> String {
        Fragment::of_run(&self.page, name).html().to_owned()
    }
}

shows_itself!(Session);
