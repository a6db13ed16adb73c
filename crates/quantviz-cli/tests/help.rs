//! What the command says of itself: help, completions and manual pages.

mod screen;

use quantviz::Limits;
use screen::screen;

#[test]
fn help_teaches() {
    let text = screen(80, &["--help"]);
    assert!(text.contains("quantviz inspect models/"), "{text}");
    assert!(screen(80, &["inspect", "--help"]).contains("quantviz.inspect/1"));
    // Examples can be copied: none is broken over two lines.
    for command in [&["--help"][..], &["inspect", "--help"], &["layers", "--help"], &["man", "--help"]] {
        let text = screen(80, command);
        let examples = text.split("Examples:\n").nth(1).expect("there are examples");
        let broken = examples.lines().take_while(|line| !line.is_empty());
        assert!(broken.clone().count() > 1, "{text}");
        assert!(broken.clone().all(|line| line.starts_with("  quantviz ") && line.len() <= 80), "{text}");
    }
}

#[test]
fn inspect_says_what_its_numbers_are() {
    let text = screen(80, &["help", "inspect"]).split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "real = scale · (code − zero-point) + offset",
        "Running statistics, constants and buffers, what an optimizer remembers, and scales and zero-points do not count",
        "summary.max' The last prints codes where something is quantized",
        "(.quantization.dequantized // .summary).max",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn limits_stand_at_the_end_with_their_numbers() {
    let usual = Limits::default();
    for command in ["inspect", "layers", "compare", "check", "lint", "preview", "report", "plot"] {
        let text = screen(80, &[command, "--help"]);
        let (before, limits) =
            text.split_once("Limits, as they are without --limit:\n").expect("they are there");
        assert!(before.contains("Examples:") && before.contains("at the end of"), "{text}");
        let starts: Vec<&str> = limits
            .lines()
            .filter(|line| !line.starts_with("   "))
            .filter_map(|line| line.trim().split(':').next())
            .collect();
        let expected =
            Limits::ALL.iter().map(|(name, _)| format!("{name}={}", usual.get(name).expect("a limit")));
        assert_eq!(starts, expected.collect::<Vec<_>>(), "{limits}");
        assert!(limits.lines().all(|line| line.len() <= 80), "{limits}");
        assert!(!screen(80, &[command, "-h"]).contains("graph_bytes"));
    }
}

#[test]
fn completions() {
    assert!(screen(80, &["completions", "bash"]).contains("--param"));
}

/// Every page that a manual page names can be printed.
#[test]
fn manual_pages() {
    let whole = screen(80, &["man"]);
    assert!(whole.contains(".TH quantviz 1"), "{whole}");
    let named = whole.lines().filter_map(|line| line.strip_prefix("quantviz\\-")?.strip_suffix("(1)"));
    let named: Vec<&str> = named.collect();
    assert_eq!(
        named,
        ["inspect", "layers", "compare", "check", "lint", "preview", "report", "plot", "completions", "man"]
    );
    for command in named {
        let page = screen(80, &["man", command]);
        let title = format!(".TH quantviz-{command} 1  \"quantviz {}\"", env!("CARGO_PKG_VERSION"));
        assert!(page.contains(&title), "{page}");
    }
    assert!(screen(80, &["man", "inspect"]).contains("\\-\\-bins"));
}
