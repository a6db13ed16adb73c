//! Ends of names that say which variant of a model a file is: `_int8`, `.fp16`, `-Q4_K_M`, `_qint8_avx512`.

/// The name of a model, and what distinguishes this variant of it: `model` and `int8 per-channel` of
/// `model_int8_perchannel`. Names without an ending that says something are whole, and no name is all ending.
pub(crate) fn split(name: &str) -> (&str, Option<String>) {
    let words = words(name);
    let ending = (1..words.len()).find_map(|first| Some((first, label(&words[first..])?)));
    match ending {
        Some((first, label)) => {
            let end = words[first - 1].end();
            (&name[..end], Some(label))
        }
        None => (name, None),
    }
}

/// A part of a name, between what separates parts.
#[derive(Clone, Debug)]
struct Word {
    start: usize,
    text: String,
}

impl Word {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

fn words(name: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = 0;
    for part in name.split(['.', '_', '-']) {
        if !part.is_empty() {
            words.push(Word { start, text: part.to_ascii_lowercase() });
        }
        start += part.len() + 1;
    }
    words
}

/// What words say of a variant, if every one of them does.
fn label(words: &[Word]) -> Option<String> {
    let mut words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    words.reverse();
    let mut said: Vec<String> = Vec::new();
    while let Some(word) = words.pop() {
        let next = words.last().copied().unwrap_or_default();
        if is_block_type(word) {
            said.push(block_type(word, &mut words));
        } else if QUANTIZERS.contains(&word) && is_block_type(next) {
            said.push(word.to_ascii_uppercase());
        } else if word == "per" && GRANULARITIES.contains(&next) {
            said.push(format!("per-{next}"));
            words.pop();
        } else if let Some(known) = precision(word).or_else(|| way(word)) {
            said.push(known);
        } else if !said.is_empty() && is_detail(word) {
            said.push(word.to_owned());
        } else {
            return None;
        }
    }
    Some(said.join(" "))
}

/// `q4`, `iq4` and `tq1`, which llama.cpp's names of block types begin with.
fn is_block_type(word: &str) -> bool {
    ["q", "iq", "tq"].iter().any(|family| word.strip_prefix(family).is_some_and(is_digit))
}

/// The whole of a block type, such as `Q4_K_M`, from its first word on.
fn block_type(first: &str, rest: &mut Vec<&str>) -> String {
    const SIZES: &[&str] = &["0", "1", "4", "8", "k", "nl", "xxs", "xs", "s", "m", "l", "xl"];
    let mut name = first.to_owned();
    while let Some(size) = rest.pop_if(|word| SIZES.contains(word)) {
        name = format!("{name}_{size}");
    }
    // `q4` by itself is what exporters of ONNX say, in small letters.
    if name == first { name } else { name.to_ascii_uppercase() }
}

/// What makers of GGUF files put before a block type: how its bits were shared out.
const QUANTIZERS: &[&str] = &["ud", "i1"];

const GRANULARITIES: &[&str] = &["channel", "tensor", "group", "token"];

/// Families of number types: what they are called, how many bits they can have, and what that is called here.
const PRECISIONS: &[(&[&str], &[&str], &str)] = &[
    (&["fp", "float", "f"], &["16", "32", "64"], "fp"),
    (&["fp", "float"], &["4", "6", "8"], "fp"),
    (&["bf", "bfloat"], &["16"], "bf"),
    (&["int", "qint"], &["2", "3", "4", "5", "6", "8", "16"], "int"),
    (&["uint", "quint"], &["2", "3", "4", "5", "6", "8", "16"], "uint"),
    (&["bnb"], &["4", "8"], "bnb"),
    (&["nf"], &["4"], "nf"),
    (&["mxfp"], &["4", "6", "8"], "mxfp"),
    (&["mxint"], &["8"], "mxint"),
    (&["nvfp"], &["4"], "nvfp"),
];

/// The number type that a word names, in one spelling.
fn precision(word: &str) -> Option<String> {
    let known = PRECISIONS.iter().find_map(|(names, bits, spelling)| {
        let bits =
            names.iter().find_map(|name| bits.iter().find(|bits| word.strip_prefix(name) == Some(bits)));
        bits.map(|bits| format!("{spelling}{bits}"))
    });
    let is_combined = is_pair(word, 'w', 'a') || is_pair(word, 'q', 'f');
    let is_count = word.strip_suffix("bit").is_some_and(is_digit);
    known.or_else(|| (is_combined || is_count).then(|| word.to_owned()))
}

/// `w8a16`: weights and activations; `q4f16`: codes and everything else.
fn is_pair(word: &str, first: char, second: char) -> bool {
    let numbers = word.strip_prefix(first).and_then(|rest| rest.split_once(second));
    numbers.is_some_and(|(left, right)| is_digit(left) && ["4", "8", "16", "32"].contains(&right))
}

/// The way a model was quantized, where its name does not tell the number type, or besides it.
fn way(word: &str) -> Option<String> {
    let spelling = match word {
        "float" => "fp32",
        "quant" | "quantized" | "quantised" => "quantized",
        "perchannel" => "per-channel",
        "pertensor" => "per-tensor",
        "qop" | "qoperator" => "qoperator",
        "qdq" | "awq" | "gptq" | "hqq" | "qat" | "ptq" => word,
        _ => return None,
    };
    Some(spelling.to_owned())
}

/// What means something only behind a number type: alone, `static` may well be about shapes.
fn is_detail(word: &str) -> bool {
    const DETAILS: &[&str] = &[
        "static", "dynamic", "sym", "asym", "scaled", "mixed", "moe", "imat", "e4m3", "e4m3fn", "e5m2",
        "arm64", "avx2", "avx512", "vnni",
    ];
    // The size of groups: `128g`, `g128`.
    let group = word.strip_suffix('g').or_else(|| word.strip_prefix('g'));
    DETAILS.contains(&word) || group.is_some_and(|size| ["32", "64", "128", "256"].contains(&size))
}

fn is_digit(text: &str) -> bool {
    matches!(text.as_bytes(), [b'0'..=b'9'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_well_known_variants() {
        for (name, stem, label) in [
            ("model", "model", None),
            ("model_fp16", "model", Some("fp16")),
            ("model_quantized", "model", Some("quantized")),
            ("model_q4f16", "model", Some("q4f16")),
            ("model_q8", "model", Some("q8")),
            ("model_q2", "model", Some("q2")),
            ("model_bnb4", "model", Some("bnb4")),
            ("model_uint8", "model", Some("uint8")),
            ("model_qint8_avx512_vnni", "model", Some("int8 avx512 vnni")),
            ("model_quint8_avx2", "model", Some("uint8 avx2")),
            ("decoder_model_merged_int8", "decoder_model_merged", Some("int8")),
            ("resnet8_fp32", "resnet8", Some("fp32")),
            ("resnet8_int8_perchannel", "resnet8", Some("int8 per-channel")),
            ("resnet8-per-channel", "resnet8", Some("per-channel")),
            ("resnet50-v1-12-int8", "resnet50-v1-12", Some("int8")),
            ("resnet50-v1-12-qdq", "resnet50-v1-12", Some("qdq")),
            ("model-int8-qdq", "model", Some("int8 qdq")),
            ("encoder-epoch-99-avg-1.int8", "encoder-epoch-99-avg-1", Some("int8")),
            ("model.quant", "model", Some("quantized")),
            ("mobilenet_v2_w8a16", "mobilenet_v2", Some("w8a16")),
            ("mobilenet_v2_float", "mobilenet_v2", Some("fp32")),
            ("flux1-dev-fp8_e4m3fn", "flux1-dev", Some("fp8 e4m3fn")),
            ("model_int8_dynamic", "model", Some("int8 dynamic")),
            ("diffusion_pytorch_model.fp16", "diffusion_pytorch_model", Some("fp16")),
            ("gptq_model-4bit-128g", "gptq_model", Some("4bit 128g")),
            ("Llama-3-8B.Q4_K_M", "Llama-3-8B", Some("Q4_K_M")),
            ("Llama-3-8B-F16", "Llama-3-8B", Some("fp16")),
            ("Llama-3-8B-BF16", "Llama-3-8B", Some("bf16")),
            ("llama-3-8b-instruct-IQ4_XS", "llama-3-8b-instruct", Some("IQ4_XS")),
            ("llama-3.IQ2_XXS", "llama-3", Some("IQ2_XXS")),
            ("Qwen3-0.6B-UD-Q4_K_XL", "Qwen3-0.6B", Some("UD Q4_K_XL")),
            ("Model.i1-Q4_0_4_8", "Model", Some("I1 Q4_0_4_8")),
            ("ggml-model-q8_0", "ggml-model", Some("Q8_0")),
            ("gpt-oss-20b-MXFP4_MOE", "gpt-oss-20b", Some("mxfp4 moe")),
            // Words that mean something else, where no number type goes before them.
            ("model_static", "model_static", None),
            ("yolov8-dynamic", "yolov8-dynamic", None),
            ("bert-base-uncased", "bert-base-uncased", None),
            ("mistral-7b-v0.1", "mistral-7b-v0.1", None),
            ("sd3_medium_t5xxlfp16", "sd3_medium_t5xxlfp16", None),
            ("model_int8_best", "model_int8_best", None),
            ("pix2pix_l1", "pix2pix_l1", None),
            // No name is all ending.
            ("int8", "int8", None),
            ("Q4_K_M", "Q4_K_M", None),
            ("_fp16", "_fp16", None),
            ("fp16_int8", "fp16", Some("int8")),
            ("model__int8_", "model", Some("int8")),
            ("", "", None),
        ] {
            assert_eq!(split(name), (stem, label.map(str::to_owned)), "{name}");
        }
    }

    fn ending() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "_fp16",
            ".quant",
            "-int8",
            "_qdq",
            "_perchannel",
            "-per-channel",
            "-Q4_K_M",
            ".IQ4_XS",
            "_q4f16",
            "_UINT8",
            "-W8A8",
            "__bf16",
            "-UD-Q2_K",
            "_static",
            "_k",
            "_4",
            "-",
        ])
    }

    proptest! {
        #[test]
        fn the_stem_of_a_stem_is_itself(name in "[a-z]{0,4}", endings in prop::collection::vec(ending(), 0..5)) {
            let name = name + &endings.concat();
            let (stem, label) = split(&name);
            prop_assert!(name.starts_with(stem) && (stem.is_empty() == name.is_empty()), "{stem}");
            prop_assert_eq!(label.is_none(), stem == name);
            prop_assert_eq!(split(stem), (stem, None));
        }

        #[test]
        fn any_name_has_a_stem_of_its_own(name in "\\PC{0,20}") {
            let (stem, _) = split(&name);
            prop_assert_eq!(split(stem), (stem, None));
        }

        #[test]
        fn endings_say_the_same_in_large_letters(name in "[a-z]{1,4}", endings in prop::collection::vec(ending(), 0..4)) {
            let name = name + &endings.concat();
            let large = name.to_ascii_uppercase();
            let (small_stem, small_label) = split(&name);
            let (large_stem, large_label) = split(&large);
            prop_assert_eq!(small_stem.to_ascii_uppercase(), large_stem);
            prop_assert_eq!(small_label, large_label);
        }
    }
}
