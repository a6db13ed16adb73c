//! Links in our pages that point at files of ours.

use std::path::{Path, PathBuf};

use super::sources::entries;
use crate::Result;
use crate::metadata::Metadata;
use crate::process::read;

const PAGES: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];

pub(super) fn point_at_files(_: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for page in pages()? {
        match read(&page) {
            Ok(text) => problems.extend(dead_links(&page, &text)),
            Err(error) => problems.push(error),
        }
    }
    Ok(problems)
}

fn pages() -> Result<Vec<PathBuf>> {
    let mut pages: Vec<PathBuf> = PAGES.iter().map(Into::into).collect();
    let docs = Path::new("docs");
    if docs.is_dir() {
        let mut more = entries(docs)?;
        more.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
        more.sort();
        pages.extend(more);
    }
    Ok(pages)
}

fn dead_links(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(Path::new(""));
    targets(text)
        .into_iter()
        .filter(|(_, target)| !folder.join(target).exists())
        .map(|(line, target)| format!("{}:{line}: the link leads nowhere: {target}", page.display()))
        .collect()
}

/// The files that links name, with the line each is on.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let links = links(&without_code(line));
            found.extend(links.into_iter().filter_map(|link| Some((number, file_of(&link)?))));
        }
    }
    found
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// What stands between the brackets of Markdown links, in HTML attributes and in reference definitions.
fn links(line: &str) -> Vec<String> {
    let mut links = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        links.extend(line.split(open).skip(1).filter_map(|rest| rest.split(close).next()).map(String::from));
    }
    if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
        links.push(target.into());
    }
    links
}

/// The file of a link, without a heading in it or a title after it; none for what is not a file of ours.
fn file_of(link: &str) -> Option<String> {
    let target = link.split_whitespace().next()?.trim_matches(['<', '>']);
    let file = target.split('#').next().unwrap_or(target);
    let elsewhere = file.contains("://") || file.starts_with("mailto:") || file.starts_with("data:");
    (!file.is_empty() && !elsewhere).then(|| file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_and_others_left_alone() {
        let page = "See [a](docs/a.md#part), [`b`](b.md \"title\"), [web](https://x.y/z) and [here](#here).\n\
                    <img src=\"docs/p.png\"> `[code](no.md)`\n\
                    ```\n[code](no.md)\n```\n\
                    [ref]: ARCHITECTURE.md\n";
        let expected = [(1, "docs/a.md"), (1, "b.md"), (2, "docs/p.png"), (6, "ARCHITECTURE.md")];
        assert_eq!(targets(page), expected.map(|(line, file)| (line, file.to_string())));
    }
}
