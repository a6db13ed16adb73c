//! Models of one type are told apart by what differs in the names of their files.

use std::collections::HashMap;

use crate::model_page::file_name;

/// The labels of models by their paths: as they are where each is alone, and with what tells the files apart where several are
/// the same, or where there is none.
pub(crate) fn told_apart<'a>(models: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let models: Vec<(&str, &str)> = models.collect();
    let mut labels: Vec<String> = models.iter().map(|(label, _)| (*label).to_owned()).collect();
    let mut of_label: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, (label, _)) in models.iter().enumerate() {
        of_label.entry(label).or_default().push(index);
    }
    for (label, alike) in of_label.into_iter().filter(|(label, alike)| alike.len() > 1 || label.is_empty()) {
        let files: Vec<String> = alike.iter().map(|&index| file_name(models[index].1)).collect();
        for (index, file) in alike.into_iter().zip(without_shared_ends(&files)) {
            labels[index] = format!("{label} {file}").trim().to_owned();
        }
    }
    labels
}

/// Names of files without what all of them begin and end with, as far as that are whole words.
fn without_shared_ends(names: &[String]) -> Vec<&str> {
    let whole = || names.iter().map(String::as_str).collect();
    let Some((first, others)) = names.split_first().filter(|(_, others)| !others.is_empty()) else {
        return whole();
    };
    let is_between = |c: char| matches!(c, '-' | '_' | '.' | ' ');
    let mut start = "";
    for (at, c) in first.char_indices().filter(|(_, c)| is_between(*c)) {
        let longer = &first[..at + c.len_utf8()];
        if others.iter().all(|it| it.starts_with(longer)) {
            start = longer;
        }
    }
    let rest = &first[start.len()..];
    let ends = rest.char_indices().filter(|(_, c)| is_between(*c)).map(|(at, _)| &rest[at..]);
    let is_shared = |end: &&str| others.iter().all(|it| it[start.len()..].ends_with(*end));
    let end = ends.into_iter().find(is_shared).unwrap_or_default();
    let inner: Vec<&str> = names.iter().map(|name| &name[start.len()..name.len() - end.len()]).collect();
    // Files of one name, and nothing at all, tell nobody which it is.
    let is_told = inner[0] != inner[1] && inner.iter().all(|inner| !inner.is_empty());
    if is_told { inner } else { whole() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_differs() {
        let cases = [
            (&["gpt2_int8.safetensors", "gpt2_w6.safetensors"][..], &["int8", "w6"][..]),
            (&["m-Q4_K_M.gguf", "m-Q4_K_S.gguf"], &["M", "S"]),
            (&["m-Q4_K_M.gguf", "m-Q5_K_M.gguf", "m-Q8_0.gguf"], &["Q4_K_M", "Q5_K_M", "Q8_0"]),
            (&["m.onnx", "m_2.onnx"], &["m", "m_2"]),
            (&["a_b", "a_b_a_b"], &["b", "b_a_b"]),
            (&["same.onnx", "same.onnx"], &["same.onnx", "same.onnx"]),
            (&["x_.onnx", "x_y.onnx"], &["x_.onnx", "x_y.onnx"]),
            (&["größe_ä", "größe_ö"], &["ä", "ö"]),
            (&["alone_int8.onnx"], &["alone_int8.onnx"]),
            (&[], &[]),
        ];
        for (names, expected) in cases {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(without_shared_ends(&names), expected);
        }
    }

    #[test]
    fn who_is_alone_keeps_the_label() {
        let models =
            [("FP32", "d/m.onnx"), ("INT8", "d/m_a.onnx"), ("INT8", "e/m_b.onnx"), ("", "d/m_c.onnx")];
        assert_eq!(told_apart(models.into_iter()), ["FP32", "INT8 a", "INT8 b", "m_c.onnx"]);
    }
}
