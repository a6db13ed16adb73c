//! The conformance suite accepts what is right, and names what is wrong.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array1, arr1, arr2};
use quantviz_core::{
    Activation, Block, DType, Elements, Encoding, Error, Granularity, GroupIndex, LayerId, MemorySource,
    Model, Operand, OuterScale, ParameterId, ParameterSource, Part, QuantDescriptor, Result, Scheme, Shape,
    Sink, SourceExt, Warning, WarningKind, check_range, read_derived,
};
use quantviz_testkit::{check_source, check_sync_source};

fn descriptor(granularity: Granularity, scale: Operand, zero_point: Option<Operand>) -> QuantDescriptor {
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, granularity, scale, zero_point);
    descriptor.expect("i8 holds codes")
}

fn id(index: usize) -> ParameterId {
    ParameterId::new(index).expect("small")
}

/// No two values are the same, or a wrong order would not show.
fn counting() -> Array1<f64> {
    (0..40).map(|index| f64::from(index).sqrt()).collect()
}

/// Odd floats, packed codes, codes with scales, pairs that are no numbers, an empty tensor, a shared one.
fn sound() -> MemorySource {
    let one = |value| Operand::One { value, parameter: None };
    let mut source = MemorySource::new()
        .with("fc.weight", arr2(&[[0.5f32, f32::NAN, -0.0], [f32::INFINITY, 1e-40, -3.0]]))
        .with("fc.bias", counting())
        .with("fc.scale", arr1(&[0.5f32, 0.25]))
        .with("fc.codes", arr2(&[[-128i8, 0, 127], [1, 2, 3]]))
        .quantized(descriptor(Granularity::Axis(0), Operand::Parameter(id(2)), Some(one(3.0))))
        .expect("two rows, two scales")
        .with("symmetric", arr1(&[1i8, -1]))
        .quantized(descriptor(Granularity::Tensor, Operand::Product(vec![one(2.0), one(0.5)]), None))
        .expect("one scale fits every shape")
        .with_bytes("nibbles", DType::I4, Shape::vector(5), &[0x21, 0x43, 0xf5])
        .expect("five nibbles are three bytes")
        .with_bytes("pairs", DType::C64, Shape::vector(1), &[0; 8])
        .expect("one pair")
        .with("empty", arr2(&[[0u16; 0]; 3]))
        .with("tied", counting());
    source.model_mut().parameters[8].shares = Some(id(1));
    source
}

#[test]
fn a_sound_source_passes() {
    check_sync_source(&sound());
    check_sync_source(&MemorySource::new());
    let boxed: Box<dyn ParameterSource + Send + Sync> = Box::new(sound());
    check_sync_source(&boxed);
    check_sync_source(&*boxed);
}

#[test]
fn what_a_warning_names_need_not_be_readable() {
    let unreadable = |warnings: &[WarningKind]| {
        let mut source = Faulty { inner: sound(), fault: Fault::Unreadable };
        let about = |&kind| Warning::about("fc.bias", kind, "its file is missing");
        source.inner.model_mut().warnings.extend(warnings.iter().map(about));
        source
    };
    let mut excused = unreadable(&[WarningKind::Missing]);
    excused.inner.model_mut().parameters[8].shares = None;
    check_sync_source(&excused);
    assert_rejected(&unreadable(&[]), "parameter \"fc.bias\", Stored: unreadable, and no warning says so");
    assert_rejected(&unreadable(&[WarningKind::Odd]), "no warning says so");
}

/// Sound but for one fault, most often in the parameter `fc.bias`.
struct Faulty {
    inner: MemorySource,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    TooMany,
    TooFew,
    Gap,
    Backwards,
    SwappedBlocks,
    WrongType,
    WrongSlice,
    IgnoresBreak,
    ForgetsBreak,
    BreaksAlways,
    AcceptsBeyond,
    OtherErrorBeyond,
    DeliversBeyond,
    DeliversEmpty,
    WrongGather,
    GathersBeyond,
    IgnoresPart,
    Unreadable,
}

impl ParameterSource for Faulty {
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
        let part = if self.fault == Fault::IgnoresPart { Part::Stored } else { part };
        match part {
            Part::Stored if self.model().parameter(id).name == "fc.bias" => self.read_faulty(range, sink),
            Part::Stored => self.inner.read(id, part, range, sink),
            _ => read_derived(self, id, part, range, sink),
        }
    }

    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        if self.fault == Fault::GathersBeyond && at == [40] {
            return Ok(());
        }
        self.inner.gather(id, part, at, out)?;
        if self.fault == Fault::WrongGather {
            out.iter_mut().for_each(|value| *value += 1.0);
        }
        Ok(())
    }
}

impl Faulty {
    /// [`counting`] in blocks of seven.
    fn read_faulty(&self, range: Range<u64>, sink: &mut dyn Sink) -> Result<ControlFlow<()>> {
        let values = counting().to_vec();
        let len = values.len() as u64;
        match (self.fault, check_range(&range, len)) {
            (Fault::Unreadable, _) => return Err(Error::not_found("no such file")),
            (Fault::AcceptsBeyond, Err(_)) => return Ok(ControlFlow::Continue(())),
            (Fault::OtherErrorBeyond, Err(_)) => return Err(Error::limit("too far")),
            (Fault::DeliversBeyond, Err(error)) => {
                let _ = sink.block(Block { start: range.start, elements: Elements::F64(&values[..1]) });
                return Err(error);
            }
            (_, checked) => checked?,
        }
        let start = range.start as usize;
        let chunks = values[start..range.end as usize].chunks(7).enumerate();
        let mut blocks: Vec<(usize, Vec<f64>)> =
            chunks.map(|(index, chunk)| (start + index * 7, chunk.to_vec())).collect();
        let whole = range == (0..len);
        match self.fault {
            Fault::TooMany if whole => blocks.push((values.len(), vec![0.0])),
            Fault::TooFew if whole => drop(blocks.pop()),
            Fault::Gap if whole => drop(blocks.remove(1)),
            Fault::Backwards => blocks.reverse(),
            Fault::SwappedBlocks if blocks.len() > 3 && !whole => {
                blocks.swap(0, 1);
                (blocks[0].0, blocks[1].0) = (blocks[1].0, blocks[0].0);
            }
            Fault::WrongSlice if !whole && !range.is_empty() => blocks[0].1[0] += 1.0,
            Fault::DeliversEmpty if range.is_empty() => blocks.push((start, vec![1.0])),
            _ => {}
        }
        for (start, block) in &blocks {
            let narrow: Vec<f32> = block.iter().map(|&value| value as f32).collect();
            let wrong_type = self.fault == Fault::WrongType;
            let elements = if wrong_type { Elements::F32(&narrow) } else { Elements::F64(block) };
            let flow = sink.block(Block { start: *start as u64, elements });
            match self.fault {
                Fault::ForgetsBreak if flow.is_break() => return Ok(ControlFlow::Continue(())),
                Fault::IgnoresBreak => {}
                _ if flow.is_break() => return Ok(flow),
                _ => {}
            }
        }
        let breaks = self.fault == Fault::BreaksAlways;
        Ok(if breaks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// The suite panics, and says this.
#[track_caller]
fn assert_rejected(source: &dyn ParameterSource, expected: &str) {
    let panic = catch_unwind(AssertUnwindSafe(|| check_source(source)));
    let panic = panic.expect_err("a broken source passed");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains(expected), "{message:?} does not say {expected:?}");
}

#[test]
fn faults_of_reading_are_named() {
    let cases = [
        (Fault::TooMany, "0..40: 1 elements came where 0 were left"),
        (Fault::TooFew, "\"fc.bias\", Stored: 35 of 40 elements were delivered"),
        (Fault::Gap, "0..40: a block starts at 14, not at 7"),
        (Fault::Backwards, "0..40: a block starts at 35, not at 0"),
        (Fault::SwappedBlocks, "is not that slice of the whole: its element 0 is"),
        (Fault::WrongType, "elements came as f32, but they are stored as f64"),
        (Fault::WrongSlice, "0..1 is not that slice of the whole: its element 0 is 1, not 0"),
        (Fault::IgnoresBreak, "a block came after the sink broke"),
        (Fault::ForgetsBreak, "the sink broke, and the reading is not Ok(Break)"),
        (Fault::BreaksAlways, "Break, though the sink never broke"),
        (Fault::AcceptsBeyond, "0..41 is not Malformed (there are 40) but Ok(Continue(()))"),
        (Fault::OtherErrorBeyond, "0..41 is not Malformed (there are 40) but Err("),
        (Fault::DeliversBeyond, "0..41 delivered something (there are 40)"),
        (Fault::DeliversEmpty, "0..0: 1 elements came where 0 were left"),
        (Fault::WrongGather, "is gathered as"),
        (Fault::GathersBeyond, "gathering element 40 of 40 is not Malformed but Ok(())"),
        (Fault::IgnoresPart, "\"fc.weight\", Scales: read, though the parameter is not quantized"),
        (Fault::Unreadable, "\"fc.bias\", Stored: unreadable, and no warning says so"),
    ];
    for (fault, expected) in cases {
        assert_rejected(&Faulty { inner: sound(), fault }, expected);
    }
    check_sync_source(&Faulty { inner: sound(), fault: Fault::None });
}

#[test]
fn faults_of_a_model_are_named() {
    type Damage = fn(&mut Model);
    let cases: &[(Damage, &str)] = &[
        (|it| it.parameters[0].layer = None, "\"fc.weight\": it belongs to no layer"),
        (|it| it.parameters[0].layer = LayerId::new(99), "\"fc.weight\": its layer 99 is not among"),
        (
            |it| it.parameters[0].layer = LayerId::new(1),
            "\"fc.weight\": its layer \"symmetric\" does not list it",
        ),
        (|it| it.layers[0].parameters.push(id(0)), "\"fc.weight\": it is listed twice"),
        (|it| it.layers[1].parameters.insert(0, id(0)), "listed twice, at last by layer \"symmetric\""),
        (
            |it| it.layers[1].parameters.push(id(99)),
            "layer \"symmetric\": it lists parameter 99, but there are 9",
        ),
        (
            |it| it.layers[1].parameters.push(id(8)),
            "layer \"symmetric\" lists it, but its own is Some(\"tied\")",
        ),
        (
            |it| it.parameters[1].shares = Some(id(8)),
            "\"fc.bias\": it shares the storage of a parameter that is not",
        ),
        (
            |it| it.parameters[1].shares = Some(id(1)),
            "\"fc.bias\": it shares the storage of a parameter that is not",
        ),
        (
            |it| it.parameters[8].shares = Some(id(0)),
            "\"tied\": it is f64 40, but shares the storage of \"fc.weight\"",
        ),
        (
            |it| granularity(it, Granularity::Axis(2)),
            "\"fc.codes\": groups by Axis(2) do not fit its shape 2×3",
        ),
        (|it| granularity(it, Granularity::Block(vec![0, 1])), "groups by Block([0, 1]) do not fit"),
        (|it| scale(it, Operand::Parameter(id(99))), "\"fc.codes\": its scale or zero-point is parameter 99"),
        (
            |it| scale(it, Operand::Product(vec![Operand::One { value: 1.0, parameter: Some(id(99)) }])),
            "\"fc.codes\": its scale or zero-point is parameter 99",
        ),
        (|it| scale(it, Operand::Parameter(id(1))), "\"fc.codes\": \"fc.bias\" has 40 numbers for 2 groups"),
        (
            |it| quantization(it).offset = Some(Operand::Parameter(id(99))),
            "scale or zero-point is parameter 99",
        ),
        (
            |it| {
                let scale = Operand::Parameter(id(99));
                quantization(it).outer_scale = Some(OuterScale { granularity: Granularity::Tensor, scale });
            },
            "scale or zero-point is parameter 99",
        ),
        (
            |it| {
                let scale = Operand::One { value: 1.0, parameter: None };
                quantization(it).outer_scale = Some(OuterScale { granularity: Granularity::Axis(2), scale });
            },
            "\"fc.codes\": groups by Axis(2) do not fit its shape 2×3",
        ),
        (
            |it| quantization(it).group_index = Some(GroupIndex::Listed { axis: 7, parameter: id(2) }),
            "\"fc.codes\": its group index is for axis 7, but there are 2",
        ),
        (
            |it| quantization(it).group_index = Some(GroupIndex::Listed { axis: 0, parameter: id(99) }),
            "\"fc.codes\": its group index is parameter 99",
        ),
        (
            |it| quantization(it).group_index = Some(GroupIndex::Listed { axis: 1, parameter: id(2) }),
            "\"fc.codes\": its group index has 2 entries for 3 along axis 1",
        ),
        (
            // There is no group -1.
            |it| quantization(it).group_index = Some(GroupIndex::Listed { axis: 0, parameter: id(4) }),
            "\"fc.codes\": its real values cannot be read: fc.codes: its scales do not fit its shape",
        ),
        (
            |it| quantization(it).table = Some(vec![0.0, 1.0]),
            "its table has 2 entries for codes from -128 to 127",
        ),
        (|it| quantization(it).scheme = Scheme::Codebook, "\"fc.codes\": a codebook without a table"),
        (|it| quantization(it).packed_in.push(id(99)), "\"fc.codes\": it is packed in parameter 99"),
        (|it| quantization(it).code_range = (1.0, -1.0), "its codes range from 1 to -1"),
        (
            |it| quantization(it).code_range = (-8.0, 7.0),
            "\"fc.codes\", Codes: code -128 is not between -8 and 7",
        ),
        (
            |it| quantization(it).logical = Some(Shape::scalar()),
            "groups by Axis(0) do not fit its shape scalar",
        ),
        (
            |it| quantization(it).logical = Shape::new([2, 4]).ok(),
            "\"fc.codes\", Codes: unreadable, and no warning",
        ),
        (|it| it.layers[0].activations.push(activation()), "activation \"y\" of layer \"fc\": its scale"),
    ];
    for (damage, expected) in cases {
        let mut source = sound();
        damage(source.model_mut());
        assert_rejected(&source, expected);
    }
}

fn quantization(model: &mut Model) -> &mut QuantDescriptor {
    model.parameters[3].quantization.as_mut().expect("fc.codes is quantized")
}

fn granularity(model: &mut Model, granularity: Granularity) {
    quantization(model).granularity = granularity;
}

fn scale(model: &mut Model, scale: Operand) {
    quantization(model).scale = scale;
}

fn activation() -> Activation {
    Activation::new("y", DType::I8, Operand::Parameter(id(99)), None)
}

#[test]
fn sharing_that_is_none_is_named() {
    let mut source = MemorySource::new().with("a", arr1(&[1.0f32])).with("b", arr1(&[2.0f32]));
    source.model_mut().parameters[1].shares = Some(id(0));
    assert_rejected(&source, "parameter \"b\", Stored: it differs from the parameter that it shares with");
}

#[test]
fn too_few_scales_are_named() {
    let source = MemorySource::new()
        .with("scale", arr1(&[0.5f32, 0.25]))
        .with("codes", arr1(&[1i8, 2, 3]))
        .quantized(descriptor(Granularity::Axis(0), Operand::Parameter(id(0)), None))
        .expect("the axis is there");
    assert!(source.real_array(id(1)).is_err());
    assert_rejected(&source, "parameter \"codes\": \"scale\" has 2 numbers for 3 groups");
}
