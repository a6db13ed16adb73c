//! What a name on the command line means: a file or a folder, or a session that was recorded, perhaps at a step.

use std::path::{Path, PathBuf};

use quantviz::{Error, ErrorKind, ModelAtStep, Run, SessionId, SnapshotStore};

use crate::stores::Stores;
use crate::trouble::Trouble;

/// What is in front of the name of a session that is not to be looked for as a file.
const SESSION: &str = "session:";

/// `SESSION` or `SESSION@STEP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionName {
    pub(crate) id: SessionId,
    pub(crate) step: Option<u64>,
    /// Whether it was said that this is a session.
    is_said: bool,
}

impl SessionName {
    /// `None` for what can be no session's name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (is_said, name) = name.strip_prefix(SESSION).map_or((false, name), |name| (true, name));
        let (id, step) = match name.rsplit_once('@') {
            Some((id, step)) => (id, Some(step.parse::<u64>().ok()?)),
            None => (name, None),
        };
        Some(SessionName { id: id.parse().ok()?, step, is_said })
    }
}

/// What was found by a name.
pub(crate) enum Found {
    /// What is in the file system, or would have to be.
    Path(PathBuf),
    /// A session in a store.
    Session(FoundSession),
}

/// A session that is there.
pub(crate) struct FoundSession {
    /// As it was given.
    pub(crate) given: String,
    pub(crate) name: SessionName,
    place: String,
    store: Box<dyn SnapshotStore>,
}

/// Looks for files and for sessions.
pub(crate) struct Names<'a> {
    pub(crate) place: &'a str,
    pub(crate) stores: &'a dyn Stores,
}

impl Names<'_> {
    /// What is meant by a name. A path wins: `session:NAME` is always a session, and `./NAME` always a path.
    pub(crate) fn find(&self, path: &Path) -> Result<Found, Trouble> {
        let given = path.to_str().unwrap_or_default();
        let name = SessionName::parse(given);
        let is_said = given.starts_with(SESSION);
        let Some(name) = name.filter(|_| is_said || !path.exists()) else {
            if is_said && !path.exists() {
                let message = format!("{given:?} names no session; session:NAME or session:NAME@STEP would");
                return Err(self.trouble(Error::malformed(message)));
            }
            return Ok(Found::Path(path.to_owned()));
        };
        match self.session(given, name.clone())? {
            Some(session) => Ok(Found::Session(session)),
            None => Err(self.nothing(path, &name)),
        }
    }

    /// The session of a name; `None` where there is none.
    pub(crate) fn session(&self, given: &str, name: SessionName) -> Result<Option<FoundSession>, Trouble> {
        let store = match self.stores.open(self.place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            store => store.map_err(|error| self.trouble(error))?,
        };
        match Run::open(&*store, &name.id).map(drop) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.trouble(error)),
            Ok(()) => {
                Ok(Some(FoundSession { given: given.to_owned(), name, place: self.place.to_owned(), store }))
            }
        }
    }

    /// That there is neither a file nor a session of this name.
    fn nothing(&self, path: &Path, name: &SessionName) -> Trouble {
        if name.is_said {
            return self.trouble(Error::not_found(format!("there is no session {}", name.id)));
        }
        let message = format!("no such file or folder, and no session {} in {}", name.id, self.place);
        Trouble::with(path, Error::not_found(message))
    }

    fn trouble(&self, error: Error) -> Trouble {
        Trouble::with(Path::new(self.place), error)
    }
}

impl FoundSession {
    /// The session, to be read.
    pub(crate) fn run(&self) -> Result<Run<'_>, Trouble> {
        Run::open(&*self.store, &self.name.id).map_err(|error| self.trouble(error))
    }

    /// The model at the step that was named, or at the last.
    pub(crate) fn model(&self) -> Result<ModelAtStep, Trouble> {
        self.near(ModelAtStep::near)
    }

    /// The same at the nearest step whose samples were kept.
    pub(crate) fn sampled_model(&self) -> Result<ModelAtStep, Trouble> {
        self.near(ModelAtStep::with_samples_near)
    }

    fn near(
        &self,
        near: fn(&Run<'_>, Option<u64>) -> quantviz::Result<Option<ModelAtStep>>,
    ) -> Result<ModelAtStep, Trouble> {
        let found = near(&self.run()?, self.name.step).map_err(|error| self.trouble(error))?;
        let nothing =
            || Error::not_found(format!("session {}: it has no snapshots to be shown", self.name.id));
        found.ok_or_else(|| self.trouble(nothing()))
    }

    /// An error about it: the place where it is, and the session.
    pub(crate) fn trouble(&self, error: Error) -> Trouble {
        // The list of names that an unknown one is looked up in is no file's.
        let error = match error.kind() {
            ErrorKind::UnknownName => {
                Error::not_found(format!("session {}: {}", self.name.id, error.message()))
            }
            _ => error,
        };
        Trouble::with(Path::new(&self.place), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sessions() {
        let parsed = |name| SessionName::parse(name).map(|it| (it.id.to_string(), it.step, it.is_said));
        assert_eq!(parsed("run-1.2"), Some(("run-1.2".into(), None, false)));
        assert_eq!(parsed("run@400"), Some(("run".into(), Some(400), false)));
        assert_eq!(parsed("session:run@0"), Some(("run".into(), Some(0), true)));
        for name in ["a/b", "../run", "run@", "run@x", "run@-1", "a@b@1", "", "@1", "session:", "session:a b"]
        {
            assert_eq!(parsed(name), None, "{name}");
        }
    }
}
