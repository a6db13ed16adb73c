//! The parameters of a file as they are found: checked against their storages, told apart, counted against the limits.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use quantviz_core::{
    Error, ErrorKind, Format, Model, Parameter, ParameterId, Result, Role, Shape, Warning, WarningKind,
    byte_len, one_line, role_from_name,
};

use super::bytes::Bytes;
use super::pickle::Budget;
use super::storages::Storages;
use super::strided::{View, bytes_to_read};
use super::tensor::{Tensor, Values, rows_first};
use crate::Limits;
use crate::file::ModelFile;

/// Where the elements of a parameter are.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) file: usize,
    /// How they lie in it, or why they cannot be read.
    pub(super) elements: Unreadable<View>,
}

type Unreadable<T> = std::result::Result<T, (ErrorKind, String)>;

/// What has been found so far, and what may still be.
pub(super) struct Catalogue<'a> {
    /// The file that is being read.
    pub(super) file: &'a ModelFile,
    file_index: usize,
    pub(super) limits: &'a Limits,
    /// Bytes that may still be held in memory: compressed entries, and values that are in a pickle.
    pub(super) inflatable: u64,
    pub(super) pickles: Budget,
    /// How many more values may be looked at.
    pub(super) visits: usize,
    pub(super) model: Model,
    pub(super) locations: Vec<Location>,
    /// The class of the module that owns a parameter, where the file says it.
    classes: Vec<Option<String>>,
    /// The first parameter for each storage, offset, and hash of what else makes a view.
    known: HashMap<(u64, u64, u64), ParameterId>,
    /// The parameter for each hash of a name.
    named: HashMap<u64, ParameterId>,
    name_bytes: usize,
    delivered: u64,
    read: u64,
}

/// A dot in a key can make two paths read the same. Where both lead to one tensor, it is one parameter.
const TWICE: &str = "two tensors have this name";

/// Bytes of values that a file may always have, however small it is.
const FREE_BYTES: u64 = 64 << 20;

impl<'a> Catalogue<'a> {
    pub(super) fn new(file: &'a ModelFile, limits: &'a Limits) -> Self {
        Catalogue {
            file,
            file_index: 0,
            limits,
            inflatable: limits.inflated_bytes,
            pickles: Budget::new(limits),
            visits: limits.pickle_items,
            model: Model::new(Format::Torch),
            locations: Vec::new(),
            classes: Vec::new(),
            known: HashMap::new(),
            named: HashMap::new(),
            name_bytes: 0,
            delivered: 0,
            read: 0,
        }
    }

    /// Goes on with the next file of a model in several.
    pub(super) fn turn_to(&mut self, index: usize, file: &'a ModelFile) {
        (self.file, self.file_index) = (file, index);
        self.model.file_bytes += file.len();
    }

    /// Adds a tensor as a parameter; without a role, its name tells which it has.
    pub(super) fn add(
        &mut self,
        name: &str,
        tensor: Tensor,
        storages: &mut Storages,
        role: Option<Role>,
        class: Option<String>,
    ) -> Result<ParameterId> {
        if self.model.parameters.len() >= self.limits.tensors {
            return Err(
                Error::limit(format!("more than {} tensors", self.limits.tensors)).of_limit("tensors")
            );
        }
        self.pay_for_name(name)?;
        let in_tensor = |error: Error| error.in_tensor(name);
        let id =
            ParameterId::new(self.model.parameters.len()).ok_or_else(|| Error::limit("too many tensors"))?;
        let role = role.or_else(|| role_from_name(name, &tensor.shape)).unwrap_or(Role::Other);
        let mut parameter = Parameter::new(name, tensor.dtype, tensor.shape.clone(), role);
        if let Some((kind, message)) = &tensor.remark {
            self.warn(name, *kind, message)?;
        }
        let elements = self.locate(tensor, storages).map_err(in_tensor)?;
        match &elements {
            Ok(view) if parameter.shape.elements() > 0 => {
                let first = *self.known.entry(self.identity(&parameter, view)).or_insert(id);
                parameter.shares =
                    Some(first).filter(|&first| first != id && self.is_same(first, &parameter, view));
            }
            Ok(_) => {}
            Err((kind, message)) => self.warn(name, (*kind).into(), message)?,
        }
        if let Some(&earlier) = self.named.get(&hash_of(name)).filter(|&&it| self.is_named(it, name)) {
            let tied = parameter
                .shares
                .is_some_and(|first| first == earlier || self.model.parameter(earlier).shares == Some(first));
            return if tied { Ok(earlier) } else { Err(in_tensor(Error::malformed(TWICE))) };
        }
        self.named.insert(hash_of(name), id);
        self.model.parameters.push(parameter);
        self.locations.push(Location { file: self.file_index, elements });
        self.classes.push(class);
        Ok(id)
    }

    /// Whether an earlier parameter of this file has that name.
    fn is_named(&self, id: ParameterId, name: &str) -> bool {
        self.locations[id.index()].file == self.file_index && self.model.parameter(id).name == name
    }

    fn identity(&self, parameter: &Parameter, view: &View) -> (u64, u64, u64) {
        let mut hasher = DefaultHasher::new();
        (self.file_index, parameter.dtype, &parameter.shape, &view.strides).hash(&mut hasher);
        (view.bytes.identity(), view.offset, hasher.finish())
    }

    /// Whether an earlier parameter from the same place of the same storage has the same elements.
    fn is_same(&self, first: ParameterId, parameter: &Parameter, view: &View) -> bool {
        let earlier = self.model.parameter(first);
        self.locations[first.index()].file == self.file_index
            && (earlier.dtype, &earlier.shape) == (parameter.dtype, &parameter.shape)
            && matches!(&self.locations[first.index()].elements, Ok(it) if it.strides == view.strides)
    }

    pub(super) fn warn(&mut self, name: &str, kind: WarningKind, message: &str) -> Result<()> {
        self.pay_for_name(name)?;
        self.model.warnings.push(Warning::about(name, kind, message));
        Ok(())
    }

    /// Notes which of the many kinds of files this is.
    pub(super) fn set_container(&mut self, kind: &str) {
        self.model.metadata.insert("torch.container".to_owned(), kind.to_owned());
    }

    fn pay_for_name(&mut self, name: &str) -> Result<()> {
        self.name_bytes += name.len();
        if self.name_bytes > self.limits.name_bytes {
            return Err(Error::limit(format!("names of more than {} bytes", self.limits.name_bytes))
                .of_limit("name_bytes"));
        }
        Ok(())
    }

    fn locate(&mut self, tensor: Tensor, storages: &mut Storages) -> Result<Unreadable<View>> {
        let Tensor { dtype, shape, strides, offset, values, .. } = tensor;
        let unreadable = |kind, message: &str| Ok(Err((kind, message.to_owned())));
        if let Values::Unreadable(kind, message) = &values {
            return unreadable(*kind, message);
        }
        let Some(bits) = dtype.bits() else {
            return unreadable(ErrorKind::Unsupported, "its dtype is not known here");
        };
        let len = byte_len(dtype, &shape)?;
        let bytes = match values {
            Values::Nowhere(reason) => return unreadable(ErrorKind::NotFound, reason),
            Values::Inline(bytes) => self.hold(&bytes)?,
            Values::Found(bytes) => bytes,
            Values::Unreadable(..) | Values::Pickled(_) => {
                return unreadable(ErrorKind::NotFound, "its storage has not been read");
            }
            Values::Storage(key, storage_len) => {
                check_bounds(&shape, &strides, offset, bits, storage_len)?;
                match self.storage(&key, storage_len, storages)? {
                    Ok(bytes) => bytes,
                    Err(error) => return unreadable(error.kind(), &one_line(error.message())),
                }
            }
        };
        let span = check_bounds(&shape, &strides, offset, bits, bytes.len())?;
        self.claim(len, bytes_to_read(shape.elements(), span))?;
        let offset = if shape.elements() == 0 { 0 } else { offset };
        let strides = Some(strides).filter(|strides| !is_contiguous(&shape, strides));
        if strides.is_some() && bits < 8 {
            return unreadable(ErrorKind::Unsupported, "it is a view of packed elements that skips some");
        }
        Ok(Ok(View { bytes, offset, strides }))
    }

    /// A copy of values that are in a pickle.
    fn hold(&mut self, bytes: &[u8]) -> Result<Bytes> {
        self.pay_for_held(bytes.len())?;
        Bytes::hold(bytes)
    }

    /// Takes bytes of values in a pickle off those that may be held in memory.
    pub(super) fn pay_for_held(&mut self, bytes: usize) -> Result<()> {
        self.inflatable = self.inflatable.checked_sub(bytes as u64).ok_or_else(|| {
            let most = self.limits.inflated_bytes;
            Error::limit(format!("more than {most} bytes of values in pickles")).of_limit("inflated_bytes")
        })?;
        Ok(())
    }

    /// The bytes of a storage that is said to have so many; or why they cannot be had, which concerns its tensors only.
    fn storage(&mut self, key: &str, len: u64, storages: &mut Storages) -> Result<Result<Bytes>> {
        match storages.find(key, self.file, &mut self.inflatable) {
            Ok(Some(bytes)) if bytes.len() < len => {
                Err(Error::malformed(format!("its storage {key:?} has {} bytes, not {len}", bytes.len())))
            }
            Ok(Some(bytes)) => Ok(Ok(bytes)),
            Ok(None) => Ok(Err(Error::not_found(format!("its storage {key:?} is not in the file")))),
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Counts the bytes that reading everything would deliver, and would read for that: views of little can be large,
    /// and many.
    fn claim(&mut self, delivered: u64, read: u64) -> Result<()> {
        /// Reading costs so much less than looking at what was read.
        const CHEAPER: u64 = 8;
        self.delivered = self.delivered.saturating_add(delivered);
        self.read = self.read.saturating_add(read);
        let inflated = self.limits.inflated_bytes - self.inflatable;
        let most = self.model.file_bytes.saturating_mul(self.limits.view_repeats);
        let most = most.saturating_add(inflated + FREE_BYTES).min(self.limits.data_bytes);
        let (what, bytes) = match self.delivered > most {
            true => ("take", self.delivered),
            false if self.read / CHEAPER > most => ("are spread over", self.read),
            false => return Ok(()),
        };
        let all = self.model.file_bytes;
        let message = format!("the tensors up to here {what} {bytes} bytes, in a file of {all}");
        let is_whole = most == self.limits.data_bytes;
        Err(Error::limit(message).of_limit(if is_whole { "data_bytes" } else { "view_repeats" }))
    }

    /// The model, with a layer for each path, and the way to every parameter's elements.
    pub(super) fn finish(mut self) -> (Model, Vec<Location>) {
        (self.known, self.named) = (HashMap::new(), HashMap::new());
        if self.model.parameters.is_empty() {
            self.model.warnings.push(Warning::general(WarningKind::Odd, "there is no tensor in this file"));
        }
        if let Some(warning) = self.pickles.harmful.warning() {
            self.model.warnings.push(Warning::general(WarningKind::Odd, warning));
        }
        self.model.add_module_layers();
        for (parameter, class) in self.model.parameters.iter().zip(self.classes) {
            let layer = parameter.layer.and_then(|layer| self.model.layers.get_mut(layer.index()));
            if let (Some(layer), Some(class)) = (layer, class) {
                layer.op.get_or_insert(class);
            }
        }
        (self.model, self.locations)
    }
}

fn hash_of(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Refuses a view that has elements beyond the end of its storage. Tells how many bytes it reaches over.
fn check_bounds(shape: &Shape, strides: &[u64], offset: u64, bits: u32, bytes: u64) -> Result<u64> {
    if shape.elements() == 0 {
        return Ok(0);
    }
    let reach = shape
        .dims()
        .iter()
        .zip(strides)
        .try_fold(0u64, |reach, (dim, stride)| reach.checked_add((dim - 1).checked_mul(*stride)?));
    let in_bits = |elements: u64| (u128::from(elements) + 1) * u128::from(bits);
    if let Some((reach, last)) = reach.and_then(|reach| Some((reach, reach.checked_add(offset)?)))
        && in_bits(last) <= u128::from(bytes) * 8
    {
        // Less than the bytes of the storage.
        return Ok(u64::try_from(in_bits(reach).div_ceil(8)).unwrap_or(bytes));
    }
    let message =
        format!("{shape} by strides of {strides:?} from {offset} is beyond its storage of {bytes} bytes");
    Err(Error::malformed(message))
}

/// Whether elements lie row after row. Axes of one element can have any stride.
fn is_contiguous(shape: &Shape, strides: &[u64]) -> bool {
    let dims = shape.dims().iter().zip(strides).zip(rows_first(shape));
    shape.elements() == 0
        || dims.into_iter().all(|((dim, stride), expected)| *dim == 1 || *stride == expected)
}
