//! The chores of this workspace: `cargo xtask COMMAND`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its terminal")]

mod bench;
mod bench_notebook;
mod demo;
mod install;
mod kernel;
mod metadata;
mod notebook;
mod object_stores;
mod page;
mod peers;
mod pictures;
mod process;
mod quantviz;
mod release_check;
mod scale;
mod server;
mod test;
mod tidy;

use std::process::ExitCode;

/// Errors are read by the person who typed the command, so a sentence is all they need to be.
type Result<T = ()> = std::result::Result<T, String>;

struct Command {
    name: &'static str,
    options: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        options: "[--seconds N]",
        about: "build the command line and look at the models in fixtures/resnet8; ends by itself, so N changes nothing yet",
        run: demo::run,
    },
    Command {
        name: "test",
        options: "[--fast]",
        about: "everything that must hold; --fast leaves out Python, services, browsers and notebooks",
        run: test::run,
    },
    Command {
        name: "tidy",
        options: "",
        about: "formatting, lints, dependencies, licences, documentation",
        run: tidy::run,
    },
    Command {
        name: "bench",
        options: "",
        about: "run the benchmarks and hold them against their bounds",
        run: bench::run,
    },
    Command {
        name: "bench-notebook",
        options: "",
        about: "measure what the first cell of a notebook takes, and hold that against its bounds",
        run: bench_notebook::run,
    },
    Command {
        name: "bench-peers",
        options: "[PART OF A ROW]",
        about: "measure against Python and C, hold that against its bounds, and write the tables",
        run: peers::run,
    },
    Command {
        name: "bench-scale",
        options: "",
        about: "measure by size, threads and number of tensors, and write the table",
        run: scale::run,
    },
    Command {
        name: "notebook",
        options: "",
        about: "run the notebooks and keep what comes out of them, to be looked at and committed",
        run: notebook::renew,
    },
    Command {
        name: "release-check",
        options: "",
        about: "tidy, then package every crate that can be published",
        run: release_check::run,
    },
    Command {
        name: "pictures",
        options: "",
        about: "remake the screenshots in docs/pictures",
        run: pictures::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result {
    let Some((name, rest)) = args.split_first() else {
        help();
        return Ok(());
    };
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        help();
        return Ok(());
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| format!("there is no command `{name}`; `cargo xtask --help` lists them"))?;
    process::enter_workspace()?;
    (command.run)(rest)
}

fn help() {
    println!("The chores of this workspace: cargo xtask COMMAND\n");
    for Command { name, options, about, .. } in COMMANDS {
        let usage = format!("{name} {options}");
        println!("  {usage:<30}{about}");
    }
}

/// For commands without options of their own.
fn no_options(args: &[String]) -> Result {
    match args.first() {
        None => Ok(()),
        Some(extra) => Err(format!("`{extra}` is not an option here; `cargo xtask --help` lists what is")),
    }
}
