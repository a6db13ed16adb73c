//! Reading the values of a model, with a word now and then on how far it is.

use std::io::{self, Write};
use std::ops::ControlFlow;

use quantviz_core::{Progress, Result};

use crate::progress::Told;

/// Bins of every histogram: as many as can be told apart in a third of a page.
pub(crate) const BINS: usize = 64;

/// Does something long with `what`, which is told in the cell.
pub(crate) fn telling<T>(
    what: &str,
    work: impl FnOnce(&(dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Result<T>,
) -> Result<T> {
    let told = Told::new(what, &say);
    work(&|progress| told.report(progress))
}

fn say(line: &str) {
    // Where nobody listens, there is nobody to tell.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
