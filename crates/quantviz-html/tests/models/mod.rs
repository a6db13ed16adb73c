//! Models for pages: of names that try to become something else, or such as people have.

use std::ops::ControlFlow;

use ndarray::{Array2, arr1};
use quantviz_core::{
    Activation, Compare, DType, Encoding, Granularity, Layer, LayerId, LayerKind, MemorySource, Operand,
    ParameterId, ParameterSource, QuantDescriptor, Role,
};
use quantviz_insight::Lint;
use quantviz_view::{ComparisonView, Inspection, ModelPage, Request, VariantView};

/// What would run, close an element or an attribute, or begin another.
pub(crate) const HOSTILE: &str =
    "</script><img src=x onerror=alert(1)>\"'&<!--\u{2028}]]>--></title></style>";

/// How layers are called.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Names {
    /// Each tries to become something else.
    Hostile,
    /// The same, in blocks: so do headings.
    HostileBlocks,
    /// As in a transformer.
    Plain,
}

impl Names {
    fn layer(self, layer: usize) -> String {
        const PARTS: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
        let (block, part) = (layer / PARTS.len(), PARTS[layer % PARTS.len()]);
        match self {
            Names::Hostile => format!("{HOSTILE}.{layer}"),
            Names::HostileBlocks => format!("{HOSTILE}.h.{block}.{part}.{HOSTILE}"),
            Names::Plain => format!("transformer.h.{block}.{part}"),
        }
    }

    fn word(self, plain: &str) -> &str {
        if self == Names::Plain { plain } else { HOSTILE }
    }
}

/// Numbers spread as those of networks are, of another size in every layer.
fn numbers(layer: usize) -> Array2<f32> {
    let mut state = (layer as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let size = 0.1 + (layer * 7 % 11) as f32 / 30.0 + if layer % 37 == 5 { 0.8 } else { 0.0 };
    Array2::from_shape_fn((16, 64), |(row, _)| {
        (0..6).map(|_| uniform()).sum::<f32>() * size * (1.0 + row as f32 / 16.0)
    })
}

/// How a variant is quantized: most codes of either sign, and whether each channel has a scale of its own.
#[derive(Clone, Copy)]
struct Codes {
    most: f32,
    by_channel: bool,
    unsigned: bool,
}

const VARIANTS: [Codes; 4] = [
    Codes { most: 127.0, by_channel: true, unsigned: false },
    Codes { most: 127.0, by_channel: false, unsigned: true },
    Codes { most: 31.0, by_channel: true, unsigned: false },
    Codes { most: 7.0, by_channel: false, unsigned: true },
];

/// A layer's weight as codes, with its scales before it.
fn quantized(source: MemorySource, name: &str, names: Names, layer: usize, codes: Codes) -> MemorySource {
    let weight = numbers(layer);
    // One in many is cut off.
    let clip = if layer % 29 == 11 { 0.4 } else { 1.0 };
    let largest =
        |numbers: &mut dyn Iterator<Item = &f32>| numbers.fold(1e-6f32, |most, it| most.max(it.abs()));
    let all = largest(&mut weight.iter());
    let scale = |row: usize| {
        let most = if codes.by_channel { largest(&mut weight.row(row).iter()) } else { all };
        most * clip / codes.most
    };
    let scales: Vec<f32> = (0..weight.nrows()).map(scale).collect();
    let code = |(row, column): (usize, usize)| {
        (weight[(row, column)] / scales[row]).round_ties_even().clamp(-codes.most, codes.most)
    };
    let zero = Operand::One { value: 128.0, parameter: None };
    let (granularity, scale_of, source) = if codes.by_channel {
        let id = ParameterId::new(source.model().parameters.len()).expect("small");
        let source = source.with(format!("{name}_scale"), arr1(&scales));
        (Granularity::Axis(0), Operand::Parameter(id), source)
    } else {
        let one = Operand::One { value: f64::from(scales[0]), parameter: None };
        (Granularity::Tensor, one, source)
    };
    let (dtype, zero) = if codes.unsigned { (DType::U8, Some(zero)) } else { (DType::I8, None) };
    let descriptor = QuantDescriptor::of_stored(
        Encoding::Qdq,
        names.word("per channel"),
        dtype,
        granularity,
        scale_of,
        zero,
    );
    let source = if codes.unsigned {
        source.with(name, Array2::from_shape_fn(weight.dim(), |at| (code(at) + 128.0) as u8))
    } else {
        source.with(name, Array2::from_shape_fn(weight.dim(), |at| code(at) as i8))
    };
    source.quantized(descriptor.expect("codes")).expect("they fit")
}

/// Layers with a weight and a bias each, and words of a file wherever it has some.
fn model(layers: usize, names: Names, codes: Option<Codes>) -> MemorySource {
    let mut source = MemorySource::new();
    let mut parts = Vec::new();
    for layer in 0..layers {
        let name = names.layer(layer);
        let first = source.model().parameters.len();
        source = match codes {
            Some(codes) => quantized(source, &format!("{name}.weight"), names, layer, codes),
            None => source.with(format!("{name}.weight"), numbers(layer)),
        };
        source = source.with(format!("{name}.bias"), arr1(&[0.5f32, -0.25]));
        parts.push((name, first..source.model().parameters.len()));
    }
    let model = source.model_mut();
    model.layers.clear();
    model.producer = Some(names.word("pytorch 2.9").to_owned());
    model.metadata.insert(names.word("key").to_owned(), names.word("value").to_owned());
    for (layer, (name, parameters)) in parts.into_iter().enumerate() {
        let mut module = Layer::new(name.clone(), Some(names.word("Linear").into()), LayerKind::Parameter);
        module.parameters.extend(parameters.clone().filter_map(ParameterId::new));
        if codes.is_some() {
            let scale = Operand::One { value: 0.25, parameter: None };
            module.activations.push(Activation::new(format!("{name}.out"), DType::U8, scale, None));
        }
        model.layers.push(module);
        for index in parameters {
            let parameter = &mut model.parameters[index];
            parameter.layer = LayerId::new(layer);
            let roles = [(".weight", Role::Weight), (".bias", Role::Bias), ("_scale", Role::Scale)];
            let role = roles.into_iter().find(|(end, _)| parameter.name.ends_with(end));
            parameter.role = role.map_or(Role::Weight, |(_, role)| role);
        }
    }
    source
}

/// The page of a model with so many variants.
pub(crate) fn page_of(names: Names, layers: usize, variants: usize) -> ModelPage {
    compared(names, layers, variants).0
}

/// The same, with the comparison that it is made of.
pub(crate) fn compared(names: Names, layers: usize, variants: usize) -> (ModelPage, ComparisonView) {
    let go_on = |_| ControlFlow::Continue(());
    let inspect = |source: &MemorySource, path: &str| {
        Inspection::of(source, path, &Request::default(), &go_on).expect("readable")
    };
    let from = model(layers, names, None);
    let title = names.word("gpt2");
    let (mut views, mut inspections) = (Vec::new(), Vec::new());
    for index in 0..variants {
        let codes = VARIANTS[index % VARIANTS.len()];
        let of = model(layers, names, Some(codes));
        let compared = Compare::new().bins(64).run(&from, &of, &go_on).expect("readable");
        let findings = Lint::new().run(&of, &go_on).expect("readable").findings;
        // Of a path, what stands behind the last slash is the name of the file, of which what differs is told.
        let path = match names {
            Names::Plain => format!("{title}_{index}.onnx"),
            _ => format!("{title}{index}<img src=x onerror=alert(1)>\"'&{index}.onnx"),
        };
        views.push(VariantView::of(&*path, &from, &of, &compared, findings, true));
        inspections.push(inspect(&of, &path));
    }
    let comparison = ComparisonView::of(title, views);
    (ModelPage::of(title, &inspect(&from, title), None, &inspections, &comparison), comparison)
}
