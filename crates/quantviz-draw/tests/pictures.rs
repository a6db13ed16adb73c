//! Pictures of a small model, to the letter.

use std::ops::ControlFlow;

use ndarray::{Array2, arr2};
use quantviz_core::{Compare, DType, Encoding, Granularity, MemorySource, Operand, QuantDescriptor, Role};
use quantviz_draw::{Counts, Heatmap, Picture, Values, histograms, histograms_in_all_ways, strip};
use quantviz_view::{
    ChannelStrip, ComparisonView, HistogramSet, Inspection, RangeChart, Request, VariantView,
};

const HOSTILE: &str = "</title><script>alert('1')</script>&\"\u{2028}.weight";

/// A ramp, whose codes are what `scale` makes of it.
fn ramp(size: f32) -> Array2<f32> {
    Array2::from_shape_fn((4, 16), |(row, column)| {
        (column as f32 - 7.0) / 8.0 * size * (row + 1) as f32 / 4.0
    })
}

fn reference() -> MemorySource {
    let mut source = MemorySource::new()
        .with("first.weight", ramp(1.0))
        .with(HOSTILE, ramp(0.25) + 0.01)
        .with("last.weight", arr2(&[[0.5f32, -0.25], [0.125, 0.0]]));
    source.model_mut().parameters.iter_mut().for_each(|it| it.role = Role::Weight);
    source
}

/// The first two as codes; those of the second are cut off.
fn quantized() -> MemorySource {
    let mut source = MemorySource::new();
    for (name, numbers, scale) in
        [("first.weight", ramp(1.0), 1.0 / 64.0), (HOSTILE, ramp(0.25) + 0.01, 1.0 / 1024.0)]
    {
        let codes = numbers.mapv(|it| (it / scale).round_ties_even().clamp(-127.0, 127.0) as i8);
        let operand = Operand::One { value: f64::from(scale), parameter: None };
        let descriptor = QuantDescriptor::of_stored(
            Encoding::Qdq,
            "a test",
            DType::I8,
            Granularity::Tensor,
            operand,
            None,
        );
        source = source.with(name, codes).quantized(descriptor.expect("codes")).expect("one scale");
    }
    source.model_mut().parameters.iter_mut().for_each(|it| it.role = Role::Weight);
    source
}

struct Views {
    ranges: RangeChart,
    sets: Vec<HistogramSet>,
    strips: Vec<ChannelStrip>,
}

fn views() -> Views {
    let go_on = |_| ControlFlow::Continue(());
    let (from, of) = (reference(), quantized());
    let compared = Compare::new().bins(8).run(&from, &of, &go_on).expect("readable");
    let variant = VariantView::of("m_int8", &from, &of, &compared, Vec::new(), true);
    let comparison = ComparisonView::of("m<fp32>", vec![variant]);
    let inspection = Inspection::of(&from, "m<fp32>", &Request::default(), &go_on).expect("readable");
    Views {
        ranges: RangeChart::of(&inspection, &comparison),
        sets: HistogramSet::all(&comparison),
        strips: comparison.variants[0].pairs.iter().filter_map(ChannelStrip::of).collect(),
    }
}

/// No text of a file has become markup, and what is opened is closed.
fn is_sound(svg: &str) {
    assert!(!svg.contains("<script") && !svg.contains('\u{2028}'), "{svg}");
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let tag = tag.split('>').next().expect("a piece");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{svg}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().expect("a name")),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

fn document(picture: &Picture) -> String {
    let svg = picture.document();
    is_sound(&svg);
    // The style is the same in all, and told elsewhere.
    let (before, rest) = svg.split_once("<style>").expect("a style");
    let (_, after) = rest.split_once("</style>").expect("its end");
    format!("{before}{after}")
}

#[test]
fn ranges_side_by_side() {
    insta::assert_snapshot!(document(&Heatmap::of(&views().ranges).picture()));
}

#[test]
fn rows_may_be_links() {
    let views = views();
    let links = vec!["#a".to_owned(), "#\"><script>".to_owned(), String::new()];
    let svg = Heatmap::of(&views.ranges).linking(&links).rows().inline("group");
    is_sound(&svg);
    assert_eq!(svg.matches("<a class=\"qv-row\"").count(), 2, "{svg}");
}

#[test]
fn histograms_beside_each_other() {
    let views = views();
    let set = views.sets.iter().find(|set| set.title == "first.weight").expect("it was compared");
    insta::assert_snapshot!(document(&histograms(set, Values::Real, Counts::Even)));
    for (values, counts) in
        [(Values::Codes, Counts::Log), (Values::Codes, Counts::Even), (Values::Real, Counts::Log)]
    {
        document(&histograms(set, values, counts));
    }
    let all = document(&histograms_in_all_ways(set));
    for class in ["qv-real", "qv-even", "qv-log", "qv-codes"] {
        assert!(all.contains(&format!("class=\"{class}\"")), "{class}: {all}");
    }
}

#[test]
fn channels_in_a_strip() {
    let views = views();
    insta::assert_snapshot!(document(&strip(&views.strips[0])));
    views.strips.iter().for_each(|it| is_sound(&strip(it).inline("img")));
}

/// What is worst is told by a sign too, and what nothing was made of is there.
#[test]
fn colours_are_not_needed() {
    let svg = Heatmap::of(&views().ranges).picture().document();
    assert!(svg.contains(">▲ ") && svg.contains(">worst<") && svg.contains(">widest<"), "{svg}");
    assert!(svg.contains(">not quantized<"), "{svg}");
}

#[test]
fn nothing_at_all_can_be_drawn() {
    let go_on = |_| ControlFlow::Continue(());
    let inspection = Inspection::of(&MemorySource::new(), "m", &Request::default(), &go_on).expect("empty");
    let chart = RangeChart::of(&inspection, &ComparisonView::of("m", Vec::new()));
    is_sound(&Heatmap::of(&chart).picture().document());
}
