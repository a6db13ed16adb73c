//! safetensors: every type of numbers, and every layout of codes that is read or named.

use quantviz_testkit::SafetensorsBuilder;

use crate::samples::{Sample, bytes, dtype};

/// What the format calls its types.
const TYPES: &[(&str, &str)] = &[
    ("f64", "F64"),
    ("f32", "F32"),
    ("f16", "F16"),
    ("bf16", "BF16"),
    ("f8_e4m3fn", "F8_E4M3"),
    ("f8_e4m3fnuz", "F8_E4M3FNUZ"),
    ("f8_e5m2", "F8_E5M2"),
    ("f8_e5m2fnuz", "F8_E5M2FNUZ"),
    ("f8_e8m0", "F8_E8M0"),
    ("f6_e2m3", "F6_E2M3"),
    ("f6_e3m2", "F6_E3M2"),
    ("f4_e2m1", "F4"),
    ("i64", "I64"),
    ("i32", "I32"),
    ("i16", "I16"),
    ("i8", "I8"),
    ("u64", "U64"),
    ("u32", "U32"),
    ("u16", "U16"),
    ("u8", "U8"),
    ("bool", "BOOL"),
    ("c64", "C64"),
];

/// A tensor: the end of its name, its type, its shape, and its bytes where it matters which.
type Tensor = (&'static str, &'static str, &'static [u64], Option<Vec<u8>>);

const FILE: &str = "model.safetensors";

pub(crate) fn samples() -> Vec<Sample> {
    let plain = TYPES.iter().map(|(name, _)| sample("w", &[("w", name, &[4], None)]));
    plain.chain(layouts()).chain(unread()).collect()
}

fn sample(tensor: &'static str, tensors: &[Tensor]) -> Sample {
    let mut file = SafetensorsBuilder::new();
    for (name, type_name, dims, content) in tensors {
        let format_name = TYPES.iter().find(|(name, _)| name == type_name).expect("a type of the format").1;
        let content = content.clone().unwrap_or_else(|| bytes(dtype(type_name), dims));
        file = file.tensor(name, format_name, dims, &content);
    }
    Sample::new(FILE, file.build(), tensor)
}

fn beside(name: &'static str, text: &str, sample: Sample) -> Sample {
    Sample { beside: vec![(name, text.to_owned())], ..sample }
}

fn i64s(values: &[i64]) -> Option<Vec<u8>> {
    Some(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn f32s(values: &[f32]) -> Option<Vec<u8>> {
    Some(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn layouts() -> Vec<Sample> {
    let mut samples = vec![
        awq(),
        sample("w.weight", &[("w.weight", "i8", &[4, 8], None), ("w.weight_scale", "f32", &[4, 1], None)]),
        sample("w.weight", &[("w.weight", "f8_e4m3fn", &[4, 8], None), ("w.weight_scale", "f32", &[], None)]),
        sample(
            "w.weight",
            &[("w.weight", "f8_e4m3fn", &[4, 8], None), ("w.weight_scale", "f32", &[4, 1], None)],
        ),
        sample("w.weight", &[("w.weight", "f8_e5m2", &[4, 8], None), ("w.weight_scale", "f32", &[4], None)]),
        sample(
            "w.weight",
            &[("w.weight", "f8_e4m3fn", &[200, 300], None), ("w.weight_scale_inv", "f32", &[2, 3], None)],
        ),
        sample(
            "w.weight",
            &[("w.weight", "f8_e4m3fn", &[4, 96], None), ("w.weight_scale", "u8", &[4, 3], None)],
        ),
        sample(
            "w.weight_packed",
            &[("w.weight_packed", "u8", &[4, 48], None), ("w.weight_scale", "u8", &[4, 3], None)],
        ),
        sample(
            "up_proj_blocks",
            &[("up_proj_blocks", "u8", &[2, 3, 4, 16], None), ("up_proj_scales", "u8", &[2, 3, 4], None)],
        ),
        sample(
            "w.weight_packed",
            &[
                ("w.weight_packed", "u8", &[4, 32], None),
                ("w.weight_scale", "f8_e4m3fn", &[4, 4], None),
                ("w.weight_global_scale", "f32", &[1], None),
            ],
        ),
        sample(
            "w.weight",
            &[
                ("w.weight", "u8", &[4, 32], None),
                ("w.weight_scale", "f8_e4m3fn", &[4, 4], None),
                ("w.weight_scale_2", "f32", &[1], None),
            ],
        ),
        // bitsandbytes' int8, MLX's small floats, HQQ.
        sample(
            "w.weight",
            &[
                ("w.SCB", "f32", &[4], None),
                ("w.weight", "i8", &[4, 8], None),
                ("w.weight_format", "u8", &[], Some(vec![0])),
            ],
        ),
        mlx(&[4, 16], &[4, 4], "u8"),
        mlx(&[4, 16], &[4, 8], "u8"),
        mlx(&[4, 16], &[4, 2], "u8"),
        bitsandbytes("nf4"),
        bitsandbytes("fp4"),
    ];
    samples.extend([2, 3, 4, 8].map(|bits| gptq(bits, "gptq")));
    samples.extend([2, 4, 8].map(|bits| gptq(bits, "gptq_v2")));
    samples.extend([2, 3, 4, 5, 6, 8].map(affine_mlx));
    samples.extend([1, 2, 3, 4, 8].map(|bits| hqq(bits, 1)));
    samples.extend([1, 2, 3, 4, 8].map(|bits| hqq(bits, 0)));
    samples.extend([(2, false), (3, false), (4, false), (6, false), (8, false), (8, true)].map(compressed));
    samples.push(compressed_rows());
    samples.push(Sample { tensor: "awq.qzeros", ..awq() });
    samples.extend([2, 3, 4, 8].map(|bits| Sample { tensor: "w.qzeros", ..gptq(bits, "gptq") }));
    samples.extend([2, 4, 8].map(|bits| Sample { tensor: "w.qzeros", ..gptq(bits, "gptq_v2") }));
    samples.extend([3, 4].map(compressed_zero_points));
    samples
}

fn awq() -> Sample {
    sample(
        "awq.qweight",
        &[
            ("awq.qweight", "i32", &[64, 2], None),
            ("awq.qzeros", "i32", &[2, 2], None),
            ("awq.scales", "f16", &[2, 16], None),
        ],
    )
}

/// AutoGPTQ's, which always writes an index.
fn gptq(bits: u64, version: &str) -> Sample {
    let (rows, columns): (u64, u64) = (96, 32);
    let config = format!(r#"{{"bits": {bits}, "group_size": 32, "checkpoint_format": "{version}"}}"#);
    let words = |count: u64| count * bits / 32;
    let mut file = SafetensorsBuilder::new();
    for (name, of, dims) in [
        ("w.qweight", "i32", vec![words(rows), columns]),
        ("w.qzeros", "i32", vec![3, words(columns)]),
        ("w.scales", "f16", vec![3, columns]),
    ] {
        file = file.tensor(name, if of == "i32" { "I32" } else { "F16" }, &dims, &bytes(dtype(of), &dims));
    }
    let index: Vec<u8> = (0..96i32).flat_map(|row| (row % 3).to_le_bytes()).collect();
    let file = file.tensor("w.g_idx", "I32", [rows], &index);
    beside("quantize_config.json", &config, Sample::new(FILE, file.build(), "w.qweight"))
}

/// compressed-tensors' pack-quantized, in groups of 32.
fn compressed((bits, by_index): (u64, bool)) -> Sample {
    let (rows, columns): (u64, u64) = (4, 64);
    let packed = [rows, columns * bits / 32];
    let file = SafetensorsBuilder::new()
        .tensor("w.weight_packed", "I32", packed, &bytes(dtype("i32"), &packed))
        .tensor("w.weight_scale", "BF16", [rows, 2], &bytes(dtype("bf16"), &[rows, 2]))
        .tensor("w.weight_shape", "I64", [2], &i64s(&[4, 64]).unwrap_or_default());
    let index: Vec<u8> = (0..64i32).flat_map(|column| (column % 2).to_le_bytes()).collect();
    let file = if by_index { file.tensor("w.weight_g_idx", "I32", [columns], &index) } else { file };
    let config = format!(
        r#"{{"quantization_config": {{"quant_method": "compressed-tensors", "config_groups": {{"group_0":
            {{"weights": {{"num_bits": {bits}, "group_size": 32, "type": "int"}}}}}}}}}}"#
    );
    beside("config.json", &config, Sample::new(FILE, file.build(), "w.weight_packed"))
}

/// The same with a scale for each row.
fn compressed_rows() -> Sample {
    sample(
        "w.weight_packed",
        &[
            ("w.weight_packed", "i32", &[4, 8], None),
            ("w.weight_scale", "bf16", &[4, 1], None),
            ("w.weight_shape", "i64", &[2], i64s(&[4, 64])),
        ],
    )
}

fn compressed_zero_points(bits: u64) -> Sample {
    let words = [64, 64 * bits / 32];
    let zeros = [64 * bits / 32, 2];
    let file = SafetensorsBuilder::new()
        .tensor("w.weight_packed", "I32", words, &bytes(dtype("i32"), &words))
        .tensor("w.weight_scale", "BF16", [64, 2], &bytes(dtype("bf16"), &[64, 2]))
        .tensor("w.weight_shape", "I64", [2], &i64s(&[64, 64]).unwrap_or_default())
        .tensor("w.weight_zero_point", "I32", zeros, &bytes(dtype("i32"), &zeros));
    Sample::new(FILE, file.build(), "w.weight_zero_point")
}

fn bitsandbytes(kind: &'static str) -> Sample {
    let state = format!(r#"{{"quant_type": "{kind}", "blocksize": 64, "shape": [4, 64]}}"#);
    let mut table = f32s(&[0.0; 16]).unwrap_or_default();
    table[0] = 1;
    let file = SafetensorsBuilder::new()
        .tensor("w.weight", "U8", [128, 1], &bytes(dtype("u8"), &[128]))
        .tensor("w.weight.absmax", "F32", [4], &bytes(dtype("f32"), &[4]))
        .tensor("w.weight.quant_map", "F32", [16], &table)
        .tensor(
            &format!("w.weight.quant_state.bitsandbytes__{kind}"),
            "U8",
            [state.len() as u64],
            state.as_bytes(),
        );
    Sample::new(FILE, file.build(), "w.weight")
}

fn mlx(words: &'static [u64], scales: &'static [u64], scale_type: &'static str) -> Sample {
    sample("w.weight", &[("w.weight", "u32", words, None), ("w.scales", scale_type, scales, None)])
}

fn affine_mlx(bits: u64) -> Sample {
    let words = [4, 128 * bits / 32];
    let file = SafetensorsBuilder::new()
        .tensor("w.weight", "U32", words, &bytes(dtype("u32"), &words))
        .tensor("w.scales", "BF16", [4, 2], &bytes(dtype("bf16"), &[4, 2]))
        .tensor("w.biases", "BF16", [4, 2], &bytes(dtype("bf16"), &[4, 2]));
    let config = format!(r#"{{"quantization": {{"group_size": 64, "bits": {bits}}}}}"#);
    beside("config.json", &config, Sample::new(FILE, file.build(), "w.weight"))
}

fn hqq(bits: i64, axis: u64) -> Sample {
    let (per_unit, of) = match bits {
        3 => (10, "I32"),
        8 => (1, "U8"),
        bits => (8 / bits as u64, "U8"),
    };
    let (groups, group) = if axis == 0 { (16u64, 8u64) } else { (2, 64) };
    let slab =
        if axis == 0 { [group.div_ceil(per_unit), groups] } else { [groups.div_ceil(per_unit), group] };
    let words = bytes(dtype(&of.to_ascii_lowercase()), &slab);
    let number = |value: i64| value.to_le_bytes();
    let file = SafetensorsBuilder::new()
        .tensor("w.W_q", of, slab, &words)
        .tensor("w.scale", "F16", [groups, 1], &bytes(dtype("f16"), &[groups]))
        .tensor("w.zero", "F16", [groups, 1], &bytes(dtype("f16"), &[groups]))
        .tensor("w.shape", "I64", [2], &i64s(&if axis == 0 { [16, 8] } else { [1, 128] }).unwrap_or_default())
        .tensor("w.nbits", "I64", [], &number(bits))
        .tensor("w.axis", "I64", [], &number(axis.cast_signed()))
        .tensor("w.group_size", "I64", [], &number(group.cast_signed()));
    Sample::new(FILE, file.build(), "w.W_q")
}

/// Packings that are named, and not read.
fn unread() -> Vec<Sample> {
    const NAMED: &[(&str, &str, &str, &str)] = &[
        ("EXL2", "w.q_weight", "i32", "w.q_groups"),
        ("EXL3", "w.trellis", "i16", "w.suh"),
        ("AQLM", "w.codes", "i16", "w.codebooks"),
        ("QuIP#", "w.Qidxs", "i64", "w.SU"),
        ("VPTQ", "w.indices", "i32", "w.centroids.weight"),
        ("Marlin", "w.B", "i32", "w.s"),
        ("torchao", "w._weight_qdata", "i8", "w._weight_scale"),
    ];
    let named = NAMED.iter().map(|&(title, words, of, witness)| Sample {
        unread: Some(title),
        ..sample(words, &[(words, of, &[8], None), (witness, "f32", &[1], None)])
    });
    named.collect()
}
