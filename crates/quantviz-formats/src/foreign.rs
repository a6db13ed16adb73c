//! Models that are known by sight and cannot be read here: what each is, and what to do about it.

use std::path::Path;

use crate::formats::Head;

/// A format of models that nothing here reads.
pub(crate) struct Foreign {
    title: &'static str,
    /// What to do instead of opening it.
    advice: &'static str,
    /// The ends of its files' names, where those say enough.
    extensions: &'static [&'static str],
    claims: fn(&Head<'_>) -> bool,
}

const FROM_ONNX: &str = "open the ONNX model that it was made from";

const FOREIGN: &[Foreign] = &[
    Foreign {
        title: "a TFLite model",
        advice: "convert it with tf2onnx",
        extensions: &["tflite"],
        claims: |head| head.has(4, b"TFL3"),
    },
    Foreign {
        title: "an ONNX Runtime model of its own format",
        advice: FROM_ONNX,
        extensions: &["ort"],
        claims: |head| head.has(4, b"ORTM"),
    },
    Foreign {
        title: "an ExecuTorch program",
        advice: "open the checkpoint that it was exported from",
        extensions: &["pte"],
        claims: |head| head.has(4, b"ET") && head.bytes[6..].iter().take(2).all(u8::is_ascii_digit),
    },
    Foreign {
        title: "a TensorRT engine",
        advice: FROM_ONNX,
        extensions: &["engine", "plan", "trt"],
        claims: |head| head.has(0, b"ptrt") || head.has(0, b"ftrt"),
    },
    Foreign {
        title: "an OpenVINO model",
        advice: FROM_ONNX,
        extensions: &[],
        claims: |head| {
            let text = String::from_utf8_lossy(head.bytes);
            let text = text.trim_start_matches('\u{feff}').trim_start();
            text.starts_with("<net ") || (text.starts_with("<?xml") && text.contains("<net "))
        },
    },
    Foreign {
        title: "a Core ML model",
        advice: "open the model that it was converted from",
        extensions: &["mlmodel"],
        claims: |head| begins_like_core_ml(head.bytes),
    },
    Foreign {
        title: "a Keras or other HDF5 file",
        advice: "convert it with tf2onnx, or save its weights as safetensors",
        extensions: &["h5", "hdf5"],
        claims: |head| head.has(0, b"\x89HDF\r\n\x1a\n"),
    },
    Foreign {
        title: "a TensorFlow model",
        advice: "convert its folder with tf2onnx",
        extensions: &[],
        claims: |head| head.name == SAVED_MODEL,
    },
    Foreign {
        title: "a Paddle model",
        advice: "convert it with paddle2onnx",
        extensions: &["pdmodel", "pdiparams"],
        claims: |_| false,
    },
    Foreign {
        title: "a NumPy array",
        advice: "save it as safetensors",
        extensions: &["npy"],
        claims: |head| head.has(0, b"\x93NUMPY"),
    },
    Foreign {
        title: "a GGML file from before GGUF",
        advice: "convert its model again, with the scripts of llama.cpp or whisper.cpp",
        extensions: &[],
        claims: |head| [b"lmgg", b"fmgg", b"tjgg", b"algg"].iter().any(|magic| head.has(0, *magic)),
    },
];

const SAVED_MODEL: &str = "saved_model.pb";

/// Why a file that begins like this cannot be read, if that is known.
pub(crate) fn by_bytes(head: &Head<'_>) -> Option<String> {
    FOREIGN.iter().find(|it| (it.claims)(head)).map(Foreign::reason)
}

/// Why a file of this name cannot be read, if that is known.
pub(crate) fn by_name(name: &str) -> Option<String> {
    let (_, extension) = name.rsplit_once('.')?;
    let is_like = |it: &&Foreign| it.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension));
    FOREIGN.iter().find(is_like).map(Foreign::reason)
}

/// Why a folder that is one model cannot be read, if that is known.
pub(crate) fn by_folder(path: &Path) -> Option<String> {
    let is_package = path.extension().is_some_and(|it| it == "mlpackage" || it == "mlmodelc");
    if is_package {
        return Some(reason("a Core ML package", "open the model that it was converted from"));
    }
    path.join(SAVED_MODEL).is_file().then(|| reason("a TensorFlow SavedModel", "convert it with tf2onnx"))
}

/// What there is to say of a zip archive with files of these names, where torch did not write it.
pub(crate) fn by_entries<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let keras = ["model.weights.h5", "model.weights.npz"];
    names.find_map(|name| match name {
        _ if keras.contains(&name) => Some(reason("a Keras model", "export it to ONNX with model.export")),
        _ if name.ends_with(".npy") => Some(reason("a NumPy archive", "save its arrays as safetensors")),
        _ => None,
    })
}

impl Foreign {
    fn reason(&self) -> String {
        reason(self.title, self.advice)
    }
}

fn reason(title: &str, advice: &str) -> String {
    format!("this is {title}, which is not supported; {advice}")
}

/// `specificationVersion`, and then a description that is a message with a field of its own. In ONNX, the text of a
/// producer would be there, and no text begins with a line break.
fn begins_like_core_ml(bytes: &[u8]) -> bool {
    let [0x08, 1..=20, 0x12, rest @ ..] = bytes else { return false };
    let length = rest.iter().position(|byte| byte & 0x80 == 0).unwrap_or(rest.len());
    rest[..length.min(rest.len())].len() < 5 && rest.get(length + 1) == Some(&0x0a) && rest[0] != 0
}
