"""Writes prose.txt: the sentences of this project's own documentation, as text for a small network to learn.

    python3 examples/text/make_text.py > examples/text/prose.txt

From the root of a clone. Pages (*.md) and documentation comments (/// and //!) lose their tables, code, lists of names,
links and marks; what is left is kept sentence by sentence where it is plain English, once each, one paragraph a line.
"""

import pathlib
import re
import subprocess

PAGES = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
PLAIN = {"–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "…": "...", "ç": "c", "×": "x", "→": "to", "²": " squared"}
SENTENCE = re.compile(r"""[A-Z][A-Za-z0-9 ,.;:'"!?()\-]*[.!?]""")


def tracked(pattern):
    listed = subprocess.run(["git", "ls-files", pattern], capture_output=True, text=True, check=True)
    return [path for path in sorted(listed.stdout.split("\n")) if path]


def without_code(lines):
    inside = False
    for line in lines:
        if line.strip().startswith("```"):
            inside = not inside
            yield ""
        elif not inside and not line.lstrip().startswith(("|", "#", "<")):
            yield line


def paragraphs(lines):
    paragraph = []
    for line in without_code(lines):
        starts_item = re.match(r"\s*([-*]|\d+\.)\s", line)
        if (starts_item or not line.strip()) and paragraph:
            yield " ".join(paragraph)
            paragraph = []
        line = re.sub(r"^\s*([-*]|\d+\.)\s+", "", line).strip()
        if line:
            paragraph.append(line)
    if paragraph:
        yield " ".join(paragraph)


def comments(path):
    """The blocks of documentation comments of a Rust file."""
    for line in pathlib.Path(path).read_text().split("\n"):
        found = re.match(r"\s*//[/!] ?(.*)", line)
        yield found.group(1) if found else ""


def plain(text):
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]", r"\1", text)
    text = re.sub(r"[`*]", "", text)
    for sign, letters in PLAIN.items():
        text = text.replace(sign, letters)
    return re.sub(r"\s+", " ", text).strip()


def is_prose(sentence):
    words = re.findall(r"[A-Za-z']+", sentence)
    letters = sum(letter.islower() or letter in " ,.;:'" for letter in sentence)
    joined = re.search(r"[a-z][A-Z]|[A-Z]{3}|\w\.\w", sentence)
    return SENTENCE.fullmatch(sentence) and len(words) >= 5 and letters >= 0.9 * len(sentence) and not joined


def main():
    pages = [pathlib.Path(path).read_text().split("\n") for path in PAGES + tracked("docs/*.md")]
    sources = [list(comments(path)) for path in tracked("*.rs")]
    seen = set()
    for lines in pages + sources:
        for paragraph in paragraphs(lines):
            sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", plain(paragraph))
            kept = [it for it in sentences if is_prose(it) and it not in seen]
            seen.update(kept)
            if kept:
                print(" ".join(kept))


main()
