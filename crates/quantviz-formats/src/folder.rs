//! The models in a folder, and which of them are variants of one.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{Error, Result};

use crate::formats::{FORMATS, Sight, look_at};
use crate::shards::{IndexName, ShardName};
use crate::{foreign, variants};

/// The folder that exports to ONNX are put in, beside the checkpoint they were made from.
const EXPORTS: &str = "onnx";

/// The models in a folder, and in the folder `onnx` inside it, sorted by path. What is a model is told by its first
/// bytes or by its name; formats that cannot be read here count, too: [`open`](crate::open) says what they are. Of a
/// model in several files, only the index is listed, or else the first.
pub fn models_in(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut models = models_directly_in(folder)?;
    let exports = folder.join(EXPORTS);
    if exports.is_dir() {
        models.extend(models_directly_in(&exports)?);
    }
    models.sort();
    match foreign::by_folder(folder).filter(|_| models.is_empty()) {
        Some(reason) => Err(Error::unsupported(reason).in_file(folder)),
        None => Ok(models),
    }
}

/// The models that these paths mean together, sorted: files are taken as they are, folders are searched as
/// [`models_in`] does. Of a model in several files that are all there, only the index is listed, or else the first.
pub fn models_among(paths: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
    let mut models = BTreeSet::new();
    let mut files: BTreeMap<PathBuf, Vec<OsString>> = BTreeMap::new();
    for path in paths {
        match (path.is_dir(), path.parent(), path.file_name()) {
            (true, ..) => models.extend(models_in(&path)?),
            (false, Some(folder), Some(name)) => {
                files.entry(folder.to_owned()).or_default().push(name.to_owned())
            }
            (false, ..) => drop(models.insert(path)),
        }
    }
    for (folder, names) in &files {
        models.extend(without_hidden_shards(names).map(|(name, _)| folder.join(name)));
    }
    Ok(models.into_iter().collect())
}

fn models_directly_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let in_folder = |error| Error::io(folder, error);
    let entries = fs::read_dir(folder).map_err(in_folder)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<std::io::Result<Vec<OsString>>>().map_err(in_folder)?;
    let listed = without_hidden_shards(&names).filter(|(name, text)| is_model(&folder.join(name), text));
    Ok(listed.map(|(name, _)| folder.join(name)).collect())
}

/// The names, and as text, of files of one folder without those that another stands for: an index for the shards that it
/// lists, the first of several numbered files for the others.
fn without_hidden_shards(names: &[OsString]) -> impl Iterator<Item = (&OsString, String)> {
    let texts: HashSet<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let indexes: Vec<String> = texts.iter().filter(|name| IndexName::of(name).is_some()).cloned().collect();
    let is_hidden = move |name: &str| {
        let Some(shard) = ShardName::of(name) else { return false };
        let is_listed =
            || indexes.iter().filter_map(|name| IndexName::of(name)).any(|index| index.lists(&shard));
        (shard.number > 1 && texts.contains(&shard.nth(1))) || is_listed()
    };
    let named = names.iter().map(|name| (name, name.to_string_lossy().into_owned()));
    named.filter(move |(_, text)| !is_hidden(text))
}

/// A folder somewhere inside this one that has a model, as far as names tell; the nearest of those that are found
/// soon.
pub fn folder_of_models_in(folder: impl AsRef<Path>) -> Option<PathBuf> {
    /// Entries of folders that are looked at.
    const MOST: usize = 2000;
    let mut left = MOST;
    let mut folders = VecDeque::from([folder.as_ref().to_owned()]);
    while let Some(folder) = folders.pop_front() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().take(left);
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        left -= names.len();
        names.sort();
        for name in names {
            let (path, text) = (folder.join(&name), name.to_string_lossy());
            if path.is_dir() && !text.starts_with('.') {
                folders.push_back(path);
            } else if FORMATS.iter().any(|entry| entry.has_extension_of(&text)) && path.is_file() {
                return Some(folder);
            }
        }
    }
    None
}

fn is_model(path: &Path, name: &str) -> bool {
    if path.is_dir() {
        return foreign::by_folder(path).is_some();
    }
    if is_recording(name) {
        return false;
    }
    let is_named_like_one = || FORMATS.iter().any(|entry| entry.has_extension_of(name));
    let looks_like_one = || match look_at(path) {
        Ok(Sight::Known(_) | Sight::Foreign(_)) => true,
        // Anything may be a pointer or a web page: here the name has to promise a model.
        Ok(Sight::StandIn(_)) => {
            name.to_ascii_lowercase().ends_with(".bin") || foreign::by_name(name).is_some()
        }
        _ => false,
    };
    path.is_file() && (is_named_like_one() || looks_like_one())
}

/// Recorded tensors lie beside models and are none.
fn is_recording(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|it| it.eq_ignore_ascii_case("npz") || it.eq_ignore_ascii_case("npy"))
}

/// The files that hold one model: as it was trained, and in other precisions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelGroup {
    /// What their names have in common: `resnet8` of `resnet8_fp32.onnx` and `resnet8_int8.onnx`.
    pub stem: String,
    /// The variant that others are compared with: the most precise one of floats, if there is one.
    pub reference: Option<PathBuf>,
    /// All of them, the reference first, then by path.
    pub variants: Vec<Variant>,
}

/// A file of a [`ModelGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// The file to open.
    pub path: PathBuf,
    /// What its name says that it is, such as `int8 per-channel` or `Q4_K_M`.
    pub label: Option<String>,
}

/// The models in a folder, variants of one model together: [`models_in`] and [`group_models`].
///
/// ```no_run
/// for group in quantviz_formats::model_groups("models")? {
///     println!("{}: {} variants, reference {:?}", group.stem, group.variants.len(), group.reference);
/// }
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn model_groups(folder: impl AsRef<Path>) -> Result<Vec<ModelGroup>> {
    models_in(folder).map(group_models)
}

/// Puts together what the names of files say are variants of one model. Files in a folder `onnx` belong to those in the
/// folder around it. The groups are sorted by folder and name.
///
/// ```
/// use quantviz_formats::group_models;
///
/// let groups = group_models(["m/net_int8.onnx", "m/net.onnx", "m/other.gguf"].map(Into::into));
/// assert_eq!(groups.len(), 2);
/// assert_eq!(groups[0].stem, "net");
/// assert_eq!(groups[0].reference, Some("m/net.onnx".into()));
/// assert_eq!(groups[0].variants[1].label.as_deref(), Some("int8"));
/// ```
pub fn group_models(paths: impl IntoIterator<Item = PathBuf>) -> Vec<ModelGroup> {
    let mut paths: Vec<PathBuf> = paths.into_iter().collect();
    paths.sort();
    let mut groups: BTreeMap<(PathBuf, String), ModelGroup> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name_of_model(&name);
        let (stem, label) = variants::split(&name);
        let new = || ModelGroup { stem: stem.to_owned(), reference: None, variants: Vec::new() };
        let group = groups.entry((folder_of(&path), stem.to_lowercase())).or_insert_with(new);
        group.variants.push(Variant { path, label });
    }
    let mut groups: Vec<ModelGroup> = groups.into_values().collect();
    groups.iter_mut().for_each(ModelGroup::find_reference);
    groups
}

impl ModelGroup {
    /// Floats of the format that most variants have come first: their tensors have the same names.
    fn find_reference(&mut self) {
        let kinds: Vec<String> = self.variants.iter().map(|variant| kind_of(&variant.path)).collect();
        let alike = |index: usize| kinds.iter().filter(|kind| **kind == kinds[index]).count();
        let floats = self.variants.iter().enumerate().filter_map(|(index, variant)| {
            let precision = FLOATS.iter().position(|label| *label == variant.label.as_deref())?;
            Some((usize::MAX - alike(index), precision, index))
        });
        if let Some((_, _, index)) = floats.min() {
            self.variants[..=index].rotate_right(1);
            self.reference = Some(self.variants[0].path.clone());
        }
    }
}

/// The labels of what can be a reference, best first. A name that says nothing is that of the model as it was trained.
const FLOATS: &[Option<&str>] = &[Some("fp64"), Some("fp32"), None, Some("bf16"), Some("fp16")];

/// Where a model belongs: its folder, or that around the folder of exports.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    let is_of_exports = folder.file_name().is_some_and(|name| name == EXPORTS);
    folder.parent().filter(|_| is_of_exports).unwrap_or(folder).to_owned()
}

/// The extension of a model's file, or of those that an index lists.
fn kind_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let listed = IndexName::of(&name).map(|index| index.end.to_owned());
    listed.or_else(|| name.rfind('.').map(|dot| name[dot..].to_lowercase())).unwrap_or_default()
}

/// The name of a file without what says that it is a file, and one of several.
fn name_of_model(name: &str) -> String {
    if let Some(index) = IndexName::of(name) {
        return format!("{}{}", index.stem, index.variant);
    }
    let shard = ShardName::of(name).map(|shard| format!("{}{}", shard.stem, shard.end));
    let name = shard.as_deref().unwrap_or(name);
    match name.rsplit_once('.') {
        // `model.fp16` has no extension but a label.
        Some((stem, extension))
            if !stem.is_empty() && variants::split(&format!("x.{extension}")).1.is_none() =>
        {
            stem.to_owned()
        }
        _ => name.to_owned(),
    }
}
