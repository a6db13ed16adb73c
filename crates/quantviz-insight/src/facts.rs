//! What is read of a parameter before it is judged.

use quantviz_core::{DType, DTypeClass, Parameter, ParameterId, ParameterSource, Result};

use crate::code_facts::CodeFacts;
use crate::scale_facts::{Scales, ZeroPointFacts};

/// Everything that rules want to know of the values of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) codes: CodeFacts,
    /// `None` where it is not quantized.
    pub(crate) scales: Option<Scales>,
    /// `None` where the file has none.
    pub(crate) zero_points: Option<ZeroPointFacts>,
}

impl Facts {
    /// Whether there is anything to judge.
    pub(crate) fn are_worth_reading(parameter: &Parameter) -> bool {
        parameter.shares.is_none() && (parameter.quantization.is_some() || is_float8(parameter.dtype))
    }

    /// Reads them, but for codes that were counted already.
    pub(crate) fn read(
        source: &(dyn ParameterSource + Sync),
        id: ParameterId,
        counted: Option<&[(f64, u64)]>,
    ) -> Result<Self> {
        Ok(Facts {
            codes: CodeFacts::read(source, id, counted)?,
            scales: Scales::read(source, id)?,
            zero_points: ZeroPointFacts::read(source, id)?,
        })
    }
}

/// Whether it is a float of eight bits that can be NaN.
pub(crate) fn is_float8(dtype: DType) -> bool {
    dtype.class() == DTypeClass::Float && dtype.bits() == Some(8) && dtype != DType::F8E8M0
}
