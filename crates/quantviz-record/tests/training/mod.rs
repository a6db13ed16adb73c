//! A network in training.

use std::ops::{ControlFlow, Range};

use quantviz_core::{MemorySource, Model, ParameterId, ParameterSource, Part, Result, Sink};

/// Weights, and gradients of the same names.
pub(crate) struct Training {
    pub(crate) weights: MemorySource,
    pub(crate) gradients: MemorySource,
}

impl ParameterSource for Training {
    fn model(&self) -> &Model {
        self.weights.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match part {
            Part::Gradient => self.gradients.read(id, Part::Stored, range, sink),
            part => self.weights.read(id, part, range, sink),
        }
    }
}
