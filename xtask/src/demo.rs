//! `demo`: from a fresh clone to something to look at.

use std::path::Path;
use std::process::Command;

use serde::de::IgnoredAny;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, make_folder, output, run as show, shown};

const MODELS: &str = "fixtures/resnet8";
/// Whole models are long to read.
const LAYER: &str = "node_linear";
const EXAMPLE: &str = "train_char_gpt";
const SESSION: &str = "demo";
/// What two cores do of the example, so that its schedule fits the time.
const STEPS_A_SECOND: f64 = 7.0;

pub(crate) fn run(args: &[String]) -> Result {
    let seconds = seconds_of_training(args)?;
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

    let runs = folder.join("runs");
    train(&workspace, &runs, seconds)?;
    let run = folder.join("run.html");
    show_run(&quantviz, workspace.relative(&runs), workspace.relative(&run))?;

    title("What next");
    let [quantviz, page, numbers, runs, run] =
        [&quantviz, &page, &numbers, &runs, &run].map(|path| workspace.relative(path));
    print!("{}", what_next(quantviz, page, numbers));
    print!("{}", what_next_with_runs(quantviz, runs, run));
    Ok(())
}

/// How long the example trains: `--seconds`, or a minute.
fn seconds_of_training(args: &[String]) -> Result<f64> {
    let words: Vec<&str> = args.iter().flat_map(|arg| arg.split('=')).collect();
    match words[..] {
        [] => Ok(60.0),
        ["--seconds", value] => {
            value.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0).ok_or_else(
                || format!("--seconds takes one positive number, as in `--seconds 20`, not {value:?}"),
            )
        }
        ["--seconds", ..] => Err("--seconds takes one positive number, as in `--seconds 20`".into()),
        _ => Err("demo knows one option, `--seconds N`".into()),
    }
}

/// A small GPT learns, and is recorded into a new store. Its learning rate falls to the end of the time.
fn train(workspace: &Metadata, runs: &Path, seconds: f64) -> Result {
    title(&format!("A training run, recorded: a small GPT learns English for {seconds} seconds"));
    println!("Building the example. The first time takes some minutes.");
    show(&mut cargo(["build", "--release", "--package", "quantviz-examples", "--example", EXAMPLE]))?;
    // Of an earlier demo; there may be none.
    let _ = std::fs::remove_dir_all(runs);
    let example = workspace.target_directory.join("release/examples");
    let example = example.join(format!("{EXAMPLE}{}", std::env::consts::EXE_SUFFIX));
    let [seconds, steps] = [seconds, (seconds * STEPS_A_SECOND).ceil()].map(|it| it.to_string());
    let mut training = Command::new(example);
    training.args(["--seconds", &seconds, "--steps", &steps, "--session", SESSION, "--store"]);
    show(training.arg(workspace.relative(runs)))
}

fn show_run(quantviz: &Path, runs: &Path, page: &Path) -> Result {
    title("What was recorded of it: the loss, what moved most, where the changes are");
    show(Command::new(quantviz).args(["sessions", "show", SESSION, "--store"]).arg(runs))?;
    title("The run as a page for a browser");
    show(Command::new(quantviz).args(["report", SESSION, "--store"]).arg(runs).arg("-o").arg(page))
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

fn what_next_with_runs(quantviz: &Path, runs: &Path, page: &Path) -> String {
    let [quantviz, runs, page] = [quantviz, runs, page].map(Path::display);
    format!(
        "\
# the page of the run
xdg-open {page}
# the run at its beginning
{quantviz} sessions show {SESSION} --step 10 --store {runs}
# a folder of checkpoints of yours, as a run
{quantviz} sessions import YOUR_CHECKPOINTS --store {runs}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(args: &[&str]) -> Result<f64> {
        seconds_of_training(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
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
        assert_eq!(seconds(&[]), Ok(60.0));
        assert_eq!(seconds(&["--seconds", "20"]), Ok(20.0));
        assert_eq!(seconds(&["--seconds=0.5"]), Ok(0.5));
        for bad in
            [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "-1"], &["--seconds", "NaN"], &["20"]]
        {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
