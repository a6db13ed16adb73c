//! A model with all that was read of it: what rules about one file judge.

use std::collections::HashMap;

use quantviz_core::{
    DType, DTypeClass, Encoding, Model, Operand, Parameter, ParameterId, ParameterSource, Part,
    QuantDescriptor, Role, Scheme, SourceExt,
};

use crate::Target;
use crate::facts::Facts;

pub(crate) struct Case<'a> {
    pub(crate) source: &'a (dyn ParameterSource + Sync),
    pub(crate) target: Option<Target>,
    /// What was read, in the order of the file; parameters that cannot be read are missing.
    pub(crate) facts: Vec<(ParameterId, Facts)>,
    pub(crate) places: HashMap<ParameterId, usize>,
}

/// A quantized parameter and what was read of it.
pub(crate) struct Quantized<'a> {
    pub(crate) parameter: &'a Parameter,
    pub(crate) descriptor: &'a QuantDescriptor,
    pub(crate) facts: &'a Facts,
}

/// An activation whose scale is one known number.
pub(crate) struct QuantizedActivation<'a> {
    pub(crate) tensor: &'a str,
    pub(crate) codes: DType,
    pub(crate) scale: f64,
    pub(crate) zero_point: f64,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        source: &'a (dyn ParameterSource + Sync),
        target: Option<Target>,
        facts: Vec<(ParameterId, Facts)>,
    ) -> Self {
        let places = facts.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        Case { source, target, facts, places }
    }

    pub(crate) fn model(&self) -> &'a Model {
        self.source.model()
    }

    pub(crate) fn facts_of(&self, id: ParameterId) -> Option<&Facts> {
        self.places.get(&id).map(|&place| &self.facts[place].1)
    }

    /// All parameters that are quantized and were read.
    pub(crate) fn quantized(&self) -> impl Iterator<Item = Quantized<'_>> {
        self.facts.iter().filter_map(|(id, facts)| {
            let parameter = self.model().parameter(*id);
            Some(Quantized { parameter, descriptor: parameter.quantization.as_ref()?, facts })
        })
    }

    /// All activations with one known scale.
    pub(crate) fn activations(&self) -> impl Iterator<Item = QuantizedActivation<'a>> {
        let all = self.model().layers.iter().flat_map(|layer| &layer.activations);
        all.filter_map(|activation| {
            let zero_point = activation.zero_point.as_ref().map_or(Some(0.0), number)?;
            Some(QuantizedActivation {
                tensor: &activation.tensor,
                codes: activation.dtype,
                scale: number(&activation.scale)?,
                zero_point,
            })
        })
    }

    /// How many times layers read each value.
    pub(crate) fn readers(&self) -> HashMap<&'a str, u64> {
        let mut readers = HashMap::new();
        for name in self.model().layers.iter().flat_map(|layer| &layer.inputs) {
            *readers.entry(name.as_str()).or_default() += 1;
        }
        readers
    }

    /// Every parameter by its name; the first of those that share one.
    pub(crate) fn by_name(&self) -> ByName<'a> {
        let mut by_name = HashMap::new();
        for id in self.model().parameter_ids() {
            by_name.entry(self.model().parameter(id).name.as_str()).or_insert(id);
        }
        by_name
    }

    /// The scales of a parameter, one for each group.
    pub(crate) fn scales(&self, id: ParameterId) -> Option<Vec<f64>> {
        self.source.values(id, Part::Scales).ok()
    }

    /// The numbers that an operand is.
    pub(crate) fn values(&self, operand: &Operand) -> Option<Vec<f64>> {
        match operand {
            Operand::Parameter(id) => self.source.values(*id, Part::Stored).ok(),
            _ => number(operand).map(|number| vec![number]),
        }
    }
}

pub(crate) type ByName<'a> = HashMap<&'a str, ParameterId>;

impl Quantized<'_> {
    /// The type of the codes, where they are elements of their own.
    pub(crate) fn code_type(&self) -> Option<DType> {
        let stored = self.descriptor.logical.is_none().then_some(self.parameter.dtype);
        self.descriptor.computed.or(stored)
    }

    /// Whether its scale is that of others, multiplied: an operator on codes gives a bias no scale of its own.
    pub(crate) fn has_implied_scale(&self) -> bool {
        self.descriptor.encoding == Encoding::QOperator
            && matches!(self.descriptor.scale, Operand::Product(_))
    }

    /// Whether it is what a layer adds.
    pub(crate) fn is_bias(&self) -> bool {
        self.parameter.role == Role::Bias
    }

    /// How many codes there are.
    pub(crate) fn levels(&self) -> f64 {
        let (low, high) = self.descriptor.code_range;
        if self.descriptor.scheme == Scheme::Affine {
            high - low + 1.0
        } else {
            2f64.powi(self.descriptor.bits.cast_signed())
        }
    }
}

/// The number that an operand is known to be.
fn number(operand: &Operand) -> Option<f64> {
    match operand {
        Operand::One { value, .. } => Some(*value),
        Operand::Product(factors) => factors.iter().map(number).product(),
        _ => None,
    }
}

/// Whether values of this type were whole numbers in the file.
pub(crate) fn is_whole(dtype: DType) -> bool {
    matches!(dtype.class(), DTypeClass::Signed | DTypeClass::Unsigned)
}
