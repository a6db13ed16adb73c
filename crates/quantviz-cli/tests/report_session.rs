//! `quantviz report SESSION`: the page of a training run.

use quantviz::store::SessionStore;
use quantviz::{Cursor, Entry, Opening, Rank, RecordKind, RunNote, SnapshotStore};
use quantviz_cli::{Exit, run};
use quantviz_testkit::SmallGpt;

const HOSTILE: &str = "\"'><img src=x onerror=alert(1)></svg></style><script>alert(2)</script>";

fn report(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run([&["quantviz", "report"], args].concat(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

#[test]
fn a_session_is_a_page_in_which_notes_are_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let store = SessionStore::create(place).expect("a store");
    let session = "shakespeare".parse().expect("a name");
    let run = SmallGpt { nan_from: Some(1900), end: None, ..SmallGpt::default() };
    run.write(&store, &session).expect("written");
    let resumed = store.open(&session, Rank::ONLY, Opening::Resume { step: 2001 }).expect("resumed");
    let note = serde_json::to_vec(&RunNote::new(2001, HOSTILE, HOSTILE)).expect("JSON");
    store.append(&resumed, &Entry::new(RecordKind::Note, 2001, 1, note)).expect("appended");
    assert!(!store.records(&session, &Cursor::default()).expect("read").is_empty());

    let (exit, html, err) = report(&["shakespeare", "--store", place, "-o", "-"]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    for shown in ["Broken: the loss is not a number", "Where it changes", "sampled 3 %", "step by step"] {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(html.contains("&lt;script&gt;alert(2)"), "the note is shown");
    assert!(!html.contains("<script") && !html.contains("<img"), "and does nothing");

    let (exit, at_step, _) = report(&["shakespeare@1000", "--store", place, "-o", "-"]);
    assert!(exit == Exit::Done && at_step.contains("Update by size, at step 1,000"));
    let (exit, _, err) = report(&["shakespear", "--store", place, "-o", "-"]);
    assert!(exit == Exit::Trouble && err.contains("no such file or folder"), "{err}");
}
