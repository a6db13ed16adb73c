//! safetensors: floats, and what four libraries make of them.

use serde_json::json;

use crate::noise::Record;
use crate::{Field, File, Piece, Tensor, Transformer};

/// A tensor of the file.
struct Stored {
    name: String,
    dtype: &'static str,
    dims: Vec<u64>,
    payload: Piece,
}

impl Stored {
    fn filled(name: &str, dtype: &'static str, dims: impl Into<Vec<u64>>, record: Record) -> Self {
        let dims: Vec<u64> = dims.into();
        let width = match dtype {
            "U8" | "I8" | "F8_E4M3" => 1,
            "F16" | "BF16" => 2,
            _ => 4,
        };
        let payload = Piece::filled(name, record, width * dims.iter().product::<u64>());
        Stored { name: name.to_owned(), dtype, dims, payload }
    }
}

fn file(tensors: impl IntoIterator<Item = Stored>) -> File {
    let (mut entries, mut payloads, mut end) = (Vec::new(), Vec::new(), 0);
    for Stored { name, dtype, dims, payload } in tensors {
        let start = end;
        end += payload.bytes();
        let entry = json!({"dtype": dtype, "shape": dims, "data_offsets": [start, end]});
        entries.push(format!("{}:{entry}", json!(name)));
        payloads.push(payload);
    }
    let mut header = format!("{{{}}}", entries.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let head = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
    File::new([Piece::Bytes(head)].into_iter().chain(payloads))
}

fn plain(model: &Transformer, dtype: &'static str, record: Record) -> File {
    file(model.tensors().iter().map(|it| Stored::filled(&it.name, dtype, &*it.dims, record)))
}

/// 32 bits each.
pub fn float32(model: &Transformer) -> File {
    plain(model, "F32", &[(256, Field::F32)])
}

/// Half precision.
pub fn float16(model: &Transformer) -> File {
    plain(model, "F16", &[(256, Field::F16)])
}

/// bfloat16.
pub fn bfloat16(model: &Transformer) -> File {
    plain(model, "BF16", &[(256, Field::Bf16)])
}

/// Tensors of the same length, so many of them.
pub fn equal_tensors(count: u64, elements: u64) -> File {
    let tensor =
        |index| Stored::filled(&format!("layer.{index}.weight"), "F32", [elements], &[(256, Field::F32)]);
    file((0..count).map(tensor))
}

/// Matrices quantized as `describe` says, from their module's name and their rows and columns; the rest in half precision.
fn quantized(model: &Transformer, describe: impl Fn(&str, u64, u64) -> Vec<Stored>) -> File {
    let stored = |tensor: &Tensor| match tensor.matrix() {
        Some((rows, columns)) => describe(tensor.name.trim_end_matches(".weight"), rows, columns),
        None => vec![Stored::filled(&tensor.name, "F16", &*tensor.dims, &[(256, Field::F16)])],
    };
    file(model.tensors().iter().flat_map(stored))
}

/// Eight-bit floats, a scale for each row.
pub fn float8(model: &Transformer) -> File {
    quantized(model, |module, rows, columns| {
        vec![
            Stored::filled(&format!("{module}.weight"), "F8_E4M3", [rows, columns], &[(256, Field::F8E4M3)]),
            Stored::filled(&format!("{module}.weight_scale"), "F32", [rows, 1], &[(1, Field::FittingScale8)]),
        ]
    })
}

/// Rows that share a scale in GPTQ and AWQ.
const GROUP: u64 = 128;
const NIBBLES: Record = &[(256, Field::Nibbles)];

/// Four bits, eight rows in a word.
pub fn gptq(model: &Transformer) -> File {
    quantized(&model.padded(), |module, rows, columns| {
        let groups = rows / GROUP;
        // These are looked at on opening, so they are not to be holes: which row is in which group, and zero-points.
        let order = (0..rows).flat_map(|row| ((row / GROUP) as i32).to_le_bytes()).collect();
        let zeros = vec![0x77; (groups * columns / 2) as usize];
        let words = |name: &str, dims, bytes| Stored {
            name: format!("{module}.{name}"),
            dtype: "I32",
            dims,
            payload: Piece::Bytes(bytes),
        };
        vec![
            Stored::filled(&format!("{module}.qweight"), "I32", [rows / 8, columns], NIBBLES),
            words("qzeros", vec![groups, columns / 8], zeros),
            Stored::filled(&format!("{module}.scales"), "F16", [groups, columns], &[(1, Field::Scale16)]),
            words("g_idx", vec![rows], order),
        ]
    })
}

/// Four bits, eight columns in a word.
pub fn awq(model: &Transformer) -> File {
    quantized(&model.padded(), |module, rows, columns| {
        let groups = rows / GROUP;
        vec![
            Stored::filled(&format!("{module}.qweight"), "I32", [rows, columns / 8], NIBBLES),
            Stored::filled(&format!("{module}.qzeros"), "I32", [groups, columns / 8], NIBBLES),
            Stored::filled(&format!("{module}.scales"), "F16", [groups, columns], &[(1, Field::Scale16)]),
        ]
    })
}

/// The sixteen values of bitsandbytes' NF4.
const NF4: [f32; 16] = [
    -1.0,
    -0.6961928,
    -0.5250731,
    -0.3949175,
    -0.28444138,
    -0.18477343,
    -0.09105004,
    0.0,
    0.0795803,
    0.1609302,
    0.2461123,
    0.33791524,
    0.44070983,
    0.562617,
    0.72295684,
    1.0,
];

/// Four bits that stand for values in a table, 64 of them to a scale.
pub fn nf4(model: &Transformer) -> File {
    quantized(model, |module, rows, columns| {
        let elements = rows * columns;
        let state =
            json!({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [rows, columns]});
        let state = state.to_string().into_bytes();
        let map = NF4.iter().flat_map(|value| value.to_le_bytes()).collect();
        let weight = format!("{module}.weight");
        let beside = |name: &str, dtype, bytes: Vec<u8>, len| Stored {
            name: format!("{weight}.{name}"),
            dtype,
            dims: vec![len],
            payload: Piece::Bytes(bytes),
        };
        let state_len = state.len() as u64;
        vec![
            Stored::filled(&weight, "U8", [elements / 2, 1], NIBBLES),
            Stored::filled(&format!("{weight}.absmax"), "F32", [elements / 64], &[(1, Field::Scale32)]),
            beside("quant_map", "F32", map, 16),
            beside("quant_state.bitsandbytes__nf4", "U8", state, state_len),
        ]
    })
}
