//! A network together with the gradients of a step.

use std::ops::{ControlFlow, Range};

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use quantviz_core::{Error, Model, ParameterId, ParameterSource, Part, Result, Sink, check_range};

use crate::{Network, elements};

/// A [`Network`] whose gradients can be read too: [`Part::Gradient`]. Made for every step, of two references.
///
/// What is no variable is frozen, and reading its gradient is refused; where a variable took no part in the loss, it is not
/// found. An optimizer leaves gradients as they are, so that they can be read after its step; gradients that were clipped are read
/// as they are after that.
#[derive(Clone, Copy, Debug)]
pub struct WithGradients<'a> {
    network: &'a Network,
    gradients: &'a GradStore,
}

impl<'a> WithGradients<'a> {
    pub(crate) fn new(network: &'a Network, gradients: &'a GradStore) -> Self {
        WithGradients { network, gradients }
    }

    /// That of the tensor itself, or of the one that it shares its storage with.
    fn gradient(&self, id: ParameterId) -> Result<&'a Tensor> {
        let parameter = self.network.model().parameter(id);
        // candle computes gradients of what is multiplied by a variable too: those teach nothing.
        let mut tensors =
            [Some(id), parameter.shares].into_iter().flatten().map(|id| self.network.tensor(id));
        let variable = tensors.find(|tensor| tensor.is_variable()).ok_or_else(|| {
            Error::refused("it is no variable, so it is not trained").in_tensor(&parameter.name)
        })?;
        let gradient = self
            .gradients
            .get(variable)
            .ok_or_else(|| Error::not_found("the loss did not depend on it").in_tensor(&parameter.name))?;
        if gradient.dims() != self.network.tensor(id).dims() {
            let message = format!("its gradient is {:?}, and it is {}", gradient.dims(), parameter.shape);
            return Err(Error::malformed(message).in_tensor(&parameter.name));
        }
        Ok(gradient)
    }

    fn in_tensor(&self, id: ParameterId) -> impl FnOnce(Error) -> Error {
        move |error| error.in_tensor(&self.network.model().parameter(id).name)
    }
}

impl ParameterSource for WithGradients<'_> {
    fn model(&self) -> &Model {
        self.network.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if part != Part::Gradient {
            return self.network.read(id, part, range, sink);
        }
        let gradient = self.gradient(id)?;
        check_range(&range, gradient.elem_count() as u64).map_err(self.in_tensor(id))?;
        elements::read(gradient, range, sink).map_err(self.in_tensor(id))
    }

    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        if part != Part::Gradient {
            return self.network.gather(id, part, at, out);
        }
        elements::gather(self.gradient(id)?, at, out).map_err(self.in_tensor(id))
    }
}
