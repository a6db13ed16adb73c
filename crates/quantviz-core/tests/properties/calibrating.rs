//! What is read of scales, and what is said of them.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array1, Array2, arr1, arr2};
use quantviz_core::{
    Block, DType, Elements, Encoding, ErrorKind, Granularity, GroupIndex, MeasuredQuantization, MemorySource,
    Model, Operand, OuterScale, ParameterId, ParameterSource, Part, QuantDescriptor, RangeSummary, Result,
    Scan, Shape, Sink, SourceExt, check_range, read_derived,
};

fn id(index: usize) -> ParameterId {
    ParameterId::new(index).expect("small")
}

fn one(value: f64) -> Operand {
    Operand::One { value, parameter: None }
}

fn of_i8(granularity: Granularity, scale: Operand) -> QuantDescriptor {
    QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, granularity, scale, None)
        .expect("i8 holds codes")
}

fn measure(source: &(impl ParameterSource + Sync), index: usize) -> MeasuredQuantization {
    let scan = Scan::new().only([id(index)]);
    let measured = source.scan(&scan, &|_| ControlFlow::Continue(())).expect("nobody calls it off").remove(0);
    assert!(measured.error.is_none(), "{:?}", measured.error);
    *measured.quantization.expect("it has a descriptor")
}

/// Counts what is read of the first parameter.
struct Counting {
    inner: MemorySource,
    read: AtomicU64,
    most_at_once: AtomicU64,
}

impl ParameterSource for Counting {
    fn model(&self) -> &Model {
        self.inner.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match part {
            Part::Stored => self.inner.read(id, part, range, sink),
            Part::Scales => {
                self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
                self.most_at_once.fetch_max(range.end - range.start, Ordering::Relaxed);
                read_derived(self, id, part, range, sink)
            }
            _ => read_derived(self, id, part, range, sink),
        }
    }
}

fn counting(dims: [usize; 2], block: [u64; 2], scale: Operand) -> Counting {
    let groups: u64 = dims.iter().zip(block).map(|(&dim, size)| (dim as u64).div_ceil(size)).product();
    let inner = MemorySource::new()
        .with("scale", Array1::<f32>::ones(groups as usize))
        .with("codes", Array2::<i8>::ones(dims))
        .quantized(of_i8(Granularity::Block(block.to_vec()), scale))
        .expect("the blocks fit");
    Counting { inner, read: AtomicU64::new(0), most_at_once: AtomicU64::new(0) }
}

/// 16 million codes are a piece of work.
const PIECE: u64 = 16 << 20;

#[test]
fn a_piece_reads_the_scales_that_it_needs() {
    // Three pieces, of blocks that reach down; and of rows that are longer than a piece, two to a block.
    for (dims, block, looks) in [([8200, 4096], [64, 1], 1), ([2, 20 << 20], [2, 16], 2)] {
        let source = counting(dims, block, Operand::Parameter(id(0)));
        let measured = measure(&source, 1);
        assert_eq!(measured.dequantized.min(), Some(1.0));
        let scales = measured.scale.count();
        // Once to measure them, and to compute with them; blocks that reach over the end of a piece once more.
        let most = scales * (1 + looks) + scales / 2;
        assert!(source.read.load(Ordering::Relaxed) <= most, "{source:?} of {scales} for {dims:?}");
        assert!(source.most_at_once.load(Ordering::Relaxed) <= PIECE, "{source:?}");
    }
}

#[test]
fn a_single_scale_is_read_once_for_a_piece() {
    let source = counting([4096, 4096], [1, 1], one(0.5));
    let measured = measure(&source, 1);
    assert_eq!((measured.scale.count(), measured.scale.mean()), (PIECE, Some(0.5)));
    assert_eq!(measured.dequantized.max(), Some(0.5));
    assert!(source.read.load(Ordering::Relaxed) <= 2, "{source:?}");
}

impl std::fmt::Debug for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} scales read, at most {:?} at once", self.read, self.most_at_once)
    }
}

/// Where a row ends and the next begins, the first and the last of many scales are needed.
#[test]
fn a_few_elements_touch_few_of_many_scales() {
    const COLUMNS: usize = 200_000;
    let scales: Vec<f32> = (0..COLUMNS).map(|column| 1.0 + column as f32).collect();
    let inner = MemorySource::new().with("scale", Array1::from(scales.clone())).with(
        "numbers",
        Array2::from_shape_fn((2, COLUMNS), |(row, column)| scales[column] * (row as f32 + 1.0)),
    );
    let mut descriptor = of_i8(Granularity::Axis(1), Operand::Parameter(id(0)));
    descriptor.computed = Some(DType::I8);
    let inner = inner.quantized(descriptor).expect("the axis is there");
    let source = Counting { inner, read: AtomicU64::new(0), most_at_once: AtomicU64::new(0) };
    let mut codes = Vec::new();
    let mut sink = |block: Block<'_>| {
        block.elements.for_each(|code| codes.push(code));
        ControlFlow::Continue(())
    };
    let range = COLUMNS as u64 - 10..COLUMNS as u64 + 10;
    let flow = source.read(id(1), Part::Codes, range, &mut sink).expect("readable");
    assert!(flow.is_continue());
    assert_eq!(codes, [[1.0; 10], [2.0; 10]].concat());
    assert_eq!(source.read.load(Ordering::Relaxed), 20, "{source:?}");
}

#[test]
fn scales_of_two_levels_are_multiplied() {
    let mut descriptor = of_i8(Granularity::Block(vec![1, 2]), Operand::Parameter(id(0)));
    let outer = |granularity, scale| Some(OuterScale { granularity, scale });
    descriptor.outer_scale = outer(Granularity::Axis(0), Operand::Parameter(id(1)));
    let source = |descriptor| {
        MemorySource::new()
            .with("scale", arr2(&[[10.0f32, 42.0], [1.0, 3.0]]))
            .with("outer", arr1(&[0.5f32, 0.25]))
            .with("codes", arr2(&[[1i8, 1, 1, 1], [1, 1, 1, 1]]))
            .quantized(descriptor)
            .expect("they fit")
    };
    let measured = measure(&source(descriptor.clone()), 2);
    assert_eq!(measured.scale.max(), Some(42.0));
    assert_eq!(measured.outer_scale.and_then(|it| it.max()), Some(0.5));
    assert_eq!(measured.effective_scale, Some(RangeSummary::of(&[5.0f64, 21.0, 0.25, 0.75])));
    assert_eq!(measured.dequantized.max(), Some(21.0));
    // One for all.
    descriptor.outer_scale = outer(Granularity::Tensor, one(2.0));
    let measured = measure(&source(descriptor.clone()), 2);
    assert_eq!(measured.effective_scale.and_then(|it| it.max()), Some(84.0));
    // A group that lies in two outer ones has no scale of its own.
    descriptor.outer_scale = outer(Granularity::Axis(1), one(2.0));
    assert_eq!(measure(&source(descriptor.clone()), 2).effective_scale, None);
    descriptor.outer_scale = None;
    let measured = measure(&source(descriptor), 2);
    assert_eq!(measured.effective_scale, Some(measured.scale));
}

#[test]
fn what_is_added_is_measured() {
    let mut descriptor = of_i8(Granularity::Axis(0), one(0.5));
    descriptor.offset = Some(Operand::Parameter(id(0)));
    let source = MemorySource::new()
        .with("offset", arr1(&[10.0f32, -1.0]))
        .with("codes", arr2(&[[0i8, 2], [0, 2]]))
        .quantized(descriptor)
        .expect("they fit");
    let measured = measure(&source, 1);
    assert_eq!(measured.offset, Some(RangeSummary::of(&[10.0f64, -1.0])));
    assert_eq!((measured.dequantized.max(), measured.symmetric), (Some(11.0), false));
}

#[test]
fn descriptors_that_do_not_fit_are_refused() {
    let source =
        || MemorySource::new().with("index", arr1(&[0i32, 0, 0])).with("codes", arr2(&[[1i8, 2, 3]]));
    let refused = |change: fn(&mut QuantDescriptor)| {
        let mut descriptor = of_i8(Granularity::Axis(1), one(1.0));
        change(&mut descriptor);
        let error = source().quantized(descriptor).expect_err("it does not fit");
        assert_eq!((error.kind(), error.tensor()), (ErrorKind::Malformed, Some("codes")));
        error.message().to_owned()
    };
    assert!(refused(|it| it.scale = Operand::Parameter(id(99))).contains("parameter 99, but there are 2"));
    assert!(
        refused(|it| it.offset = Some(Operand::Product(vec![Operand::Parameter(id(2))])))
            .contains("parameter 2")
    );
    assert!(
        refused(|it| it.outer_scale = Some(OuterScale { granularity: Granularity::Axis(2), scale: one(1.0) }))
            .contains("do not fit its shape")
    );
    let by_index = |axis| GroupIndex::Listed { axis, parameter: id(0) };
    assert!(refused(|it| it.granularity = Granularity::Block(vec![1])).contains("do not fit its shape"));
    let mut descriptor = of_i8(Granularity::Axis(0), one(1.0));
    descriptor.group_index = Some(by_index(1));
    let error = source().quantized(descriptor.clone()).expect_err("the axis is not divided");
    assert!(error.message().contains("do not divide the axis"), "{error}");
    // A shape without rows has no slabs either.
    descriptor.granularity = Granularity::Axis(1);
    descriptor.group_index = Some(by_index(0));
    let empty = MemorySource::new().with("index", arr1(&[0i32])).with("codes", Array2::<i8>::zeros((0, 3)));
    let empty = empty.quantized(descriptor).expect("both axes are there");
    assert_eq!(empty.real_summary(id(1)).expect("nothing to read").count(), 0);
}

#[test]
fn groups_take_turns() {
    let codes = arr2(&[[1i8, 1], [1, 1], [1, 1], [1, 1], [1, 1]]);
    let mut descriptor = of_i8(Granularity::Block(vec![2, 1]), Operand::Parameter(id(0)));
    descriptor.group_index = Some(GroupIndex::InTurns { axis: 0 });
    let scales = arr1(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let source = MemorySource::new().with("scales", scales).with("codes", codes);
    let source = source.quantized(descriptor).expect("three groups down each column");
    let real = source.real_array(id(1)).expect("readable");
    assert_eq!(real.into_iter().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0]);
}

/// Two codes in every byte.
struct Nibbles {
    stored: MemorySource,
    unpacks: bool,
}

impl Nibbles {
    fn new(unpacks: bool) -> Self {
        let mut stored = MemorySource::new().with("codes", arr1(&[0x21u8, 0x43]));
        let descriptor = QuantDescriptor::of_packed(
            Encoding::Other,
            "a test",
            Shape::vector(4),
            4,
            Granularity::Tensor,
            one(0.5),
        );
        stored.model_mut().parameters[0].quantization = Some(descriptor);
        Nibbles { stored, unpacks }
    }
}

impl ParameterSource for Nibbles {
    fn model(&self) -> &Model {
        self.stored.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match part {
            Part::Stored => self.stored.read(id, part, range, sink),
            Part::Codes if self.unpacks => {
                check_range(&range, 4)?;
                let codes = &[1u8, 2, 3, 4][range.start as usize..range.end as usize];
                Ok(sink.block(Block { start: range.start, elements: Elements::U8(codes) }))
            }
            _ => read_derived(self, id, part, range, sink),
        }
    }
}

#[test]
fn packed_words_are_never_taken_for_codes() {
    let packed = Nibbles::new(false);
    let read = |part, range| packed.read(id(0), part, range, &mut |_: Block<'_>| ControlFlow::Continue(()));
    let error = read(Part::Codes, 0..2).expect_err("nobody unpacks them");
    assert_eq!((error.kind(), error.tensor()), (ErrorKind::Unsupported, Some("codes")));
    assert!(
        packed.summary(id(0)).is_err() && packed.histogram(id(0), 4).is_err() && packed.array(id(0)).is_err()
    );
    // Nothing follows for stored elements, or it would be asked for without end.
    let error =
        read_derived(&packed, id(0), Part::Stored, 0..2, &mut |_: Block<'_>| ControlFlow::Continue(()));
    assert_eq!(error.map_err(|error| error.kind()), Err(ErrorKind::Unsupported));
}

#[test]
fn a_single_look_and_a_scan_measure_the_same_part() {
    let source = Nibbles::new(true);
    let scanned =
        source.scan(&Scan::new().bins(3), &|_| ControlFlow::Continue(())).expect("readable").remove(0);
    assert_eq!(scanned.summary, Some(RangeSummary::of(&[1u8, 2, 3, 4])));
    assert_eq!(source.summary(id(0)).ok(), scanned.summary);
    assert_eq!(source.histogram(id(0), 3).expect("readable"), scanned.histogram);
    assert_eq!(source.array(id(0)).expect("readable"), arr1(&[1.0, 2.0, 3.0, 4.0]).into_dyn());
    assert_eq!(source.stored_array::<u8>(id(0)).expect("readable"), arr1(&[0x21u8, 0x43]).into_dyn());
}
