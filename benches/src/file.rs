//! A file as a list of pieces, so that no file is ever in memory as a whole.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::noise::{Noise, Record};

/// What a file is made of, from its first byte to its last.
#[derive(Clone, Debug, Default)]
pub struct File {
    pieces: Vec<Piece>,
}

/// A run of bytes.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These.
    Bytes(Vec<u8>),
    /// So many, made of a record, from a seed.
    Filled(Record, u64, u64),
}

/// What is made at a time.
const CHUNK: u64 = 1 << 20;

impl Piece {
    /// So many bytes of a tensor, made of a record. What is made of one tensor is made of the same numbers in every file, so
    /// that codes are those of the floats.
    pub fn filled(tensor: &str, record: Record, bytes: u64) -> Self {
        // FNV-1a.
        let seed = tensor.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Piece::Filled(record, bytes, seed)
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Filled(_, bytes, _) => *bytes,
        }
    }
}

impl File {
    /// A file of these pieces.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        File { pieces: pieces.into_iter().collect() }
    }

    /// Puts another piece behind the last.
    pub fn push(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    /// The same, with these bytes in front.
    #[must_use]
    pub fn behind(mut self, head: Vec<u8>) -> Self {
        self.pieces.insert(0, Piece::Bytes(head));
        self
    }

    /// Fills up to a multiple of `alignment` with zeros.
    pub fn align(&mut self, alignment: u64) {
        let bytes = self.bytes();
        let gap = bytes.next_multiple_of(alignment) - bytes;
        self.push(Piece::Bytes(vec![0; gap as usize]));
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::bytes).sum()
    }

    /// Writes all of it; it has its name only once it is complete.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_added_extension("part");
        let mut file = BufWriter::with_capacity(1 << 16, std::fs::File::create(&unfinished)?);
        let mut chunk = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => file.write_all(bytes)?,
                Piece::Filled(record, bytes, seed) => {
                    let mut noise = Noise::new(*seed);
                    let mut left = *bytes;
                    while left > 0 {
                        noise.fill(record, left.min(CHUNK) as usize, &mut chunk);
                        let len = (left as usize).min(chunk.len());
                        file.write_all(&chunk[..len])?;
                        chunk.clear();
                        left -= len as u64;
                    }
                }
            }
        }
        file.into_inner()?;
        std::fs::rename(unfinished, path)
    }

    /// Writes what is not filled, and leaves holes in its place: for those who read no weight.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_sparse(&self, path: &Path) -> io::Result<()> {
        use std::io::Seek;
        let mut file = std::fs::File::create(path)?;
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => file.write_all(bytes)?,
                Piece::Filled(_, bytes, _) => {
                    let at = file.stream_position()?;
                    file.seek(io::SeekFrom::Start(at + bytes))?;
                }
            }
        }
        file.set_len(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn a_file_has_the_bytes_that_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.bin");
        let mut file =
            File::new([Piece::Bytes(b"head".to_vec()), Piece::filled("floats", &[(3, Field::F32)], 16)]);
        file.align(64);
        file.push(Piece::filled("sevens", &[(1, Field::Constant(7))], CHUNK + 3));
        file.write(&path).expect("written");
        let bytes = std::fs::read(&path).expect("readable");
        assert_eq!((bytes.len() as u64, file.bytes()), (64 + CHUNK + 3, 64 + CHUNK + 3));
        assert!(bytes.starts_with(b"head") && bytes[64..].iter().all(|&byte| byte == 7));
        file.write_sparse(&path).expect("written");
        let sparse = std::fs::read(&path).expect("readable");
        assert!(sparse.len() == bytes.len() && sparse.starts_with(b"head"));
        assert!(sparse[4..].iter().all(|&byte| byte == 0));
    }
}
