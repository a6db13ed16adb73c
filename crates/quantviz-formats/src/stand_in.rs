//! What lies where a model should, without being one: pointers to it, web pages, answers of servers.

use std::path::Path;

use quantviz_core::{Error, ErrorKind, one_line};

use crate::file::ModelFile;

/// Something that downloads and clones leave in the place of a file.
struct StandIn {
    title: &'static str,
    advice: &'static str,
    /// Whether it is what a file is that begins with this text, in small letters.
    claims: fn(&str) -> bool,
}

const FETCH: &str = "download the file itself";

const STAND_INS: &[StandIn] = &[
    StandIn {
        title: "a Git LFS pointer, not the file itself",
        advice: "run 'git lfs pull'",
        claims: |text| text.starts_with("version https://git-lfs.github.com/spec/v1"),
    },
    StandIn {
        title: "a web page, not a model",
        advice: FETCH,
        claims: |text| {
            let is_page = |text: &str| text.starts_with("<!doctype html") || text.starts_with("<html");
            is_page(text) || (text.starts_with("<?xml") && tags(text).any(is_page))
        },
    },
    StandIn {
        title: "the error message of a server, not a model",
        advice: FETCH,
        claims: |text| {
            let is_error = |text: &str| text.starts_with("<error>");
            let in_braces =
                text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with("\"error\""));
            in_braces || is_error(text) || (text.starts_with("<?xml") && tags(text).any(is_error))
        },
    },
];

/// The text from each tag on.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('<').map(|(at, _)| &text[at..])
}

/// What a file that begins with these bytes is instead of a model, and what to do.
pub(crate) fn by_bytes(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let StandIn { title, advice, .. } = STAND_INS.iter().find(|it| (it.claims)(&text))?;
    Some(format!("this is {title}: {advice}"))
}

/// The same of any text, where its name promises a model: `Entry not found`, says a server.
pub(crate) fn by_text(head: &[u8]) -> Option<String> {
    const SHOWN: usize = 60;
    /// Fewer bytes may be text by chance.
    const LEAST: usize = 8;
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last letter may go on behind the head.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = text.chars().all(|letter| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t'));
    let first_line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let shown: String = one_line(first_line).chars().take(SHOWN).collect();
    (is_text && head.len() >= LEAST).then(|| format!("this is text, not a model ({shown:?}): {FETCH}"))
}

/// The error of a file that is a stand-in, whatever else was found wrong with it.
pub(crate) fn error_of(path: &Path) -> Option<Error> {
    let head = ModelFile::open(path).and_then(|file| file.head()).ok()?;
    by_bytes(&head).map(|message| Error::malformed(message).in_file(path))
}

/// Says of an error that a stand-in is the cause, where that is so: shards and data beside a model are opened by their
/// names alone.
pub(crate) fn or_cause(error: Error) -> Error {
    let is_about_bytes = matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Unsupported);
    error.file().filter(|_| is_about_bytes).and_then(error_of).unwrap_or(error)
}
