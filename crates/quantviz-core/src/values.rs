//! What is known of the values that were looked at so far.

use crate::code_counts::CodeCounts;
use crate::half_counts::value_of;
use crate::job::bins_over;
use crate::{Bins, DType, Elements, Histogram, RangeSummary};

/// Codes of at most eight bits are counted, and so are the many numbers of sixteen bits of a large tensor: their range,
/// moments and histogram follow from that, without a second look. Others are summed up.
#[derive(Debug)]
pub(crate) enum Values {
    Counted(Box<CodeCounts>),
    /// Numbers of sixteen bits, by their bits, which may be there more than once.
    Listed(DType, Vec<(u16, u32)>),
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
            (Values::Listed(here, list), Values::Listed(there, more)) if *here == there => list.extend(more),
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
            Values::Listed(dtype, list) => RangeSummary::of_counted(listed(*dtype, list)),
            Values::Summed(summary) => *summary,
        }
    }

    /// The summary of values that have to be looked at again for a histogram.
    pub(crate) fn unbinned(&self) -> Option<&RangeSummary> {
        match self {
            Values::Counted(_) | Values::Listed(..) => None,
            Values::Summed(summary) => Some(summary),
        }
    }

    /// The histogram of values that were counted, of which this is the summary, where their range has a width.
    pub(crate) fn count_in(&self, summary: &RangeSummary, bins: usize) -> Option<Histogram> {
        let bins = || bins_over(summary, bins);
        match self {
            Values::Counted(codes) => Some(counted(bins()?, codes.values())),
            Values::Listed(dtype, list) => Some(counted(bins()?, listed(*dtype, list))),
            Values::Summed(_) => None,
        }
    }
}

fn counted(mut bins: Bins, values: impl Iterator<Item = (f64, u64)>) -> Histogram {
    bins.add_counted(values);
    bins.into_histogram()
}

fn listed(dtype: DType, list: &[(u16, u32)]) -> impl Iterator<Item = (f64, u64)> + Clone {
    list.iter().map(move |&(bits, times)| (value_of(dtype, bits), u64::from(times)))
}
