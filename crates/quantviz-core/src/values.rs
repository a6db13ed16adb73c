//! What is known of the values that were looked at so far.

use crate::code_counts::CodeCounts;
use crate::scan::bins_over;
use crate::{Bins, Elements, Histogram, RangeSummary};

/// Codes of at most eight bits are counted: their range, moments and histogram follow from that, without a second look.
/// Others are summed up.
#[derive(Debug)]
pub(crate) enum Values {
    Counted(Box<CodeCounts>),
    Summed(RangeSummary),
}

impl Default for Values {
    fn default() -> Self {
        Values::Summed(RangeSummary::default())
    }
}

impl Values {
    /// Adds elements of the same tensor.
    pub(crate) fn add(&mut self, elements: &Elements<'_>) {
        self.merge(match CodeCounts::of(elements) {
            Some(counts) => Values::Counted(Box::new(counts)),
            None => Values::Summed(RangeSummary::of_elements(elements)),
        });
    }

    /// Adds what is known of others.
    pub(crate) fn merge(&mut self, other: Values) {
        match (&mut *self, other) {
            (Values::Counted(here), Values::Counted(there)) if here.dtype() == there.dtype() => {
                here.merge(&there)
            }
            (Values::Summed(here), there) if here.count() == 0 => *self = there,
            (_, there) => {
                let mut summary = self.summary();
                summary.merge(&there.summary());
                *self = Values::Summed(summary);
            }
        }
    }

    pub(crate) fn summary(&self) -> RangeSummary {
        match self {
            Values::Counted(codes) => RangeSummary::of_counted(codes.values()),
            Values::Summed(summary) => *summary,
        }
    }

    /// The summary of values that have to be looked at again for a histogram.
    pub(crate) fn unbinned(&self) -> Option<&RangeSummary> {
        match self {
            Values::Counted(_) => None,
            Values::Summed(summary) => Some(summary),
        }
    }

    /// The histogram of values that were counted, where their range has a width.
    pub(crate) fn count_in(&self, bins: usize) -> Option<Histogram> {
        let Values::Counted(codes) = self else { return None };
        let mut bins = bins_over(&self.summary(), bins)?;
        bins.add_counted(codes.values());
        Some(Bins::into_histogram(bins))
    }
}
