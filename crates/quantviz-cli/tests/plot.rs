//! `quantviz plot`: pictures of the ResNet8 set.

use quantviz_cli::{Exit, run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");

fn plot(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run([&["quantviz", "plot"], args].concat(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

fn svg(args: &[&str]) -> String {
    let (exit, svg, err) = plot(&[args, &["-o", "-"]].concat());
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    svg
}

/// Title, units and source stand on every picture.
#[test]
fn pictures_say_what_they_are_of() {
    let heatmap = svg(&["heatmap", FOLDER]);
    for said in [">Ranges of the weights of resnet8_fp32.onnx<", ">min … max<", ">dB<", "resnet8_uint8.onnx<"]
    {
        assert!(heatmap.contains(said), "{said}: {heatmap}");
    }
    let histogram = svg(&["histogram", FOLDER, "--param", "fc.weight"]);
    for said in
        [">Histograms of fc.weight: numbers in a bin", ">INT8 · fc.weight_quantized<", "resnet8_int8.onnx"]
    {
        assert!(histogram.contains(said), "{said}: {histogram}");
    }
    let channels = svg(&["channels", FOLDER, "--param", "fc.weight"]);
    assert_eq!(channels.matches(" channels along axis 0").count(), 2, "{channels}");
    assert!(channels.contains(">dB<") && channels.contains("resnet8_int8.onnx"), "{channels}");
}

#[test]
fn the_worst_is_drawn_where_none_is_named() {
    for what in ["histogram", "channels"] {
        assert!(svg(&[what, FOLDER]).contains("layer3.conv2.weight"));
    }
    assert!(svg(&["histogram", FOLDER, "--codes", "--log"]).contains("205 of 255 codes occur"));
}

#[test]
fn what_is_not_there_is_told_in_a_line() {
    let alone = format!("{FOLDER}/resnet8_int8.onnx");
    for (args, told) in [
        (vec!["histogram", FOLDER, "--param", "nope"], "\"nope\"; 'quantviz layers' lists all of them"),
        (vec!["channels", &alone], "name a float model and what was made of it"),
    ] {
        let (exit, out, err) = plot(&[&args[..], &["-o", "-"]].concat());
        assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
        assert!(err.contains(told), "{err}");
    }
}

/// The end of the name says what is written, and nothing is looked into before that is known.
#[test]
fn pictures_are_svg_or_png() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, start) in
        [("a.svg", &b"<svg "[..]), ("b.PNG", b"\x89PNG\r\n\x1a\n"), ("c.png", b"\x89PNG\r\n\x1a\n")]
    {
        let file = folder.path().join(name);
        let what = if name == "b.PNG" { "histogram" } else { "heatmap" };
        let (exit, out, err) = plot(&[what, FOLDER, "-o", file.to_str().expect("UTF-8")]);
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        assert!(out.contains(name) && out.contains("kB, "), "{out}");
        let bytes = std::fs::read(&file).expect("written");
        assert!(bytes.starts_with(start), "{name}");
        // Letters and bars are on it: an empty one would have a tenth of that.
        assert!(bytes.len() > 8_000, "{name}: {}", bytes.len());
    }
    for name in ["a.jpg", "picture", "svg", ".png"] {
        let file = folder.path().join(name);
        let (exit, out, err) = plot(&["heatmap", "no-such-model.onnx", "-o", file.to_str().expect("UTF-8")]);
        assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{name}: {err}");
        assert!(err.contains("end its name in .svg or .png"), "{name}: {err}");
    }
}

#[test]
fn models_without_room_are_named() {
    let [fp32, int8, uint8] = ["fp32", "int8", "uint8"].map(|it| format!("{FOLDER}/resnet8_{it}.onnx"));
    let folder = tempfile::tempdir().expect("a folder");
    let copies = [1, 2].map(|index| folder.path().join(format!("copy{index}_int8.onnx")));
    for copy in &copies {
        std::fs::copy(&int8, copy).expect("copied");
    }
    let [one, two] = copies.each_ref().map(|copy| copy.to_str().expect("UTF-8"));
    let (exit, svg, err) = plot(&["heatmap", &fp32, &uint8, &int8, one, two, "-o", "-"]);
    assert_eq!((exit, err.lines().count()), (Exit::Done, 1), "{err}");
    assert!(err.contains("no room for INT8 copy2: name the models that are to be drawn"), "{err}");
    assert!(svg.contains("no room for INT8 copy2"), "{svg}");
}
