//! The files that torch writes, by what is in them: archives of several kinds, and what came before archives.

use std::rc::Rc;

use quantviz_core::{Error, Result, Role};

use super::arena::Node;
use super::bytes::Bytes;
use super::catalogue::Catalogue;
use super::pickle::{self, Budget, Pickle};
use super::storages::Storages;
use super::zip::Archive;
use super::{export, tree};
use crate::bytes::Extent;
use crate::file::ModelFile;

/// Adds all tensors of the file.
pub(super) fn read(catalogue: &mut Catalogue<'_>) -> Result<()> {
    let file = catalogue.file;
    let whole = Extent { file: 0, offset: 0, len: file.len() };
    let mut head = [0; 512];
    let head_len = usize::try_from(file.len()).map_or(head.len(), |len| len.min(head.len()));
    file.read_at(0, &mut head[..head_len])?;
    match &head[..head_len] {
        [b'P', b'K', ..] => read_archive(catalogue, whole),
        [0x80, ..] => read_pickles(catalogue, &Bytes::Stored(whole)),
        head if head.get(257..262) == Some(b"ustar") || head.starts_with(b"storages\0") => {
            Err(Error::unsupported(
                "this is a tar archive, as torch wrote until version 0.1.9; torch can load it and save it anew",
            ))
        }
        _ => {
            Err(Error::unsupported("this is neither an archive nor a pickle, and torch writes nothing else"))
        }
    }
}

fn read_archive(catalogue: &mut Catalogue<'_>, region: Extent) -> Result<()> {
    let archive =
        Rc::new(Archive::open(catalogue.file, region, catalogue.limits, &mut catalogue.pickles.bytes)?);
    if read_saved(catalogue, &archive, "", None)? || export::read(catalogue, &archive)? {
        return Ok(());
    }
    Err(Error::unsupported(
        "this archive has no data.pkl and no exported weights: torch did not save a model in it",
    ))
}

/// An archive inside another: whatever torch.save wrote, under this path.
pub(super) fn read_nested(
    catalogue: &mut Catalogue<'_>,
    region: Extent,
    path: &str,
    role: Option<Role>,
) -> Result<()> {
    let archive =
        Rc::new(Archive::open(catalogue.file, region, catalogue.limits, &mut catalogue.pickles.bytes)?);
    if read_saved(catalogue, &archive, path, role)? {
        return Ok(());
    }
    Err(Error::malformed("an archive in the archive has no data.pkl").at_byte(region.offset))
}

/// `folder/` of `folder/data.pkl`.
fn root_of<'a>(name: &'a str, file: &str) -> Option<&'a str> {
    let root = name.strip_suffix(file)?;
    (root.is_empty() || root.find('/') == Some(root.len() - 1)).then_some(root)
}

/// What torch.save or torch.jit.save wrote. Tells whether they did.
fn read_saved(
    catalogue: &mut Catalogue<'_>,
    archive: &Rc<Archive>,
    path: &str,
    role: Option<Role>,
) -> Result<bool> {
    // Everything is in one folder, whose name says nothing; archives that other programs made may lack it.
    let Some(root) = archive.names().find_map(|name| root_of(name, "data.pkl")) else { return Ok(false) };
    let order = archive.bytes(catalogue.file, &format!("{root}byteorder"), &mut catalogue.inflatable)?;
    if order.is_some_and(|order| is_big(catalogue, &order)) {
        return Err(Error::unsupported("its numbers are big-endian"));
    }
    let is_script = archive.has(&format!("{root}constants.pkl"));
    catalogue.set_container(if is_script { "torchscript" } else { "zip" });
    read_pickle(catalogue, archive, root, "data", path, role)?;
    if is_script {
        read_pickle(catalogue, archive, root, "constants", "constants", Some(Role::Constant))?;
    }
    Ok(true)
}

/// A pickle of an archive, with its storages in a folder of the same name.
fn read_pickle(
    catalogue: &mut Catalogue<'_>,
    archive: &Rc<Archive>,
    root: &str,
    name: &str,
    path: &str,
    role: Option<Role>,
) -> Result<()> {
    let file = catalogue.file;
    let entry = archive.bytes(file, &format!("{root}{name}.pkl"), &mut catalogue.inflatable)?;
    let Some(bytes) = entry else { return Ok(()) };
    let pickle = pickle::read(file, &bytes, 0, &mut catalogue.pickles)?;
    let mut storages = Storages::of_archive(archive, format!("{root}{name}/"));
    tree::collect(&pickle, &mut storages, catalogue, path, role)
}

/// What torch.save wrote until version 1.6: pickles, then storages. Or one pickle that torch had no part in.
fn read_pickles(catalogue: &mut Catalogue<'_>, whole: &Bytes) -> Result<()> {
    let file = catalogue.file;
    let first = pickle::read(file, whole, 0, &mut catalogue.pickles)?;
    if !is_magic(&first) {
        catalogue.set_container("pickle");
        tree::collect(&first, &mut Storages::Nowhere, catalogue, "", None)?;
        if catalogue.model.parameters.is_empty() {
            let message = "this is a pickle without tensors or arrays: torch did not write it";
            let harmful = catalogue.pickles.harmful.warning();
            return Err(Error::unsupported(match harmful {
                Some(warning) => format!("{message}; it {warning}"),
                None => message.to_owned(),
            }));
        }
        return Ok(());
    }
    catalogue.set_container("legacy");
    let (object, keys) = read_behind_magic(file, whole, &first, &mut catalogue.pickles)?;
    let mut storages = Storages::behind(file, whole, &keys, &object.arena)?;
    tree::collect(&object, &mut storages, catalogue, "", None)
}

/// The pickles between torch's magic number and the storages: all values, and the keys of the storages.
pub(super) fn read_behind_magic(
    file: &ModelFile,
    whole: &Bytes,
    magic: &Pickle,
    budget: &mut Budget,
) -> Result<(Pickle, Pickle)> {
    let version = pickle::read(file, whole, magic.end, budget)?;
    let system = pickle::read(file, whole, version.end, budget)?;
    let little_endian = system.arena.value(system.root, "little_endian");
    if little_endian.is_some_and(|id| matches!(system.arena.node(id), Node::Bool(false))) {
        return Err(Error::unsupported("its numbers are big-endian"));
    }
    let object = pickle::read(file, whole, system.end, budget)?;
    let keys = pickle::read(file, whole, object.end, budget)?;
    Ok((object, keys))
}

/// Whether this is the number 0x1950a86a20f9469cfc6c.
pub(super) fn is_magic(pickle: &Pickle) -> bool {
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    matches!(pickle.arena.node(pickle.root), Node::BigInt(span) if *pickle.arena.span(span) == magic)
}

fn is_big(catalogue: &Catalogue<'_>, order: &Bytes) -> bool {
    let mut name = [0; 3];
    order.len() == 3 && order.read_at(catalogue.file, 0, &mut name).is_ok() && name == *b"big"
}
