//! GGUF: plain numbers, and a tensor of every block type.

use quantviz_core::{DType, DTypeClass};
use quantviz_testkit::GgufBuilder;

use crate::samples::{Sample, bytes, dtype};

/// The numbers of all types, as `ggml.h` has them.
const TYPES: &[(&str, u32)] = &[
    ("f32", 0),
    ("f16", 1),
    ("Q4_0", 2),
    ("Q4_1", 3),
    ("Q5_0", 6),
    ("Q5_1", 7),
    ("Q8_0", 8),
    ("Q8_1", 9),
    ("Q2_K", 10),
    ("Q3_K", 11),
    ("Q4_K", 12),
    ("Q5_K", 13),
    ("Q6_K", 14),
    ("Q8_K", 15),
    ("IQ2_XXS", 16),
    ("IQ2_XS", 17),
    ("IQ3_XXS", 18),
    ("IQ1_S", 19),
    ("IQ4_NL", 20),
    ("IQ3_S", 21),
    ("IQ2_S", 22),
    ("IQ4_XS", 23),
    ("i8", 24),
    ("i16", 25),
    ("i32", 26),
    ("i64", 27),
    ("f64", 28),
    ("IQ1_M", 29),
    ("bf16", 30),
    ("TQ1_0", 34),
    ("TQ2_0", 35),
    ("MXFP4", 39),
    ("NVFP4", 40),
    ("Q1_0", 41),
];

/// Block types of which the size is known, and no value.
const SIZES_ONLY: &[&str] =
    &["Q1_0", "Q8_1", "Q8_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"];

pub(crate) fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> = TYPES.iter().map(|&(name, number)| sample(name, number)).collect();
    let scaled = GgufBuilder::new().tensor("w.weight", 40, [1, 64], &bytes(DType::Nvfp4, &[1, 64])).tensor(
        "w.scale",
        0,
        [1],
        &bytes(DType::F32, &[1]),
    );
    samples.push(Sample::new("model.gguf", scaled.build(), "w.weight"));
    samples
}

fn sample(name: &'static str, number: u32) -> Sample {
    let dtype = dtype(name);
    let elements = if dtype.class() == DTypeClass::Quantized { 256 } else { 4 };
    let file = GgufBuilder::new().tensor("w", number, [1, elements], &bytes(dtype, &[1, elements]));
    let unread = SIZES_ONLY.contains(&name).then_some(name);
    Sample { unread, ..Sample::new("model.gguf", file.build(), "w") }
}
