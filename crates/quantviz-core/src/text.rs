//! Text that comes from files, made safe to show.

/// One line of text that a terminal can show: names in files may hold newlines and terminal escapes, and may be very
/// long.
///
/// ```
/// assert_eq!(quantviz_core::one_line("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
/// ```
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars().take(LONGEST) {
        match c {
            _ if c.is_control() || is_invisible(c) => line.extend(c.escape_default()),
            _ => line.push(c),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// Whether a name fits a pattern, in which `*` stands for any text and `?` for one character.
///
/// ```
/// use quantviz_core::is_like;
///
/// assert!(is_like("h.*.weight", "h.0.attn.c_attn.weight"));
/// assert!(!is_like("h.?.weight", "h.10.weight"));
/// ```
pub fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The last star, and how much of the name it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[read] => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, read) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

/// Marks that turn the direction of text around, or take no room: Unicode's category of format characters, what
/// separates lines and paragraphs, and letters that are blank.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
        | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_spelled_out() {
        for c in [
            '\u{61c}',
            '\u{2060}',
            '\u{ad}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{202e}',
            '\u{3164}',
            '\u{85}',
            '\u{7f}',
        ] {
            let line = one_line(&format!("a{c}b"));
            assert_eq!(line, format!("a{}b", c.escape_default()));
            assert_eq!(one_line(&line), line);
        }
        assert_eq!(one_line("größe.層.weight"), "größe.層.weight");
        // Paths of Windows stay what they are.
        assert_eq!(one_line(r"C:\models\new"), r"C:\models\new");
    }
}
