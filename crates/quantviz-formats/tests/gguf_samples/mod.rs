//! Small valid GGUF files that between them have everything the reader knows.

use quantviz_testkit::GgufBuilder;
use quantviz_testkit::gguf::{array, string, tensor_type as of, value_type};

/// One in half precision.
pub(crate) const ONE: [u8; 2] = [0x00, 0x3c];

/// Every block type whose values are known: its number, the elements and the bytes of a block, and where scales are
/// that noise had better not make infinite.
pub(crate) const BLOCK_TYPES: &[(u32, u64, usize, &[usize])] = &[
    (of::Q4_0, 32, 18, &[0]),
    (of::Q4_1, 32, 20, &[0, 2]),
    (of::Q5_0, 32, 22, &[0]),
    (of::Q5_1, 32, 24, &[0, 2]),
    (of::Q8_0, 32, 34, &[0]),
    (of::IQ4_NL, 32, 18, &[0]),
    (of::MXFP4, 32, 17, &[]),
    (of::NVFP4, 64, 36, &[]),
    (of::Q2_K, 256, 84, &[80, 82]),
    (of::Q3_K, 256, 110, &[108]),
    (of::Q4_K, 256, 144, &[0, 2]),
    (of::Q5_K, 256, 176, &[0, 2]),
    (of::Q6_K, 256, 210, &[208]),
    (of::IQ4_XS, 256, 136, &[0]),
    (of::TQ1_0, 256, 54, &[52]),
    (of::TQ2_0, 256, 66, &[64]),
];

/// Metadata of every kind, plain tensors, small blocks and large ones.
pub(crate) fn files() -> Vec<Vec<u8>> {
    [described(), plain(), blocks(&BLOCK_TYPES[..8]), blocks(&BLOCK_TYPES[8..])].map(|it| it.build()).into()
}

/// A value of every type, under the name of the type.
pub(crate) fn described() -> GgufBuilder {
    let words = array(value_type::STRING, 3, [string("a"), string(""), string("wört")].concat());
    let nested = array(value_type::ARRAY, 2, [array(value_type::U8, 2, [1, 2]), words.clone()].concat());
    GgufBuilder::new()
        .alignment(64)
        .text("general.quantized_by", "somebody")
        .text("string", "two\nlines")
        .value("u8", value_type::U8, [200])
        .value("i8", value_type::I8, (-100i8).to_le_bytes())
        .value("u16", value_type::U16, 60_000u16.to_le_bytes())
        .value("i16", value_type::I16, (-30_000i16).to_le_bytes())
        .value("u32", value_type::U32, u32::MAX.to_le_bytes())
        .value("i32", value_type::I32, i32::MIN.to_le_bytes())
        .value("u64", value_type::U64, u64::MAX.to_le_bytes())
        .value("i64", value_type::I64, i64::MIN.to_le_bytes())
        .value("f32", value_type::F32, 1e-5f32.to_le_bytes())
        .value("f64", value_type::F64, 0.1f64.to_le_bytes())
        .value("bool", value_type::BOOL, [1])
        .value("words", value_type::ARRAY, &words)
        .value("numbers", value_type::ARRAY, array(value_type::F32, 2, [0; 8]))
        .value("nothing", value_type::ARRAY, array(value_type::U64, 0, []))
        .value("nested", value_type::ARRAY, nested)
        .tensor("behind.all.this.weight", of::F32, [1, 2], &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])
}

fn plain() -> GgufBuilder {
    let noise: Vec<u8> = (0..48).map(|byte: u8| byte.wrapping_mul(37)).collect();
    GgufBuilder::new()
        .tensor("token_embd.weight", of::F16, [4, 3], &noise[..24])
        .tensor("output_norm.weight", of::F32, [3], &noise[..12])
        .tensor("rope", of::BF16, [2, 1, 3], &noise[..12])
        .tensor("codes", of::I8, [5], &noise[..5])
        .tensor("scalar", of::F32, [], &noise[..4])
        .tensor("empty", of::F32, [0, 3], &[])
        .tensor("unknown", 99, [7], &[])
}

/// Two rows of noise in blocks of each of these types.
fn blocks(types: &[(u32, u64, usize, &[usize])]) -> GgufBuilder {
    types.iter().fold(GgufBuilder::new(), |file, &(id, elements, bytes, scales)| {
        let name = format!("blk.{id}.attn_q.weight");
        file.tensor(&name, id, [2, elements], &noisy_blocks(2, bytes, scales))
    })
}

/// Blocks of noise whose scales are one.
fn noisy_blocks(count: usize, bytes: usize, scales: &[usize]) -> Vec<u8> {
    let mut blocks: Vec<u8> = (0..count * bytes).map(|index| (index * index / 3 + index) as u8).collect();
    for block in blocks.chunks_exact_mut(bytes) {
        scales.iter().for_each(|&at| block[at..at + 2].copy_from_slice(&ONE));
    }
    blocks
}
