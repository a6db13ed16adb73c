//! The block types whose values are known: one row for each says how its bytes stand for real numbers.

use quantviz_core::{
    DType, Encoding, Granularity, Layout, Operand, OuterScale, Part, QuantDescriptor, Scheme, Shape,
};

use super::unpack::{
    add_bits, half, power_of_two, scales_and_minima, sixteen_scales, ternary_digits, unsigned_e4m3,
};

/// How the blocks of one type hold codes, and the numbers to compute with.
pub(super) struct BlockType {
    dtype: DType,
    /// Bits of one code.
    bits: u32,
    pub(super) meaning: Meaning,
    /// From a block to its codes, a byte each; they are zero before.
    pub(super) codes: fn(&[u8], &mut [u8]),
    /// Elements that share a scale.
    group: usize,
    scales: Numbers,
    /// What is added after scaling, for every scale.
    offsets: Option<Numbers>,
    /// What the scales of a block are multiplied with.
    outer_scale: Option<Numbers>,
}

/// From a block to some of the numbers in it.
pub(super) type Numbers = fn(&[u8], &mut [f64]);

/// What codes are.
pub(super) enum Meaning {
    /// Whole numbers from zero on.
    Unsigned,
    /// Whole numbers from zero on, where the one in the middle stands for zero.
    Centred,
    /// Whole numbers in two's complement, the smallest and the largest.
    Signed(f64, f64),
    /// Indices into a table.
    Index(&'static [f32]),
    /// Small floats: [`DType::F4E2M1`].
    Float,
}

/// The layouts are those of ggml (`ggml-common.h`). A scale for a part of a block is a small integer, and the block's
/// own is the outer scale of it.
const BLOCK_TYPES: &[BlockType] = &[
    BlockType {
        dtype: DType::Q4_0,
        bits: 4,
        meaning: Meaning::Centred,
        codes: |block, codes| add_bits::<4, 16>(&block[2..], 0, codes),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q4_1,
        bits: 4,
        codes: |block, codes| add_bits::<4, 16>(&block[4..], 0, codes),
        offsets: Some(|block, offsets| offsets[0] = half(block, 2)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q5_0,
        bits: 5,
        meaning: Meaning::Centred,
        codes: |block, codes| {
            add_bits::<4, 16>(&block[6..], 0, codes);
            add_bits::<1, 1>(&block[2..6], 4, codes);
        },
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q5_1,
        bits: 5,
        codes: |block, codes| {
            add_bits::<4, 16>(&block[8..], 0, codes);
            add_bits::<1, 1>(&block[4..8], 4, codes);
        },
        offsets: Some(|block, offsets| offsets[0] = half(block, 2)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q8_0,
        bits: 8,
        meaning: Meaning::Signed(-128.0, 127.0),
        // Of known length, the copy is no call.
        codes: |block, codes| {
            if let (Some(codes), Some(bytes)) = (codes.first_chunk_mut::<32>(), block.last_chunk()) {
                *codes = *bytes;
            }
        },
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q2K,
        bits: 2,
        codes: |block, codes| add_bits::<2, 32>(&block[16..80], 0, codes),
        group: 16,
        scales: |block, scales| {
            for (scale, pair) in scales.iter_mut().zip(block) {
                *scale = f64::from(pair & 0x0f);
            }
        },
        offsets: Some(|block, offsets| {
            for (offset, pair) in offsets.iter_mut().zip(block) {
                *offset = -(half(block, 82) * f64::from(pair >> 4));
            }
        }),
        outer_scale: Some(|block, scale| scale[0] = half(block, 80)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q3K,
        bits: 3,
        meaning: Meaning::Centred,
        codes: |block, codes| {
            add_bits::<2, 32>(&block[32..96], 0, codes);
            add_bits::<1, 32>(&block[..32], 2, codes);
        },
        group: 16,
        scales: |block, scales| {
            for (scale, integer) in scales.iter_mut().zip(sixteen_scales(&block[96..108])) {
                *scale = f64::from(integer) - 32.0;
            }
        },
        outer_scale: Some(|block, scale| scale[0] = half(block, 108)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Q4K,
        bits: 4,
        codes: |block, codes| add_bits::<4, 32>(&block[16..], 0, codes),
        ..EIGHT_SCALES_AND_MINIMA
    },
    BlockType {
        dtype: DType::Q5K,
        bits: 5,
        codes: |block, codes| {
            add_bits::<4, 32>(&block[48..], 0, codes);
            add_bits::<1, 32>(&block[16..48], 4, codes);
        },
        ..EIGHT_SCALES_AND_MINIMA
    },
    BlockType {
        dtype: DType::Q6K,
        bits: 6,
        meaning: Meaning::Centred,
        codes: |block, codes| {
            add_bits::<4, 64>(&block[..128], 0, codes);
            add_bits::<2, 32>(&block[128..192], 4, codes);
        },
        group: 16,
        scales: |block, scales| {
            for (scale, integer) in scales.iter_mut().zip(&block[192..208]) {
                *scale = f64::from(integer.cast_signed());
            }
        },
        outer_scale: Some(|block, scale| scale[0] = half(block, 208)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Iq4Nl,
        bits: 4,
        meaning: Meaning::Index(NON_LINEAR),
        codes: |block, codes| add_bits::<4, 16>(&block[2..], 0, codes),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Iq4Xs,
        bits: 4,
        meaning: Meaning::Index(NON_LINEAR),
        codes: |block, codes| add_bits::<4, 16>(&block[8..], 0, codes),
        scales: |block, scales| {
            let mut integers = [0; 8];
            add_bits::<4, 1>(&block[4..8], 0, &mut integers);
            add_bits::<2, 1>(&block[2..4], 4, &mut integers);
            for (scale, integer) in scales.iter_mut().zip(integers) {
                *scale = f64::from(integer) - 32.0;
            }
        },
        outer_scale: Some(|block, scale| scale[0] = half(block, 0)),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Tq1_0,
        bits: 2,
        meaning: Meaning::Signed(-1.0, 1.0),
        codes: |block, codes| {
            ternary_digits::<32>(&block[..32], &mut codes[..160]);
            ternary_digits::<16>(&block[32..48], &mut codes[160..240]);
            ternary_digits::<4>(&block[48..52], &mut codes[240..]);
        },
        group: 256,
        scales: |block, scales| scales[0] = half(block, 52),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Tq2_0,
        bits: 2,
        // No quantizer makes twos.
        meaning: Meaning::Signed(-1.0, 2.0),
        codes: |block, codes| {
            add_bits::<2, 32>(&block[..64], 0, codes);
            codes.iter_mut().for_each(|code| *code = code.wrapping_sub(1));
        },
        group: 256,
        scales: |block, scales| scales[0] = half(block, 64),
        ..ONE_SCALE
    },
    BlockType {
        dtype: DType::Mxfp4,
        bits: 4,
        meaning: Meaning::Float,
        codes: |block, codes| add_bits::<4, 16>(&block[1..], 0, codes),
        scales: |block, scales| scales[0] = power_of_two(block[0]),
        ..ONE_SCALE
    },
    // A tensor beside it may have its outer scale.
    BlockType {
        dtype: DType::Nvfp4,
        bits: 4,
        meaning: Meaning::Float,
        codes: |block, codes| add_bits::<4, 8>(&block[4..], 0, codes),
        group: 16,
        scales: |block, scales| {
            for (scale, code) in scales.iter_mut().zip(block) {
                *scale = unsigned_e4m3(*code);
            }
        },
        ..ONE_SCALE
    },
];

/// What rows differ from: a block of 32 that begins with its scale.
const ONE_SCALE: BlockType = BlockType {
    dtype: DType::Unknown,
    bits: 0,
    meaning: Meaning::Unsigned,
    codes: |_, _| {},
    group: 32,
    scales: |block, scales| scales[0] = half(block, 0),
    offsets: None,
    outer_scale: None,
};

/// A block of 256 that begins with an outer scale for the scales, one for the minima, and eight of both.
const EIGHT_SCALES_AND_MINIMA: BlockType = BlockType {
    scales: |block, scales| {
        let [integers, _] = scales_and_minima(&block[4..16]);
        scales.iter_mut().zip(integers).for_each(|(scale, integer)| *scale = integer.into());
    },
    offsets: Some(|block, offsets| {
        let [_, integers] = scales_and_minima(&block[4..16]);
        for (offset, integer) in offsets.iter_mut().zip(integers) {
            *offset = -(half(block, 2) * f64::from(integer));
        }
    }),
    outer_scale: Some(|block, scale| scale[0] = half(block, 0)),
    ..ONE_SCALE
};

/// What the codes of IQ4_NL and IQ4_XS stand for.
const NON_LINEAR: &[f32] = &[
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

impl BlockType {
    /// The type of these blocks, if their values are known.
    pub(super) fn of(dtype: DType) -> Option<&'static Self> {
        BLOCK_TYPES.iter().find(|block_type| block_type.dtype == dtype)
    }

    /// Elements in a block.
    pub(super) fn elements(&self) -> usize {
        self.size().0
    }

    /// Bytes of a block.
    pub(super) fn bytes(&self) -> usize {
        self.size().1
    }

    fn size(&self) -> (usize, usize) {
        match self.dtype.layout() {
            Layout::Block { elements, bytes } => (elements as usize, bytes as usize),
            _ => (1, 1),
        }
    }

    /// How many numbers of a part a block has, and what takes them out of it.
    pub(super) fn numbers(&self, part: Part) -> Option<(usize, Numbers)> {
        let groups = self.elements() / self.group;
        match part {
            Part::Scales => Some((groups, self.scales)),
            Part::Offsets => Some((groups, self.offsets?)),
            Part::OuterScales => Some((1, self.outer_scale?)),
            _ => None,
        }
    }

    /// How the codes of a tensor of this shape stand for real numbers.
    pub(super) fn descriptor(&self, shape: &Shape) -> QuantDescriptor {
        let (source, granularity) = (self.dtype.name(), along_rows(shape, self.group));
        let mut descriptor = QuantDescriptor::of_packed(
            Encoding::Gguf,
            source,
            shape.clone(),
            self.bits,
            granularity,
            Operand::Packed,
        );
        match self.meaning {
            Meaning::Unsigned => {}
            Meaning::Centred => {
                let value = descriptor.middle_code();
                descriptor.zero_point = Some(Operand::One { value, parameter: None });
            }
            Meaning::Signed(smallest, largest) => descriptor.code_range = (smallest, largest),
            Meaning::Index(table) => {
                descriptor.scheme = Scheme::Codebook;
                descriptor.table = Some(table.to_vec());
            }
            Meaning::Float => {
                descriptor.scheme = Scheme::Float;
                descriptor.code_range = DType::F4E2M1.range().unwrap_or(descriptor.code_range);
            }
        }
        descriptor.offset = self.offsets.map(|_| Operand::Packed);
        descriptor.outer_scale = self
            .outer_scale
            .map(|_| OuterScale { granularity: along_rows(shape, self.elements()), scale: Operand::Packed });
        descriptor
    }
}

/// Blocks of so many neighbours in a row.
fn along_rows(shape: &Shape, elements: usize) -> Granularity {
    let mut sizes = vec![1; shape.rank()];
    if let Some(last) = sizes.last_mut() {
        *last = elements as u64;
    }
    Granularity::Block(sizes)
}
