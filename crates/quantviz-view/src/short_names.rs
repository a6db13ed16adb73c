//! Names without what most of them have in common, for places where there is little room.

use std::collections::HashMap;

/// Where a name is longer than this, all lose what they share.
const LONG: usize = 24;

/// What more than half of the names begin and end with.
struct Shared<'a> {
    start: &'a str,
    end: &'a str,
}

/// The names in the same order; `…` stands for what most of them share.
pub(crate) fn shortened(names: &[&str]) -> Vec<String> {
    if names.iter().all(|name| name.chars().count() <= LONG) {
        return names.iter().map(|name| (*name).to_owned()).collect();
    }
    let shared = Shared::of(names);
    names.iter().map(|name| shared.cut(name)).collect()
}

impl<'a> Shared<'a> {
    fn of(names: &[&'a str]) -> Self {
        let starts = |name: &'a str| parts(name).map(move |at| &name[..=at]);
        let ends = |name: &'a str| parts(name).map(move |at| &name[at..]);
        let start = most_shared(names.iter().map(|name| starts(name).collect()));
        let end = most_shared(names.iter().map(|name| ends(name).collect()));
        Shared { start, end }
    }

    fn cut(&self, name: &str) -> String {
        let inner = name.strip_prefix(self.start).unwrap_or(name);
        let is_cut = inner.len() < name.len();
        let inner = inner.strip_suffix(self.end).filter(|it| !it.is_empty()).unwrap_or(inner);
        match (inner.is_empty(), is_cut) {
            (true, _) => name.to_owned(),
            (_, true) => format!("…{inner}"),
            _ => inner.to_owned(),
        }
    }
}

/// Where parts of a name meet: its separators, which are a byte each.
fn parts(name: &str) -> impl Iterator<Item = usize> {
    name.char_indices().filter(|(_, c)| matches!(c, '.' | '/' | ':')).map(|(at, _)| at)
}

/// The longest piece that more than half of all have. Numbers tell blocks apart, so pieces with numbers stay.
fn most_shared<'a>(pieces: impl ExactSizeIterator<Item = Vec<&'a str>>) -> &'a str {
    let most = pieces.len() / 2 + 1;
    let mut times: HashMap<&str, usize> = HashMap::new();
    let pieces = pieces.flatten().filter(|piece| !piece.contains(|c: char| c.is_ascii_digit()));
    pieces.for_each(|piece| *times.entry(piece).or_default() += 1);
    let shared = times.into_iter().filter(|(_, times)| *times >= most.max(2));
    // Of pieces that are equally long, the same one every time.
    shared.map(|(piece, _)| piece).max_by_key(|piece| (piece.len(), *piece)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_layers_apart_stays() {
        let names = [
            "/model/layers/0/attn/q_proj/MatMul",
            "/model/layers/0/mlp/MatMul",
            "/model/layers/11/mlp/MatMul",
            "lm_head",
        ];
        assert_eq!(shortened(&names), ["…0/attn/q_proj", "…0/mlp", "…11/mlp", "lm_head"]);
        // Short ones too, where others are long: rows are read beside each other.
        let mixed =
            ["transformer.h.10.attn.c_attn", "transformer.h.1.mlp.c_fc", "transformer.h.1.mlp.c_proj"];
        assert_eq!(shortened(&mixed), ["…10.attn.c_attn", "…1.mlp.c_fc", "…1.mlp.c_proj"]);
        assert_eq!(shortened(&["layer1.conv1", "layer1.conv2"]), ["layer1.conv1", "layer1.conv2"]);
        let alone = ["one.very.long.name.of.a.module.indeed"];
        assert_eq!(shortened(&alone), alone);
        let alike = ["a.name.that.is.long.enough.to.cut"; 3];
        assert!(shortened(&alike).iter().all(|name| name.ends_with("cut") || name == alike[0]));
        assert_eq!(shortened(&[]), Vec::<String>::new());
        let odd = ["....................................", "größe/層/größe/層/größe/層/größe/層"];
        assert_eq!(shortened(&odd).len(), 2);
    }
}
