//! The calls by which torch and numpy rebuild tensors, understood from their arguments alone.

use quantviz_core::{DType, Error, ErrorKind, Result, Shape, WarningKind};

use super::arena::{Arena, Node, NodeId, Object};
use super::bytes::Bytes;
use super::dtypes;

/// A tensor, as far as the pickle describes it.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    /// Elements of the storage between neighbours along each axis.
    pub(super) strides: Vec<u64>,
    /// Elements of the storage before the first.
    pub(super) offset: u64,
    pub(super) values: Values,
    pub(super) quantizer: Option<Quantizer>,
    /// What is odd about it.
    pub(super) remark: Option<(WarningKind, String)>,
}

/// Where a tensor's values are.
#[derive(Debug)]
pub(super) enum Values {
    /// In the storage with this key, which has so many bytes.
    Storage(String, u64),
    /// In the pickle itself.
    Inline(Vec<u8>),
    /// In a storage that is in the pickle: these bytes, which are a file of their own.
    Pickled(NodeId),
    /// In such a storage, once it has been found.
    Found(Bytes),
    /// In a storage that cannot be read, for this reason.
    Unreadable(ErrorKind, String),
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

/// How the codes of a quantized tensor become numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quantizer {
    PerTensor { scale: f64, zero_point: f64 },
    PerChannel { scales: NodeId, zero_points: NodeId, axis: usize },
}

/// What a call makes that has to do with tensors.
#[derive(Debug)]
pub(super) enum Made {
    Tensor(Box<Tensor>),
    /// The same as another value: a parameter around its tensor.
    Same(NodeId),
    /// Several tensors under names of their own, for this reason.
    Parts(Vec<(&'static str, NodeId)>, &'static str),
    /// Something that a class keeps in attributes as only it knows.
    Wrapper(String, NodeId),
}

/// What the object is that a call would make. `None` where the call is about anything but tensors.
pub(super) fn made(arena: &Arena, object: &Object, rank_limit: usize) -> Result<Option<Made>> {
    let rebuild = Rebuild { arena, rank_limit };
    let Some((module, name)) = arena.global(object.class) else { return Ok(None) };
    let args = Args { arena, list: arena.items(object.args).unwrap_or_default() };
    match (&*module, &*name) {
        ("torch._tensor" | "torch.tensor", "_rebuild_from_type" | "_rebuild_from_type_v2") => {
            rebuild.of_type(&args).map(Some)
        }
        _ if module.starts_with("numpy") => rebuild.array(object, &name, &args),
        _ => rebuild.call(&module, &name, &args),
    }
}

/// The storage that a pickle leaves to its reader, as a tensor of one dimension.
pub(super) fn bare_storage(arena: &Arena, id: NodeId) -> Option<Made> {
    let storage = Storage::at(arena, id)?;
    let (dtype, count) = match storage.dtype {
        Some(dtype) => (dtype, storage.bytes * 8 / u64::from(dtype.bits().unwrap_or(8))),
        None => (DType::U8, storage.bytes),
    };
    let tensor = Tensor {
        dtype,
        shape: Shape::vector(count),
        strides: vec![1],
        offset: 0,
        values: Values::Storage(storage.key, storage.bytes),
        quantizer: None,
        remark: None,
    };
    Some(Made::Tensor(Box::new(tensor)))
}

struct Rebuild<'a> {
    arena: &'a Arena,
    rank_limit: usize,
}

impl Rebuild<'_> {
    /// One of torch's own functions.
    fn call(&self, module: &str, name: &str, args: &Args<'_>) -> Result<Option<Made>> {
        if module != "torch._utils" {
            return Ok(None);
        }
        let made = match name {
            "_rebuild_tensor" => self.strided(args, None, None)?,
            "_rebuild_tensor_v2" => self.strided(args, None, args.optional(6))?,
            "_rebuild_tensor_v3" => self.strided(args, Some(self.dtype(args.get(6)?)), args.optional(7))?,
            "_rebuild_qtensor" => self.quantized(args)?,
            "_rebuild_meta_tensor_no_storage" => self.without_values(args)?,
            "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => self.sparse(args)?,
            "_rebuild_nested_tensor" => {
                let parts = vec![("buffer", args.get(0)?), ("sizes", args.get(1)?)];
                Made::Parts(parts, "it is nested: tensors of several shapes, one after the other")
            }
            "_rebuild_wrapper_subclass" => {
                let class = self.arena.global(args.get(0)?);
                let class = class.map_or("unknown".into(), |(module, name)| format!("{module}.{name}"));
                // Whoever wraps it knows its attributes.
                Made::Wrapper(class, args.get(0)?)
            }
            "_rebuild_parameter"
            | "_rebuild_parameter_with_state"
            | "_rebuild_device_tensor_from_cpu_tensor"
            | "_rebuild_device_tensor_from_numpy"
            | "_rebuild_xla_tensor" => Made::Same(args.get(0)?),
            _ => return Ok(None),
        };
        Ok(Some(made))
    }

    /// A call of another function, whose result is then given a class and attributes.
    fn of_type(&self, args: &Args<'_>) -> Result<Made> {
        let (function, inner, state) = (args.get(0)?, args.get(2)?, args.get(3)?);
        let inner = Args { arena: self.arena, list: self.arena.items(inner).unwrap_or_default() };
        let made = match self.arena.global(function) {
            Some((module, name)) => self.call(&module, &name, &inner)?,
            None => None,
        };
        match made {
            Some(Made::Wrapper(class, _)) => Ok(Made::Wrapper(class, state)),
            Some(made) => Ok(made),
            None => {
                let class = self.arena.global(args.get(1)?).map(|(module, name)| format!("{module}.{name}"));
                Ok(Made::Wrapper(class.unwrap_or_default(), state))
            }
        }
    }

    /// Storage, offset, sizes and strides; then flags.
    fn strided(&self, args: &Args<'_>, dtype: Option<DType>, flags: Option<NodeId>) -> Result<Made> {
        let mut tensor = self.view(args, dtype)?;
        // There are two flags at most.
        let mut set = flags.and_then(|flags| self.arena.pairs(flags)).into_iter().flatten().take(2);
        if set.any(|(flag, _)| self.arena.is_text(flag, "conj") || self.arena.is_text(flag, "neg")) {
            let message =
                "its values are to be conjugated or negated when they are read, which is not done here";
            tensor.remark = Some((WarningKind::Odd, message.to_owned()));
        }
        Ok(Made::Tensor(Box::new(tensor)))
    }

    fn view(&self, args: &Args<'_>, dtype: Option<DType>) -> Result<Tensor> {
        let (shape, strides) = (self.sizes(args.get(2)?)?, self.numbers(args.get(3)?)?);
        if strides.len() != shape.rank() {
            return Err(Error::malformed(format!(
                "{} strides for {} dimensions",
                strides.len(),
                shape.rank()
            )));
        }
        let mut offset = self.number(args.get(1)?)?;
        let (dtype, values) = match Storage::at(self.arena, args.get(0)?) {
            Some(storage) => {
                offset =
                    offset.checked_add(storage.first).ok_or_else(|| Error::malformed("it begins nowhere"))?;
                let dtype = dtype.or(storage.dtype).unwrap_or(DType::Unknown);
                (dtype, Values::Storage(storage.key, storage.bytes))
            }
            None => {
                let values = match self.pickled_storage(args.get(0)?) {
                    Some(bytes) => Values::Pickled(bytes),
                    None => Values::Nowhere("its storage is none of this file's"),
                };
                (dtype.unwrap_or(DType::Unknown), values)
            }
        };
        Ok(Tensor { dtype, shape, strides, offset, values, quantizer: None, remark: None })
    }

    /// What Python's own pickle, which knows nothing of storages beside it, has of one.
    fn pickled_storage(&self, id: NodeId) -> Option<NodeId> {
        let call = self.arena.object(id)?;
        let is_one = self.arena.is_global(call.class, "torch.storage", "_load_from_bytes");
        self.arena.items(call.args).filter(|_| is_one)?.first().copied()
    }

    fn quantized(&self, args: &Args<'_>) -> Result<Made> {
        let mut tensor = self.view(args, None)?;
        let how = args.get(4)?;
        let how = Args { arena: self.arena, list: self.arena.items(how).unwrap_or_default() };
        let scheme = self.arena.global(how.get(0)?).map(|(_, name)| name).unwrap_or_default();
        let number = |index| how.get(index).map(|id| self.arena.float(id));
        tensor.quantizer = match &*scheme {
            "per_tensor_affine" | "per_tensor_symmetric" => match (number(1)?, number(2)?) {
                (Some(scale), Some(zero_point)) => Some(Quantizer::PerTensor { scale, zero_point }),
                _ => return Err(Error::malformed("its scale or its zero-point is no number")),
            },
            "per_channel_affine" | "per_channel_symmetric" | "per_channel_affine_float_qparams" => {
                let axis = usize::try_from(self.number(how.get(3)?)?).unwrap_or(usize::MAX);
                Some(Quantizer::PerChannel { scales: how.get(1)?, zero_points: how.get(2)?, axis })
            }
            scheme => {
                let message = format!("the scheme {scheme:?} is not known here");
                tensor.remark = Some((WarningKind::Unsupported, message));
                None
            }
        };
        Ok(Made::Tensor(Box::new(tensor)))
    }

    /// A tensor of the device "meta", which has a shape and nothing in it.
    fn without_values(&self, args: &Args<'_>) -> Result<Made> {
        let (shape, strides) = (self.sizes(args.get(1)?)?, self.numbers(args.get(2)?)?);
        Ok(Made::Tensor(Box::new(Tensor {
            dtype: self.dtype(args.get(0)?),
            shape,
            strides,
            offset: 0,
            values: Values::Nowhere("it is on torch's device \"meta\", and so was saved without values"),
            quantizer: None,
            remark: None,
        })))
    }

    fn sparse(&self, args: &Args<'_>) -> Result<Made> {
        let layout = self.arena.object(args.get(0)?).and_then(|object| {
            let name = *self.arena.items(object.args)?.first()?;
            self.arena.word(name)
        });
        let names: &[&'static str] = match layout.as_deref() {
            Some("torch.sparse_csr" | "torch.sparse_bsr") => &["crow_indices", "col_indices", "values"],
            Some("torch.sparse_csc" | "torch.sparse_bsc") => &["ccol_indices", "row_indices", "values"],
            _ => &["indices", "values"],
        };
        let data = self.arena.items(args.get(1)?).unwrap_or_default();
        let parts = names.iter().copied().zip(data.iter().copied()).collect();
        Ok(Made::Parts(parts, "it is sparse: its indices and its values are shown on their own"))
    }

    /// An array of numpy, with its values in the pickle.
    fn array(&self, object: &Object, name: &str, args: &Args<'_>) -> Result<Option<Made>> {
        let state = object.state.and_then(|state| self.arena.items(state));
        let (shape, dtype, by_columns, bytes) = match (name, state) {
            ("_reconstruct", Some(&[_, shape, dtype, by_columns, bytes])) => {
                (shape, dtype, self.arena.int(by_columns) == Some(1), bytes)
            }
            ("_frombuffer", _) => {
                (args.get(2)?, args.get(1)?, self.arena.is_text(args.get(3)?, "F"), args.get(0)?)
            }
            _ => return Ok(None),
        };
        let shape = self.sizes(shape)?;
        let strides = if by_columns { columns_first(&shape) } else { rows_first(&shape) };
        let dtype = self.numpy_dtype(dtype).unwrap_or(DType::Unknown);
        let values = match dtype {
            // Arrays of objects, for one, have a list of them instead of bytes.
            DType::Unknown if self.arena.items(bytes).is_some() => return Ok(None),
            DType::Unknown => Values::Nowhere("its dtype is not known here"),
            _ => Values::Inline(self.arena.raw_bytes(bytes)?.into_owned()),
        };
        let tensor = Tensor { dtype, shape, strides, offset: 0, values, quantizer: None, remark: None };
        Ok(Some(Made::Tensor(Box::new(tensor))))
    }

    /// The type of a little-endian array.
    fn numpy_dtype(&self, id: NodeId) -> Option<DType> {
        let object = self.arena.object(id)?;
        let code = self.arena.word(*self.arena.items(object.args)?.first()?)?;
        let order = object.state.and_then(|state| self.arena.items(state)?.get(1).copied());
        let is_big_endian = order.is_some_and(|order| self.arena.is_text(order, ">"));
        dtypes::of_numpy(&code).filter(|_| !is_big_endian)
    }

    fn dtype(&self, id: NodeId) -> DType {
        let name = self.arena.global(id).filter(|(module, _)| module == "torch").map(|(_, name)| name);
        name.and_then(|name| dtypes::of_torch(&name)).unwrap_or(DType::Unknown)
    }

    fn sizes(&self, id: NodeId) -> Result<Shape> {
        Shape::new(self.numbers(id)?)
    }

    fn numbers(&self, id: NodeId) -> Result<Vec<u64>> {
        let list = self.arena.items(id).ok_or_else(|| Error::malformed("its shape is no list of numbers"))?;
        if list.len() > self.rank_limit {
            return Err(Error::limit(format!("more than {} dimensions", self.rank_limit)).of_limit("rank"));
        }
        list.iter().map(|&item| self.number(item)).collect()
    }

    fn number(&self, id: NodeId) -> Result<u64> {
        let number = self.arena.int(id).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Error::malformed("a dimension, stride or offset is negative or no number"))
    }
}

/// The arguments of a call.
struct Args<'a> {
    arena: &'a Arena,
    list: &'a [NodeId],
}

impl Args<'_> {
    fn get(&self, index: usize) -> Result<NodeId> {
        let found = self.list.get(index).copied();
        found.ok_or_else(|| Error::malformed(format!("it is made from {} things, too few", self.list.len())))
    }

    /// An argument that may be left out, or be `None`.
    fn optional(&self, index: usize) -> Option<NodeId> {
        self.list.get(index).copied().filter(|&id| !matches!(self.arena.node(id), Node::None))
    }
}

/// What a pickle says of a storage.
pub(super) struct Storage {
    pub(super) key: String,
    /// `None` where the tensors say it.
    pub(super) dtype: Option<DType>,
    pub(super) bytes: u64,
    /// Bytes of one of the things it counts.
    pub(super) unit: u64,
    /// Elements before the view that very old files have of it.
    first: u64,
}

impl Storage {
    /// `('storage', class, key, location, count, view)`.
    pub(super) fn at(arena: &Arena, id: NodeId) -> Option<Self> {
        let Node::Persistent(id) = arena.node(id) else { return None };
        let list = arena.items(id)?;
        let &[kind, class, key, _, count, ..] = list else { return None };
        if !arena.is_text(kind, "storage") {
            return None;
        }
        let (_, class) = arena.global(class)?;
        let (dtype, unit) = match dtypes::of_storage(&class) {
            Some((dtype, unit)) => (Some(dtype), unit),
            None if class.ends_with("UntypedStorage") => (None, 1),
            None => return None,
        };
        let key = match arena.node(key) {
            Node::Int(key) => key.to_string(),
            _ => arena.word(key)?.into_owned(),
        };
        let bytes = u64::try_from(arena.int(count)?).ok()?.checked_mul(unit)?;
        let view = list.get(5).and_then(|&view| arena.items(view)).and_then(|view| view.get(1));
        let first =
            view.and_then(|&first| arena.int(first)).map_or(Some(0), |first| u64::try_from(first).ok())?;
        Some(Storage { key, dtype, bytes, unit, first })
    }
}

/// The strides of elements that lie row after row.
pub(super) fn rows_first(shape: &Shape) -> Vec<u64> {
    (0..shape.rank()).map(|axis| shape.stride(axis)).collect()
}

fn columns_first(shape: &Shape) -> Vec<u64> {
    let products = shape.dims().iter().scan(1u64, |stride, dim| {
        let here = *stride;
        *stride = stride.saturating_mul(*dim);
        Some(here)
    });
    products.collect()
}
