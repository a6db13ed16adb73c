//! Text that comes from files, in SVG and XML: the one place where it is made safe.

use std::fmt;

/// Text as it may stand between tags and in quoted attributes. What XML has no place for becomes U+FFFD.
///
/// ```
/// assert_eq!(quantviz_draw::escaped("</a> & \"b\"").to_string(), "&lt;/a&gt; &amp; &quot;b&quot;");
/// ```
pub fn escaped(text: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |out| {
        text.chars().try_for_each(|c| match c {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            '\t' | '\n' => out.write_str(" "),
            '\u{fffe}' | '\u{ffff}' => out.write_str("\u{fffd}"),
            c if c.is_control() => out.write_str("\u{fffd}"),
            c => write!(out, "{c}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_tag_or_a_quote() {
        let hostile = "\"'><script>alert(1)</script>&amp;\u{0}\u{1b}\u{ffff}\r\n";
        let text = escaped(hostile).to_string();
        assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains("&amp;amp;"), "{text}");
        assert_eq!(escaped("größe.層").to_string(), "größe.層");
    }
}
