//! `demo`: from a fresh clone to something to look at.

use std::path::Path;
use std::process::Command;

use serde::de::IgnoredAny;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{make_folder, output, run as show, shown};

const MODELS: &str = "fixtures/resnet8";
/// Whole models are long to read.
const LAYER: &str = "node_linear";

pub(crate) fn run(args: &[String]) -> Result {
    check_options(args)?;
    let workspace = Metadata::of_workspace()?;
    let quantviz = crate::quantviz::build(&workspace)?;

    let int8 = format!("{MODELS}/resnet8_int8.onnx");
    title("One layer of a quantized model, closely");
    show(Command::new(&quantviz).args(["inspect", &int8, "--layer", LAYER, "--bins", "64"]))?;

    title("The same layer in all models of a folder: as trained, and quantized");
    show(Command::new(&quantviz).args(["inspect", MODELS, "--layer", LAYER]))?;

    title("What quantization cost: every weight beside the float model, worst first");
    show(Command::new(&quantviz).args(["compare", MODELS]))?;

    title("What the model is made of");
    show(Command::new(&quantviz).args(["layers", &int8]))?;

    title("What rounding the float model would cost, and the best within 5.5 bits per weight");
    let float = format!("{MODELS}/resnet8_fp32.onnx");
    show(Command::new(&quantviz).args(["preview", &float, "--target-bits", "5.5"]))?;

    title("All of it: a page for a browser, and numbers for a program, with a histogram of every parameter");
    let folder = workspace.target_directory.join("demo");
    make_folder(&folder)?;
    let (page, numbers) = (folder.join("report.html"), folder.join("inspect.json"));
    show(Command::new(&quantviz).args(["report", MODELS, "-o"]).arg(workspace.relative(&page)))?;
    write_numbers(&quantviz, &numbers)?;
    println!("{}", workspace.relative(&numbers).display());

    title("What next");
    let [quantviz, page, numbers] = [&quantviz, &page, &numbers].map(|path| workspace.relative(path));
    print!("{}", what_next(quantviz, page, numbers));
    Ok(())
}

/// `--seconds` bounds demos that would run on; this one ends by itself, so it is only checked.
fn check_options(args: &[String]) -> Result {
    let words: Vec<&str> = args.iter().flat_map(|arg| arg.split('=')).collect();
    match words[..] {
        [] => Ok(()),
        ["--seconds", value] if is_positive(value) => Ok(()),
        ["--seconds", ..] => Err("--seconds takes one positive number, as in `--seconds 20`".into()),
        _ => Err("demo knows one option, `--seconds N`".into()),
    }
}

fn is_positive(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(|seconds| seconds.is_finite() && seconds > 0.0)
}

fn title(text: &str) {
    println!("\n── {text} ──");
}

fn write_numbers(quantviz: &Path, numbers: &Path) -> Result {
    let mut command = Command::new(quantviz);
    command.args(["inspect", MODELS, "--bins", "64", "--json"]);
    println!("$ {}", shown(&command));
    let json = output(&mut command)?;
    serde_json::from_slice::<IgnoredAny>(&json)
        .map_err(|error| format!("what inspect prints is not JSON: {error}"))?;
    std::fs::write(numbers, json).map_err(|error| format!("{}: {error}", numbers.display()))
}

fn what_next(quantviz: &Path, page: &Path, numbers: &Path) -> String {
    let [quantviz, page, numbers] = [quantviz, page, numbers].map(Path::display);
    // The numbers are one long line.
    format!(
        "\
# a model of yours, or a folder of them
{quantviz} inspect YOUR_MODEL.onnx
# every tensor of the models above
{quantviz} inspect {MODELS}
# what each option does
{quantviz} inspect --help
# the page that was written just now
xdg-open {page}
# the numbers; docs/json.md explains them
jq . {numbers} | less
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(args: &[&str]) -> bool {
        check_options(&args.iter().map(ToString::to_string).collect::<Vec<_>>()).is_ok()
    }

    #[test]
    fn what_was_written_can_be_read_by_people() {
        let [page, numbers] = ["demo/report.html", "demo/inspect.json"].map(Path::new);
        let text = what_next(Path::new("bin/quantviz"), page, numbers);
        assert!(text.contains("\nxdg-open demo/report.html\n"), "{text}");
        assert!(text.contains("bin/quantviz inspect fixtures/resnet8\n"), "{text}");
        assert!(text.ends_with("jq . demo/inspect.json | less\n"), "{text}");
    }

    #[test]
    fn seconds_is_a_positive_number() {
        assert!(accepts(&[]));
        assert!(accepts(&["--seconds", "20"]));
        assert!(accepts(&["--seconds=0.5"]));
        for bad in
            [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "-1"], &["--seconds", "NaN"], &["20"]]
        {
            assert!(!accepts(bad), "{bad:?}");
        }
    }
}
