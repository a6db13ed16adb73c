//! The tensors of a model by name, for those who look for what belongs together.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use quantviz_core::{Block, DType, Model, Operand, Parameter, ParameterId, Warning, module_path};

use super::config::Hints;
use super::gptq::ZeroPoints;
use crate::bytes::{Extent, read_elements};
use crate::file::ModelFile;

/// Everything that is known of a model while its layouts are looked for.
pub(super) struct Catalogue<'a> {
    model: &'a Model,
    files: &'a [ModelFile],
    extents: &'a [Extent],
    path: &'a Path,
    ids: HashMap<&'a str, ParameterId>,
    hints: OnceCell<Hints>,
    /// How the zero-points of this model's GPTQ layers are stored, once one has been looked at.
    pub(super) gptq: OnceCell<ZeroPoints>,
    warnings: RefCell<Vec<Warning>>,
}

/// A tensor that has elements, and whose bits can be counted without overflow.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) id: ParameterId,
    pub(super) extent: Extent,
    parameter: &'a Parameter,
}

impl<'a> Catalogue<'a> {
    pub(super) fn new(
        path: &'a Path,
        model: &'a Model,
        files: &'a [ModelFile],
        extents: &'a [Extent],
    ) -> Self {
        let ids = model.parameter_ids().map(|id| (model.parameter(id).name.as_str(), id)).collect();
        let (hints, gptq) = (OnceCell::new(), OnceCell::new());
        Catalogue { model, files, extents, path, ids, hints, gptq, warnings: RefCell::default() }
    }

    pub(super) fn tensor(&self, id: ParameterId) -> Option<Tensor<'a>> {
        let (parameter, extent) = (self.model.parameter(id), self.extents[id.index()]);
        let countable = parameter.shape.elements() > 0 && extent.len < 1 << 56;
        countable.then_some(Tensor { id, extent, parameter })
    }

    pub(super) fn named(&self, name: &str) -> Option<Tensor<'a>> {
        self.tensor(*self.ids.get(name)?)
    }

    /// The tensor of the same module that is called `last`.
    pub(super) fn beside(&self, tensor: Tensor<'_>, last: &str) -> Option<Tensor<'a>> {
        match tensor.name().rsplit_once('.') {
            Some((path, _)) => self.named(&format!("{path}.{last}")),
            None => self.named(last),
        }
    }

    /// What the files beside the model say. They are read when something in it looks quantized, and not before.
    pub(super) fn hints(&self) -> &Hints {
        self.hints.get_or_init(|| Hints::beside(self.path, &mut self.warnings.borrow_mut()))
    }

    pub(super) fn warn(&self, warning: Warning) {
        self.warnings.borrow_mut().push(warning);
    }

    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.warnings.into_inner()
    }

    pub(super) fn file(&self, tensor: Tensor<'_>) -> &'a ModelFile {
        &self.files[tensor.extent.file]
    }

    /// The values of a tensor of at most so many elements: shapes, tables and single scales are read at once.
    pub(super) fn few_values(&self, tensor: Tensor<'_>, at_most: u64) -> Option<Vec<f64>> {
        let elements = tensor.elements();
        if elements > at_most {
            return None;
        }
        let mut values = Vec::new();
        let mut sink = |block: Block<'_>| {
            block.elements.for_each(|value| values.push(value));
            ControlFlow::Continue(())
        };
        let Extent { offset, .. } = tensor.extent;
        let _ = read_elements(self.file(tensor), offset, tensor.dtype(), 0..elements, &mut sink).ok()?;
        Some(values)
    }

    /// A number that is already known, or the parameter to read it from.
    pub(super) fn operand(&self, tensor: Tensor<'_>) -> Operand {
        match self.few_values(tensor, 1).as_deref() {
            Some(&[value]) => Operand::One { value, parameter: Some(tensor.id) },
            _ => Operand::Parameter(tensor.id),
        }
    }
}

impl<'a> Tensor<'a> {
    pub(super) fn name(&self) -> &'a str {
        &self.parameter.name
    }

    pub(super) fn module(&self) -> &'a str {
        module_path(self.name())
    }

    /// Whether it is called so in its module.
    pub(super) fn is_called(&self, last: &str) -> bool {
        self.name().rsplit('.').next() == Some(last)
    }

    pub(super) fn dtype(&self) -> DType {
        self.parameter.dtype
    }

    pub(super) fn dims(&self) -> &'a [u64] {
        self.parameter.shape.dims()
    }

    pub(super) fn elements(&self) -> u64 {
        self.parameter.shape.elements()
    }
}
