//! Models in several files: those with a number of so many in their names, and the index that may list them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use quantviz_core::{Error, ErrorKind, Model, Result, Warning, WarningKind};

use crate::Limits;
use crate::confined::beside;
use crate::file::ModelFile;
use crate::shard_index::Index;

/// `model-00002-of-00003.safetensors`: the name of a file that is one of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardName<'a> {
    pub(crate) stem: &'a str,
    /// Counted from one.
    pub(crate) number: usize,
    pub(crate) count: usize,
    /// What comes behind the numbers: `.safetensors`.
    pub(crate) end: &'a str,
}

/// The ends of names that models in several files have.
const SHARDED: &[&str] = &[".safetensors", ".gguf", ".bin"];

impl<'a> ShardName<'a> {
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let (left, right) = name.rsplit_once("-of-")?;
        let (stem, number) = left.rsplit_once('-').filter(|(stem, _)| !stem.is_empty())?;
        let (count, end) = right.split_at(right.find('.')?);
        let is_sharded = SHARDED.iter().any(|known| end.ends_with(known));
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (is_sharded && (1..=count).contains(&number)).then_some(ShardName { stem, number, count, end })
    }

    /// The name of another file of the same model.
    pub(crate) fn nth(&self, number: usize) -> String {
        let ShardName { stem, count, end, .. } = self;
        format!("{stem}-{number:05}-of-{count:05}{end}")
    }

    /// The names that an index of this file can have.
    fn indexes(&self) -> Vec<String> {
        let ShardName { stem, end, .. } = self;
        let plain = format!("{stem}{end}.index.json");
        // Of a variant, the label stands before or behind the numbers.
        let (behind, end) = end.split_at(end.rfind('.').unwrap_or_default());
        let (stem, before) = stem.split_at(stem.rfind('.').unwrap_or(stem.len()));
        let of_variant = |stem: &str, variant: &str| format!("{stem}{end}.index{variant}.json");
        let joined = self.stem;
        vec![plain, of_variant(joined, behind), of_variant(stem, before)]
    }
}

/// All programs that write shards write five digits; what counts otherwise may be epochs.
fn five_digits(text: &str) -> Option<usize> {
    let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// `model.safetensors.index.json`: the name of a list of shards. Those of a variant have its label in the middle:
/// `model.safetensors.index.fp16.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexName<'a> {
    pub(crate) stem: &'a str,
    /// The end of the shards' names: `.safetensors` or `.bin`.
    pub(crate) end: &'a str,
    /// Empty, or `.fp16`.
    pub(crate) variant: &'a str,
}

impl<'a> IndexName<'a> {
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let (model, rest) = name.rsplit_once(".index")?;
        let variant = rest.strip_suffix(".json").filter(|it| it.is_empty() || it.starts_with('.'))?;
        let end = &model[model.rfind('.')?..];
        let stem = model.strip_suffix(end).filter(|stem| !stem.is_empty())?;
        [".safetensors", ".bin"].contains(&end).then_some(IndexName { stem, end, variant })
    }

    /// Whether this index lists files of names like that.
    pub(crate) fn lists(&self, shard: &ShardName<'_>) -> bool {
        let IndexName { stem, end, variant } = *self;
        let is_named = |stem_end: &str, end_start: &str| {
            shard.stem.strip_prefix(stem) == Some(stem_end) && shard.end.strip_prefix(end_start) == Some(end)
        };
        is_named(variant, "") || is_named("", variant)
    }
}

/// The files of one model, open.
pub(crate) struct Shards {
    pub(crate) files: Vec<ModelFile>,
    /// How many of them are not there.
    pub(crate) missing: usize,
    /// Which of them are not there, or that there are more.
    warnings: Vec<Warning>,
    index: Option<(ModelFile, Index)>,
}

impl Shards {
    /// The files that a path stands for: those that an index lists; all of a model, where it is the first of them and
    /// there is no index; else this one. A file that is not there is a warning, so that a model can be looked at before
    /// its download ends.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if IndexName::of(&name).is_some() {
            return Shards::listed(path, limits);
        }
        match ShardName::of(&name).filter(|shard| shard.count > 1) {
            None => Ok(Shards::of_files(vec![ModelFile::open(path)?])),
            Some(shard) => Shards::numbered(path, &shard, limits),
        }
    }

    fn of_files(files: Vec<ModelFile>) -> Self {
        Shards { files, missing: 0, warnings: Vec::new(), index: None }
    }

    fn listed(path: &Path, limits: &Limits) -> Result<Self> {
        let file = ModelFile::open(path)?;
        let index = Index::read(&file, limits)?;
        let mut tensors: BTreeMap<&str, usize> = BTreeMap::new();
        index.weight_map.values().for_each(|shard| *tensors.entry(shard).or_default() += 1);
        check_count(tensors.len(), limits)?;
        let mut shards = Shards::of_files(Vec::new());
        let mut missing = None;
        for (shard, tensors) in tensors {
            match ModelFile::open_beside(shards.files.len(), &beside(path, shard)?) {
                Ok(file) => shards.files.push(file),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let message = format!("the shard {shard:?} with {tensors} tensors is not there");
                    shards.warnings.push(Warning::general(WarningKind::Missing, message));
                    shards.missing += 1;
                    missing = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if shards.files.is_empty() => Err(error),
            _ => Ok(Shards { index: Some((file, index)), ..shards }),
        }
    }

    fn numbered(path: &Path, shard: &ShardName<'_>, limits: &Limits) -> Result<Self> {
        let mut shards = Shards::of_files(vec![ModelFile::open(path)?]);
        let index = shard.indexes().into_iter().find(|index| path.with_file_name(index).is_file());
        if let Some(whole) = index.or_else(|| (shard.number > 1).then(|| shard.nth(1))) {
            let place = if path.with_file_name(&whole).is_file() { "stands for all" } else { "is not there" };
            let ShardName { number, count, .. } = shard;
            let message = format!("this is file {number} of {count} of a model: {whole:?} {place}");
            shards.warnings.push(Warning::general(WarningKind::Missing, message));
            return Ok(shards);
        }
        check_count(shard.count, limits)?;
        let mut missing = Vec::new();
        for name in (2..=shard.count).map(|number| shard.nth(number)) {
            match ModelFile::open_beside(shards.files.len(), &path.with_file_name(&name)) {
                Ok(file) => shards.files.push(file),
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(name),
                Err(error) => return Err(error),
            }
        }
        if let Some(first) = missing.first() {
            let more =
                if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
            let message = format!("of the model's {} files, {first:?}{more} cannot be found", shard.count);
            shards.warnings.push(Warning::general(WarningKind::Missing, message));
        }
        Ok(Shards { missing: missing.len(), ..shards })
    }

    /// Tells a model that has the tensors of all files what there is to say of the files together.
    pub(crate) fn describe(
        self,
        model: &mut Model,
        file_of: impl Fn(usize) -> usize,
    ) -> Result<Vec<ModelFile>> {
        model.warnings.extend(self.warnings);
        if self.files.len() > 1 {
            check_names(model)?;
        }
        if let Some((file, index)) = self.index {
            model.file_bytes += file.len();
            for (key, value) in index.metadata {
                model.metadata.entry(key).or_insert(value);
            }
            let places = model.parameters.iter().enumerate().map(|(at, it)| (file_of(at), it.name.as_str()));
            let places: HashSet<(usize, &str)> = places.collect();
            let files: HashMap<&Path, usize> =
                self.files.iter().enumerate().map(|(at, file)| (file.path(), at)).collect();
            let mut absent = Vec::new();
            for (tensor, shard) in &index.weight_map {
                let path = beside(file.path(), shard)?;
                let present = files.get(path.as_path()).copied();
                if present.is_some_and(|file| !places.contains(&(file, tensor))) {
                    let message = format!("the index says it is in {shard:?}, which lacks it");
                    absent.push(Warning::about(tensor, WarningKind::Missing, message));
                }
            }
            model.warnings.extend(absent);
        }
        Ok(self.files)
    }
}

fn check_count(files: usize, limits: &Limits) -> Result<()> {
    if files <= limits.files {
        return Ok(());
    }
    Err(Error::limit(format!("a model in {files} files, more than {}", limits.files)).of_limit("files"))
}

fn check_names(model: &Model) -> Result<()> {
    let mut names = HashSet::new();
    match model.parameters.iter().find(|parameter| !names.insert(&parameter.name)) {
        Some(twice) => Err(Error::malformed("two shards have a tensor of this name").in_tensor(&twice.name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards() {
        let name = "model-00002-of-00012.safetensors";
        let shard = ShardName::of(name).expect("a shard");
        assert_eq!((shard.stem, shard.number, shard.count, shard.end), ("model", 2, 12, ".safetensors"));
        assert_eq!(
            (shard.nth(2), shard.nth(12)),
            (name.to_owned(), "model-00012-of-00012.safetensors".to_owned())
        );
        for name in [
            "model.safetensors",
            "best-of-three.bin",
            "-00001-of-00002.bin",
            "model-00003-of-00002.bin",
            "model-00000-of-00002.bin",
            "model-1-of-3.bin",
            "epoch-00001-of-00002.pt",
            "model-00001-of-00002",
            "model-+0001-of-00002.bin",
            "model-000001-of-000002.bin",
        ] {
            assert_eq!(ShardName::of(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_indexes() {
        for (index, shard, lists) in [
            ("model.safetensors.index.json", "model-00001-of-00002.safetensors", true),
            ("pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", true),
            ("model.safetensors.index.fp16.json", "model.fp16-00001-of-00002.safetensors", true),
            ("model.safetensors.index.fp16.json", "model-00001-of-00002.fp16.safetensors", true),
            ("model.safetensors.index.fp16.json", "model-00001-of-00002.safetensors", false),
            ("model.safetensors.index.json", "model-00001-of-00002.bin", false),
            ("model.safetensors.index.json", "my-model-00001-of-00002.safetensors", false),
        ] {
            let (index, shard) = (IndexName::of(index).expect(index), ShardName::of(shard).expect(shard));
            assert_eq!(index.lists(&shard), lists, "{index:?} {shard:?}");
            assert_eq!(
                shard.indexes().iter().filter_map(|it| IndexName::of(it)).any(|it| it == index),
                lists
            );
        }
        for name in
            ["model.safetensors", "model.onnx.index.json", ".bin.index.json", "a.bin.index", "index.json"]
        {
            assert_eq!(IndexName::of(name), None, "{name}");
        }
    }
}
