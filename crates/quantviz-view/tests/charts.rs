//! Charts of a small model and of what was made of it, painted with letters: a painter has nothing to compute.

use std::ops::ControlFlow;

use ndarray::{Array2, arr1};
use quantviz_core::{
    Compare, DType, Encoding, Granularity, Layer, LayerId, LayerKind, MemorySource, Operand, ParameterSource,
    QuantDescriptor, Role,
};
use quantviz_insight::Lint;
use quantviz_view::{
    Axis, ComparisonView, FidelityTable, HistogramBar, HistogramSet, Inspection, LayerList, RangeChart,
    Request, VariantView, Verdict,
};

/// Weights that are spread as those of networks are, none like the others.
fn weights(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    Array2::from_shape_fn((rows, columns), |_| (0..6).map(|_| uniform()).sum::<f32>() * 0.1)
}

/// Each weight is a layer of its own.
fn layered(mut source: MemorySource) -> MemorySource {
    let model = source.model_mut();
    model.layers.clear();
    for (index, parameter) in model.parameters.iter_mut().enumerate() {
        let (module, part) = parameter.name.rsplit_once('.').expect("layer and part");
        parameter.role = match part {
            "scale" => Role::Scale,
            "weight" if module == "norm" => Role::Norm,
            _ => Role::Weight,
        };
        if model.layers.last().is_none_or(|layer: &Layer| layer.name != module) {
            let op = if module == "norm" { "LayerNorm" } else { "Linear" };
            model.layers.push(Layer::new(module, Some(op.into()), LayerKind::Parameter));
        }
        parameter.layer = LayerId::new(model.layers.len() - 1);
        let layer = model.layers.last_mut().expect("was pushed");
        layer.parameters.extend(quantviz_core::ParameterId::new(index));
    }
    source
}

const SIZES: [(&str, usize, usize, f32); 4] =
    [("first", 24, 40, 1.0), ("second", 32, 48, 4.0), ("third", 16, 64, 0.25), ("last", 20, 56, 1.0)];

fn matrix(index: usize) -> Array2<f32> {
    let (_, rows, columns, size) = SIZES[index];
    weights(rows, columns, index as u64 + 1) * size
}

fn reference() -> MemorySource {
    let named = SIZES.iter().enumerate();
    let source = named.fold(MemorySource::new(), |all, (index, (name, ..))| {
        all.with(format!("{name}.weight"), matrix(index))
    });
    layered(source.with("norm.weight", arr1(&[30.0f32, -2.0])))
}

/// All but the last layer as codes from -127 to 127, or from 0 on; the scale of the second clips a good part of it.
fn quantized(dtype: DType) -> MemorySource {
    let mut source = MemorySource::new();
    for (index, (name, ..)) in SIZES.iter().enumerate().take(3) {
        let numbers = matrix(index);
        let clip = if index == 1 { 0.5 } else { 1.0 };
        let largest = numbers.iter().fold(0f32, |most, it| most.max(it.abs()));
        let scale = largest / 127.0 * clip;
        let code = |number: f32| (number / scale).round_ties_even().clamp(-127.0, 127.0);
        source = source.with(format!("{name}.scale"), arr1(&[scale]));
        let (source_with, zero) = match dtype {
            DType::I8 => (source.with(format!("{name}.weight"), numbers.mapv(|it| code(it) as i8)), None),
            _ => {
                let codes = numbers.mapv(|it| (code(it) + 128.0) as u8);
                let zero = Operand::One { value: 128.0, parameter: None };
                (source.with(format!("{name}.weight"), codes), Some(zero))
            }
        };
        let operand = source_with.model().parameter_named(&format!("{name}.scale")).map(Operand::Parameter);
        let descriptor = QuantDescriptor::of_stored(
            Encoding::Qdq,
            "a test",
            dtype,
            Granularity::Tensor,
            operand.expect("was added"),
            zero,
        );
        source = source_with.quantized(descriptor.expect("codes")).expect("one scale");
    }
    layered(source.with("last.weight", matrix(3)))
}

fn comparison() -> ComparisonView {
    let from = reference();
    // UINT8 was asked for first; it stands third all the same.
    let variants = [("m_uint8", DType::U8), ("m_int8", DType::I8)].map(|(path, dtype)| {
        let of = quantized(dtype);
        let compared =
            Compare::new().bins(16).run(&from, &of, &|_| ControlFlow::Continue(())).expect("readable");
        let linted = Lint::new().run(&of, &|_| ControlFlow::Continue(())).expect("readable");
        VariantView::of(path, &from, &of, &compared, linted.findings, false)
    });
    ComparisonView::of("m_fp32", variants.to_vec())
}

const WIDTH: usize = 48;

fn columns(from: f64, to: f64) -> std::ops::Range<usize> {
    let column = |share: f64| (share * WIDTH as f64).round() as usize;
    let first = column(from).min(WIDTH - 1);
    first..column(to).max(first + 1)
}

fn ruler(axis: &Axis) -> String {
    let mut line = vec![' '; WIDTH + 8];
    for tick in &axis.ticks {
        let start = columns(tick.at, tick.at).start;
        tick.label.chars().zip(&mut line[start..]).for_each(|(letter, place)| *place = letter);
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

fn painted(bars: &[HistogramBar]) -> String {
    let mut line = [' '; WIDTH];
    for bar in bars {
        line[columns(bar.from, bar.to)].fill(['.', ':', '-', '=', '#'][(bar.height * 4.99) as usize]);
    }
    line.iter().collect()
}

#[test]
fn a_row_of_ranges_for_every_layer() {
    let request = Request::default();
    let inspection = Inspection::of(&reference(), "m_fp32", &request, &|_| ControlFlow::Continue(()));
    let chart = RangeChart::of(&inspection.expect("readable"), &comparison());
    let mut text = format!("{}\n{}\n", chart.title, chart.magnitude);
    for row in &chart.rows {
        text +=
            &format!("{} {} {} {}\n", row.op, row.layer, row.parameter, row.remark.as_deref().unwrap_or("-"));
        for (series, bar) in chart.series.iter().zip(&row.bars) {
            let Some(bar) = bar else { continue };
            let mut line = [' '; WIDTH];
            line[columns(bar.from, bar.to)].fill('=');
            let line: String = line.iter().collect();
            text += &format!("  {:5} |{line}| {:.2} {:?}\n", series.label, bar.magnitude, bar.verdict);
            text += &format!("        {}\n", bar.tooltip);
        }
    }
    text += &format!("         {}\n{}\n", ruler(&chart.axis), chart.notes.join("\n"));
    insta::assert_snapshot!(text);
}

#[test]
fn histograms_side_by_side_on_the_axis_of_the_reference() {
    let sets = HistogramSet::all(&comparison());
    assert_eq!(sets.len(), 3);
    let mut text = String::new();
    for set in &sets {
        text += &format!("{} {:?} {} {}\n", set.title, set.remark, set.has_codes, set.height);
        for panel in &set.panels {
            let outside = panel.outside.as_deref().unwrap_or("-");
            text += &format!("  {} of {}: {} ({outside})\n", panel.label, panel.model, panel.caption);
            text += &format!("    |{}|\n", painted(&panel.bars));
            text += &format!("     {}\n", panel.bars.last().map_or("", |bar| &bar.tooltip));
            if let Some(codes) = &panel.codes {
                text += &format!("    |{}| {}\n", painted(&codes.bars), codes.caption);
                text += &format!("     {}\n", ruler(&codes.axis));
            }
        }
        text += &format!("     {}\n", ruler(&set.axis));
    }
    insta::assert_snapshot!(text);
}

/// What a bar says is what numbers fall into it.
#[test]
fn bars_are_of_real_values() {
    let sets = HistogramSet::all(&comparison());
    let set = sets.iter().find(|set| set.title == "first.weight").expect("there");
    for (panel, scale) in set.panels.iter().zip([None, Some(1i32), Some(1)]) {
        let numbers = matrix(0);
        let largest = numbers.iter().fold(0f32, |most, it| most.max(it.abs()));
        let step = f64::from(largest / 127.0);
        let real = |number: f32| match scale {
            None => f64::from(number),
            Some(_) => f64::from((number / (largest / 127.0)).round_ties_even()) * step,
        };
        for bar in &panel.bars {
            let place = |share: f64| set.axis.low + share * (set.axis.high - set.axis.low);
            let (low, high) = (place(bar.from), place(bar.to));
            let inside =
                |it: &&f32| (low..high).contains(&real(**it)) || bar.to == 1.0 && real(**it) == set.axis.high;
            assert_eq!(numbers.iter().filter(inside).count() as u64, bar.count, "{} {bar:?}", panel.label);
        }
        let all: u64 = panel.bars.iter().map(|bar| bar.count).sum();
        assert!(all <= 24 * 40 && (all == 24 * 40 || panel.outside.is_some()), "{all} {:?}", panel.outside);
    }
}

#[test]
fn weights_are_judged_by_what_their_codes_can_do() {
    let comparison = comparison();
    let table = FidelityTable::of(&comparison.variants[1]);
    let lines: Vec<String> = table
        .rows
        .iter()
        .map(|row| format!("{} {} {:?}: {}", row.name, row.sqnr, row.verdict, row.why))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(table.rows[0].verdict, Verdict::Poor);
}

#[test]
fn layers_have_badges() {
    let mut list = LayerList::of(quantized(DType::I8).model(), "m_int8", false);
    list.judge(&comparison().variants[1]);
    let mut text = String::new();
    for layer in &list.layers {
        text += &format!("{}\n", layer.name);
        for badge in &layer.badges {
            text += &format!("  {:?} {} {:?}: {}\n", badge.kind, badge.text, badge.tone, badge.tooltip);
        }
    }
    insta::assert_snapshot!(text);
}
