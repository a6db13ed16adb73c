//! Files that lie, contradict themselves, or cost little to write and much to read: one table of all of them, with what
//! has to become of each.
//!
//! ```
//! use quantviz_testkit::hostile::{self, Outcome};
//!
//! let folder = std::env::temp_dir().join("quantviz-hostile-example");
//! let empty = hostile::safetensors().into_iter().find(|it| it.what == "an empty file").expect("it is in the table");
//! let path = empty.write_to(&folder)?;
//! assert_eq!((std::fs::read(path)?.len(), empty.outcome), (0, Outcome::Refused("the file is empty")));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod gguf;
mod onnx;
mod safetensors;
mod torch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use gguf::files as gguf;
pub use onnx::files as onnx;
pub use safetensors::files as safetensors;
pub use torch::files as torch;

/// How a shell runs a command that reads such a file: with 256 MB of address space, and two seconds of processor time. Six
/// where the build is not optimised: 30 MB of JSON are written in 0.4 s by one that is, and in 1.9 by one that is not.
pub const BOUNDS: &str = if cfg!(debug_assertions) {
    "ulimit -v 262144 && ulimit -t 6 && exec \"$0\" \"$@\""
} else {
    "ulimit -v 262144 && ulimit -t 2 && exec \"$0\" \"$@\""
};

/// A hostile file, and those that lie beside it.
pub struct Hostile {
    /// What is wrong.
    pub what: String,
    /// The name of the file to be opened.
    pub file: &'static str,
    /// What has to become of it.
    pub outcome: Outcome,
    make: Box<dyn Fn() -> Vec<u8>>,
    beside: Vec<(String, Vec<u8>)>,
}

/// What has to become of a hostile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing in it can be trusted: an error that contains this.
    Refused(&'static str),
    /// It can be shown, with a warning that contains this.
    Warned(&'static str),
    /// Like a warning; and it is an error where this parameter is asked for.
    Unreadable {
        /// The name of the parameter.
        parameter: &'static str,
        /// What the warning and the error contain.
        why: &'static str,
    },
    /// It can be shown, and there is nothing to say of it.
    Sound,
    /// It asks for much: it is refused or shown, whichever the limits have.
    Bounded,
}

/// Every hostile file of every format.
pub fn all() -> Vec<Hostile> {
    [onnx(), safetensors(), gguf(), torch()].into_iter().flatten().collect()
}

impl Hostile {
    fn new(
        file: &'static str,
        what: impl Into<String>,
        outcome: Outcome,
        make: impl Fn() -> Vec<u8> + 'static,
    ) -> Self {
        Hostile { what: what.into(), file, outcome, make: Box::new(make), beside: Vec::new() }
    }

    fn beside(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.beside.push((name.into(), bytes.into()));
        self
    }

    /// The bytes of the file to be opened.
    pub fn bytes(&self) -> Vec<u8> {
        (self.make)()
    }

    /// Writes all files into a folder that need not exist yet, and returns the path of the one to be opened.
    pub fn write_to(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        for (name, bytes) in &self.beside {
            fs::write(folder.join(name), bytes)?;
        }
        let path = folder.join(self.file);
        fs::write(&path, self.bytes())?;
        Ok(path)
    }
}

/// Sizes of files that ask for much: where little is refused yet, and the largest that the bounds on memory and time
/// are promised for.
const SIZES: [usize; 2] = [2 << 20, 31 << 20];

/// Nearly as many tensors as small files may have, with names nearly as long as they may be.
const MOST_TENSORS: usize = 32_500;

/// A name of sixty letters that no other tensor has.
fn name_of(number: usize) -> String {
    format!("{}.{number:05}.weight", "module".repeat(8))
}

/// A file of one thing again and again, in several sizes.
fn bombs(file: &'static str, what: &str, make: fn(usize) -> Vec<u8>) -> impl Iterator<Item = Hostile> {
    SIZES
        .map(|size| {
            Hostile::new(file, format!("{what}, {} MB", size >> 20), Outcome::Bounded, move || make(size))
        })
        .into_iter()
}

/// Pieces that differ, until they have this many bytes.
fn numbered(size: usize, mut piece: impl FnMut(usize) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    let mut number = 0;
    while bytes.len() < size {
        bytes.extend(piece(number));
        number += 1;
    }
    bytes
}
