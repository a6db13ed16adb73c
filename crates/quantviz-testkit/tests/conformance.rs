//! The conformance suite accepts what is right, and names what is wrong.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{arr1, arr2};
use quantviz_core::{
    Activation, Block, DType, Elements, Encoding, Error, Granularity, LayerId, MemorySource, Model, Operand,
    ParameterId, ParameterSource, Part, QuantDescriptor, Result, Shape, Sink, SourceExt, Warning,
    WarningKind, check_range, read_derived,
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

/// Floats with everything odd, packed codes, an empty tensor, text, and codes with scales.
fn sound() -> MemorySource {
    let one = |value| Operand::One { value, parameter: None };
    let mut source = MemorySource::new()
        .with("fc.weight", arr2(&[[0.5f32, f32::NAN, -0.0], [f32::INFINITY, 1e-40, -3.0]]))
        .with("fc.bias", arr1(&[0.25f64; 40]))
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
        .with("tied", arr1(&[0.25f64; 40]));
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
    check_sync_source(&unreadable(&[WarningKind::Missing]));
    assert_rejected(&unreadable(&[]), "parameter \"fc.bias\", Stored: unreadable, and no warning says so");
    assert_rejected(&unreadable(&[WarningKind::Odd]), "no warning says so");
}

/// Wrong in one way, in the parameter `fc.bias`; for some, in the scales of `fc.codes`.
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
    WrongOrder,
    WrongType,
    WrongSlice,
    IgnoresBreak,
    ForgetsBreak,
    BreaksAlways,
    AcceptsBeyond,
    OtherErrorBeyond,
    DeliversBeyond,
    EmptyIsEverything,
    WrongGather,
    GatherAcceptsBeyond,
    IgnoresPart,
    WrongTie,
    Unreadable,
}

/// Bytes of one block, so that a tensor of 40 elements comes in several.
const STEP: u64 = 7;

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
        if part != Part::Stored && self.fault == Fault::IgnoresPart {
            return self.inner.read(id, Part::Stored, range, sink);
        }
        let name = self.model().parameter(id).name.as_str();
        if part != Part::Stored || !["fc.bias", "tied"].contains(&name) {
            return read_derived_or_stored(&self.inner, id, part, range, sink);
        }
        let wrong_tie = name == "tied" && self.fault == Fault::WrongTie;
        let fault = if name == "tied" { Fault::None } else { self.fault };
        self.read_faulty(fault, wrong_tie, range, sink)
    }

    fn gather(&self, id: ParameterId, part: Part, at: &[u64], out: &mut [f32]) -> Result<()> {
        if self.fault == Fault::GatherAcceptsBeyond && at == [40] {
            return Ok(());
        }
        self.inner.gather(id, part, at, out)?;
        if self.fault == Fault::WrongGather {
            out.iter_mut().for_each(|value| *value += 1.0);
        }
        Ok(())
    }
}

fn read_derived_or_stored(
    source: &MemorySource,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>> {
    match part {
        Part::Stored => source.read(id, part, range, sink),
        _ => read_derived(source, id, part, range, sink),
    }
}

impl Faulty {
    fn read_faulty(
        &self,
        fault: Fault,
        wrong_tie: bool,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        const LEN: u64 = 40;
        // Not all the same, or a wrong order would not show.
        let value = |index: u64| if wrong_tie { 0.75 } else { (index as f64).sqrt() };
        match (fault, check_range(&range, LEN)) {
            (Fault::Unreadable, _) => return Err(Error::not_found("no such file")),
            (Fault::AcceptsBeyond, Err(_)) => return Ok(ControlFlow::Continue(())),
            (Fault::OtherErrorBeyond, Err(_)) => return Err(Error::limit("too far")),
            (Fault::DeliversBeyond, Err(error)) => {
                let _ = sink.block(Block { start: range.start, elements: Elements::F64(&[]) });
                if range.start < range.end && range.start < LEN {
                    let _ = sink.block(Block { start: range.start, elements: Elements::F64(&[0.0]) });
                }
                return Err(error);
            }
            (_, checked) => checked?,
        }
        let mut blocks: Vec<(u64, Vec<f64>)> = (range.start..range.end)
            .step_by(STEP as usize)
            .map(|start| (start, (start..range.end.min(start + STEP)).map(value).collect()))
            .collect();
        let partial = range != (0..LEN) && !range.is_empty();
        match fault {
            Fault::TooMany if range == (0..LEN) => blocks.push((LEN, vec![0.0])),
            Fault::TooFew if range == (0..LEN) => drop(blocks.pop()),
            Fault::Gap if blocks.len() > 2 => drop(blocks.remove(1)),
            Fault::Backwards => blocks.reverse(),
            Fault::WrongOrder if blocks.len() > 2 => {
                let (second, third) = (blocks[1].1.clone(), blocks[2].1.clone());
                if partial && second.len() == third.len() {
                    (blocks[1].1, blocks[2].1) = (third, second);
                }
            }
            Fault::WrongSlice if partial => blocks[0].1[0] += 1.0,
            Fault::EmptyIsEverything if range.is_empty() => blocks.push((range.start, vec![1.0])),
            _ => {}
        }
        for (start, values) in &blocks {
            let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            let elements = match fault {
                Fault::WrongType => Elements::F32(&narrow),
                _ => Elements::F64(values),
            };
            let flow = sink.block(Block { start: *start, elements });
            match fault {
                Fault::IgnoresBreak => {}
                Fault::ForgetsBreak if flow.is_break() => return Ok(ControlFlow::Continue(())),
                _ if flow.is_break() => return Ok(flow),
                _ => {}
            }
        }
        let broken = fault == Fault::BreaksAlways;
        Ok(if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
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
        (Fault::TooFew, "35 of 40 elements were delivered"),
        (Fault::Gap, "0..40: a block starts at 14, not at 7"),
        (Fault::Backwards, "0..40: a block starts at 35, not at 0"),
        (Fault::WrongOrder, "is not that slice of the whole: its element 7 is"),
        (Fault::WrongType, "elements came as f32, but they are stored as f64"),
        (Fault::WrongSlice, "0..1 is not that slice of the whole: its element 0 is 1, not 0"),
        (Fault::IgnoresBreak, "a block came after the sink broke"),
        (Fault::ForgetsBreak, "the sink broke, and the reading is not Ok(Break)"),
        (Fault::BreaksAlways, "Break, though the sink never broke"),
        (Fault::AcceptsBeyond, "0..41 is not Malformed (there are 40) but Ok(Continue(()))"),
        (Fault::OtherErrorBeyond, "0..41 is not Malformed (there are 40) but Err("),
        (Fault::DeliversBeyond, "0..41 delivered something (there are 40)"),
        (Fault::EmptyIsEverything, "0..0: 1 elements came where 0 were left"),
        (Fault::WrongGather, "is gathered as"),
        (Fault::GatherAcceptsBeyond, "gathering element 40 of 40 is not Malformed but Ok(())"),
        (Fault::IgnoresPart, "parameter \"fc.weight\", Scales: read, though the parameter is not quantized"),
        (Fault::WrongTie, "parameter \"tied\", Stored: it differs from the parameter that it shares with"),
    ];
    for (fault, expected) in cases {
        assert_rejected(&faulty(fault), expected);
    }
    check_sync_source(&faulty(Fault::None));
}

/// A sound source but for its fault; its bias counts up, in memory too.
fn faulty(fault: Fault) -> Faulty {
    let counting: Vec<f64> = (0..40).map(|index| f64::from(index).sqrt()).collect();
    let mut inner = MemorySource::new()
        .with("fc.weight", arr1(&[1.0f32, 2.0]))
        .with("fc.bias", arr1(&counting))
        .with("tied", arr1(&counting));
    inner.model_mut().parameters[2].shares = Some(id(1));
    Faulty { inner, fault }
}

#[test]
fn faults_of_a_model_are_named() {
    type Damage = fn(&mut Model);
    let far = |index| LayerId::new(index);
    let _ = far;
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
        (|it| scale(it, Operand::Parameter(id(0))), ""),
        (|it| quantization(it).code_range = (1.0, -1.0), "its codes range from 1 to -1"),
        (
            |it| quantization(it).code_range = (-8.0, 7.0),
            "\"fc.codes\", Codes: code -128 is not between -8 and 7",
        ),
        (|it| quantization(it).logical = Some(Shape::vector(7)), "groups by Axis(0)"),
        (|it| it.layers[0].activations.push(activation()), "activation \"y\" of layer \"fc\": its scale"),
    ];
    for (damage, expected) in cases.iter().filter(|(_, expected)| !expected.is_empty()) {
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
    Activation { tensor: "y".into(), dtype: DType::I8, scale: Operand::Parameter(id(99)), zero_point: None }
}

#[test]
fn too_few_scales_are_named() {
    let source = MemorySource::new()
        .with("scale", arr1(&[0.5f32, 0.25]))
        .with("codes", arr1(&[1i8, 2, 3]))
        .quantized(descriptor(Granularity::Axis(0), Operand::Parameter(id(0)), None))
        .expect("the axis is there");
    assert!(source.real_array(id(1)).is_err());
    assert_rejected(&source, "parameter \"codes\", Scales: unreadable, and no warning says so");
}
