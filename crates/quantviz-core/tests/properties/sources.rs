//! Sources conform, ours and others, and a scan finds what looking at one parameter after the other finds.

use std::ops::{ControlFlow, Range};

use ndarray::{Array1, arr1};
use proptest::collection::vec;
use proptest::prelude::*;
use quantviz_core::{
    Block, DType, Elements, Encoding, Error, Format, Granularity, MemorySource, Model, Operand, Parameter,
    ParameterId, ParameterSource, Part, QuantDescriptor, RangeSummary, Result, Role, Scan, Shape, Sink,
    SourceExt, check_range, read_derived,
};
use quantviz_testkit::strategies::{Tensor, tensors};
use quantviz_testkit::{check_source, check_sync_source};

use crate::reference::{check_alike, check_summary};

fn memory(tensors: &[Tensor]) -> MemorySource {
    tensors.iter().enumerate().fold(MemorySource::new(), |source, (index, Tensor { dtype, shape, bytes })| {
        let name = format!("layer.{}.weight{index}", index / 2);
        source
            .with_bytes(name, *dtype, shape.clone(), bytes)
            .expect("as many bytes as the type and shape take")
    })
}

fn all(source: &(impl ParameterSource + Sync), scan: &Scan) -> Vec<quantviz_core::Measured> {
    source.scan(scan, &|_| ControlFlow::Continue(())).expect("nobody calls it off")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tensors_in_memory_conform(tensors in vec(tensors(), 0..5)) {
        check_sync_source(&memory(&tensors));
    }

    #[test]
    fn a_scan_finds_what_single_looks_find(tensors in vec(tensors(), 0..6), bins in 1..20usize) {
        let source = memory(&tensors);
        let measured = all(&source, &Scan::new().bins(bins));
        prop_assert_eq!(measured.len(), tensors.len());
        for (id, measured) in source.model().parameter_ids().zip(measured) {
            prop_assert_eq!(measured.parameter, id);
            prop_assert!(measured.quantization.is_none());
            let numeric = source.model().parameter(id).dtype.is_numeric();
            prop_assert_eq!(measured.error.is_none(), numeric);
            prop_assert_eq!(measured.summary, source.summary(id).ok().filter(|_| numeric));
            prop_assert_eq!(measured.histogram, source.histogram(id, bins).ok().flatten());
        }
        let without = all(&source, &Scan::new());
        prop_assert!(without.iter().all(|measured| measured.histogram.is_none()));
    }

    #[test]
    fn another_ones_own_type_conforms(values in vec(any::<f32>(), 0..300), stride in 1..4usize) {
        let theirs = Strided::new(&values, stride);
        check_source(&theirs);
        check_sync_source(&theirs);
        let ours = MemorySource::new().with("w", Array1::from(values.clone()));
        let id = ParameterId::new(0).expect("small");
        prop_assert_eq!(theirs.histogram(id, 12)?, ours.histogram(id, 12)?);
        let widened: Vec<f64> = values.iter().copied().map(f64::from).collect();
        prop_assert_eq!(check_alike(&theirs.summary(id)?, &ours.summary(id)?, &widened), Ok(()));
        let scanned = all(&theirs, &Scan::new().bins(12));
        prop_assert_eq!(&scanned[0].histogram, &ours.histogram(id, 12)?);
        prop_assert_eq!(scanned[0].summary, Some(theirs.summary(id)?));
    }
}

/// Every so many values of a larger vector, pushed one to seven at a time.
struct Strided {
    model: Model,
    values: Vec<f32>,
    stride: usize,
}

impl Strided {
    fn new(values: &[f32], stride: usize) -> Self {
        let mut model = Model::new(Format::Memory);
        model.parameters.push(Parameter::new(
            "w",
            DType::F32,
            Shape::vector(values.len() as u64),
            Role::Weight,
        ));
        model.add_module_layers();
        let spread = values.iter().flat_map(|&value| std::iter::once(value).chain(vec![7.5; stride - 1]));
        Strided { model, values: spread.collect(), stride }
    }
}

impl ParameterSource for Strided {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        check_range(&range, self.model.parameter(id).shape.elements())?;
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + 1 + start * 5 % 7);
            let block: Vec<f32> =
                (start..end).map(|index| self.values[index as usize * self.stride]).collect();
            if sink.block(Block { start, elements: Elements::F32(&block) }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// A tensor of several pieces, and codes with scales: what the scan says of the pieces is what holds for the whole.
#[test]
fn a_scan_of_pieces_finds_what_single_looks_find() {
    let long: Vec<f32> =
        (0..5_000_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
    let codes: Vec<i8> = (0..200_000u32)
        .map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[3].cast_signed())
        .collect();
    let scale = ParameterId::new(1).expect("small");
    let per_block = QuantDescriptor::of_stored(
        Encoding::Other,
        "a test",
        DType::I8,
        Granularity::Block(vec![50_000]),
        Operand::Parameter(scale),
        Some(Operand::One { value: 0.0, parameter: None }),
    );
    let source = MemorySource::new()
        .with("long", Array1::from(long.clone()))
        .with("scale", arr1(&[0.5f32, 0.25, 0.125, 1.0]))
        .with("codes", Array1::from(codes))
        .quantized(per_block.expect("i8 holds codes"))
        .expect("four blocks");
    let [alone, together] = [1, 3].map(|threads| all(&source, &Scan::new().bins(100).threads(threads)));
    assert_eq!(format!("{alone:?}"), format!("{together:?}"));

    // The histogram of the long one needs a second look; one look at the codes is enough, also for their real numbers.
    let reports = std::sync::Mutex::new(Vec::new());
    let progress = |progress: quantviz_core::Progress| {
        reports.lock().expect("no report panics").push(progress);
        ControlFlow::Continue(())
    };
    source.scan(&Scan::new().bins(100).threads(1), &progress).expect("nobody calls it off");
    let reports = reports.into_inner().expect("no report panics");
    let first_look = 5_000_000 + 4 + 200_000;
    assert!(reports.iter().all(|it| it.total == first_look + 5_000_000), "{reports:?}");
    assert!(reports.iter().any(|it| it.done > first_look && it.done < it.total), "{reports:?}");

    let id = alone[0].parameter;
    let widened: Vec<f64> = long.iter().copied().map(f64::from).collect();
    let (pieces, whole) = (alone[0].summary.expect("readable"), source.summary(id).expect("readable"));
    assert_eq!(check_alike(&pieces, &whole, &widened), Ok(()));
    assert_eq!(alone[0].histogram, source.histogram(id, 100).expect("readable"));

    let quantization = alone[2].quantization.as_ref().expect("it has a descriptor");
    assert_eq!(quantization.dequantized, source.real_summary(alone[2].parameter).expect("readable"));
    assert_eq!(quantization.scale, RangeSummary::of(&[0.5f32, 0.25, 0.125, 1.0]));
    assert_eq!(quantization.zero_point.map(|it| (it.count(), it.max())), Some((4, Some(0.0))));
    assert!(quantization.symmetric);
}

/// Numbers of sixteen bits of large tensors are counted, in pieces too: that they are shows in nothing but the time.
#[test]
fn counted_halves_are_those_of_single_looks() {
    for (dtype, elements) in [
        (DType::F16, 300_000u64),
        (DType::Bf16, 262_144),
        (DType::I16, 400_001),
        (DType::U16, 262_144),
        (DType::Bf16, (8 << 20) + 5),
    ] {
        // Every number there is, not a number and infinity among them, but no more of the large than of the small.
        let half = |index: u64| ((index.wrapping_mul(40_503) >> 3) as u16).to_le_bytes();
        let bytes: Vec<u8> = (0..elements).flat_map(half).collect();
        let source = MemorySource::new()
            .with_bytes("halves", dtype, Shape::vector(elements), &bytes)
            .expect("two bytes each");
        let measured = all(&source, &Scan::new().bins(33).threads(2));
        let id = measured[0].parameter;
        let values = source.values(id, Part::Stored).expect("readable");
        let (found, expected) = (measured[0].summary.expect("numbers"), source.summary(id).expect("numbers"));
        assert_eq!(check_alike(&found, &expected, &values), Ok(()), "{dtype}");
        assert_eq!(check_summary(&found, &values), Ok(()), "{dtype}");
        assert_eq!(measured[0].histogram, source.histogram(id, 33).expect("numbers"), "{dtype}");
    }
}

/// Pieces begin in the middle of a group, and in the middle of rows whose groups come round again.
#[test]
fn pieces_find_their_scales() {
    const ROW: u64 = 20 << 20;
    let scales = [0.5f32, 0.25, 0.125, 1.0, 2.0];
    let by_rows_or_slabs = [(vec![1, ROW], &scales[..2]), (vec![2, ROW.div_ceil(5)], &scales[..])];
    for (sizes, scales) in by_rows_or_slabs {
        let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
        let granularity = Granularity::Block(sizes);
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, granularity, scale, None);
        let codes = [0u8, 1, 3, 250, 128, 0, 127].repeat((2 * ROW).div_ceil(7) as usize);
        let shape = Shape::new([2, ROW]).expect("small");
        let source = MemorySource::new()
            .with("scale", arr1(scales))
            .with_bytes("codes", DType::I8, shape.clone(), &codes[..shape.elements() as usize])
            .and_then(|source| source.quantized(descriptor.expect("i8 holds codes")))
            .expect("the blocks fit");
        let measured = &all(&source, &Scan::new())[1];
        let (pieces, whole) = (measured.quantization.as_ref(), source.real_summary(measured.parameter));
        let (pieces, whole) = (pieces.expect("it has a descriptor").dequantized, whole.expect("readable"));
        // What the error of merging is measured against, by two values that are as large as all.
        let magnitude = [whole.abs_max().unwrap_or(0.0); 2];
        assert_eq!(check_alike(&pieces, &whole, &magnitude), Ok(()));
    }
}

/// Whoever is quicker, what is found out about a parameter is told of that parameter.
#[test]
fn a_scan_keeps_its_order() {
    struct Dawdling(MemorySource);

    impl ParameterSource for Dawdling {
        fn model(&self) -> &Model {
            self.0.model()
        }

        fn read(
            &self,
            id: ParameterId,
            part: Part,
            range: Range<u64>,
            sink: &mut dyn Sink,
        ) -> Result<ControlFlow<()>> {
            std::thread::sleep(std::time::Duration::from_millis(id.index() as u64 * 7 % 5));
            self.0.read(id, part, range, sink)
        }
    }

    let add = |source: MemorySource, index: u16| source.with(format!("w{index}"), arr1(&[index]));
    let source = Dawdling((0..20).fold(MemorySource::new(), add));
    let measured = all(&source, &Scan::new().threads(4));
    let found: Vec<_> = measured.iter().filter_map(|it| it.summary?.max()).collect();
    assert_eq!(found, (0..20).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_scan_that_is_called_off() {
    let source = MemorySource::new().with("a", arr1(&[1.0f32])).with("b", arr1(&[2.0f32]));
    let error = source.scan(&Scan::new().threads(1), &|_| ControlFlow::Break(()));
    assert_eq!(error.map(|_| ()).map_err(|error| error.kind()), Err(quantviz_core::ErrorKind::Cancelled));
}

#[test]
fn views_can_be_added() {
    let array = ndarray::arr2(&[[1i16, 2, 3], [4, 5, 6]]);
    let source = MemorySource::new().with("transposed", array.t()).with("column", array.column(1));
    let [transposed, column] = [0, 1].map(|index| ParameterId::new(index).expect("small"));
    assert_eq!(source.stored_array::<i16>(transposed).expect("readable"), array.t().into_dyn());
    assert_eq!(source.stored_array::<i16>(column).expect("readable"), arr1(&[2i16, 5]).into_dyn());
    check_sync_source(&source);
}

#[test]
fn many_tensors_are_added_quickly() {
    let started = std::time::Instant::now();
    let add =
        |source: MemorySource, index: u32| source.with(format!("experts.{index}.weight"), arr1(&[index]));
    let mut source = (0..20_000).fold(MemorySource::new(), add);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert_eq!(source.model().layers.len(), 20_000);
    // Layers that somebody else adds are known too.
    source.model_mut().layers.push(quantviz_core::Layer::new(
        "own",
        None,
        quantviz_core::LayerKind::Parameter,
    ));
    let source = source.with("own.weight", arr1(&[1u8]));
    assert_eq!(source.model().layers.last().map(|it| it.parameters.len()), Some(1));
}

/// A source whose shapes promise what it does not have.
struct Boaster(Model);

impl ParameterSource for Boaster {
    fn model(&self) -> &Model {
        &self.0
    }

    fn read(&self, _: ParameterId, _: Part, _: Range<u64>, _: &mut dyn Sink) -> Result<ControlFlow<()>> {
        Err(Error::not_found("the file is missing"))
    }
}

#[test]
fn a_shape_without_values_costs_nothing() {
    let mut model = Model::new(Format::Memory);
    let shape = Shape::new([1 << 50]).expect("can be counted");
    for index in 0..100 {
        model.parameters.push(Parameter::new(index.to_string(), DType::I8, shape.clone(), Role::Weight));
    }
    model.add_module_layers();
    let measured = Boaster(model).scan(&Scan::new(), &|_| ControlFlow::Continue(())).expect("not cancelled");
    assert!(measured.iter().all(|it| it.summary.is_none() && it.error.is_some()));
}
