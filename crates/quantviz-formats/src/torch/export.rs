//! `.pt2` archives of torch.export: weights that lie in the archive as they are, described in JSON.

use std::fmt;
use std::rc::Rc;

use quantviz_core::{DType, Error, Result, Role, Shape, WarningKind};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::archive::read_nested;
use super::catalogue::Catalogue;
use super::dtypes;
use super::storages::Storages;
use super::tensor::{Tensor, Values};
use super::zip::Archive;

/// More than any model has tensors.
const MOST_ENTRIES: usize = 1 << 18;

/// The description of a model's weights, or of its constants.
#[derive(Deserialize)]
struct Payloads {
    #[serde(deserialize_with = "in_order")]
    config: Vec<(String, Payload)>,
}

#[derive(Deserialize)]
struct Payload {
    path_name: String,
    #[serde(default)]
    use_pickle: bool,
    tensor_meta: Option<TensorMeta>,
}

#[derive(Deserialize)]
struct TensorMeta {
    dtype: u64,
    sizes: Vec<Number>,
    strides: Vec<Number>,
    storage_offset: Number,
}

/// A number that could be a formula. That of a weight never is.
#[derive(Deserialize)]
struct Number {
    as_int: u64,
}

/// The entries of an object in the order of the file.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Payload)>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, Payload)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with an entry for every tensor")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
                if entries.len() > MOST_ENTRIES {
                    return Err(A::Error::custom("too many entries"));
                }
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries)
}

/// Adds all tensors of an exported model. Tells whether it is one.
pub(super) fn read(catalogue: &mut Catalogue<'_>, archive: &Rc<Archive>) -> Result<bool> {
    let descriptions: Vec<(&str, &str)> = archive
        .names()
        .filter_map(|name| {
            let (folder, file) = name.rsplit_once('/')?;
            let is_one =
                ["_weights_config.json", "_constants_config.json"].iter().any(|end| file.ends_with(end));
            is_one.then_some((folder, name))
        })
        .collect();
    for (folder, name) in &descriptions {
        let role = name.ends_with("_constants_config.json").then_some(Role::Constant);
        read_payloads(catalogue, archive, folder, name, role)?;
    }
    if descriptions.is_empty() {
        return read_older(catalogue, archive);
    }
    catalogue.set_container("pt2");
    Ok(true)
}

fn read_payloads(
    catalogue: &mut Catalogue<'_>,
    archive: &Rc<Archive>,
    folder: &str,
    name: &str,
    role: Option<Role>,
) -> Result<()> {
    let file = catalogue.file;
    let Some(bytes) = archive.bytes(file, name, &mut catalogue.inflatable)? else { return Ok(()) };
    let left = catalogue.pickles.bytes.checked_sub(bytes.len());
    catalogue.pickles.bytes =
        left.ok_or_else(|| Error::limit(format!("{name} has {} bytes", bytes.len())))?;
    let mut json = vec![0; usize::try_from(bytes.len()).map_err(|_| Error::limit("more than memory"))?];
    bytes.read_at(file, 0, &mut json)?;
    let payloads: Payloads = serde_json::from_slice(&json)
        .map_err(|error| Error::malformed(format!("{name} is not what torch.export writes: {error}")))?;
    drop(json);
    let mut storages = Storages::of_archive(archive, format!("{folder}/"));
    for (tensor_name, payload) in payloads.config {
        add(catalogue, archive, folder, &mut storages, &tensor_name, payload, role)
            .map_err(|error| error.in_tensor(&tensor_name))?;
    }
    Ok(())
}

fn add(
    catalogue: &mut Catalogue<'_>,
    archive: &Rc<Archive>,
    folder: &str,
    storages: &mut Storages,
    name: &str,
    payload: Payload,
    role: Option<Role>,
) -> Result<()> {
    if payload.use_pickle {
        let entry = format!("{folder}/{}", payload.path_name);
        return match archive.region(&entry) {
            Some(region) => read_nested(catalogue, region, name, role),
            None => catalogue.warn(name, WarningKind::Missing, "it is not in the archive as it is"),
        };
    }
    // What is no tensor has no description of one.
    let Some(meta) = payload.tensor_meta else { return Ok(()) };
    let numbers = |list: &[Number]| list.iter().map(|number| number.as_int).collect::<Vec<u64>>();
    let shape = Shape::new(numbers(&meta.sizes))?;
    let strides = numbers(&meta.strides);
    if strides.len() != shape.rank() || shape.rank() > catalogue.limits.rank {
        return Err(Error::malformed(format!("{} strides for {} dimensions", strides.len(), shape.rank())));
    }
    let values = match archive.len_of(&format!("{folder}/{}", payload.path_name)) {
        Some(len) => Values::Storage(payload.path_name, len),
        None => Values::Nowhere("its values are not in the archive"),
    };
    let tensor = Tensor {
        dtype: dtypes::of_export(meta.dtype).unwrap_or(DType::Unknown),
        shape,
        strides,
        offset: meta.storage_offset.as_int,
        values,
        quantizer: None,
        remark: None,
    };
    catalogue.add(name, tensor, storages, role, None).map(drop)
}

/// Until torch 2.6, state and constants were archives in the archive.
fn read_older(catalogue: &mut Catalogue<'_>, archive: &Rc<Archive>) -> Result<bool> {
    let entries = [
        ("serialized_state_dict.pt", "", None),
        ("serialized_constants.pt", "constants", Some(Role::Constant)),
    ];
    let mut found = false;
    for (file, path, role) in entries {
        let name = archive.names().find(|name| name.rsplit('/').next() == Some(file));
        if let Some(region) = name.and_then(|name| archive.region(name)) {
            read_nested(catalogue, region, path, role)?;
            found = true;
        }
    }
    if found {
        catalogue.set_container("pt2");
    }
    Ok(found)
}
