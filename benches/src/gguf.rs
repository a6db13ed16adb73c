//! GGUF: matrices in blocks, the rest as floats.

use quantviz_testkit::gguf::{GgufBuilder, tensor_type};

use crate::noise::Record;
use crate::{Field, File, Piece, Transformer};

/// A type of elements: its number, how many are in a block, and what a block is made of.
struct BlockType {
    number: u32,
    elements: u64,
    bytes: u64,
    record: Record,
}

const F32: BlockType =
    BlockType { number: tensor_type::F32, elements: 1, bytes: 4, record: &[(256, Field::F32)] };

fn file(model: &Transformer, matrices: &BlockType) -> File {
    let (mut head, mut data) = (GgufBuilder::new().text("general.architecture", "gpt2"), File::default());
    for tensor in model.tensors() {
        let block = if tensor.matrix().is_some() { matrices } else { &F32 };
        head = head.tensor_at(&tensor.name, block.number, &tensor.dims, data.bytes());
        data.push(Piece::filled(
            &tensor.name,
            block.record,
            tensor.elements() / block.elements * block.bytes,
        ));
        data.align(32);
    }
    data.behind(head.build())
}

/// 32 bits each.
pub fn float32(model: &Transformer) -> File {
    file(model, &F32)
}

/// 32 codes of eight bits to a scale.
pub fn q8_0(model: &Transformer) -> File {
    let record = &[(1, Field::Scale16), (32, Field::I8)];
    file(model, &BlockType { number: tensor_type::Q8_0, elements: 32, bytes: 34, record })
}

/// 32 codes of four bits to a scale.
pub fn q4_0(model: &Transformer) -> File {
    let record = &[(1, Field::Scale16), (16, Field::Nibbles)];
    file(model, &BlockType { number: tensor_type::Q4_0, elements: 32, bytes: 18, record })
}

/// 256 codes of four bits in eight groups.
pub fn q4_k(model: &Transformer) -> File {
    let record = &[(2, Field::Scale16), (12, Field::Byte), (128, Field::Nibbles)];
    file(model, &BlockType { number: tensor_type::Q4_K, elements: 256, bytes: 144, record })
}

/// 256 codes of six bits in sixteen groups.
pub fn q6_k(model: &Transformer) -> File {
    let record = &[(128, Field::Nibbles), (64, Field::Byte), (16, Field::I8), (1, Field::Scale16)];
    file(model, &BlockType { number: tensor_type::Q6_K, elements: 256, bytes: 210, record })
}
