//! What the JSON files beside a model say of its quantization: hints, because files lack them and shapes decide.

use std::collections::HashMap;
use std::path::Path;

use quantviz_core::{ErrorKind, Warning, WarningKind, one_line};
use serde_json::Value;

use crate::file::ModelFile;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Hints {
    /// Bits of one code, in the order in which they are mentioned.
    pub(super) bits: Vec<u32>,
    /// Elements that share a scale.
    pub(super) group_sizes: Vec<u64>,
    /// Sizes of tiles that share a scale, for the last axes.
    pub(super) tile: Vec<u64>,
    /// The version of a packing.
    pub(super) checkpoint_format: Option<String>,
    /// What MLX says of single modules: bits and group size.
    pub(super) modules: HashMap<String, (u32, u64)>,
}

/// The files, and where in them quantization is spoken of.
const PLACES: &[(&str, &[&str])] = &[
    (
        "config.json",
        &["/quantization_config", "/compression_config", "/text_config/quantization_config", "/quantization"],
    ),
    ("quantize_config.json", &[""]),
    ("hf_quant_config.json", &["/quantization"]),
];

/// Bytes of such a file. Those of the largest models, which name all their experts, have less.
const AT_MOST: u64 = 2 << 20;

impl Hints {
    /// Reads the files beside `model`. What is wrong with them is a warning.
    pub(super) fn beside(model: &Path, warnings: &mut Vec<Warning>) -> Self {
        let mut hints = Hints::default();
        for (name, places) in PLACES {
            match read(&model.with_file_name(name)) {
                Ok(Some(file)) => {
                    places.iter().filter_map(|place| file.pointer(place)).for_each(|it| hints.add(it))
                }
                Ok(None) => {}
                Err(reason) => {
                    let message = format!("{name} was not read: {reason}");
                    warnings.push(Warning::general(WarningKind::Odd, message));
                }
            }
        }
        hints
    }

    fn add(&mut self, config: &Value) {
        let first = |names: &[&str]| names.iter().find_map(|name| config.get(name)?.as_u64());
        let bits = first(&["bits", "w_bit", "nbits", "num_bits"]).and_then(small_bits);
        let group_size = first(&["group_size", "q_group_size"]).filter(|&size| size > 0);
        mention(&mut self.bits, bits);
        mention(&mut self.group_sizes, group_size);
        let tile =
            ["weight_block_size", "block_structure"].iter().find_map(|name| config.get(name)?.as_array());
        if let Some(tile) = tile.filter(|tile| tile.len() <= 2) {
            self.tile = tile.iter().filter_map(Value::as_u64).filter(|&size| size > 0).collect();
        }
        if let Some(format) = config.get("checkpoint_format").and_then(Value::as_str) {
            self.checkpoint_format = Some(format.to_owned());
        }
        // compressed-tensors has a scheme for every group of layers.
        for group in
            config.get("config_groups").and_then(Value::as_object).into_iter().flat_map(|it| it.values())
        {
            group.get("weights").into_iter().for_each(|weights| self.add_scheme(weights));
        }
        for (name, module) in config.as_object().into_iter().flatten() {
            let number = |key| module.get(key).and_then(Value::as_u64);
            if let (Some(bits), Some(group)) = (number("bits").and_then(small_bits), number("group_size")) {
                self.modules.insert(name.clone(), (bits, group));
            }
        }
    }

    fn add_scheme(&mut self, weights: &Value) {
        let scheme = weights.as_object().into_iter().flatten();
        // Only what is said of the weights themselves: nothing leads deeper.
        let flat =
            scheme.filter(|(_, value)| !value.is_object()).map(|(key, value)| (key.clone(), value.clone()));
        self.add(&Value::Object(flat.collect()));
    }
}

/// Adds what is new. Every tensor may ask for all of them, so they are to stay few.
fn mention<T: PartialEq>(hints: &mut Vec<T>, hint: Option<T>) {
    hints.extend(hint.filter(|hint| hints.len() < 16 && !hints.contains(hint)));
}

fn small_bits(bits: u64) -> Option<u32> {
    u32::try_from(bits).ok().filter(|bits| (1..=8).contains(bits))
}

fn read(path: &Path) -> Result<Option<Value>, String> {
    let bytes = match ModelFile::open(path).and_then(|file| file.read_all(AT_MOST)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.message().to_owned()),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| one_line(&format!("it is no JSON: {error}")).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hints(config: &Value) -> Hints {
        let mut hints = Hints::default();
        hints.add(config);
        hints
    }

    #[test]
    fn of_gptq() {
        let config =
            json!({"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "gptq_v2"});
        let expected = Hints {
            bits: vec![4],
            group_sizes: vec![128],
            checkpoint_format: Some("gptq_v2".to_owned()),
            ..Hints::default()
        };
        assert_eq!(hints(&config), expected);
    }

    #[test]
    fn of_compressed_tensors() {
        let weights = |bits, group: Option<u64>| json!({"weights": {"num_bits": bits, "group_size": group}});
        let config = json!({"config_groups": {"group_0": weights(4, Some(32)), "group_1": weights(8, None)}});
        let expected = Hints { bits: vec![4, 8], group_sizes: vec![32], ..Hints::default() };
        assert_eq!(hints(&config), expected);
    }

    #[test]
    fn of_mlx_modules() {
        let config =
            json!({"bits": 4, "group_size": 64, "lm_head": {"bits": 8, "group_size": 32}, "router": false});
        assert_eq!(hints(&config).modules, HashMap::from([("lm_head".to_owned(), (8, 32))]));
    }

    #[test]
    fn nonsense_is_no_hint() {
        for config in [
            json!({"bits": 1e300, "group_size": -1, "weight_block_size": [0, "x"], "checkpoint_format": 3}),
            json!({"bits": 64, "config_groups": [1], "weight_block_size": [1, 2, 3]}),
            json!({"config_groups": {"a": {"weights": {"config_groups": {"b": {"weights": {"bits": 4}}}}}}}),
            json!([]),
            json!("x"),
        ] {
            assert_eq!(hints(&config), Hints::default(), "{config}");
        }
    }
}
