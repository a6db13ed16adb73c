//! Fragments of models whose every name tries to become something else.

use std::collections::HashSet;
use std::ops::ControlFlow;

use quantviz_core::{
    Entry, MemorySource, Opening, Rank, RecordKind, RunNote, ScalarBatch, SnapshotStore, StateMessage,
    one_line,
};
use quantviz_draw::{Counts, Values, histograms};
use quantviz_html::{Fragment, page};
use quantviz_record::Recorder;
use quantviz_store::MemoryStore;
use quantviz_view::{ComparisonView, Inspection, Listing, ModelPage, PageLayer, Place, Request, RunPage};

use models::{HOSTILE, Names, compared, page_of};

mod models;

/// Layers whose every name is hostile, and one variant.
fn shown(layers: usize) -> ModelPage {
    page_of(Names::Hostile, layers, 1)
}

/// A fragment of every part that there is, with the hostile words in it.
fn parts() -> Vec<Fragment> {
    let (page, comparison) = compared(Names::Hostile, 2, 1);
    let layers: Vec<PageLayer> =
        page.layers_named(&format!("{HOSTILE}.1")).expect("it").into_iter().cloned().collect();
    let parameter = page.parameter(&format!("{HOSTILE}.1.weight"), &comparison).expect("it");
    let histogram = parameter.histogram().expect("a weight");
    let place = Place { group: Some(HOSTILE.into()), variant: Some(HOSTILE.into()), reference: None };
    let listing = Listing::of(HOSTILE, &[(HOSTILE, &place)]);
    vec![
        Fragment::of_layers(HOSTILE, &layers, "a"),
        Fragment::of_parameter(&parameter, "b"),
        Fragment::of_histograms(histogram, Values::Codes, Counts::Log, "c"),
        Fragment::of_listing(&listing, "d"),
        Fragment::of_error(&one_line(HOSTILE), "e"),
    ]
}

/// Parts say what the page says, run nothing and have ids of their own.
#[test]
fn parts_are_inert() {
    let parts = parts();
    assert_eq!(parts.len(), 5);
    for (part, id) in parts.iter().zip(["qv-a", "qv-b", "qv-c", "qv-d", "qv-e"]) {
        let tags = tags(part.html());
        let names: HashSet<&str> = tags.iter().map(|tag| tag.split(' ').next().unwrap_or_default()).collect();
        assert!(!names.contains("img") && !names.contains("script") && !names.contains("!--"), "{names:?}");
        assert!(part.html().contains("&lt;/script&gt;&lt;img"), "the names are there, as text");
        let ids = tags.iter().filter_map(|tag| tag.split_once(" id=\"")).map(|(_, rest)| rest);
        assert!(ids.clone().count() > 0 && ids.clone().all(|it| it.starts_with(id)), "{id}");
    }
    assert!(parts[1].html().contains("qv-parameters") && parts[1].html().contains("qv-measures"));
    assert_eq!(parts[2].html().matches("<figure>").count(), 1);
}

/// What turns text around, breaks lines in scripts, or is obeyed by a terminal.
const UNSEEN: &str = "\u{202e}\u{2028}\u{1b}[31m\u{2066}\r\n";

/// A training run in which every name, note and label is hostile.
fn hostile_run() -> RunPage {
    let store = MemoryStore::new();
    let name = format!("{HOSTILE}{UNSEEN}");
    let builder = Recorder::builder("run").name(&name).tag(&name, &name).tokens([&name, &name, &name]);
    let mut import = builder.to(store.clone()).import().expect("a store");
    for step in 1..=3u8 {
        let weight = |rows, columns| ndarray::Array2::from_elem((rows, columns), 0.1 * f32::from(step));
        let source = MemorySource::new()
            .with(format!("{name}.wte.weight"), weight(3, 4))
            .with(format!("{name}.fc.weight"), weight(4, 4));
        import.add(u64::from(step), &source).expect("recorded");
    }
    import.finish().expect("written");
    let session = "run".parse().expect("a name");
    let writer = store.open(&session, Rank::ONLY, Opening::Resume { step: 4 }).expect("resumed");
    let note = serde_json::to_vec(&RunNote::new(4, &name, format!("one\n{name}"))).expect("JSON");
    let rows: Vec<_> =
        (4..30).map(|step| (step, vec![(name.clone(), 1.0), ("loss".into(), f64::NAN)])).collect();
    let scalars = ScalarBatch::of(&rows).to_bytes().expect("JSON");
    let failed = serde_json::to_vec(&StateMessage::failed(&name)).expect("JSON");
    for (seq, entry) in (1..).zip([
        Entry::new(RecordKind::Note, 4, 0, note),
        Entry::new(RecordKind::Scalars, 29, 0, scalars).from_step(4),
        Entry::new(RecordKind::State, 29, 0, failed),
    ]) {
        let mut entry = entry;
        entry.seq = seq;
        store.append(&writer, &entry).expect("kept");
    }
    RunPage::of_session(&store, "run", 1_795_000_000_000).expect("readable")
}

#[test]
fn runs_are_inert() {
    let shown = hostile_run();
    let fragment = Fragment::of_run(&shown, "run");
    let html = fragment.html();
    let tags = tags(html);
    let names: HashSet<&str> = tags.iter().map(|tag| tag.split(' ').next().unwrap_or_default()).collect();
    assert!(!names.contains("img") && !names.contains("script") && !names.contains("!--"), "{names:?}");
    assert!(html.matches("&lt;/script&gt;&lt;img").count() > 10, "the names are there, as text");
    for unseen in ['\u{202e}', '\u{2028}', '\u{1b}', '\u{2066}', '\r'] {
        assert!(!html.contains(unseen), "{unseen:?}");
    }
    assert!(!shown.embeddings.is_empty() && !shown.notes.is_empty());
    assert!(shown.notes[0].text.starts_with("one\n"), "notes keep their lines");
    let ids = tags.iter().filter_map(|tag| tag.split_once(" id=\"")).map(|(_, rest)| rest);
    assert!(ids.clone().count() > 0 && ids.clone().all(|it| it.starts_with("qv-run")));
}

/// The tags of a page with their attributes, as a browser takes it apart: what stands in quotes is text, and so is what
/// stands in a script or a style until its end.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let mut quote = None;
        let end = rest[start..].find(|c| {
            match (quote, c) {
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None, '>') => return true,
                _ => {}
            }
            false
        });
        let end = start + end.expect("every tag ends");
        let tag = &rest[start + 1..end];
        tags.push(tag.to_owned());
        rest = &rest[end + 1..];
        let name = tag.split(' ').next().unwrap_or_default();
        if matches!(name, "script" | "style") {
            let close = format!("</{name}");
            rest = &rest[rest.find(&close).expect("it is closed")..];
        }
    }
    tags
}

/// Few layers; blocks with headings, and more models than there are places; one that cannot be read.
#[test]
fn names_are_inert() {
    let many = page_of(Names::HostileBlocks, 28, 5).without(HOSTILE, HOSTILE);
    for (shown, scripts) in [(shown(3), 2), (many, 2)] {
        let html = page(&Fragment::of(&shown, "a"));
        let tags = tags(&html);
        let names: HashSet<&str> = tags.iter().map(|tag| tag.split(' ').next().unwrap_or_default()).collect();
        assert!(!names.contains("img") && !names.contains("!--"), "{names:?}");
        // An attribute that runs something would begin with "on".
        let runs = tags.iter().find(|tag| tag.split('"').step_by(2).any(|outside| outside.contains(" on")));
        assert_eq!(runs, None);
        assert_eq!(tags.iter().filter(|tag| tag.starts_with("script")).count(), scripts);
        assert!(!html.contains('\u{2028}'));
        assert!(html.contains("&lt;/script&gt;&lt;img"), "the names are there, as text");
    }
}

/// What is told of a row by pointing at it, of a block by its heading, of a model in its choice: all is there as text.
#[test]
fn hostile_words_are_told_as_they_are() {
    let html =
        Fragment::of(&page_of(Names::HostileBlocks, 28, 5).without(HOSTILE, HOSTILE), "a").html().to_owned();
    let escaped = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;";
    for before in ["<summary><span class=\"qv-name\">", "cannot be read, and is not shown: ", "<title>"] {
        assert!(html.contains(&format!("{before}{escaped}")), "{before}");
    }
    let options = html.split("<option value=\"").filter(|it| it.contains("onerror")).count();
    assert!(options >= 3 * 4, "{options}");
}

/// Nothing is fetched: there is no address in it but places of the page itself.
#[test]
fn it_needs_nothing_else() {
    let html = page(&Fragment::of(&shown(1), "a"));
    for tag in tags(&html) {
        let address = tag.split_once("href=\"").or(tag.split_once("src=\""));
        assert!(address.is_none_or(|(_, address)| address.starts_with('#')), "{tag}");
        assert!(!tag.starts_with("link"), "{tag}");
    }
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("@import"), "no network");
    assert!(html.contains("default-src 'none'"));
}

/// Ids are unique, also where two fragments of one model stand on a page, and everything that names an id finds it.
#[test]
fn fragments_stand_beside_each_other() {
    let shown = shown(2);
    let both = ["a", "b \"><x>"].map(|name| Fragment::of(&shown, name).html().to_owned()).concat();
    let tags = tags(&both);
    let of = |attribute: &str| -> Vec<String> {
        let start = format!(" {attribute}=\"");
        let found =
            tags.iter().filter_map(|tag| Some(tag.split_once(&start)?.1.split('"').next()?.to_owned()));
        found.collect()
    };
    let ids = of("id");
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("qv-a") || id.starts_with("qv-bx")), "{ids:?}");
    let links = of("href").into_iter().map(|link| link.trim_start_matches('#').to_owned());
    let named = links.chain(of("for")).chain(of("aria-controls")).chain(of("aria-labelledby"));
    let lost: Vec<String> = named.filter(|id| !distinct.contains(id)).collect();
    assert_eq!(lost, Vec::<String>::new());
}

/// Where nothing runs, all layers are there, and the first are open.
#[test]
fn it_can_be_read_without_scripts() {
    let html = Fragment::of(&shown(8), "a").html().to_owned();
    let layers: Vec<String> = tags(&html).into_iter().filter(|tag| tag.contains("qv-layer\"")).collect();
    assert_eq!(layers.len(), 8);
    let open = layers.iter().filter(|tag| tag.ends_with(" open")).count();
    assert!((1..=5).contains(&open), "{layers:?}");
    assert!(html.contains("qv-fill-quantized"), "histograms are drawn already");
}

#[test]
fn a_model_of_nothing_has_a_page() {
    let go_on = |_| ControlFlow::Continue(());
    let empty = Inspection::of(&MemorySource::new(), "m", &Request::default(), &go_on).expect("readable");
    let shown = ModelPage::of("m", &empty, None, &[], &ComparisonView::of("m", Vec::new()));
    assert!(Fragment::of(&shown, "a").html().contains("no weights"));
}

/// Pages are sent to people. What a layer takes does not depend on how large it is, but for a digit or two; GPT-2 has 50 of
/// such weights.
#[test]
fn pages_of_many_layers_are_small() {
    let html = page(&Fragment::of(&page_of(Names::Plain, 100, 2), "a"));
    assert!(html.len() < 1_600_000, "{}", html.len());
}

/// More models than there are places: all are drawn, the first are seen, and each place can be given to another.
#[test]
fn models_without_a_place_are_named_and_can_be_chosen() {
    let html = Fragment::of(&page_of(Names::Plain, 4, 5), "a").html().to_owned();
    assert!(
        html.contains("<p class=\"qv-still\">The ranges are those of the first 4 models. Not drawn: "),
        "{html}"
    );
    assert_eq!(html.matches("<select class=\"qv-model\"").count(), 3);
    assert!(html.contains("#qv-a .qv-p4{display:none}#qv-a .qv-p5{display:none}</style>"));
    assert!(html.contains("<g class=\"qv-p5\">"));
    let four = Fragment::of(&page_of(Names::Plain, 4, 3), "a").html().to_owned();
    assert!(!four.contains("qv-still\"") && !four.contains("qv-p1"), "four have room");
}

/// For `fixtures/browser`: pages of three sizes, one with two fragments, one of many models, and what histograms are like by
/// the logarithm.
#[test]
#[ignore = "writes pages for a browser: cargo xtask test"]
fn pages_for_a_browser() {
    let folder = std::path::PathBuf::from(std::env::var_os("QUANTVIZ_PAGES").expect("where to"));
    let write = |name: &str, html: String| std::fs::write(folder.join(name), html).expect("written");
    let whole = |shown: &ModelPage| page(&Fragment::of(shown, "page"));
    write("layers-20.html", whole(&shown(20)));
    for layers in [20, 150, 600] {
        write(&format!("plain-{layers}.html"), whole(&page_of(Names::Plain, layers, 2)));
    }
    write("blocks.html", whole(&page_of(Names::HostileBlocks, 40, 4).without(HOSTILE, HOSTILE)));
    write("many.html", whole(&page_of(Names::Plain, 8, 6)));
    let shown = page_of(Names::Plain, 3, 2);
    let both = ["a", "b"].map(|name| Fragment::of(&shown, name).html().to_owned()).concat();
    write(
        "two.html",
        format!("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>two</title><main>{both}</main>"),
    );
    // What the script draws and tells must be what is drawn and told elsewhere.
    let set = &shown.layers[shown.first].histograms[0];
    write("log.svg", histograms(set, Values::Real, Counts::Log).document());
    write("codes-log.svg", histograms(set, Values::Codes, Counts::Log).document());
    let told: Vec<&str> = set.panels[0].bars.iter().map(|bar| bar.tooltip.as_str()).collect();
    write("told.json", serde_json::to_string(&told).expect("texts"));
}

#[test]
fn a_session_that_is_misspelt() {
    let store = MemoryStore::new();
    let error = |name: &str| RunPage::of_session(&store, name, 0).expect_err("there is none").to_string();
    assert_eq!(error("run"), "no session is named \"run\"; nothing was recorded here");
    let mut import = Recorder::builder("shakespeare").to(store.clone()).import().expect("a store");
    import.add(1, &MemorySource::new().with("w", ndarray::arr1(&[0.5f32]))).expect("recorded");
    import.finish().expect("written");
    assert_eq!(error("shakespaere"), "no session is named \"shakespaere\"; the nearest is \"shakespeare\"");
    assert_eq!(error("x9"), "no session is named \"x9\"; there is \"shakespeare\"");
}
