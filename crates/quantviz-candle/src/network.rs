//! The parameters of a network, as candle holds them.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use quantviz_core::{
    DType, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result, Role, Shape, Sink,
    Warning, WarningKind, byte_len, read_derived, role_from_name,
};

use crate::WithGradients;
use crate::elements;

/// Named tensors of candle, as a source. Made once: what training writes into them is seen without making it anew.
///
/// ```
/// use candle_core::{Device, Var};
/// use quantviz_candle::Network;
/// use quantviz_core::{ParameterSource, SourceExt};
///
/// let weight = Var::new(&[0.5f32, -2.0], &Device::Cpu)?;
/// let network = Network::new([("fc.weight", weight.as_tensor())])?;
/// let id = network.model().parameter_named("fc.weight").expect("is there");
/// assert_eq!(network.summary(id)?.abs_max(), Some(2.0));
///
/// weight.set(&weight.neg()?)?;
/// assert_eq!(network.summary(id)?.max(), Some(2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    model: Model,
    tensors: Vec<Tensor>,
}

impl Network {
    /// These tensors under these names, in this order. Names that stand for one tensor, as tied weights do, share it.
    ///
    /// # Errors
    /// Where a tensor is of a type that quantviz has no name for, or a broadcast one has more elements than can be counted.
    pub fn new<'a, N: Into<String>>(named: impl IntoIterator<Item = (N, &'a Tensor)>) -> Result<Self> {
        let mut network = Network { model: Model::new(Format::Memory), tensors: Vec::new() };
        let mut storages = HashMap::new();
        for (name, tensor) in named {
            let name = name.into();
            let mut parameter = described(&name, tensor).map_err(|error| error.in_tensor(&name))?;
            let place = elements::place(tensor);
            let id = ParameterId::new(network.tensors.len());
            parameter.shares = storages.get(&place).copied();
            if let (None, Some(id)) = (parameter.shares, id) {
                network.model.file_bytes += byte_len(parameter.dtype, &parameter.shape)?;
                storages.insert(place, id);
            }
            network.model.warnings.extend(elements::obstacle(tensor).map(|error| {
                Warning::about(parameter.name.clone(), WarningKind::Unsupported, error.message())
            }));
            network.model.parameters.push(parameter);
            network.tensors.push(tensor.clone());
        }
        network.model.add_module_layers();
        Ok(network)
    }

    /// The variables of candle-nn's `VarMap`: `Network::of_map(&map.data().lock()?)`. Such a map has no order, so they are
    /// put in that of their names, numbers by their size.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use candle_core::{DType, Device, Var};
    /// use quantviz_candle::Network;
    /// use quantviz_core::ParameterSource;
    ///
    /// let vars = ["h.10.bias", "h.9.bias"].map(|name| (name.to_owned(), Var::zeros(4, DType::F32, &Device::Cpu)));
    /// let map = vars.into_iter().map(|(name, var)| Ok((name, var?))).collect::<candle_core::Result<HashMap<_, _>>>()?;
    /// let network = Network::of_map(&map)?;
    /// assert_eq!(network.model().parameters[0].name, "h.9.bias");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_map(map: &HashMap<String, Var>) -> Result<Self> {
        let mut named: Vec<_> = map.iter().map(|(name, var)| (name.as_str(), var.as_tensor())).collect();
        named.sort_by_cached_key(|(name, _)| by_number(name));
        Network::new(named)
    }

    /// The same, and what the loss was found to change by.
    pub fn with_gradients<'a>(&'a self, gradients: &'a GradStore) -> WithGradients<'a> {
        WithGradients::new(self, gradients)
    }

    pub(crate) fn tensor(&self, id: ParameterId) -> &Tensor {
        &self.tensors[id.index()]
    }
}

impl ParameterSource for Network {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        elements::read(self.tensor(id), range, sink)
            .map_err(|error| error.in_tensor(&self.model.parameter(id).name))
    }

    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        let name = &self.model.parameter(id).name;
        match part {
            Part::Stored | Part::Codes => {
                elements::gather(self.tensor(id), at, out).map_err(|error| error.in_tensor(name))
            }
            _ => Err(Error::not_found("only its elements can be gathered").in_tensor(name)),
        }
    }
}

fn described(name: &str, tensor: &Tensor) -> Result<Parameter> {
    let dtype = dtype_of(tensor.dtype())
        .ok_or_else(|| Error::unsupported(format!("{:?} is no type that can be shown", tensor.dtype())))?;
    let dims: Vec<u64> = tensor.dims().iter().map(|&dim| dim as u64).collect();
    let shape = Shape::new(dims)?;
    let role = role_from_name(name, &shape).unwrap_or(Role::Other);
    Ok(Parameter::new(name, dtype, shape, role))
}

fn dtype_of(dtype: candle_core::DType) -> Option<DType> {
    Some(match dtype {
        candle_core::DType::U8 => DType::U8,
        candle_core::DType::U32 => DType::U32,
        candle_core::DType::I16 => DType::I16,
        candle_core::DType::I32 => DType::I32,
        candle_core::DType::I64 => DType::I64,
        candle_core::DType::BF16 => DType::Bf16,
        candle_core::DType::F16 => DType::F16,
        candle_core::DType::F32 => DType::F32,
        candle_core::DType::F64 => DType::F64,
        candle_core::DType::F8E4M3 => DType::F8E4M3Fn,
        candle_core::DType::F8E8M0 => DType::F8E8M0,
        candle_core::DType::F6E2M3 => DType::F6E2M3,
        candle_core::DType::F6E3M2 => DType::F6E3M2,
        candle_core::DType::F4 => DType::F4E2M1,
        _ => return None,
    })
}

/// A name in pieces, so that `h.9` comes before `h.10`.
fn by_number(name: &str) -> Vec<(u64, String)> {
    name.split('.').map(|piece| (piece.parse().unwrap_or(u64::MAX), piece.to_owned())).collect()
}
