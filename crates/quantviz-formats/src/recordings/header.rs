//! The header of an array of numpy's: a dictionary as Python writes it, of which nothing is ever evaluated.

use quantviz_core::{DType, Error, Result, Shape};

/// What comes before the elements of an array.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The type, or why its elements are not read.
    pub(super) dtype: Result<DType, String>,
    pub(super) is_big_endian: bool,
    /// Whether the first index counts fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Shape,
}

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The magic, two numbers of the version, and at most four bytes of a length.
pub(super) const LONGEST_START: usize = 12;
/// numpy itself reads no header of more than ten thousand bytes.
const LONGEST: usize = 1 << 16;

/// Where the dictionary begins and where it ends, by the first bytes of an array.
pub(super) fn extent(start: &[u8]) -> Result<(usize, usize)> {
    let Some(rest) = start.strip_prefix(MAGIC) else {
        return Err(Error::malformed("this is no array of numpy's"));
    };
    let (begin, len) = match *rest {
        [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([a, b]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        [version, ..] if version > 3 => {
            return Err(Error::unsupported(format!("version {version} of numpy's arrays is not known here")));
        }
        _ => return Err(Error::malformed("the header of an array of numpy's is damaged")),
    };
    if len > LONGEST {
        return Err(Error::malformed(format!("a header of {len} bytes; numpy's have at most 10000")));
    }
    Ok((begin, begin + len))
}

/// Reads the dictionary.
pub(super) fn parse(text: &[u8], rank: usize) -> Result<Header> {
    let text = String::from_utf8_lossy(text);
    let mut scanner = Scanner { rest: &text };
    let header = scanner.header(rank)?;
    match scanner.rest.trim() {
        "" => Ok(header),
        _ => Err(damaged()),
    }
}

fn damaged() -> Error {
    Error::malformed("the header of an array of numpy's is damaged")
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn header(&mut self, rank: usize) -> Result<Header> {
        let (mut descr, mut is_fortran, mut dims) = (None, None, None);
        self.expect('{')?;
        while !self.take('}') {
            let key = self.string()?;
            self.expect(':')?;
            match key {
                "descr" if descr.is_none() => descr = Some(self.descr()?),
                "fortran_order" if is_fortran.is_none() => is_fortran = Some(self.truth()?),
                "shape" if dims.is_none() => dims = Some(self.dims(rank)?),
                _ => return Err(damaged()),
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        let (Some(descr), Some(is_fortran), Some(dims)) = (descr, is_fortran, dims) else {
            return Err(damaged());
        };
        let is_big_endian = descr.is_some_and(|it| it.starts_with('>'));
        Ok(Header { dtype: dtype(descr), is_big_endian, is_fortran, shape: Shape::new(dims)? })
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(damaged()) }
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = ['\'', '"'].into_iter().find(|&quote| self.take(quote)).ok_or_else(damaged)?;
        let (string, rest) = self.rest.split_once(quote).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(string)
    }

    /// A type; `None` where it is one of several fields, which are skipped.
    fn descr(&mut self) -> Result<Option<&'a str>> {
        if !self.take('[') {
            return self.string().map(Some);
        }
        let mut depth = 1;
        while depth > 0 {
            if self.take('[') || self.take('(') {
                depth += 1;
            } else if self.take(']') || self.take(')') {
                depth -= 1;
            } else if !self.take(',') && self.string().is_err() {
                self.number()?;
            }
        }
        Ok(None)
    }

    fn truth(&mut self) -> Result<bool> {
        self.rest = self.rest.trim_start();
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(truth);
            }
        }
        Err(damaged())
    }

    fn number(&mut self) -> Result<u64> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 wrote long numbers with an L behind them.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().map_err(|_| damaged())
    }

    fn dims(&mut self, rank: usize) -> Result<Vec<u64>> {
        let mut dims = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            dims.push(self.number()?);
            if dims.len() > rank {
                return Err(Error::limit(format!("more than {rank} dimensions")).of_limit("rank"));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(dims)
    }
}

fn dtype(descr: Option<&str>) -> Result<DType, String> {
    let Some(descr) = descr else {
        return Err("its elements have several fields: save each as an array of its own".to_owned());
    };
    let code = descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr);
    Ok(match code {
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "i1" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "u1" => DType::U8,
        "u2" => DType::U16,
        "u4" => DType::U32,
        "u8" => DType::U64,
        "b1" => DType::Bool,
        "O" => {
            return Err(
                "it holds pickled Python objects, which are never loaded: save it as numbers".to_owned()
            );
        }
        _ => return Err(format!("elements of the type {descr:?} are not read: save it as float32")),
    })
}

#[cfg(test)]
mod tests {
    use quantviz_core::ErrorKind;

    use super::*;

    fn parsed(text: &str) -> Result<Header> {
        parse(text.as_bytes(), 64)
    }

    #[test]
    fn what_numpy_writes() {
        let header =
            parsed("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n").expect("it is right");
        assert_eq!((header.dtype, header.shape.dims()), (Ok(DType::F32), &[3, 4][..]));
        let header =
            parsed("{'descr': '>i2', 'fortran_order': True, 'shape': (5L,), }").expect("it is right");
        assert!(header.is_big_endian && header.is_fortran);
        assert_eq!((header.dtype, header.shape.dims()), (Ok(DType::I16), &[5][..]));
        let scalar = parsed("{'shape': (), 'descr': '|b1', 'fortran_order': False}").expect("any order");
        assert_eq!((scalar.dtype, scalar.shape.rank()), (Ok(DType::Bool), 0));
    }

    #[test]
    fn types_that_are_not_read_say_why() {
        let why = |descr: &str| {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}");
            parsed(&text).expect("it is right").dtype.expect_err("it is not read")
        };
        assert!(why("'|O'").contains("never loaded"));
        assert!(why("'<c8'").contains("\"<c8\""));
        assert!(why("[('a', '<f4', (2,)), ('b', '<i4')]").contains("fields"));
    }

    #[test]
    fn what_is_damaged() {
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3",
            "{'descr': '<f4', 'fortran_order': maybe, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': __import__('os'), 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} more",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
        let deep = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({})}}", "1,".repeat(100));
        assert_eq!(parsed(&deep).expect_err("too many").kind(), ErrorKind::Limit);
    }

    #[test]
    fn where_it_lies() {
        assert_eq!(extent(b"\x93NUMPY\x01\x00\x76\x00{").ok(), Some((10, 128)));
        assert_eq!(extent(b"\x93NUMPY\x03\x00\x74\x00\x00\x00").ok(), Some((12, 128)));
        for start in
            [&b"\x93NUMPY\x04\x00\x76\x00"[..], b"\x93NUMPY\x01", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"PK"]
        {
            assert!(extent(start).is_err(), "{start:?}");
        }
    }
}
