//! AIMET's `model.encodings` beside a float model.

use quantviz_core::{DType, Granularity, Part, SourceExt};
use quantviz_testkit::OnnxBuilder;

use crate::common::{Folder, Opened, number};
use crate::{Tensors, graph, layer, node};

fn open_with(encodings: &str) -> Opened {
    let folder = Folder::new();
    let graph = graph()
        .floats("w", &[2, 3], &[-1.0, 0.26, 0.9, 2.0, -2.0, 100.0])
        .floats("b", &[3], &[0.5; 3])
        .node(node("Gemm", &["x", "w", "b"], &["y"]).name("fc"));
    folder.put("model.onnx", OnnxBuilder::new(graph).build());
    folder.put("model.encodings", encodings);
    let source = folder.open("model.onnx");
    Opened { folder, source }
}

fn real(opened: &Opened, name: &str) -> Vec<f32> {
    opened.source.real_array(opened.id(name)).expect("readable").into_iter().collect()
}

#[test]
fn by_name_as_up_to_version_0_6() {
    let opened = open_with(
        r#"{"version": "0.6.1",
            "param_encodings": {
              "w": [{"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "min": -64.0, "max": 63.5,
                     "scale": 0.5, "offset": -128},
                    {"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "min": -128.0, "max": 127.0,
                     "scale": 1.0, "offset": -128}],
              "unheard": [{"bitwidth": 8, "scale": 1.0, "offset": 0}]},
            "activation_encodings": {
              "y": [{"bitwidth": 8, "dtype": "int", "is_symmetric": "False", "min": 0.0, "max": 2.55,
                     "scale": 0.01, "offset": 0}]}}"#,
    );
    let quantization = opened.quantization("w");
    assert_eq!((quantization.computed, &quantization.granularity), (Some(DType::U8), &Granularity::Axis(0)));
    assert_eq!(
        (opened.part("w", Part::Scales), opened.part("w", Part::ZeroPoints)),
        (vec![0.5, 1.0], vec![128.0; 2])
    );
    assert_eq!(opened.part("w", Part::Codes), [126.0, 129.0, 130.0, 130.0, 126.0, 228.0]);
    assert_eq!(real(&opened, "w"), [-1.0, 0.5, 1.0, 2.0, -2.0, 100.0]);
    let [activation] = &layer(&opened, "fc").activations[..] else { panic!("one activation") };
    assert_eq!(
        (&*activation.tensor, activation.dtype, number(&activation.scale)),
        ("y", DType::U8, Some(0.01))
    );
    assert!(opened.parameter("b").quantization.is_none() && opened.model().warnings.is_empty());
}

#[test]
fn as_a_list_as_from_version_1_0_on() {
    let opened = open_with(
        r#"{"version": "1.0.0",
            "param_encodings": [
              {"name": "w", "bw": 4, "dtype": "INT", "enc_type": "PER_CHANNEL", "is_sym": true,
               "scale": [1.0, 0.5, 10.0], "offset": [-8.0, -8.0, -8.0]},
              {"name": "b", "bw": 16, "dtype": "FLOAT", "enc_type": "PER_TENSOR"}],
            "activation_encodings": []}"#,
    );
    assert_eq!(
        (opened.quantization("w").bits, &opened.quantization("w").granularity),
        (4, &Granularity::Axis(1))
    );
    assert_eq!(real(&opened, "w"), [-1.0, 0.5, 0.0, 2.0, -2.0, 70.0]);
    assert_eq!(opened.warnings("b")[0].message, "encodings of type FLOAT are not supported");
}

#[test]
fn encodings_that_cannot_be_understood_are_a_warning() {
    for encodings in ["", "{}", r#"{"version": "2.0.0", "encodings": []}"#] {
        let opened = open_with(encodings);
        let [warning] = &opened.model().warnings[..] else { panic!("{:?}", opened.model().warnings) };
        let begin = "model.encodings: these are no encodings of AIMET 0.6 or 1.0: ";
        assert!(warning.message.starts_with(begin), "{}", warning.message);
    }
}
