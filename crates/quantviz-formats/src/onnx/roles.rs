//! What an initializer is for, as the operator and the slot it goes into tell.

use quantviz_core::{DType, DTypeClass, Parameter, Role, role_from_name};

/// Operators whose slots have a fixed meaning.
const SLOTS: &[(&str, &[(usize, Role)])] = &[
    ("Conv", &[(1, Role::Weight), (2, Role::Bias)]),
    ("ConvTranspose", &[(1, Role::Weight), (2, Role::Bias)]),
    ("ConvInteger", &[(1, Role::Weight)]),
    ("FusedConv", &[(1, Role::Weight), (2, Role::Bias)]),
    ("QLinearConv", &[(3, Role::Weight), (8, Role::Bias)]),
    ("DeformConv", &[(1, Role::Weight), (3, Role::Bias)]),
    ("MatMul", &[(0, Role::Weight), (1, Role::Weight)]),
    ("FusedMatMul", &[(0, Role::Weight), (1, Role::Weight)]),
    ("MatMulInteger", &[(0, Role::Weight), (1, Role::Weight)]),
    ("QLinearMatMul", &[(0, Role::Weight), (3, Role::Weight)]),
    ("Gemm", &[(0, Role::Weight), (1, Role::Weight), (2, Role::Bias)]),
    ("FusedGemm", &[(0, Role::Weight), (1, Role::Weight), (2, Role::Bias)]),
    ("MatMulNBits", &[(1, Role::Weight), (2, Role::Scale), (3, Role::ZeroPoint), (5, Role::Bias)]),
    ("MatMulBnb4", &[(1, Role::Weight), (2, Role::Scale)]),
    ("GatherBlockQuantized", &[(0, Role::Embedding), (2, Role::Scale), (3, Role::ZeroPoint)]),
    ("DynamicQuantizeMatMul", &[(1, Role::Weight), (4, Role::Bias)]),
    ("MatMulIntegerToFloat", &[(0, Role::Weight), (1, Role::Weight), (6, Role::Bias)]),
    ("DynamicQuantizeLSTM", &[(1, Role::Weight), (2, Role::Weight), (3, Role::Bias)]),
    ("QAttention", &[(1, Role::Weight), (2, Role::Bias)]),
    (
        "QEmbedLayerNormalization",
        &[(2, Role::Embedding), (3, Role::Embedding), (4, Role::Embedding), (5, Role::Norm), (6, Role::Norm)],
    ),
    ("QGemm", &[(0, Role::Weight), (3, Role::Weight), (6, Role::Bias)]),
    ("Einsum", &[(0, Role::Weight), (1, Role::Weight), (2, Role::Weight)]),
    ("LSTM", &[(1, Role::Weight), (2, Role::Weight), (3, Role::Bias)]),
    ("GRU", &[(1, Role::Weight), (2, Role::Weight), (3, Role::Bias)]),
    ("RNN", &[(1, Role::Weight), (2, Role::Weight), (3, Role::Bias)]),
    ("Attention", &[(1, Role::Weight), (2, Role::Bias)]),
    ("PRelu", &[(1, Role::Weight)]),
    ("RotaryEmbedding", &[]),
    ("BiasGelu", &[(1, Role::Bias)]),
    ("FastGelu", &[(1, Role::Bias)]),
    ("Gather", &[(0, Role::Embedding)]),
    (
        "EmbedLayerNormalization",
        &[(2, Role::Embedding), (3, Role::Embedding), (4, Role::Embedding), (5, Role::Norm), (6, Role::Norm)],
    ),
    (
        "BatchNormalization",
        &[(1, Role::Norm), (2, Role::Norm), (3, Role::RunningStat), (4, Role::RunningStat)],
    ),
    ("InstanceNormalization", &[(1, Role::Norm), (2, Role::Norm)]),
    ("GroupNormalization", &[(1, Role::Norm), (2, Role::Norm)]),
    ("GroupNorm", &[(1, Role::Norm), (2, Role::Norm)]),
    ("LayerNormalization", &[(1, Role::Norm), (2, Role::Norm)]),
    ("RMSNormalization", &[(1, Role::Norm)]),
    ("SimplifiedLayerNormalization", &[(1, Role::Norm)]),
    ("SkipLayerNormalization", &[(2, Role::Norm), (3, Role::Norm), (4, Role::Bias)]),
    ("SkipSimplifiedLayerNormalization", &[(2, Role::Norm), (3, Role::Bias)]),
];

/// The role of a parameter that goes into `slot` of an operator; `standard` where it is one of ONNX's own.
pub(super) fn role_in(op: &str, standard: bool, slot: usize, parameter: &Parameter) -> Role {
    let by_slot = SLOTS.iter().find(|(name, _)| *name == op).map(|(_, slots)| {
        let role = slots.iter().find(|(of, _)| *of == slot);
        role.map_or(Role::Constant, |(_, role)| *role)
    });
    let rank = parameter.shape.rank();
    let is_table = |role| matches!(role, Role::Weight | Role::Embedding);
    match by_slot {
        // The tables of a rotary embedding are gathered from, and multiplied with.
        Some(role) if is_table(role) && is_buffer(parameter) => Role::Constant,
        // Shapes and other tables of whole numbers are gathered from too.
        Some(Role::Embedding) if rank < 2 || is_index(parameter.dtype) => Role::Constant,
        Some(role) => role,
        None => by_real_operator(op, standard, slot, parameter),
    }
}

/// Operators that compute on codes as another does on real numbers, and the slots of its operands.
const OF_CODES: &[(&str, &str, &[usize])] = &[("QLinearAdd", "Add", &[0, 3]), ("QLinearMul", "Mul", &[0, 3])];

/// Codes have the role of what they stand for; other whole numbers are constants.
fn by_real_operator(op: &str, standard: bool, slot: usize, parameter: &Parameter) -> Role {
    let real = OF_CODES.iter().find(|(of_codes, _, operands)| *of_codes == op && operands.contains(&slot));
    let is_float = parameter.dtype.class() == DTypeClass::Float;
    match real {
        Some((_, real, _)) => by_arithmetic(real, true, parameter),
        None if is_float || parameter.quantization.is_some() => by_arithmetic(op, standard, parameter),
        None => Role::Constant,
    }
}

/// Exporters take layers apart: a vector that is added is a bias, one that is multiplied with is the gain of a
/// normalisation.
fn by_arithmetic(op: &str, standard: bool, parameter: &Parameter) -> Role {
    let elements = parameter.shape.elements();
    let is_vector = elements > 1 && parameter.shape.dims().iter().filter(|&&dim| dim != 1).count() == 1;
    let by_name = || role_from_name(real_name(&parameter.name), &parameter.shape);
    match op {
        _ if elements <= 1 => Role::Constant,
        "Add" | "Sub" | "Mul" | "Div" => by_name().unwrap_or(match op {
            "Add" if is_vector => Role::Bias,
            "Mul" if is_vector => Role::Norm,
            _ => Role::Constant,
        }),
        _ if standard => by_name().unwrap_or(Role::Constant),
        _ => by_name().unwrap_or(if parameter.shape.rank() >= 2 { Role::Weight } else { Role::Constant }),
    }
}

/// The name that a parameter had before onnxruntime made codes of it.
fn real_name(name: &str) -> &str {
    name.strip_suffix("_quantized").unwrap_or(name)
}

/// Whether its name is that of something which nothing learns.
fn is_buffer(parameter: &Parameter) -> bool {
    role_from_name(&parameter.name, &parameter.shape) == Some(Role::Constant)
}

fn is_index(dtype: DType) -> bool {
    matches!(dtype, DType::I64 | DType::I32 | DType::Bool | DType::String)
}
