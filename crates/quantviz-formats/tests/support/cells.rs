//! The cells of the support matrix: what sort of tensor a parameter is.

use quantviz_core::{Format, Granularity, GroupIndex, Operand, Parameter, Role, Scheme};

/// How numbers are stored, as far as it matters for reading them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) format: String,
    /// The operator or the scheme; [`PLAIN`] for numbers that are stored as such.
    pub(crate) encoding: String,
    /// The type of the codes.
    pub(crate) codes: String,
    /// What shares a scale; empty for plain numbers.
    pub(crate) groups: String,
}

/// The encoding of numbers that are no codes.
pub(crate) const PLAIN: &str = "plain";

/// Between the parts of a key.
pub(crate) const SEPARATOR: &str = " | ";

impl Cell {
    pub(crate) fn of(format: Format, parameter: &Parameter) -> Self {
        let format = format.name().to_owned();
        let Some(quantization) = &parameter.quantization else {
            let codes = parameter.dtype.name().to_owned();
            return Cell { format, encoding: PLAIN.to_owned(), codes, groups: String::new() };
        };
        let bits = quantization.bits;
        let encoding = quantization.source.clone();
        let is_unscaled = matches!(quantization.scale, Operand::One { value: 1.0, parameter: None });
        if parameter.role == Role::ZeroPoint && is_unscaled {
            return Cell {
                format,
                encoding,
                codes: format!("{bits}-bit zero-points"),
                groups: String::new(),
            };
        }
        let codes = match (quantization.scheme, quantization.computed) {
            (_, Some(dtype)) => dtype.name().to_owned(),
            (_, None) if quantization.logical.is_none() => parameter.dtype.name().to_owned(),
            (Scheme::Codebook, _) => format!("{bits}-bit table"),
            (Scheme::Float, _) => format!("{bits}-bit float"),
            _ => format!("{bits}-bit"),
        };
        let groups = match &quantization.granularity {
            Granularity::Tensor => "tensor",
            Granularity::Axis(_) => "axis",
            Granularity::Block(_) if matches!(quantization.group_index, Some(GroupIndex::InTurns { .. })) => {
                "blocks in turns"
            }
            Granularity::Block(_) if quantization.group_index.is_some() => "blocks by index",
            Granularity::Block(_) if quantization.outer_scale.is_some() => "blocks of two levels",
            _ => "blocks",
        };
        Cell { format, encoding, codes, groups: groups.to_owned() }
    }

    /// All of it in one line.
    pub(crate) fn key(&self) -> String {
        [&*self.format, &self.encoding, &self.codes, &self.groups].join(SEPARATOR)
    }
}
