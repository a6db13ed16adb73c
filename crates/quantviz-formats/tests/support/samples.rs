//! Small files, each with a tensor of one sort, and what becomes of that tensor when it is read.

use quantviz_core::{
    DType, Element, ErrorKind, Model, ParameterId, ParameterSource, Part, Shape, SourceExt, WarningKind,
    byte_len,
};
use quantviz_formats::BoxedSource;

use crate::cells::Cell;
use crate::common::Folder;

/// A file, what lies beside it, and the tensor that it is about.
pub(crate) struct Sample {
    pub(crate) file: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) beside: Vec<(&'static str, String)>,
    pub(crate) tensor: &'static str,
    /// What its codes are called where they are not read.
    pub(crate) unread: Option<&'static str>,
}

/// What becomes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Ok,
    /// Numbers are shown, and some are not exactly those of the file.
    Lossy,
    /// Name, type and shape are shown.
    Unsupported,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Lossy => "lossy",
            Outcome::Unsupported => "unsupported",
        }
    }
}

impl Sample {
    pub(crate) fn new(file: &'static str, bytes: Vec<u8>, tensor: &'static str) -> Self {
        Sample { file, bytes, beside: Vec::new(), tensor, unread: None }
    }

    pub(crate) fn measure(&self) -> (Cell, Outcome) {
        let folder = Folder::new();
        folder.put(self.file, &self.bytes);
        self.beside.iter().for_each(|(name, text)| drop(folder.put(name, text)));
        let source = folder.open(self.file);
        let model = source.model();
        let id = model.parameter_named(self.tensor);
        let id = id.unwrap_or_else(|| panic!("{:?} has no {:?}", self.unread, self.tensor));
        let (mut cell, outcome) = measure(&source, id);
        if let Some(title) = self.unread {
            assert_eq!(outcome, Outcome::Unsupported, "{title} is read");
            cell.encoding = title.to_owned();
        } else if model.parameter(id).quantization.is_none() {
            assert!(warnings(model, id).is_empty(), "{cell:?}: {:?}", model.warnings);
        }
        (cell, outcome)
    }
}

/// What sort of tensor it is, and what becomes of it.
pub(crate) fn measure(source: &BoxedSource, id: ParameterId) -> (Cell, Outcome) {
    let model = source.model();
    (Cell::of(model.format, model.parameter(id)), outcome(source, id))
}

fn outcome(source: &BoxedSource, id: ParameterId) -> Outcome {
    let parts: &[Part] = match source.model().parameter(id).quantization {
        Some(_) => &[Part::Codes, Part::Scales, Part::OuterScales, Part::ZeroPoints, Part::Offsets],
        None => &[Part::Stored],
    };
    for &part in parts {
        match source.values(id, part) {
            Ok(_) => {}
            // Values of torch's device "meta" are nowhere.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotFound) => {
                return Outcome::Unsupported;
            }
            Err(error) => panic!("{error}"),
        }
    }
    if source.real_array(id).is_err() || warnings(source.model(), id).contains(&WarningKind::Unsupported) {
        return Outcome::Unsupported;
    }
    let exactly = |stored: Vec<i128>| {
        let delivered = source.values(id, Part::Stored).expect("was read above");
        delivered.iter().zip(stored).all(|(&delivered, stored)| delivered as i128 == stored)
    };
    // No other type has numbers that float64 has not.
    let is_exact = match source.model().parameter(id).dtype {
        DType::I64 => exactly(stored::<i64>(source, id)),
        DType::U64 => exactly(stored::<u64>(source, id)),
        _ => true,
    };
    if is_exact { Outcome::Ok } else { Outcome::Lossy }
}

fn stored<T: Element + Into<i128>>(source: &BoxedSource, id: ParameterId) -> Vec<i128> {
    let array = source.stored_array::<T>(id).expect("was read as float64");
    array.iter().map(|&value| value.into()).collect()
}

fn warnings(model: &Model, id: ParameterId) -> Vec<WarningKind> {
    let name = &model.parameter(id).name;
    let about = model.warnings.iter().filter(|warning| warning.parameter.as_ref() == Some(name));
    about.map(|warning| warning.kind).collect()
}

/// The bytes of a tensor: numbers that are small, words that are not zero, and integers of 64 bits that float64 cannot
/// tell from their neighbours.
pub(crate) fn bytes(dtype: DType, dims: &[u64]) -> Vec<u8> {
    let shape = Shape::new(dims).expect("a small shape");
    let len = byte_len(dtype, &shape).expect("a type of some size") as usize;
    let one: Vec<u8> = match dtype {
        DType::I64 | DType::U64 => ((1u64 << 53) + 1).to_le_bytes().into(),
        DType::F64 => 0.3f64.to_le_bytes().into(),
        DType::F32 => 0.3f32.to_le_bytes().into(),
        DType::F16 | DType::Bf16 => vec![0x66, 0x3e],
        DType::Bool => vec![1],
        _ => vec![0x11],
    };
    one.into_iter().cycle().take(len).collect()
}

pub(crate) fn dtype(name: &str) -> DType {
    let dtype = DType::ALL.iter().find(|dtype| dtype.name() == name);
    *dtype.unwrap_or_else(|| panic!("there is no type {name:?}"))
}
