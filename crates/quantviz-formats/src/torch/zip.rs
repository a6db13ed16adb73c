//! The directory of a zip archive: where each entry lies. An entry that is stored as it is can be read in place.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use miniz_oxide::inflate::decompress_slice_iter_to_slice;
use quantviz_core::{Error, Result};

use super::bytes::{Bytes, Held};
use crate::Limits;
use crate::bytes::Extent;
use crate::file::{ModelFile, cut_short};

/// A zip archive: a whole file, or an entry of another archive.
#[derive(Debug)]
pub(crate) struct Archive {
    entries: BTreeMap<String, Entry>,
}

/// Where the bytes of an entry are, which may be compressed.
pub(crate) struct Member {
    /// The bytes as they are stored.
    pub(crate) stored: Extent,
    /// How many there are once they are no longer compressed.
    pub(crate) len: u64,
    pub(crate) is_deflated: bool,
}

/// An entry. Its bytes are known to be within the archive and to overlap no other's.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The bytes as they are stored.
    stored: Extent,
    /// How many there are once they are no longer compressed.
    len: u64,
    method: u16,
    encrypted: bool,
}

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL_ENTRY: &[u8] = b"PK\x03\x04";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Lengths of what these begin, without what varies.
const END_LEN: u64 = 22;
const END_64_LEN: u64 = 56;
const LOCATOR_LEN: u64 = 20;
const DIRECTORY_ENTRY_LEN: u64 = 46;
const LOCAL_ENTRY_LEN: u64 = 30;

impl Archive {
    /// Reads the directory of the archive that these bytes of the file are; its bytes are taken off the budget.
    pub(crate) fn open(file: &ModelFile, region: Extent, limits: &Limits, budget: &mut u64) -> Result<Self> {
        let directory = Directory::find(file, region)?;
        // Looking for an end takes as much, however short it is.
        const LOOKING: u64 = 4096;
        let left = budget.checked_sub(directory.len.saturating_add(LOOKING));
        *budget = left.ok_or_else(|| {
            Error::limit("the directories of archives are over the limit").of_limit("pickle_bytes")
        })?;
        let entries = directory.entries(file, region, limits)?;
        check_overlaps(&entries)?;
        Ok(Archive { entries })
    }

    /// The names of all entries, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Every entry under its name, for whoever reads it piece by piece.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Result<Member>)> {
        self.entries.iter().map(|(name, entry)| {
            let Entry { stored, len, .. } = *entry;
            let member =
                entry.check(name).map(|()| Member { stored, len, is_deflated: entry.method == DEFLATED });
            (name.as_str(), member)
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// How many bytes an entry has, or will have.
    pub(super) fn len_of(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.len)
    }

    /// The bytes of an entry, if there is one of this name: in the file, or inflated to at most `budget` bytes, which
    /// are taken off it.
    pub(super) fn bytes(&self, file: &ModelFile, name: &str, budget: &mut u64) -> Result<Option<Bytes>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let mut read = || {
            entry.check(name)?;
            match entry.method {
                DEFLATED => entry.inflate(file, name, budget).map(Some),
                _ => Ok(Some(Bytes::Stored(entry.stored))),
            }
        };
        read().map_err(|error: Error| error.at_byte(entry.stored.offset))
    }

    /// Where an entry lies that is neither compressed nor encrypted, such as an archive of its own.
    pub(super) fn region(&self, name: &str) -> Option<Extent> {
        let entry = self.entries.get(name).filter(|entry| entry.method == STORED && !entry.encrypted);
        entry.map(|entry| entry.stored)
    }
}

impl Entry {
    /// Refuses what cannot be read here.
    fn check(&self, name: &str) -> Result<()> {
        match self.method {
            _ if self.encrypted => Err(Error::unsupported(format!("{name} is encrypted"))),
            STORED | DEFLATED => Ok(()),
            method => Err(Error::unsupported(format!("{name} is compressed by method {method}"))),
        }
    }

    fn inflate(&self, file: &ModelFile, name: &str, budget: &mut u64) -> Result<Bytes> {
        if self.len > *budget {
            let message = format!("{name} is compressed, and its {} bytes are over the limit", self.len);
            return Err(Error::limit(message).of_limit("inflated_bytes"));
        }
        *budget -= self.len;
        let damaged = || Error::malformed(format!("{name} does not inflate to {} bytes", self.len));
        // What deflate cannot make smaller, it makes hardly larger.
        if self.stored.len > self.len + self.len / 1000 + 64 {
            return Err(damaged());
        }
        let packed = read(file, self.stored, 0, self.stored.len)?;
        let mut held = Held::zeros(self.len)?;
        let inflated =
            decompress_slice_iter_to_slice(held.as_mut_slice(), iter::once(&packed[..]), false, true);
        match inflated {
            Ok(len) if len as u64 == self.len => Ok(Bytes::Held(Arc::new(held))),
            _ => Err(damaged()),
        }
    }
}

/// The names in the archive that a file is, as its directory has them.
pub(super) fn names(file: &ModelFile, limits: &Limits) -> Result<Vec<String>> {
    let whole = Extent { file: 0, offset: 0, len: file.len() };
    let directory = Directory::find(file, whole)?;
    if directory.len > limits.pickle_bytes {
        return Err(Error::limit("the directory of the archive is over the limit").of_limit("pickle_bytes"));
    }
    let bytes = read(file, whole, directory.offset, directory.len)?;
    let mut rest = &bytes[..];
    let mut names = Vec::new();
    for _ in 0..directory.entries {
        let (name, _, len) = named(rest)?;
        names.push(name);
        rest = &rest[len..];
    }
    Ok(names)
}

/// The name of the entry of a directory that `bytes` begin with, where it ends, and where the entry does.
fn named(bytes: &[u8]) -> Result<(String, usize, usize)> {
    let damaged = || Error::malformed("the archive's directory is damaged");
    let fields = Fields(bytes);
    if bytes.len() < DIRECTORY_ENTRY_LEN as usize || !fields.starts_with(DIRECTORY_ENTRY) {
        return Err(damaged());
    }
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| usize::from(fields.u16(at)));
    let name_end = DIRECTORY_ENTRY_LEN as usize + name_len;
    let len = name_end + extra_len + comment_len;
    let name = bytes.get(DIRECTORY_ENTRY_LEN as usize..name_end).filter(|_| len <= bytes.len());
    let name = String::from_utf8_lossy(name.ok_or_else(damaged)?).into_owned();
    Ok((name, name_end, len))
}

/// Where the directory is, counted from the start of the archive.
struct Directory {
    offset: u64,
    len: u64,
    entries: u64,
}

impl Directory {
    fn find(file: &ModelFile, region: Extent) -> Result<Self> {
        let tail_len = region.len.min(END_LEN + u64::from(u16::MAX));
        let tail_start = region.len - tail_len;
        let tail = read(file, region, tail_start, tail_len)?;
        // The end names the length of the comment behind it, so that no comment can look like an end.
        let at = (0..tail.len().saturating_sub(END_LEN as usize - 1)).rev().find(|&at| {
            let end = Fields(&tail[at..]);
            end.starts_with(END) && at as u64 + END_LEN + u64::from(end.u16(20)) == tail_len
        });
        let at = at.ok_or_else(|| {
            let end = region.offset + region.len;
            let message = "the archive has no directory: its end is missing";
            if end == file.len() { cut_short(message) } else { Error::malformed(message) }.at_byte(end)
        })?;
        let end = Fields(&tail[at..]);
        let end_at = tail_start + at as u64;
        let mut directory =
            Directory { entries: end.u16(10).into(), len: end.u32(12).into(), offset: end.u32(16).into() };
        let (mut ends_by, mut disks) = (end_at, [end.u16(4).into(), end.u16(6).into()]);
        if let Some(end_64_at) = end_64(file, region, end_at)? {
            let bytes = read(file, region, end_64_at, END_64_LEN)?;
            let end = Fields(&bytes);
            if !end.starts_with(END_64) {
                return Err(
                    Error::malformed("the archive's end is damaged").at_byte(region.offset + end_64_at)
                );
            }
            directory = Directory { entries: end.u64(32), len: end.u64(40), offset: end.u64(48) };
            (ends_by, disks) = (end_64_at, [end.u32(16), end.u32(20)]);
        }
        if disks != [0, 0] {
            return Err(Error::unsupported("the archive is in several parts"));
        }
        let fits = directory.offset.checked_add(directory.len) == Some(ends_by);
        if !fits || directory.entries > directory.len / DIRECTORY_ENTRY_LEN {
            let message = "the archive's directory is not where its end says";
            return Err(Error::malformed(message).at_byte(region.offset + end_at));
        }
        Ok(directory)
    }

    fn entries(&self, file: &ModelFile, region: Extent, limits: &Limits) -> Result<BTreeMap<String, Entry>> {
        // Besides its tensors an archive has a pickle, versions, and source code.
        let most = limits.tensors as u64 + 4096;
        if self.entries > most {
            let message = format!("an archive of {} entries is over the limit of {most}", self.entries);
            return Err(Error::limit(message).of_limit("tensors"));
        }
        let directory = read(file, region, self.offset, self.len)?;
        let mut headers = Headers { file, region, end: self.offset, start: 0, window: Vec::new() };
        let mut rest = &directory[..];
        let mut entries = BTreeMap::new();
        for _ in 0..self.entries {
            let place = region.offset + self.offset + (directory.len() - rest.len()) as u64;
            let (name, entry, len) = self.entry(&mut headers, rest).map_err(|error| error.at_byte(place))?;
            rest = &rest[len..];
            if !name.ends_with('/') && entries.insert(name.clone(), entry).is_some() {
                let message = format!("two entries of the archive are named {name}");
                return Err(Error::malformed(message).at_byte(place));
            }
        }
        Ok(entries)
    }

    /// The entry that `bytes` begin with, its name, and how many bytes of the directory it takes.
    fn entry(&self, headers: &mut Headers<'_>, bytes: &[u8]) -> Result<(String, Entry, usize)> {
        let damaged = || Error::malformed("the archive's directory is damaged");
        let fields = Fields(bytes);
        let (name, name_end, len) = named(bytes)?;
        let extra_end = name_end + usize::from(fields.u16(30));
        let [stored_len, entry_len, offset] =
            wide_sizes([fields.u32(20), fields.u32(24), fields.u32(42)], &bytes[name_end..extra_end])
                .ok_or_else(damaged)?;
        let start = headers.data_start(offset)?;
        if start.checked_add(stored_len).is_none_or(|end| end > self.offset) {
            return Err(Error::malformed(format!(
                "{name} is said to take {stored_len} bytes, which are not there"
            )));
        }
        let method = fields.u16(10);
        if method == STORED && entry_len != stored_len {
            let message =
                format!("{name} is not compressed, and yet {stored_len} bytes are said to be {entry_len}");
            return Err(Error::malformed(message));
        }
        let stored = Extent { file: 0, offset: headers.region.offset + start, len: stored_len };
        let entry = Entry { stored, len: entry_len, method, encrypted: fields.u16(8) & 1 != 0 };
        Ok((name, entry, len))
    }
}

/// The headers that entries have before their data. Small entries are neighbours, so that one read finds several.
struct Headers<'a> {
    file: &'a ModelFile,
    region: Extent,
    /// Where the entries end.
    end: u64,
    start: u64,
    window: Vec<u8>,
}

impl Headers<'_> {
    /// Where the data of the entry at `offset` begins: its header has a length that the directory does not know.
    fn data_start(&mut self, offset: u64) -> Result<u64> {
        const WINDOW: u64 = 4096;
        if offset.checked_add(LOCAL_ENTRY_LEN).is_none_or(|end| end > self.end) {
            return Err(misplaced());
        }
        let window_end = self.start + self.window.len() as u64;
        if offset < self.start || offset + LOCAL_ENTRY_LEN > window_end {
            self.window = read(self.file, self.region, offset, WINDOW.min(self.end - offset))?;
            self.start = offset;
        }
        let header = Fields(self.window.get((offset - self.start) as usize..).unwrap_or_default());
        if !header.starts_with(LOCAL_ENTRY) {
            return Err(misplaced());
        }
        Ok(offset + LOCAL_ENTRY_LEN + u64::from(header.u16(26)) + u64::from(header.u16(28)))
    }
}

fn misplaced() -> Error {
    Error::malformed("an entry of the archive is not where its directory says")
}

/// Where the larger end of an archive with wide numbers is, if it has one.
fn end_64(file: &ModelFile, region: Extent, end_at: u64) -> Result<Option<u64>> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR_LEN) else { return Ok(None) };
    let locator = read(file, region, locator_at, LOCATOR_LEN)?;
    let locator = Fields(&locator);
    if !locator.starts_with(END_64_LOCATOR) {
        return Ok(None);
    }
    let at = locator.u64(8);
    if at.checked_add(END_64_LEN).is_none_or(|end| end > locator_at) {
        let message = "the archive's end is not where it should be";
        return Err(Error::malformed(message).at_byte(region.offset + locator_at));
    }
    Ok(Some(at))
}

/// Numbers of 32 bits, or of 64 from the extra field where they do not fit.
fn wide_sizes(narrow: [u32; 3], extra: &[u8]) -> Option<[u64; 3]> {
    // Stored length, plain length and offset stand in the directory in this order, in the extra field in another.
    const ORDER: [usize; 3] = [1, 0, 2];
    let mut wide = narrow.map(u64::from);
    if !narrow.contains(&u32::MAX) {
        return Some(wide);
    }
    let mut fields = zip64_field(extra)?;
    for index in ORDER.into_iter().filter(|&index| narrow[index] == u32::MAX) {
        let (value, rest) = fields.split_first_chunk::<8>()?;
        wide[index] = u64::from_le_bytes(*value);
        fields = rest;
    }
    Some(wide)
}

fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let fields = Fields(extra);
        let (id, len) = (fields.u16(0), usize::from(fields.u16(2)));
        let field = extra.get(4..4 + len)?;
        if id == 1 {
            return Some(field);
        }
        extra = &extra[4 + len..];
    }
}

fn check_overlaps(entries: &BTreeMap<String, Entry>) -> Result<()> {
    let mut by_offset: Vec<(&String, Extent)> =
        entries.iter().map(|(name, entry)| (name, entry.stored)).collect();
    by_offset.retain(|(_, extent)| extent.len > 0);
    by_offset.sort_by_key(|(_, extent)| extent.offset);
    let overlap = by_offset.windows(2).find(|pair| pair[0].1.offset + pair[0].1.len > pair[1].1.offset);
    overlap.map_or(Ok(()), |pair| {
        let message = format!("the entries {} and {} overlap", pair[0].0, pair[1].0);
        Err(Error::malformed(message).at_byte(pair[1].1.offset))
    })
}

fn read(file: &ModelFile, region: Extent, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| Error::limit("more than memory"))?];
    Bytes::Stored(region).read_at(file, offset, &mut bytes)?;
    Ok(bytes)
}

/// Little-endian numbers at fixed places; zero behind the end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn starts_with(&self, magic: &[u8]) -> bool {
        self.0.starts_with(magic)
    }

    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.at(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.at(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.at(at))
    }
}
