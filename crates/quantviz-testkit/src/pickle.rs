//! Pickles and the archives that torch keeps them in, well-formed or hostile, opcode by opcode.
//!
//! ```
//! use quantviz_testkit::pickle::{Pickle, TorchBuilder};
//!
//! let hello = Pickle::new().text("hi").int(3).op(b"\x86");
//! assert_eq!(hello.build(), b"\x80\x02X\x02\0\0\0hiJ\x03\0\0\0\x86.");
//!
//! let file = TorchBuilder::new().tensor("w", "FloatStorage", &[2], &[0; 8]);
//! assert!(file.archive().build().starts_with(b"PK\x03\x04"));
//! assert!(file.legacy().ends_with(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
//! ```

/// Opcodes, one after the other.
#[derive(Clone, Debug)]
pub struct Pickle(Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        Pickle::new()
    }
}

impl Pickle {
    /// The version of the protocol, and nothing yet.
    pub fn new() -> Self {
        Pickle(b"\x80\x02".to_vec())
    }

    /// Any opcodes.
    #[must_use]
    pub fn op(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.op(b"X").op((text.len() as u32).to_le_bytes()).op(text)
    }

    /// A whole number.
    #[must_use]
    pub fn int(self, value: i64) -> Self {
        match i32::try_from(value) {
            Ok(value) => self.op(b"J").op(value.to_le_bytes()),
            Err(_) => self.op(b"\x8a\x08").op(value.to_le_bytes()),
        }
    }

    /// A class or a function.
    #[must_use]
    pub fn global(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n"))
    }

    /// A tuple of whole numbers.
    #[must_use]
    pub fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.op(b"("), |pickle, &value| pickle.int(value)).op(b"t")
    }

    /// A storage, as torch leaves it to whoever reads the pickle.
    #[must_use]
    pub fn storage(self, class: &str, key: &str, count: i64) -> Self {
        self.op(b"(").text("storage").global("torch", class).text(key).text("cpu").int(count).op(b"tQ")
    }

    /// A tensor over a storage.
    #[must_use]
    pub fn tensor(self, storage: (&str, &str, i64), offset: i64, sizes: &[i64], strides: &[i64]) -> Self {
        let (class, key, count) = storage;
        let storage = self.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage(class, key, count);
        storage.int(offset).ints(sizes).ints(strides).op(b"\x89NtR")
    }

    /// The bytes, with the opcode that ends them.
    pub fn build(&self) -> Vec<u8> {
        [&self.0[..], b"."].concat()
    }

    /// The bytes without an end.
    pub fn unfinished(&self) -> &[u8] {
        &self.0
    }
}

/// A dictionary of contiguous tensors, as torch.save writes it.
#[derive(Clone, Debug, Default)]
pub struct TorchBuilder {
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    class: String,
    sizes: Vec<i64>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn count(&self) -> i64 {
        self.sizes.iter().product()
    }
}

impl TorchBuilder {
    /// A file without tensors.
    pub fn new() -> Self {
        TorchBuilder::default()
    }

    /// A tensor over a storage of its own, of a class such as `FloatStorage`.
    #[must_use]
    pub fn tensor(mut self, name: &str, class: &str, sizes: &[i64], bytes: &[u8]) -> Self {
        let (name, class) = (name.to_owned(), class.to_owned());
        self.tensors.push(Tensor { name, class, sizes: sizes.to_vec(), bytes: bytes.to_vec() });
        self
    }

    /// The pickle alone.
    pub fn pickle(&self) -> Pickle {
        let tensors = self.tensors.iter().enumerate();
        let pairs = tensors.fold(Pickle::new().op(b"}("), |pickle, (index, tensor)| {
            let strides: Vec<i64> =
                (0..tensor.sizes.len()).map(|axis| tensor.sizes[axis + 1..].iter().product()).collect();
            let storage = (tensor.class.as_str(), &*index.to_string(), tensor.count());
            pickle.text(&tensor.name).tensor(storage, 0, &tensor.sizes, &strides)
        });
        pairs.op(b"u")
    }

    /// The archive that torch writes since version 1.6.
    pub fn archive(&self) -> Archive {
        let archive = Archive::new().entry("archive/data.pkl", &self.pickle().build());
        let storages = self.tensors.iter().enumerate();
        storages.fold(archive, |archive, (index, tensor)| {
            archive.entry(&format!("archive/data/{index}"), &tensor.bytes)
        })
    }

    /// The file that torch wrote before that.
    pub fn legacy(&self) -> Vec<u8> {
        let keys =
            (0..self.tensors.len()).fold(Pickle::new().op(b"]("), |keys, key| keys.text(&key.to_string()));
        let mut file = legacy(&self.pickle().build(), &keys.op(b"e").build());
        for tensor in &self.tensors {
            file.extend(tensor.count().to_le_bytes());
            file.extend(&tensor.bytes);
        }
        file
    }
}

/// What a file of torch's first format begins with, then these two pickles: the object, and the keys of its storages.
pub fn legacy(object: &[u8], keys: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let version = b"\x80\x02M\xe9\x03.";
    let system = Pickle::new().op(b"}").text("little_endian").op(b"\x88s").build();
    [magic, &version[..], &system, object, keys].concat()
}

/// A zip archive, as honest as its entries.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: Vec<Entry>,
}

/// An entry of an archive, and what is said of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its bytes, as they are to stand in the archive.
    pub bytes: Vec<u8>,
    /// How it is said to be compressed: 0 for not at all, 8 for deflate.
    pub method: u16,
    /// How many bytes it is said to have in the archive.
    pub stored_len: u32,
    /// How many bytes it is said to have once it is not compressed.
    pub len: u32,
    /// Where its header is said to be, if not where it is.
    pub offset: Option<u32>,
}

impl Entry {
    /// An entry that is as it says.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let len = bytes.len() as u32;
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        Entry { name, bytes, method: 0, stored_len: len, len, offset: None }
    }

    /// An entry that went through deflate, which made nothing smaller.
    pub fn deflated(name: &str, bytes: &[u8]) -> Self {
        let pieces = bytes.chunks(usize::from(u16::MAX));
        let last = pieces.len().saturating_sub(1);
        let packed = pieces.enumerate().flat_map(|(index, piece)| {
            let len = piece.len() as u16;
            let head = [u8::from(index == last), len as u8, (len >> 8) as u8, !len as u8, (!len >> 8) as u8];
            [&head, piece].concat()
        });
        let entry = Entry::new(name, &packed.collect::<Vec<u8>>());
        Entry { method: 8, len: bytes.len() as u32, ..entry }
    }
}

impl Archive {
    /// An archive without entries.
    pub fn new() -> Self {
        Archive::default()
    }

    /// Adds an entry that is stored as it is.
    #[must_use]
    pub fn entry(self, name: &str, bytes: &[u8]) -> Self {
        self.with(Entry::new(name, bytes))
    }

    /// Adds any entry.
    #[must_use]
    pub fn with(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// The bytes of the file.
    pub fn build(&self) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let offset = entry.offset.unwrap_or(file.len() as u32);
            let head = entry.head();
            file.extend(b"PK\x03\x04");
            file.extend(&head);
            file.extend(entry.name.as_bytes());
            file.extend(&entry.bytes);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&head);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(entry.name.as_bytes());
        }
        let (start, count) = (file.len() as u32, self.entries.len() as u16);
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        [count, count].iter().for_each(|count| file.extend(count.to_le_bytes()));
        [directory.len() as u32, start].iter().for_each(|number| file.extend(number.to_le_bytes()));
        file.extend([0; 2]);
        file
    }
}

impl Entry {
    /// What the directory and the header before the data have in common.
    fn head(&self) -> Vec<u8> {
        let mut head = vec![0x14, 0, 0, 0];
        head.extend(self.method.to_le_bytes());
        head.extend([0; 8]);
        head.extend(self.stored_len.to_le_bytes());
        head.extend(self.len.to_le_bytes());
        head.extend((self.name.len() as u16).to_le_bytes());
        head.extend([0; 2]);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_points_at_its_entries() {
        let file = Archive::new().entry("a/b", b"12").with(Entry::deflated("c", b"345")).build();
        let directory = file.windows(4).position(|it| it == b"PK\x01\x02").expect("a directory");
        assert_eq!(&file[file.len() - 6..file.len() - 2], (directory as u32).to_le_bytes());
        let second = &file[directory + 46 + 3..];
        assert_eq!(&second[42..46], (30 + 3 + 2u32).to_le_bytes());
        assert_eq!((second[10], second[20], second[24]), (8, 3 + 5, 3));
    }
}
