//! Arrays in one file whose sizes are known before the first number: each grows from its own place.

use std::collections::BTreeSet;
use std::io::SeekFrom;

use quantviz_core::Error;

use super::{Result, WriteSeek};

/// The type of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    U64,
    F64,
    F32,
    U32,
    U8,
}

impl Type {
    pub(super) fn width(self) -> u64 {
        match self {
            Type::U64 | Type::F64 => 8,
            Type::F32 | Type::U32 => 4,
            Type::U8 => 1,
        }
    }
}

/// An array that will be written.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) of: Type,
    pub(super) shape: Vec<u64>,
}

impl Spec {
    pub(super) fn len(&self) -> Result<u64> {
        let len = self.shape.iter().try_fold(self.of.width(), |len, &axis| len.checked_mul(axis));
        len.ok_or_else(|| Error::limit(format!("{:?} is larger than any file", self.name)).into())
    }
}

/// The arrays of an export, each under another name.
#[derive(Default)]
pub(super) struct Specs {
    pub(super) all: Vec<Spec>,
    taken: BTreeSet<String>,
}

impl Specs {
    /// Adds an array and returns its place. Where its name is taken, as by another parameter of the same name, `~2` is
    /// behind it.
    pub(super) fn add(&mut self, name: &str, of: Type, shape: &[u64]) -> usize {
        let names = std::iter::once(name.to_owned()).chain((2u64..).map(|at| format!("{name}~{at}")));
        let name = names.into_iter().find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(name.clone());
        self.all.push(Spec { name, of, shape: shape.to_vec() });
        self.all.len() - 1
    }
}

/// A kind of file that arrays are in.
pub(super) trait Container {
    /// Whether it has words beside arrays.
    fn has_metadata(&self) -> bool {
        false
    }

    /// Where the numbers of each array begin. `about` says where all of it comes from.
    fn place(&mut self, specs: &[Spec], about: &str) -> Result<Vec<u64>>;

    /// Hears the bytes of an array, in their order.
    fn hear(&mut self, _array: usize, _bytes: &[u8]) {}

    /// Writes what is around the arrays.
    fn finish(&mut self, specs: &[Spec], out: &mut dyn WriteSeek) -> Result<()>;
}

/// A file that is being filled.
pub(super) struct ArrayFile<'a> {
    out: &'a mut dyn WriteSeek,
    container: &'a mut dyn Container,
    specs: Vec<Spec>,
    places: Vec<u64>,
    written: Vec<u64>,
    /// What comes next of each array.
    waiting: Vec<Vec<u8>>,
}

impl<'a> ArrayFile<'a> {
    pub(super) fn new(
        out: &'a mut dyn WriteSeek,
        container: &'a mut dyn Container,
        specs: Vec<Spec>,
        about: &str,
    ) -> Result<Self> {
        let places = container.place(&specs, about)?;
        let count = specs.len();
        Ok(ArrayFile {
            out,
            container,
            specs,
            places,
            written: vec![0; count],
            waiting: vec![Vec::new(); count],
        })
    }

    /// Numbers behind those that an array has.
    pub(super) fn push(&mut self, array: usize, bytes: &[u8]) {
        self.waiting[array].extend_from_slice(bytes);
    }

    /// Whether an array has any numbers.
    pub(super) fn is_begun(&self, array: usize) -> bool {
        self.written[array] > 0 || !self.waiting[array].is_empty()
    }

    /// Writes what was pushed.
    pub(super) fn flush(&mut self) -> Result<()> {
        for (at, waiting) in self.waiting.iter_mut().enumerate().filter(|(_, it)| !it.is_empty()) {
            let waiting = std::mem::take(waiting);
            let len = self.specs[at].len()?;
            if waiting.len() as u64 > len - self.written[at] {
                return Err(changed(&self.specs[at]).into());
            }
            self.out.seek(SeekFrom::Start(self.places[at] + self.written[at]))?;
            self.out.write_all(&waiting)?;
            self.container.hear(at, &waiting);
            self.written[at] += waiting.len() as u64;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        for (spec, written) in self.specs.iter().zip(&self.written) {
            if spec.len()? != *written {
                return Err(changed(spec).into());
            }
        }
        self.container.finish(&self.specs, self.out)?;
        Ok(self.out.flush()?)
    }
}

/// Between the first look at the session and the second.
fn changed(spec: &Spec) -> Error {
    let message = format!("the session has changed while {:?} was written; export it again", spec.name);
    Error::new(quantviz_core::ErrorKind::Refused, message)
}

/// The bytes of numbers, as all formats here have them.
pub(super) fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_le_bytes()).collect()
}
