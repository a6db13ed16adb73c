//! As much TOML as our own checks read: sections, and lists of strings.

/// The lines of one section, without comments.
pub(super) fn section<'a>(text: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

/// The strings of a list, such as `allow = ["MIT", "Zlib"]`, on one line or on many.
pub(super) fn strings(text: &str, header: &str, key: &str) -> Vec<String> {
    let lines: Vec<&str> = section(text, header).collect();
    let text = lines.join("\n");
    let Some((_, value)) = text.split_once(&format!("{key} = [")) else { return Vec::new() };
    let list = value.split(']').next().unwrap_or(value);
    // Every second piece is between quotes.
    list.split('"').skip(1).step_by(2).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_found_in_its_section() {
        let text =
            "[bans]\nallow = []\n[licenses]\nallow = [\n  \"MIT\", # \"not this\"\n  \"Zlib\",\n]\n[x]\n";
        assert_eq!(strings(text, "[licenses]", "allow"), ["MIT", "Zlib"]);
        assert!(strings(text, "[bans]", "allow").is_empty());
        assert!(strings(text, "[x]", "allow").is_empty());
    }
}
