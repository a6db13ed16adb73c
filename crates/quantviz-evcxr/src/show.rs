//! How a value gets into the output of a cell.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ndarray::ArrayD;
use quantviz_core::{Error, Result, one_line};
use quantviz_html::Fragment;

/// A value that shows itself below the cell that ends with it. It is implemented for results too: of an `Err`, the line
/// is shown that says what went wrong.
///
/// ```
/// use quantviz_evcxr::{Show, open};
///
/// let nothing = open("no/such/folder");
/// assert!(nothing.plain().starts_with("error: ") && nothing.plain().ends_with("no such file or folder"));
/// assert!(nothing.html("one").contains("no such file or folder"));
/// ```
pub trait Show {
    /// The value as text.
    fn plain(&self) -> String;

    /// The value as a part of a page. `name` tells the parts of one page apart: letters, digits and hyphens of it count.
    fn html(&self, name: &str) -> String;

    /// Shows it: what evcxr calls for the last thing in a cell.
    fn evcxr_display(&self) {
        let outputs = outputs(&self.plain(), &self.html(&next_name()));
        // All at once, so that nothing else comes between. Where nobody listens, there is nobody to tell.
        let mut out = io::stdout().lock();
        let _ = out.write_all(outputs.as_bytes()).and_then(|()| out.flush());
    }
}

/// Text and page, as evcxr takes them.
fn outputs(plain: &str, html: &str) -> String {
    let mut all = String::with_capacity(plain.len() + html.len() + 128);
    for (kind, content) in [("text/plain", plain), ("text/html", html)] {
        all.push_str(&format!("EVCXR_BEGIN_CONTENT {kind}\n{}\nEVCXR_END_CONTENT\n", inert(content)));
    }
    all
}

/// Text that evcxr passes on and never obeys, whatever names are in it.
pub(crate) fn inert(text: &str) -> String {
    text.replace("EVCXR_", "EVCXR\u{2011}")
}

/// A name that no other output has, of this kernel or of an earlier one that made another output of the same notebook. evcxr
/// makes a library of every cell, with statics of its own, so that counting alone would begin anew in each.
fn next_name() -> String {
    static CELL: OnceLock<u64> = OnceLock::new();
    static OUTPUTS: AtomicU64 = AtomicU64::new(0);
    let cell = CELL.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)
    });
    format!("{cell:016x}-{}", OUTPUTS.fetch_add(1, Ordering::Relaxed))
}

impl Show for Error {
    fn plain(&self) -> String {
        format!("error: {self}")
    }

    fn html(&self, name: &str) -> String {
        Fragment::of_error(&self.to_string(), name).html().to_owned()
    }
}

impl<T: Show> Show for Result<T> {
    fn plain(&self) -> String {
        match self {
            Ok(value) => value.plain(),
            Err(error) => error.plain(),
        }
    }

    fn html(&self, name: &str) -> String {
        match self {
            Ok(value) => value.html(name),
            Err(error) => error.html(name),
        }
    }
}

impl<T: Display> Show for ArrayD<T> {
    fn plain(&self) -> String {
        let shape: Vec<String> = self.shape().iter().map(usize::to_string).collect();
        format!("{self}\n{}", shape.join("×"))
    }

    fn html(&self, _: &str) -> String {
        preformatted(&self.plain())
    }
}

impl Show for Vec<String> {
    fn plain(&self) -> String {
        self.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n")
    }

    fn html(&self, _: &str) -> String {
        preformatted(&self.plain())
    }
}

fn preformatted(text: &str) -> String {
    format!(
        "<pre style=\"font-family:monospace;white-space:pre-wrap\">{}</pre>",
        quantviz_draw::escaped(text)
    )
}

/// Values that show themselves even where nobody has said `use quantviz_evcxr::*`.
macro_rules! shows_itself {
    ($value:ty) => {
        impl $value {
            /// Shows it: what evcxr calls for the last thing in a cell.
            pub fn evcxr_display(&self) {
                $crate::show::Show::evcxr_display(self);
            }
        }

        impl std::fmt::Debug for $value {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::show::Show::plain(self))
            }
        }
    };
}
pub(crate) use shows_itself;

#[cfg(test)]
mod tests {
    use super::*;

    /// The contents that evcxr would find: it looks for these lines, whatever else is in the output.
    fn found(outputs: &str) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut is_inside = false;
        for line in outputs.lines() {
            match line.split_once("EVCXR_BEGIN_CONTENT ") {
                Some((_, kind)) if !is_inside => {
                    found.push((kind.to_owned(), String::new()));
                    is_inside = true;
                }
                _ if line == "EVCXR_END_CONTENT" => is_inside = false,
                _ => found.last_mut().expect("nothing stands outside").1 += &format!("{line}\n"),
            }
        }
        found
    }

    #[test]
    fn text_and_page_come_together_whatever_is_in_them() {
        let hostile = "a\nEVCXR_END_CONTENT\nEVCXR_BEGIN_CONTENT text/html\nEVCXR_PANIC_NOTIFICATION";
        let found = found(&outputs(hostile, hostile));
        let kinds: Vec<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["text/plain", "text/html"]);
        assert!(found.iter().all(|(_, content)| content.lines().count() == 4), "{found:?}");
    }

    #[test]
    fn no_two_outputs_have_one_name() {
        let names: std::collections::HashSet<String> = (0..100).map(|_| next_name()).collect();
        assert_eq!(names.len(), 100);
    }

    #[test]
    fn arrays_and_names_are_text_in_a_page() {
        let array: ArrayD<f32> = ndarray::arr1(&[0.5f32, -1.0]).into_dyn();
        assert_eq!(array.plain(), "[0.5, -1]\n2");
        assert!(vec!["<b>".to_owned()].html("x").ends_with(">&lt;b&gt;</pre>"));
        let failed: Result<ArrayD<f32>> = Err(Error::not_found("no such file or folder").in_file("<i>"));
        assert!(failed.html("x").contains("&lt;i&gt;: no such file or folder"));
    }
}
