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
fn limits_have_a_page_with_their_numbers() {
    let usual = Limits::default();
    for page in [&["help", "limits"][..], &["limits"]] {
        let text = screen(80, page);
        let (_, limits) = text.split_once("Limits, as they are without --limit:\n").expect("they are there");
        let starts: Vec<&str> = limits
            .lines()
            .filter(|line| !line.starts_with("   "))
            .filter_map(|line| line.trim().split(':').next())
            .collect();
        let expected =
            Limits::ALL.iter().map(|(name, _)| format!("{name}={}", usual.get(name).expect("a limit")));
        assert_eq!(starts, expected.collect::<Vec<_>>(), "{limits}");
        assert!(limits.lines().all(|line| line.len() <= 80), "{limits}");
    }
    // Other help is of what it is about.
    for command in ["inspect", "layers", "compare", "check", "lint", "preview"] {
        let text = screen(80, &[command, "--help"]);
        assert!(!text.contains("graph_bytes") && text.contains("'quantviz help limits'"), "{text}");
    }
}

/// What stands there can be pasted.
#[test]
fn check_shows_a_file_of_limits() {
    let text = screen(80, &["check", "--help"]);
    let (_, behind) = text.split_once("A quantviz.toml:\n").expect("it is there");
    let config: String = behind.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("quantviz.toml");
    std::fs::write(&file, config).expect("written");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");
    let text = screen(80, &["check", fixture, "--config", &file.to_string_lossy()]);
    assert_eq!(text.lines().filter(|line| line.contains(": holds")).count(), 2, "{text}");
}

/// An option of another command is told of as that.
#[test]
fn options_of_other_commands() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    quantviz_cli::run(["quantviz", "compare", "a.onnx", "--min-sqnr", "3"], &mut out, &mut err);
    let text = String::from_utf8(err).expect("UTF-8");
    assert!(
        text.contains("tip: '--min-sqnr' is an option of check\n") && !text.contains("as a value"),
        "{text}"
    );
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
        [
            "inspect",
            "layers",
            "compare",
            "check",
            "lint",
            "preview",
            "report",
            "plot",
            "sessions",
            "limits",
            "completions",
            "man"
        ]
    );
    for command in named {
        let page = screen(80, &["man", command]);
        let title = format!(".TH quantviz-{command} 1  \"quantviz {}\"", env!("CARGO_PKG_VERSION"));
        assert!(page.contains(&title), "{page}");
    }
    assert!(screen(80, &["man", "inspect"]).contains("\\-\\-bins"));
}
