//! What is told of a row's name below a heading that tells its beginning.

use quantviz_view::{RangeBlock, RangeRow};

/// How much of a row's name is told.
#[derive(Clone, Copy)]
pub(crate) enum RowName<'a> {
    Whole,
    /// What stands behind the name of the block, and before that the rest, if it is `kept` for other places.
    InBlock {
        block: &'a str,
        kept: bool,
    },
}

impl<'a> RowName<'a> {
    pub(crate) fn in_block(block: &'a RangeBlock, kept: bool) -> Self {
        block.name.as_deref().map_or(RowName::Whole, |block| RowName::InBlock { block, kept })
    }

    /// What a page may hide, and what it shows.
    pub(crate) fn parts(self, row: &RangeRow) -> (&str, &str) {
        let whole = ("", row.short.as_str());
        let RowName::InBlock { block, kept } = self else { return whole };
        let name = if row.layer.is_empty() { &row.parameter } else { &row.layer };
        let at = name.find(block).map(|at| at + block.len());
        let Some(rest) = at.map(|at| name[at..].trim_start_matches(['.', '/'])) else { return whole };
        // The short name may lack the end, too.
        let starts = row.short.char_indices().map(|(at, _)| at);
        let inner =
            starts.map(|at| &row.short[at..]).find(|inner| !inner.is_empty() && rest.starts_with(inner));
        match inner {
            Some(inner) if kept => (&row.short[..row.short.len() - inner.len()], inner),
            Some(inner) => ("", inner),
            None => whole,
        }
    }
}
