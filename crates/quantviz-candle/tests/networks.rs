//! Networks of candle are sources as all others, whatever their tensors are stored as and however they lie.

use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor, Var};
use quantviz_candle::Network;
use quantviz_core::{
    Block, Elements, ErrorKind, ParameterId, ParameterSource, Part, Role, SourceExt, WarningKind,
};
use quantviz_testkit::{check_source, check_sync_source};

fn id(index: usize) -> ParameterId {
    ParameterId::new(index).expect("small")
}

/// Rows of 13 numbers that every type but bytes without a sign can hold; more of them than are copied at once.
fn numbers(dtype: DType) -> Tensor {
    let numbers: Vec<f32> = (0..5 * 13 * 97).map(|index| (index % 17) as f32).collect();
    Tensor::from_vec(numbers, (97, 5, 13), &Device::Cpu).and_then(|it| it.to_dtype(dtype)).expect("it can")
}

const DTYPES: [DType; 10] = [
    DType::U8,
    DType::U32,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::BF16,
    DType::F16,
    DType::F32,
    DType::F64,
    DType::F8E4M3,
];

#[test]
fn every_type_is_a_source_in_every_layout() {
    for dtype in DTYPES {
        let tensor = numbers(dtype);
        let views = [
            ("plain", tensor.clone()),
            ("turned", tensor.t().expect("it has axes")),
            ("narrow", tensor.narrow(1, 1, 3).expect("it has five")),
            ("rows", tensor.narrow(0, 10, 20).expect("it has 97")),
            ("column", tensor.narrow(2, 4, 1).and_then(|it| it.squeeze(2)).expect("it has 13")),
            (
                "repeated",
                tensor.narrow(0, 3, 1).and_then(|it| it.broadcast_as((6, 5, 13))).expect("it had one"),
            ),
            ("scalar", tensor.get(1).and_then(|it| it.get(1)?.get(1)).expect("it is there")),
            ("nothing", tensor.narrow(0, 0, 0).expect("it has none")),
        ];
        let network = Network::new(views.iter().map(|(name, view)| (*name, view))).expect("described");
        assert_eq!(network.model().warnings, []);
        check_sync_source(&network);
        for (index, (name, view)) in views.iter().enumerate() {
            // By way of f32: from 8-bit floats to f64, candle 0.11.1 calls itself without end.
            let flat = view.flatten_all().and_then(|it| it.to_dtype(DType::F32));
            let expected = flat.and_then(|it| it.to_dtype(DType::F64)?.to_vec1::<f64>());
            let found = network.values(id(index), Part::Stored).expect("readable");
            assert_eq!(found, expected.expect("candle can"), "{dtype:?} {name}");
        }
    }
}

#[test]
fn variables_are_read_where_they_lie_and_as_they_are_now() {
    let weight = Var::new(&[1f32, 2.0, 3.0], &Device::Cpu).expect("small");
    let network = Network::new([("fc.weight", weight.as_tensor())]).expect("described");
    let mut addresses = Vec::new();
    for factor in [2.0, 10.0] {
        weight.set(&weight.affine(factor, 0.0).expect("it can")).expect("same shape");
        let mut sink = |block: Block<'_>| {
            let Elements::F32(slice) = block.elements else { panic!("{:?}", block.elements) };
            addresses.push(slice.as_ptr().addr());
            ControlFlow::Continue(())
        };
        assert!(network.read(id(0), Part::Stored, 0..3, &mut sink).is_ok());
    }
    assert_eq!(network.values(id(0), Part::Stored).expect("readable"), [20.0, 40.0, 60.0]);
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], addresses[1], "a copy was read");
}

#[test]
fn gradients_are_read_unused_ones_are_not_found_frozen_ones_refused_and_zeros_are_zeros() {
    let device = Device::Cpu;
    let weight = Var::new(&[[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device).expect("small");
    let unheard = Var::new(&[[0f32], [0.0]], &device).expect("small");
    let unused = Var::new(&[1f32], &device).expect("small");
    let frozen = Tensor::new(&[[1f32, 1.0]], &device).expect("small");
    let inputs = Tensor::new(&[[1f32], [10.0], [100.0]], &device).expect("small");
    let outputs = weight.matmul(&inputs).and_then(|it| it + unheard.affine(0.0, 0.0)?.mul(&unheard)?);
    let loss = frozen.matmul(&outputs.expect("it fits")).and_then(|it| it.sum_all()).expect("it fits");
    let gradients = loss.backward().expect("differentiable");

    let named =
        [("weight", weight.as_tensor()), ("unheard", &unheard), ("unused", &unused), ("frozen", &frozen)];
    let network = Network::new(named).expect("described");
    let step = network.with_gradients(&gradients);
    check_source(&step);
    let gradient = |index| step.values(id(index), Part::Gradient);
    assert_eq!(gradient(0).expect("it has one"), [1.0, 10.0, 100.0, 1.0, 10.0, 100.0]);
    assert_eq!(gradient(1).expect("it has one"), [0.0, 0.0]);
    assert_eq!(gradient(2).expect_err("it is unused").kind(), ErrorKind::NotFound);
    assert_eq!(gradient(3).expect_err("it is frozen").kind(), ErrorKind::Refused);
    assert_eq!(step.values(id(0), Part::Stored).expect("readable"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let without = network.values(id(0), Part::Gradient).expect_err("none were given");
    assert_eq!((without.kind(), without.tensor()), (ErrorKind::NotFound, Some("weight")));
    let mut picked = [0.0; 2];
    step.gather(id(0), Part::Gradient, &[5, 1], &mut picked).expect("it has one");
    assert_eq!(picked, [100.0, 10.0]);
}

#[test]
fn tied_weights_are_one_parameter_with_two_names() {
    let table = Var::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).expect("small");
    let same = table.as_detached_tensor();
    let turned = table.t().expect("a matrix");
    let equal = table.copy().expect("small");
    let named = [
        ("wte.weight", table.as_tensor()),
        ("lm_head.weight", &same),
        ("turned.weight", &turned),
        ("equal.weight", &equal),
    ];
    let network = Network::new(named).expect("described");
    let shares: Vec<_> = network.model().parameters.iter().map(|it| it.shares).collect();
    assert_eq!(shares, [None, Some(id(0)), None, None]);
    assert_eq!(network.model().parameter(id(0)).role, Role::Embedding);
    assert_eq!(network.model().parameter_count(), 12, "the tied ones count once");

    let loss = table.sqr().and_then(|it| it.sum_all()).expect("it can");
    let gradients = loss.backward().expect("differentiable");
    let step = network.with_gradients(&gradients);
    check_source(&step);
    assert_eq!(step.values(id(1), Part::Gradient).expect("its other name has one"), [2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn what_candle_cannot_unpack_is_told_and_hides_nothing() {
    let bytes = [0u8, 1, 2, 3, 127, 128];
    let scales = Tensor::from_raw_buffer(&bytes, DType::F8E8M0, &[6], &Device::Cpu).expect("bytes");
    let packed = Tensor::from_raw_buffer(&bytes, DType::F4, &[12], &Device::Cpu).expect("bytes");
    let network = Network::new([("scales", &scales), ("packed", &packed)]).expect("described");
    check_source(&network);
    assert_eq!(network.values(id(0), Part::Stored).expect("readable")[4], 1.0);
    let error = network.values(id(1), Part::Stored).expect_err("nobody unpacks them");
    assert_eq!((error.kind(), error.tensor()), (ErrorKind::Unsupported, Some("packed")));
    let warnings: Vec<_> =
        network.model().warnings.iter().map(|it| (it.kind, it.parameter.as_deref())).collect();
    assert_eq!(warnings, [(WarningKind::Unsupported, Some("packed"))]);
}
