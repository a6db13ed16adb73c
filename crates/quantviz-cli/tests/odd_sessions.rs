//! Training runs that are small, broken, or called what no terminal should hear.

mod checkpoints;
mod screen;

use checkpoints::checkpoint;
use quantviz_cli::{Exit, run};
use screen::Screen;

/// What a terminal obeys, what turns text around, and what breaks lines and pages.
const HOSTILE: [&str; 6] = [
    "\u{1b}[31mred\u{1b}[2J.weight",
    "turned\u{202e}around\u{2066}.weight",
    "two\nlines\r.weight",
    "\u{2028}\u{9b}0m\u{7}bell.weight",
    "\"></div><script>alert(1)</script>.weight",
    "a.very.long.name.that.goes.on.and.on.over.more.than.one.line.of.any.terminal.there.is.and.further.weight",
];

/// A run of checkpoints with these tensors, all of two rows and three columns; their values are by step.
fn imported(names: &[&str], steps: &[u64], value: impl Fn(u64) -> f32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("check\u{1b}[31mpoints");
    std::fs::create_dir(&inside).expect("a folder");
    for &step in steps {
        let tensors: Vec<(&str, &[u64], Vec<f32>)> =
            names.iter().map(|name| (*name, &[2, 3][..], vec![value(step); 6])).collect();
        checkpoint(&inside.join(format!("step_{step}.safetensors")), &tensors);
    }
    let inside = inside.to_string_lossy().into_owned();
    command(&folder, &["sessions", "import", &inside, "--session", "odd"]);
    folder
}

/// What a command shows in 80 columns: nothing a terminal would obey.
fn command(folder: &tempfile::TempDir, arguments: &[&str]) -> String {
    let (mut screen, mut err) = (Screen::of(80), Vec::new());
    let store = folder.path().join("runs").to_string_lossy().into_owned();
    let all = ["quantviz", "--color", "never"].iter().chain(arguments).copied();
    let exit = run(all.chain(["--store", &*store]), &mut screen, &mut err);
    let (text, err) = (screen.text(), String::from_utf8(err).expect("UTF-8"));
    assert_eq!((exit, &*err), (Exit::Done, ""), "{arguments:?}");
    let is_obeyed = |it: char| {
        (it.is_control() && it != '\n') || matches!(it, '\u{2028}' | '\u{202e}' | '\u{2066}' | '\u{9b}')
    };
    assert!(!text.contains(is_obeyed), "{text:?}");
    text
}

fn fits(text: &str) {
    let long = text.lines().find(|line| line.chars().count() > 80);
    assert!(long.is_none(), "{text}");
}

#[test]
fn names_that_no_terminal_should_hear() {
    let folder = imported(&HOSTILE, &[1, 2], |step| step as f32);
    for arguments in [
        &["sessions", "show", "odd"][..],
        &["sessions", "show", "odd", "--step", "2"],
        &["sessions", "list"],
        &["inspect", "odd@2"],
        &["compare", "odd@1", "odd@2"],
    ] {
        let text = command(&folder, arguments);
        fits(&text);
        assert!(arguments[1] == "list" || text.contains("\\u{1b}[31m"), "names are shown: {text}");
    }
    let page = command(&folder, &["report", "odd", "-o", "-"]);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"), "names are text");
}

#[test]
fn a_run_of_one_snapshot_and_one_parameter() {
    let folder = imported(&["w"], &[7], |_| 0.5);
    let text = command(&folder, &["sessions", "show", "odd"]);
    fits(&text);
    assert!(!text.contains("recording costs"), "nobody waited for it: {text}");
    insta::assert_snapshot!(text.lines().filter(|line| !is_of_today(line)).collect::<Vec<_>>().join("\n"));
    let text = command(&folder, &["sessions", "show", "odd", "--step", "7"]);
    fits(&text);
    insta::assert_snapshot!(text.lines().filter(|line| !is_of_today(line)).collect::<Vec<_>>().join("\n"));
}

/// What depends on when, and where, this runs.
fn is_of_today(line: &str) -> bool {
    ["UTC", "heard from", "imported", "/"].iter().any(|it| line.contains(it))
}

#[test]
fn weights_that_are_no_numbers() {
    let value = |step| if step > 2 { f32::NAN } else { 0.5 };
    let folder = imported(&["fc.weight"], &[1, 2, 3, 4], value);
    let text = command(&folder, &["sessions", "show", "odd", "--step", "3"]);
    fits(&text);
    assert!(text.contains("fc.weight"), "{text}");
    let text = command(&folder, &["inspect", "odd@4"]);
    assert!(text.contains("6 not finite"), "{text}");
    let text = command(&folder, &["compare", "odd@1", "odd@4"]);
    assert!(text.contains("6 not finite"), "{text}");
}
