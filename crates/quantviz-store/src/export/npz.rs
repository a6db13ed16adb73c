//! numpy's archive: a zip of arrays that are stored as they are. What is known of the session is the array `quantviz`, the bytes
//! of its JSON.
//!
//! Everything is written with the fields of zip64, so that nothing depends on whether it is larger than 4 GB.

use std::io::SeekFrom;

use crc32fast::Hasher;
use quantviz_core::Error;

use super::arrays::{Container, Spec, Type};
use super::{Result, WriteSeek};

/// The version of zip that has zip64.
const VERSION: u16 = 45;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// The first of January 1980: the same session gives the same bytes.
const DATE: u16 = 0x21;
const REGULAR_FILE: u32 = 0o100_644 << 16;
/// It stands in the extra field.
const ELSEWHERE: u32 = u32::MAX;
const ZIP64: u16 = 1;
/// Numbers begin at a multiple of this in their file.
const ALIGNMENT: usize = 64;

#[derive(Default)]
pub(super) struct Npz {
    members: Vec<Member>,
    /// Behind the last member.
    end: u64,
}

struct Member {
    name: Vec<u8>,
    place: u64,
    /// What is before the numbers.
    header: Vec<u8>,
    len: u64,
    crc: Hasher,
}

impl Container for Npz {
    fn place(&mut self, specs: &[Spec], _: &str) -> Result<Vec<u64>> {
        let mut places = Vec::new();
        for spec in specs {
            let name = format!("{}.npy", escaped(&spec.name)).into_bytes();
            if name.len() > usize::from(u16::MAX) {
                let start: String = spec.name.chars().take(40).collect();
                return Err(Error::limit(format!("the name {start:?}… is longer than a zip can have")).into());
            }
            let header = npy_header(spec);
            let mut crc = Hasher::new();
            crc.update(&header);
            let len = header.len() as u64 + spec.len()?;
            let mut member = Member { name, place: self.end, header, len, crc };
            let data = self.end + member.local().len() as u64;
            places.push(data);
            let too_large = || Error::limit("the arrays are larger than any file");
            self.end = data.checked_add(spec.len()?).ok_or_else(too_large)?;
            member.name.shrink_to_fit();
            self.members.push(member);
        }
        Ok(places)
    }

    fn hear(&mut self, array: usize, bytes: &[u8]) {
        self.members[array].crc.update(bytes);
    }

    fn finish(&mut self, _: &[Spec], out: &mut dyn WriteSeek) -> Result<()> {
        let mut directory = Vec::new();
        for member in &self.members {
            out.seek(SeekFrom::Start(member.place))?;
            out.write_all(&member.local())?;
            directory.extend(member.central());
        }
        out.seek(SeekFrom::Start(self.end))?;
        let (count, len) = (self.members.len() as u64, directory.len() as u64);
        out.write_all(&directory)?;
        Ok(out.write_all(&end_of_directory(count, len, self.end))?)
    }
}

impl Member {
    /// The checksum and what else both headers have.
    fn common(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let stored = 0u16;
        for field in [VERSION, FLAGS, stored, 0, DATE] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.crc.clone().finalize(), ELSEWHERE, ELSEWHERE] {
            bytes.extend(field.to_le_bytes());
        }
        #[expect(clippy::cast_possible_truncation, reason = "names are no longer")]
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes
    }

    /// What is in the file before the numbers.
    fn local(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend(self.common());
        let extra = extra(&[self.len, self.len]);
        bytes.extend((extra.len() as u16).to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(extra);
        bytes.extend(&self.header);
        bytes
    }

    /// What is in the directory.
    fn central(&self) -> Vec<u8> {
        const ON_UNIX: u16 = 3 << 8;
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend((ON_UNIX | VERSION).to_le_bytes());
        bytes.extend(self.common());
        let extra = extra(&[self.len, self.len, self.place]);
        let (comment, disk, is_text) = (0u16, 0u16, 0u16);
        for field in [extra.len() as u16, comment, disk, is_text] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(REGULAR_FILE.to_le_bytes());
        bytes.extend(ELSEWHERE.to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(extra);
        bytes
    }
}

fn extra(fields: &[u64]) -> Vec<u8> {
    let mut bytes = ZIP64.to_le_bytes().to_vec();
    bytes.extend((8 * fields.len() as u16).to_le_bytes());
    fields.iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    bytes
}

fn end_of_directory(count: u64, len: u64, place: u64) -> Vec<u8> {
    const REST: u64 = 44;
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(REST.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 8]);
    for field in [count, count, len, place] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07");
    bytes.extend(0u32.to_le_bytes());
    bytes.extend((place + len).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 4]);
    bytes.extend([u8::MAX; 12]);
    bytes.extend([0; 2]);
    bytes
}

/// What numpy has before the numbers of an array.
fn npy_header(spec: &Spec) -> Vec<u8> {
    let of = match spec.of {
        Type::U64 => "<u8",
        Type::F64 => "<f8",
        Type::F32 => "<f4",
        Type::U32 => "<u4",
        Type::U8 => "|u1",
    };
    let shape: String = spec.shape.iter().map(|axis| format!("{axis},")).collect();
    let mut text = format!("{{'descr': '{of}', 'fortran_order': False, 'shape': ({shape}), }}");
    const BEFORE: usize = 10;
    let len = (BEFORE + text.len() + 1).next_multiple_of(ALIGNMENT) - BEFORE;
    text.extend(std::iter::repeat_n(' ', len - text.len() - 1));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((len as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

/// A name that stays below the folder that it is extracted to, whatever a parameter is called: what leads out of it has `%` and
/// hexadecimal digits in its place. No two names become one.
fn escaped(name: &str) -> String {
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    let part = |part: &str| match part {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        part => {
            let escape = |it: char| it == '%' || it == '\\' || it.is_control() || (it == ':' && has_drive);
            let escaped =
                part.chars().map(|it| if escape(it) { format!("%{:02X}", it as u32) } else { it.into() });
            escaped.collect()
        }
    };
    name.split('/').map(part).collect::<Vec<String>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io::{self, Seek, Write};

    use super::*;

    #[test]
    fn names_stay_below_their_folder() {
        assert_eq!(escaped("h.0.weight/std"), "h.0.weight/std");
        let names =
            ["/etc/passwd", "../../up", "..", "a/../b", "a//b", "C:/x", "C:\\x", "a\0b", "%2E%2E/up", "./x"];
        let escaped: Vec<String> = names.iter().map(|name| escaped(&format!("{name}/std"))).collect();
        for name in &escaped {
            let mut parts = name.split('/');
            assert!(parts.all(|part| !["", ".", ".."].contains(&part)), "{name}");
            assert!(!name.contains(['\\', '\0']) && !name.contains(":/"), "{name}");
        }
        assert_eq!(escaped.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn arrays_begin_at_multiples() {
        for shape in [&[][..], &[3], &[1 << 40, 24, 24]] {
            let header = npy_header(&Spec { name: "a".into(), of: Type::F32, shape: shape.to_vec() });
            assert_eq!(header.len() % ALIGNMENT, 0);
            assert_eq!(header.last(), Some(&b'\n'));
        }
    }

    /// A file that remembers only what was written, and where.
    #[derive(Default)]
    struct Sparse {
        place: u64,
        end: u64,
        written: BTreeMap<u64, Vec<u8>>,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.insert(self.place, bytes.to_vec());
            self.place += bytes.len() as u64;
            self.end = self.end.max(self.place);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if let SeekFrom::Start(place) = to {
                self.place = place;
            }
            Ok(self.place)
        }
    }

    /// What is behind an array of six gigabytes is found by the numbers of zip64.
    #[test]
    fn archives_beyond_four_gigabytes() {
        let spec = |name: &str, len| Spec { name: name.into(), of: Type::U8, shape: vec![len] };
        let specs = [spec("large", 6 << 30), spec("small", 3)];
        let (mut npz, mut out) = (Npz::default(), Sparse::default());
        let places = npz.place(&specs, "").expect("there is room");
        npz.finish(&specs, &mut out).expect("written");
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight"));
        // From the end backwards: where the end of the directory is told, where it is, what its last entry says.
        let (&at, tail) = out.written.last_key_value().expect("written");
        let locator = &tail[tail.len() - 42..tail.len() - 22];
        assert_eq!((&locator[..4], number(&locator[8..16])), (&b"PK\x06\x07"[..], at));
        let (count, len, directory) = (number(&tail[32..40]), number(&tail[40..48]), number(&tail[48..56]));
        assert_eq!((count, directory + len), (2, at));
        let entries = &out.written[&directory];
        let small = number(&entries[entries.len() - 8..]);
        assert!(small > 6 << 30 && out.written[&small].starts_with(b"PK\x03\x04"));
        assert_eq!(places[1], small + out.written[&small].len() as u64);
        assert_eq!(out.end, at + tail.len() as u64);
    }
}
