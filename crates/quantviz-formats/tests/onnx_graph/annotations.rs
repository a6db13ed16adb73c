//! `quantization_annotation`: scales by name, beside the graph.

use quantviz_core::{DType, Encoding, Granularity, Role, SourceExt};

use crate::common::number;
use crate::{Tensors, graph, layer, node, open_graph, parameters};

#[test]
fn parameters_and_activations_that_are_annotated() {
    let opened = open_graph(
        graph()
            .int8s("w", &[3, 2], &[1, 2, 3, 4, 5, 6])
            .floats("w_s", &[2], &[0.5, 10.0])
            .int8s("w_z", &[2], &[1, 0])
            .floats("y_s", &[], &[0.25])
            .uint8s("y_z", &[], &[7])
            .node(node("MatMul", &["x", "w"], &["y"]).name("fc"))
            .annotation("w", &[("SCALE_TENSOR", "w_s"), ("ZERO_POINT_TENSOR", "w_z")])
            .annotation("y", &[("SCALE_TENSOR", "y_s"), ("ZERO_POINT_TENSOR", "y_z")]),
    );
    let quantization = opened.quantization("w");
    assert_eq!(
        (quantization.encoding, &quantization.granularity),
        (Encoding::Annotation, &Granularity::Axis(1))
    );
    let real: Vec<f32> = opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect();
    assert_eq!(real, [0.0, 20.0, 1.0, 40.0, 2.0, 60.0]);
    assert_eq!(parameters(&opened, "fc"), ["w", "w_s", "w_z", "y_s", "y_z"]);
    assert_eq!(opened.parameter("y_z").role, Role::ZeroPoint);
    let [activation] = &layer(&opened, "fc").activations[..] else { panic!("one activation") };
    assert_eq!(
        (&*activation.tensor, activation.dtype, number(&activation.scale)),
        ("y", DType::U8, Some(0.25))
    );
}

#[test]
fn annotations_that_do_not_tell_enough() {
    let weight = |dims: &[i64], scales: usize| {
        let elements = dims.iter().product::<i64>() as usize;
        graph()
            .int8s("w", dims, &vec![1; elements])
            .floats("s", &[scales as i64], &vec![1.0; scales])
            .node(node("MatMul", &["x", "w"], &["y"]))
            .annotation("w", &[("SCALE_TENSOR", "s")])
    };
    let message = |graph| open_graph(graph).warnings("w")[0].message.clone();
    assert_eq!(
        message(weight(&[2, 2], 2)),
        "it has 2 scales, and which axis of 2×2 they are for is not said"
    );
    assert_eq!(
        message(weight(&[2, 3], 4)),
        "it has 4 scales, and which axis of 2×3 they are for is not said"
    );
    let float = graph()
        .floats("w", &[2, 2], &[1.0; 4])
        .floats("s", &[], &[0.5])
        .node(node("MatMul", &["x", "w"], &["y"]))
        .annotation("w", &[("SCALE_TENSOR", "s")]);
    assert_eq!(message(float), "it is annotated with a scale, but its codes are not in the file");
}
