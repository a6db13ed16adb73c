//! Manual pages: one for the program, one for each of its commands.

use std::io;

use clap::{CommandFactory, ValueEnum};
use clap_mangen::Man;

use crate::args::{Args, Page};

/// The page of a command; that of the program without one.
pub(crate) fn page(command: Option<Page>) -> io::Result<Vec<u8>> {
    // The page of `help` would only say that it prints help.
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    let name = command.and_then(|command| command.to_possible_value());
    let about = name.and_then(|name| program.find_subcommand(name.get_name()).cloned()).unwrap_or(program);
    let mut page = Vec::new();
    Man::new(about).source(concat!("quantviz ", env!("CARGO_PKG_VERSION"))).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let commands = Args::command();
        let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        let pages = Page::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        assert_eq!(names, pages.map(|page| page.get_name().to_owned()).collect::<Vec<_>>());
    }
}
