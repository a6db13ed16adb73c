//! Words for how a tensor is stored and quantized, the same in every view.

use quantviz_core::{DType, DTypeClass, Granularity, LayerKind, Parameter, QuantDescriptor, Shape, one_line};

use crate::parameter::QuantizationView;

/// `i8`; `4-bit` where the stored words hold several codes.
pub(crate) fn dtype(stored: DType, shape: &Shape, packed: Option<(&Shape, u32)>) -> String {
    match packed {
        Some((logical, bits)) if logical != shape => format!("{bits}-bit"),
        _ => stored.to_string(),
    }
}

/// What people call the type of a parameter's numbers, or of its codes: `FP32`, `INT8`, `UINT8`, `4-bit`, `Q4_K`.
pub(crate) fn type_label(parameter: &Parameter) -> String {
    let quantization = parameter.quantization.as_ref();
    if let Some(packed) =
        quantization.filter(|it| it.logical.as_ref().is_some_and(|it| *it != parameter.shape))
    {
        return format!("{}-bit", packed.bits);
    }
    dtype_label(quantization.and_then(|it| it.computed).unwrap_or(parameter.dtype))
}

/// The same of a type.
pub(crate) fn dtype_label(dtype: DType) -> String {
    let bits = dtype.bits();
    match (dtype.class(), bits) {
        (DTypeClass::Signed, Some(bits)) => format!("INT{bits}"),
        (DTypeClass::Unsigned, Some(bits)) => format!("UINT{bits}"),
        (DTypeClass::Float, Some(bits)) if matches!(dtype, DType::F64 | DType::F32 | DType::F16) => {
            format!("FP{bits}")
        }
        (DTypeClass::Quantized, _) => dtype.name().to_owned(),
        _ => dtype.name().to_uppercase(),
    }
}

/// `along axis 0`, `in blocks of 1×32`. `None` where the whole tensor is one group.
pub(crate) fn granularity(axis: Option<usize>, block: Option<&[u64]>) -> Option<String> {
    let blocks = |sizes: &[u64]| {
        let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
        format!("in blocks of {}", sizes.join("×"))
    };
    axis.map(|axis| format!("along axis {axis}")).or_else(|| block.map(blocks))
}

pub(crate) fn granularity_of(quantization: &QuantizationView) -> Option<String> {
    granularity(quantization.axis, quantization.block.as_deref())
}

/// `qdq per tensor`, `gguf 4-bit in blocks of 1×32`: with the bits where the dtype does not tell them.
pub(crate) fn badge(parameter: &Parameter, quantization: &QuantDescriptor) -> String {
    let per = match &quantization.granularity {
        Granularity::Axis(axis) => format!("per axis {axis}"),
        Granularity::Block(sizes) => granularity(None, Some(sizes)).unwrap_or_default(),
        _ => "per tensor".to_owned(),
    };
    let told = quantization.logical.as_ref().is_some_and(|logical| *logical != parameter.shape)
        || parameter.dtype.bits() == Some(quantization.bits);
    let bits = if told { String::new() } else { format!(" {}-bit", quantization.bits) };
    format!("{}{bits} {per}", quantization.encoding)
}

/// The name of a layer; the module that is the whole model has none of its own.
pub(crate) fn layer_name(name: &str, kind: LayerKind) -> String {
    if name.is_empty() && kind == LayerKind::Parameter { "(root)".to_owned() } else { one_line(name) }
}
