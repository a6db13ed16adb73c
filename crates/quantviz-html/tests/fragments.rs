//! Fragments of models whose every name tries to become something else.

use std::collections::HashSet;
use std::ops::ControlFlow;

use ndarray::{Array2, arr1};
use quantviz_core::{
    Activation, Compare, DType, Encoding, Granularity, Layer, LayerId, LayerKind, MemorySource, Operand,
    ParameterId, QuantDescriptor, Role, one_line,
};
use quantviz_draw::{Counts, Values};
use quantviz_html::{Fragment, page};
use quantviz_insight::Lint;
use quantviz_view::{ComparisonView, Inspection, Listing, ModelPage, PageLayer, Place, Request, VariantView};

/// What would run, close an element or an attribute, or begin another.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&<!--\u{2028}]]>--></title></style>";

fn named(what: &str) -> String {
    format!("{HOSTILE}.{what}")
}

/// Numbers of another size in every layer.
fn numbers(layer: usize) -> Array2<f32> {
    let size = 1.0 + (layer % 7) as f32 / 8.0;
    Array2::from_shape_fn((16, 64), |(row, column)| {
        (((row * 64 + column * 7 + layer) % 23) as f32 / 23.0 - 0.4) * size
    })
}

/// Layers with a weight and a bias each, and hostile words wherever a file has words.
fn model(layers: usize, quantized: bool) -> MemorySource {
    let mut source = MemorySource::new();
    for layer in 0..layers {
        let weight = numbers(layer);
        source = match quantized {
            true => {
                let codes = weight.mapv(|it| (it * 200.0).round_ties_even().clamp(-100.0, 100.0) as i8);
                let scale = Operand::One { value: 1.0 / 200.0, parameter: None };
                let descriptor = QuantDescriptor::of_stored(
                    Encoding::Qdq,
                    HOSTILE,
                    DType::I8,
                    Granularity::Tensor,
                    scale,
                    None,
                );
                let source = source.with(named(&format!("{layer}.weight")), codes);
                source.quantized(descriptor.expect("codes")).expect("one scale")
            }
            false => source.with(named(&format!("{layer}.weight")), weight),
        };
        source = source.with(named(&format!("{layer}.bias")), arr1(&[0.5f32, -0.25]));
    }
    let model = source.model_mut();
    model.layers.clear();
    model.producer = Some(HOSTILE.to_owned());
    model.metadata.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    for layer in 0..layers {
        let mut module = Layer::new(named(&layer.to_string()), Some(HOSTILE.into()), LayerKind::Parameter);
        let ids = [2 * layer, 2 * layer + 1].map(|index| ParameterId::new(index).expect("small"));
        module.parameters.extend(ids);
        if quantized {
            let scale = Operand::One { value: 0.25, parameter: None };
            module.activations.push(Activation::new(named("out"), DType::U8, scale, None));
        }
        model.layers.push(module);
        for (id, role) in ids.into_iter().zip([Role::Weight, Role::Bias]) {
            let parameter = &mut model.parameters[id.index()];
            (parameter.layer, parameter.role) = (LayerId::new(layer), role);
        }
    }
    source
}

fn shown(layers: usize) -> ModelPage {
    compared(layers).0
}

fn compared(layers: usize) -> (ModelPage, ComparisonView) {
    let go_on = |_| ControlFlow::Continue(());
    let (from, of) = (model(layers, false), model(layers, true));
    let compared = Compare::new().bins(64).run(&from, &of, &go_on).expect("readable");
    let findings = Lint::new().run(&of, &go_on).expect("readable").findings;
    let variant = VariantView::of(HOSTILE, &from, &of, &compared, findings, true);
    let inspect = |source| Inspection::of(source, HOSTILE, &Request::default(), &go_on).expect("readable");
    let comparison = ComparisonView::of(HOSTILE, vec![variant]);
    (ModelPage::of(HOSTILE, &inspect(&from), None, &[inspect(&of)], &comparison), comparison)
}

/// A fragment of every part that there is, with the hostile words in it.
fn parts() -> Vec<Fragment> {
    let (page, comparison) = compared(2);
    let layers: Vec<PageLayer> = page.layers_named(&named("1")).expect("it").into_iter().cloned().collect();
    let parameter = page.parameter(&named("1.weight"), &comparison).expect("it");
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

#[test]
fn names_are_inert() {
    let html = page(&Fragment::of(&shown(3), "a"));
    let tags = tags(&html);
    let names: HashSet<&str> = tags.iter().map(|tag| tag.split(' ').next().unwrap_or_default()).collect();
    assert!(!names.contains("img") && !names.contains("!--"), "{names:?}");
    // An attribute that runs something would begin with "on".
    let runs = tags.iter().find(|tag| tag.split('"').step_by(2).any(|outside| outside.contains(" on")));
    assert_eq!(runs, None);
    assert_eq!(tags.iter().filter(|tag| tag.starts_with("script")).count(), 2);
    assert!(!html.contains('\u{2028}'));
    assert!(html.contains("&lt;/script&gt;&lt;img"), "the names are there, as text");
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

/// For `fixtures/browser`: pages of three sizes, and one with two fragments.
#[test]
#[ignore = "writes pages for a browser: cargo xtask test"]
fn pages_for_a_browser() {
    let folder = std::path::PathBuf::from(std::env::var_os("QUANTVIZ_PAGES").expect("where to"));
    let write = |name: &str, html: String| std::fs::write(folder.join(name), html).expect("written");
    for layers in [20, 150, 600] {
        write(&format!("layers-{layers}.html"), page(&Fragment::of(&shown(layers), "page")));
    }
    let shown = shown(3);
    let both = ["a", "b"].map(|name| Fragment::of(&shown, name).html().to_owned()).concat();
    write(
        "two.html",
        format!("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>two</title><main>{both}</main>"),
    );
}
