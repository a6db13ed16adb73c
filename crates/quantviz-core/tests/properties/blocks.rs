//! Codes in blocks along rows, as most files of few bits have them: with offsets, tables and scales of two levels.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{
    Encoding, Granularity, MemorySource, Operand, OuterScale, ParameterSource, Part, QuantDescriptor,
    RangeSummary, Scan, Scheme, SourceExt,
};
use quantviz_testkit::check_sync_source;

use crate::reference::{check_alike, check_summary};

#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    /// Blocks in a row, and blocks that share an outer scale.
    blocks: usize,
    shared: usize,
    block: usize,
    /// Codes below this one occur.
    codes: u8,
    seed: u32,
    scales: Vec<f32>,
    outer: Option<Vec<f32>>,
    zero_points: Option<Vec<u8>>,
    offsets: Option<Vec<f32>>,
    table: Option<Vec<f32>>,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (1..5usize, 1..4usize, 1..3usize, select(vec![1, 3, 16, 32, 40, 64, 600]));
    (shape, select(vec![2u8, 16, 255]), any::<u32>()).prop_flat_map(
        |((rows, outer_blocks, shared, block), codes, seed)| {
            let blocks = outer_blocks * shared;
            let scale =
                prop_oneof![20 => -0.5..2.0f32, 1 => select(vec![0.0, f32::NAN, f32::INFINITY, 1e-42])];
            let offset = prop_oneof![4 => -8.0..8.0f32, 1 => Just(0.0f32), 1 => Just(1e6f32)];
            let entry = prop_oneof![12 => -1.0..1.0f32, 1 => Just(0.0f32), 1 => Just(f32::NAN)];
            let count = rows * blocks;
            let table = vec(entry, usize::from(codes)..=usize::from(codes)).prop_map(Some);
            (
                vec(scale.clone(), count),
                prop_oneof![Just(None), vec(scale, rows * outer_blocks).prop_map(Some)],
                prop_oneof![Just(None), vec(0..codes, count).prop_map(Some)],
                prop_oneof![Just(None), vec(offset, count).prop_map(Some)],
                prop_oneof![2 => Just(None), 1 => table],
            )
                .prop_map(move |(scales, outer, zero_points, offsets, table)| Case {
                    rows,
                    blocks,
                    shared,
                    block,
                    codes,
                    seed,
                    scales,
                    outer,
                    zero_points,
                    offsets,
                    table,
                })
        },
    )
}

impl Case {
    fn codes(&self) -> Array2<u8> {
        let code = |row: usize, column: usize| {
            let index = (row * self.blocks * self.block + column) as u32 ^ self.seed;
            (index.wrapping_mul(2_654_435_761) >> 16) as u8 % self.codes
        };
        Array2::from_shape_fn((self.rows, self.blocks * self.block), |(row, column)| code(row, column))
    }

    fn source(&self) -> MemorySource {
        let mut source = MemorySource::new();
        let mut add = |name: &str, values: Option<&Vec<f32>>| {
            let values = values?;
            source = std::mem::take(&mut source).with(name, Array1::from(values.clone()));
            source.model().parameter_named(name).map(Operand::Parameter)
        };
        let scale = add("scale", Some(&self.scales)).expect("was added");
        let outer = add("outer", self.outer.as_ref());
        let offset = add("offset", self.offsets.as_ref());
        let zero_points =
            self.zero_points.as_ref().map(|codes| codes.iter().copied().map(f32::from).collect());
        let zero_point = add("zero_point", zero_points.as_ref());
        let blocks = |len: usize| Granularity::Block(vec![1, len as u64]);
        let source = source.with("codes", self.codes());
        let mut descriptor = QuantDescriptor::of_stored(
            Encoding::Other,
            "a test",
            quantviz_core::DType::U8,
            blocks(self.block),
            scale,
            zero_point,
        )
        .expect("u8 holds codes");
        descriptor.code_range = (0.0, f64::from(self.codes - 1));
        descriptor.offset = offset;
        descriptor.outer_scale =
            outer.map(|scale| OuterScale { granularity: blocks(self.block * self.shared), scale });
        if let Some(table) = &self.table {
            descriptor.scheme = Scheme::Codebook;
            descriptor.table = Some(table.clone());
        }
        source.quantized(descriptor).expect("the blocks fit")
    }

    /// The numbers of the groups, one after the other, from the definition.
    fn effective_scales(&self) -> Vec<f64> {
        let outer = |group: usize| self.outer.as_ref().map_or(1.0, |outer| outer[group / self.shared].into());
        self.scales.iter().enumerate().map(|(group, &scale)| f64::from(scale) * outer(group)).collect()
    }

    fn real_values(&self) -> Vec<f64> {
        let scales = self.effective_scales();
        let value = |(index, &code): (usize, &u8)| {
            let group = index / self.block;
            let value = self.table.as_ref().map_or(f64::from(code), |table| table[usize::from(code)].into());
            let zero_point = self.zero_points.as_ref().map_or(0.0, |it| it[group].into());
            let offset = self.offsets.as_ref().map_or(-0.0, |it| it[group].into());
            scales[group] * (value - zero_point) + offset
        };
        self.codes().iter().enumerate().map(value).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn blocks_become_their_real_values(case in cases()) {
        let source = case.source();
        let id = source.model().parameter_named("codes").expect("was added");
        let expected = case.real_values();
        prop_assert_eq!(check_summary(&source.real_summary(id)?, &expected), Ok(()));
    }

    /// What a scan finds out in one look is what looking at one part after the other finds out.
    #[test]
    fn a_scan_finds_scales_on_its_way(case in cases()) {
        let source = case.source();
        let id = source.model().parameter_named("codes").expect("was added");
        let measured = source.scan(&Scan::new().only([id]).bins(7), &|_| ControlFlow::Continue(()))?;
        let quantization = measured[0].quantization.as_ref().expect("it has a descriptor");
        prop_assert_eq!(check_summary(&quantization.dequantized, &case.real_values()), Ok(()));
        let parts = [
            (Part::Scales, Some(quantization.scale)),
            (Part::OuterScales, quantization.outer_scale),
            (Part::ZeroPoints, quantization.zero_point),
            (Part::Offsets, quantization.offset),
        ];
        for (part, found) in parts {
            let values = source.values(id, part)?;
            prop_assert_eq!(found.is_none(), values.is_empty(), "{:?}", part);
            let found = found.unwrap_or_default();
            prop_assert_eq!(check_alike(&found, &RangeSummary::of(&values), &values), Ok(()), "{:?}", part);
        }
        let effective = quantization.effective_scale.expect("blocks lie within blocks");
        prop_assert_eq!(check_summary(&effective, &case.effective_scales()), Ok(()));
        let middle = case.codes / 2;
        let zero_points = case.zero_points.as_ref().map_or(vec![0], Clone::clone);
        let all_in_the_middle = case.offsets.is_none() && zero_points.iter().all(|&it| it == middle);
        prop_assert_eq!(quantization.symmetric, all_in_the_middle);
        prop_assert_eq!(measured[0].summary, Some(source.summary(id)?));
        prop_assert_eq!(&measured[0].histogram, &source.histogram(id, 7)?);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sources_of_blocks_conform(case in cases()) {
        check_sync_source(&case.source());
    }
}
