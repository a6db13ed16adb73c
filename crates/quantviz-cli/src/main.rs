//! The `quantviz` command.

use std::io::{stderr, stdout};

fn main() -> std::process::ExitCode {
    quantviz_cli::run(std::env::args_os(), &mut stdout(), &mut stderr()).into()
}
