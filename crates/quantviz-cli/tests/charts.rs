//! Charts of the ResNet8 set: against what numpy counts, and against the graph into which normalisations are folded.

use std::collections::HashMap;
use std::ops::ControlFlow;

use quantviz::view::{ComparisonView, HistogramSet, Inspection, RangeBar, RangeChart, Request, VariantView};
use quantviz::{Compare, ParameterSource};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");
const BINS: usize = 64;

struct Charts {
    ranges: RangeChart,
    histograms: Vec<HistogramSet>,
}

fn charts(reference: &str) -> Charts {
    let go_on = |_| ControlFlow::Continue(());
    let open = |name: &str| quantviz::open(format!("{FOLDER}/{name}")).expect("readable");
    let from = open(reference);
    // In the order of the alphabet, backwards.
    let variants = ["resnet8_uint8.onnx", "resnet8_int8.onnx"].map(|name| {
        let of = open(name);
        let compared = Compare::new().bins(BINS).run(&*from, &*of, &go_on).expect("nobody calls it off");
        VariantView::of(name, &*from, &*of, &compared, Vec::new(), false)
    });
    let comparison = ComparisonView::of(reference, variants.to_vec());
    let inspection = Inspection::of(&*from, reference, &Request::default(), &go_on).expect("readable");
    assert_eq!(inspection.parameters.len(), from.model().parameters.len());
    Charts { ranges: RangeChart::of(&inspection, &comparison), histograms: HistogramSet::all(&comparison) }
}

#[test]
fn the_reference_is_counted_as_numpy_counts_it() {
    let text = std::fs::read_to_string(format!("{FOLDER}/resnet8_fp32.onnx.json")).expect("the truth");
    let truth: Value = serde_json::from_str(&text).expect("JSON");
    let sets = charts("resnet8_fp32.onnx").histograms;
    assert_eq!(sets.len(), 20);
    for set in &sets {
        let labels: Vec<&str> = set.panels.iter().map(|panel| panel.label.as_str()).collect();
        let expected = if set.title.ends_with("weight") {
            ["FP32", "INT8", "UINT8"]
        } else {
            ["FP32", "INT32 uint8", "INT32 int8"]
        };
        assert_eq!(labels, expected, "{}", set.title);
        let tensors = truth["tensors"].as_array().expect("a list");
        let tensor = tensors.iter().find(|it| it["name"] == *set.title).expect("it is there");
        let counts = tensor["hist"]["counts"].as_array().expect("64 bins");
        let mut found = vec![0; BINS];
        for bar in &set.panels[0].bars {
            found[(bar.from * BINS as f64).round() as usize] = bar.count;
        }
        assert_eq!(counts.iter().filter_map(Value::as_u64).collect::<Vec<_>>(), found, "{}", set.title);
    }
}

/// The checkpoint has its normalisations apart: each weight is shown as it was quantized, and what was done to it is told.
#[test]
fn a_checkpoint_has_the_charts_of_the_folded_graph() {
    let (folded, unfolded) = (charts("resnet8_fp32.onnx"), charts("resnet8.pt"));
    let rows = |chart: &RangeChart| {
        let bars = chart.rows.iter().map(|row| row.bars.iter().flatten().cloned().collect::<Vec<RangeBar>>());
        let mut bars: Vec<_> = bars.collect();
        bars.sort_by(|one, other| {
            one[1].low.total_cmp(&other[1].low).then(one[1].high.total_cmp(&other[1].high))
        });
        bars
    };
    let (one, other) = (rows(&folded.ranges), rows(&unfolded.ranges));
    assert_eq!((one.len(), other.len()), (10, 10));
    for (one, other) in one.iter().flatten().zip(other.iter().flatten()) {
        assert!(
            (one.low - other.low).abs() < 1e-6 && (one.high - other.high).abs() < 1e-6,
            "{one:?} {other:?}"
        );
        assert_eq!(one.verdict, other.verdict);
    }
    let remarks = unfolded.ranges.rows.iter().filter_map(|row| row.remark.as_deref());
    assert_eq!(remarks.filter(|remark| remark.ends_with("folded in")).count(), 7);

    let by_parameter = |sets: &[HistogramSet]| -> HashMap<String, Vec<u64>> {
        let counts = |set: &HistogramSet| set.panels[0].bars.iter().map(|bar| bar.count).collect();
        sets.iter().map(|set| (set.panels[1].parameter.clone(), counts(set))).collect()
    };
    let (one, other) = (by_parameter(&folded.histograms), by_parameter(&unfolded.histograms));
    for (name, counts) in one.iter().filter(|(name, _)| name.contains("conv")) {
        // Folding in f32 rounds: a number may step over an edge.
        let moved: u64 = counts.iter().zip(&other[name]).map(|(one, other)| one.abs_diff(*other)).sum();
        assert!(counts.len() == other[name].len() && moved <= 8, "{name}: {moved}");
    }
}
