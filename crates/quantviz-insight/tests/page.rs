//! `docs/findings.md` says what the table of rules says. With `QUANTVIZ_RENEW` set, it is written anew.

use quantviz_insight::{RULES, Target};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings.md");

const HEAD: &str = "\
# Findings

What `quantviz lint` looks for in quantized models, and what comparisons find on top of that. A test writes this page from
the table of rules (`QUANTVIZ_RENEW=1 cargo test -p quantviz-insight --test page`). Numbers are never given anew.

- **error**: the file is wrong. Some runtime refuses it, or computes something else than was meant. `quantviz lint` ends
  with exit code 1.
- **warning**: accuracy is lost that need not be.
- **info**: good to know.

Findings are about files. Weights alone do not say what a network still recognises: a model without findings may be bad,
and one with warnings may be good enough. What onnxruntime's, torch's and gguf's own quantizers make of a sound model is
free of errors and warnings; tests hold the rules to that (`fixtures/python/make_clean.py`).

Every finding has a message in one line, the numbers behind it as `evidence`, and advice. In JSON (`quantviz.lint/1`):

```json
{\"schema\": \"quantviz.lint/1\", \"models\": [{\"path\": \"model.onnx\", \"quantized\": 1, \"findings\": [
  {\"code\": \"QV001\", \"level\": \"error\", \"parameter\": \"fc.weight\", \"message\": \"1 of 16 scales are NaN or infinite\",
   \"evidence\": {\"nan\": 1, \"infinite\": 0, \"scales\": 16}, \"advice\": \"…\"}]}]}
```

Where there is such, `unread` beside `findings` lists what of a model cannot be judged, and `error` says why a model of a
folder cannot be read at all. Exit code 2 says that a file is damaged; it goes before exit code 1.
";

const NO_PROMISE: &str = "
That nothing is found is no promise that a model runs there: TensorRT has no place for int32 biases either, which
onnxruntime's quantizer makes unless it is told not to (`QuantizeBias`), and that is not looked at yet.";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let targets: Vec<String> = Target::ALL.iter().map(|target| format!("`{target}`")).collect();
    page.push_str(&format!(
        "\n`--target` names a runtime that adds rules or is stricter: {}.{NO_PROMISE}\n\n| rule | level | finds |\n| --- | --- | --- |\n",
        targets.join(", ")
    ));
    for rule in RULES {
        page.push_str(&format!(
            "| [{0}](#{1}) | {2} | {3} |\n",
            rule.code,
            anchor(rule.code, rule.title),
            rule.level.name(),
            rule.title
        ));
    }
    for rule in RULES {
        page.push_str(&format!(
            "\n## {}: {}\n\n{}\n\n**Why it matters.** {}\n\n**What to try.** {}\n",
            rule.code, rule.title, rule.means, rule.matters, rule.advice
        ));
    }
    page
}

/// As Markdown makes them of headings: small letters, digits and dashes.
fn anchor(code: impl std::fmt::Display, title: &str) -> String {
    let heading = format!("{code}: {title}").to_lowercase();
    let letters = heading.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-'));
    letters.map(|it| if it == ' ' { '-' } else { it }).collect()
}

#[test]
fn the_page_is_that_of_the_table() {
    if std::env::var_os("QUANTVIZ_RENEW").is_some() {
        std::fs::write(PAGE, page()).expect("docs can be written");
    }
    let written = std::fs::read_to_string(PAGE).expect("docs/findings.md is there");
    assert!(written == page(), "docs/findings.md is out of date: QUANTVIZ_RENEW=1 writes it anew");
}
