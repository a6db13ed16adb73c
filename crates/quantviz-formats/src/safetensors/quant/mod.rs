//! Quantization that files do not declare, recognised by what their tensors are called and how they are shaped.

mod awq;
mod bitsandbytes;
mod catalogue;
mod compressed_tensors;
mod config;
mod fp8;
mod gptq;
mod grouping;
mod hqq;
mod mlx;
mod mx;
mod nvfp4;
mod reading;
mod unsupported;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use quantviz_core::{
    DType, Encoding, Granularity, LayerId, Model, Operand, ParameterId, Part, QuantDescriptor, Role, Scheme,
    Shape, Warning, WarningKind, module_path,
};

use super::SafetensorsSource;
use catalogue::{Catalogue, Tensor};
use reading::Reading;

/// What to read differently than [`read_derived`](quantviz_core::read_derived) does.
pub(super) type Readings = HashMap<(ParameterId, Part), Reading>;

/// Asks whether a tensor holds the codes of a layout: `None` if not, else what they mean or what is wrong with them.
type Layout = fn(&Catalogue<'_>, Tensor<'_>) -> Option<Result<Quantized, Misfit>>;

/// The first that knows a tensor describes it.
const LAYOUTS: &[Layout] = &[
    awq::describe,
    gptq::describe,
    nvfp4::describe,
    mx::describe,
    compressed_tensors::describe_packed,
    compressed_tensors::describe_int8,
    fp8::describe,
    bitsandbytes::describe_four_bits,
    bitsandbytes::describe_int8,
    mlx::describe,
    hqq::describe,
    unsupported::describe,
];

/// A parameter whose codes and scales are spread over tensors.
struct Quantized {
    descriptor: QuantDescriptor,
    readings: Vec<(Part, Reading)>,
    /// The other tensors of it.
    parts: Vec<(ParameterId, Role)>,
    /// How those of them are read that are packed themselves.
    packed_parts: Vec<(ParameterId, QuantDescriptor, Reading)>,
}

/// Why a tensor of codes cannot be described.
#[derive(Debug)]
struct Misfit {
    kind: WarningKind,
    reason: String,
    /// Zero-points that are packed like the codes.
    zero_points: Option<ParameterId>,
}

impl Quantized {
    fn new(descriptor: QuantDescriptor) -> Self {
        Quantized { descriptor, readings: Vec::new(), parts: Vec::new(), packed_parts: Vec::new() }
    }

    fn reading(mut self, part: Part, reading: Reading) -> Self {
        self.readings.push((part, reading));
        self
    }

    fn part<'a>(mut self, tensor: impl Into<Option<Tensor<'a>>>, role: Role) -> Self {
        self.parts.extend(tensor.into().map(|tensor| (tensor.id, role)));
        self
    }

    /// Zero-points that are packed, one for each scale: described like codes that stand for themselves, so that nobody
    /// takes their words for numbers.
    fn packed_zero_points(mut self, tensor: Tensor<'_>, scales: Tensor<'_>, reading: Reading) -> Self {
        let QuantDescriptor { encoding, source, bits, code_range: (low, high), .. } = &self.descriptor;
        let Ok(logical) = Shape::new(scales.dims()) else { return self };
        let (granularity, one) = (Granularity::Tensor, Operand::One { value: 1.0, parameter: None });
        let raised = if reading.is_raised_by_one() { 1.0 } else { 0.0 };
        let mut descriptor =
            QuantDescriptor::of_packed(*encoding, source.clone(), logical, *bits, granularity, one);
        descriptor.code_range = (low + raised, high + raised);
        self.packed_parts.push((tensor.id, descriptor, reading));
        self.part(tensor, Role::ZeroPoint)
    }
}

impl Misfit {
    fn malformed(reason: impl Into<String>) -> Self {
        Misfit { kind: WarningKind::Misfit, reason: reason.into(), zero_points: None }
    }

    fn missing(what: &str) -> Self {
        Misfit { kind: WarningKind::Missing, reason: format!("its {what} are missing"), zero_points: None }
    }

    fn unsupported(name: &str) -> Self {
        Misfit { kind: WarningKind::Unsupported, reason: format!("unsupported: {name}"), zero_points: None }
    }
}

/// The descriptor of codes that are small floats, packed into elements of another type.
fn float_descriptor(
    encoding: Encoding,
    source: &str,
    dtype: DType,
    logical: Shape,
    granularity: Granularity,
    scale: Operand,
) -> QuantDescriptor {
    let bits = dtype.bits().unwrap_or_default();
    let mut descriptor = QuantDescriptor::of_packed(encoding, source, logical, bits, granularity, scale);
    descriptor.scheme = Scheme::Float;
    descriptor.code_range = dtype.range().unwrap_or(descriptor.code_range);
    descriptor
}

/// Describes all parameters that are quantized, and gives every parameter its layer.
pub(super) fn describe_all(source: &mut SafetensorsSource, path: &Path) {
    let catalogue = Catalogue::new(path, &source.model, &source.files, &source.extents);
    let described: Vec<_> =
        source.model.parameter_ids().filter_map(|id| Some((id, describe(&catalogue, id)?))).collect();
    source.model.warnings.extend(catalogue.into_warnings());
    let mut owners = BTreeMap::new();
    for (id, outcome) in described {
        match outcome {
            Ok(quantized) => {
                owners.extend(quantized.parts.iter().map(|&(part, _)| (part, id)));
                accept(source, id, quantized);
            }
            Err(misfit) => refuse(source, id, misfit),
        }
    }
    add_layers(&mut source.model, &owners);
}

fn describe(catalogue: &Catalogue<'_>, id: ParameterId) -> Option<Result<Quantized, Misfit>> {
    let tensor = catalogue.tensor(id)?;
    let outcome = LAYOUTS.iter().find_map(|layout| layout(catalogue, tensor))?;
    Some(outcome.map_err(|misfit| Misfit { zero_points: packed_zero_points(catalogue, tensor), ..misfit }))
}

/// The zero-points that would be packed like these codes.
fn packed_zero_points(catalogue: &Catalogue<'_>, codes: Tensor<'_>) -> Option<ParameterId> {
    let name = match codes.name().strip_suffix("_packed") {
        Some(base) => format!("{base}_zero_point"),
        None => format!("{}qzeros", codes.name().strip_suffix("qweight")?),
    };
    catalogue.named(&name).filter(|tensor| tensor.dtype() == DType::I32).map(|tensor| tensor.id)
}

fn accept(source: &mut SafetensorsSource, id: ParameterId, mut quantized: Quantized) {
    quantized.descriptor.packed_in = quantized.parts.iter().map(|&(part, _)| part).collect();
    for (part, role) in quantized.parts {
        source.model.parameters[part.index()].role = role;
    }
    let parameter = &mut source.model.parameters[id.index()];
    if parameter.role != Role::Embedding {
        parameter.role = Role::Weight;
    }
    parameter.quantization = Some(quantized.descriptor);
    for (part, descriptor, reading) in quantized.packed_parts {
        source.model.parameters[part.index()].quantization = Some(descriptor);
        source.readings.insert((part, Part::Codes), reading);
    }
    source.readings.extend(quantized.readings.into_iter().map(|(part, reading)| ((id, part), reading)));
}

/// Words that only make sense unpacked are not to be measured as numbers; plain codes may be.
fn refuse(source: &mut SafetensorsSource, id: ParameterId, misfit: Misfit) {
    let parameter = source.model.parameter(id);
    let packed =
        matches!(parameter.dtype, DType::U8 | DType::I16 | DType::U16 | DType::I32 | DType::U32 | DType::I64);
    let warning = Warning::about(&parameter.name, misfit.kind, &misfit.reason);
    let reason = format!("they are packed like {}, which is not described", parameter.name);
    source.model.warnings.push(warning);
    if let Some(zero_points) = misfit.zero_points {
        let name = &source.model.parameter(zero_points).name;
        let warning = Warning::about(name, WarningKind::Unsupported, &reason);
        source.model.warnings.push(warning);
        source.readings.insert((zero_points, Part::Stored), Reading::Refused(reason));
    }
    if packed {
        source.readings.insert((id, Part::Stored), Reading::Refused(misfit.reason));
    }
}

/// Layers by module path; what belongs to a weight is in the weight's, though its name goes on like `x.weight.absmax`.
fn add_layers(model: &mut Model, owners: &BTreeMap<ParameterId, ParameterId>) {
    let path = |id: ParameterId| module_path(&model.parameter(id).name);
    let elsewhere: Vec<_> = owners.iter().filter(|&(&part, &codes)| path(part) != path(codes)).collect();
    // Whoever has a layer, whichever, is not given one.
    for (part, _) in &elsewhere {
        model.parameters[part.index()].layer = LayerId::new(0);
    }
    model.add_module_layers();
    for &(&part, &codes) in &elsewhere {
        let Some(layer) = model.parameter(codes).layer else { continue };
        model.parameters[part.index()].layer = Some(layer);
        model.layers[layer.index()].parameters.push(part);
    }
    if !elsewhere.is_empty() {
        model.layers.iter_mut().for_each(|layer| layer.parameters.sort_unstable());
    }
}
