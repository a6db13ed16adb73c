//! Pages of models whose layers are not the same.

use std::ops::ControlFlow;

use ndarray::{Array2, arr2};
use quantviz_core::{
    Compare, DType, Encoding, Granularity, Layer, LayerId, LayerKind, MemorySource, Operand, ParameterId,
    QuantDescriptor, Role,
};
use quantviz_view::{ComparisonView, Inspection, ModelPage, RangeOrder, Request, VariantView};

fn weight(layer: usize) -> Array2<f32> {
    Array2::from_shape_fn((4, 16), |(row, column)| ((row * 16 + column * 5 + layer) % 13) as f32 / 13.0 - 0.4)
}

/// A weight for each of `weights`, in layers of these names; other layers have none.
fn model(layers: &[&str], weights: &[&str], quantized: bool) -> MemorySource {
    let mut source = MemorySource::new();
    for (index, name) in weights.iter().enumerate() {
        let numbers = weight(index);
        source = match quantized {
            true => {
                let codes = numbers.mapv(|it| (it * 200.0).round_ties_even() as i8);
                let scale = Operand::One { value: 1.0 / 200.0, parameter: None };
                let granularity = Granularity::Tensor;
                let descriptor =
                    QuantDescriptor::of_stored(Encoding::Qdq, "m", DType::I8, granularity, scale, None);
                let source = source.with(format!("{name}.weight"), codes);
                source.quantized(descriptor.expect("codes")).expect("one scale")
            }
            false => source.with(format!("{name}.weight"), numbers),
        };
    }
    let model = source.model_mut();
    model.layers =
        layers.iter().map(|name| Layer::new(*name, Some("Op".into()), LayerKind::Parameter)).collect();
    for (index, name) in weights.iter().enumerate() {
        let layer = layers.iter().position(|layer| layer == name).expect("it has a layer");
        model.layers[layer].parameters.extend(ParameterId::new(index));
        (model.parameters[index].layer, model.parameters[index].role) = (LayerId::new(layer), Role::Weight);
    }
    source
}

/// The page of layers `a`, `b`, `c` and of two variants that have more.
fn page() -> ModelPage {
    let go_on = |_| ControlFlow::Continue(());
    let inspect =
        |source: &MemorySource| Inspection::of(source, "m", &Request::default(), &go_on).expect("readable");
    let weights = ["a", "b", "c"];
    let from = model(&weights, &weights, false);
    let variants =
        [&["quantize", "a", "b", "after_b", "after_that", "c", "end"][..], &["a", "b", "other", "c"]];
    let variants = variants.map(|layers| model(layers, &weights, true));
    let views = variants.each_ref().map(|of| {
        let compared = Compare::new().run(&from, of, &go_on).expect("readable");
        VariantView::of("q", &from, of, &compared, Vec::new(), false)
    });
    let comparison = ComparisonView::of("m", views.to_vec());
    ModelPage::of("m", &inspect(&from), None, &variants.each_ref().map(inspect), &comparison)
}

#[test]
fn what_only_a_variant_has_stands_where_its_graph_has_it() {
    let page = page();
    let names: Vec<&str> = page.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["quantize", "a", "b", "after_b", "after_that", "other", "c", "end"]);
    for (row, layer) in page.chart.rows.iter().zip(&page.row_layers) {
        let layer = &page.layers[layer.expect("each row has a layer")];
        assert_eq!(row.layer, layer.name);
        let models: Vec<&str> = layer.parameters.iter().map(|(model, _)| model.as_str()).collect();
        assert_eq!(models, ["FP32", "INT8 q", "INT8 q"], "what was made of a weight stands with it");
        assert!(layer.parameters.iter().all(|(_, row)| row.name.starts_with(&layer.name)));
    }
    assert_eq!(page.chart.order(RangeOrder::Layers), [0, 1, 2]);
    assert!(page.layers[page.first].name.len() == 1, "what is worth a look has a weight");
}

#[test]
fn channels_have_their_scales() {
    let go_on = |_| ControlFlow::Continue(());
    let numbers = arr2(&[[0.5f32, -1.0, 0.25, 0.125], [4.0, -2.0, 1.0, 3.0], [0.01, 0.02, -0.03, 0.04]]);
    let scales = [0.01f32, 0.04, 0.0005];
    let codes =
        Array2::from_shape_fn((3, 4), |(row, column)| (numbers[(row, column)] / scales[row]).round() as i8);
    let from = MemorySource::new().with("w", numbers);
    let source = MemorySource::new().with("s", ndarray::arr1(&scales));
    let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
    let zero = Some(Operand::One { value: 0.0, parameter: None });
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Qdq, "m", DType::I8, Granularity::Axis(0), scale, zero);
    let mut of = source.with("w", codes).quantized(descriptor.expect("codes")).expect("they fit");
    let mut from = from;
    from.model_mut().parameters[0].role = Role::Weight;
    of.model_mut().parameters[1].role = Role::Weight;
    let compared = Compare::new().run(&from, &of, &go_on).expect("readable");
    let all = VariantView::of("q", &from, &of, &compared, Vec::new(), true);
    let channels = all.pairs[0].channels.as_ref().and_then(|it| it.all.as_ref()).expect("all of them");
    let found: Vec<f64> = channels.iter().filter_map(|it| it.scale).collect();
    assert_eq!(found, scales.map(f64::from));
    assert!(channels.iter().all(|it| it.zero_point == Some(0.0)));
    let strip = quantviz_view::ChannelStrip::of(&all.pairs[0]).expect("three channels");
    // A zero-point that all share is no row.
    assert_eq!(strip.rows.len(), 1);
    assert_eq!(strip.rows[0].caption, "scale: 5e-4 to 0.04");
    for (height, expected) in strip.rows[0].heights.iter().zip([0.25, 1.0, 0.0125]) {
        assert!((height - expected).abs() < 1e-6, "{height} {expected}");
    }
    assert!(strip.cells[1].tooltip.ends_with(", scale 0.04, zero-point 0"), "{}", strip.cells[1].tooltip);
    // Who does not ask for all channels pays for none.
    let few = VariantView::of("q", &from, &of, &compared, Vec::new(), false);
    assert_eq!(few.pairs[0].channels.as_ref().and_then(|it| it.worst[0].scale), None);
}
