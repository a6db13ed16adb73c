//! How much of everything goes into a snapshot, and what gives way first.

#[derive(Clone, Copy)]
pub(crate) struct Detail {
    pub(crate) gradient_pictures: bool,
    /// Every so manieth element of the sample.
    pub(crate) sample: usize,
    pub(crate) peaks: bool,
    /// Every so manieth row of embeddings.
    pub(crate) rows: usize,
    pub(crate) gradient_histograms: bool,
    /// Whether groups take turns, each in a part of the budget.
    pub(crate) in_turns: bool,
}

const ALL: Detail = Detail {
    gradient_pictures: true,
    sample: 1,
    peaks: true,
    rows: 1,
    gradient_histograms: true,
    in_turns: false,
};
const WITHOUT_GRADIENT_PICTURES: Detail = Detail { gradient_pictures: false, ..ALL };
const HALF_OF_THE_SAMPLE: Detail = Detail { sample: 2, ..WITHOUT_GRADIENT_PICTURES };
const WITHOUT_PEAKS: Detail = Detail { peaks: false, ..HALF_OF_THE_SAMPLE };
const HALF_OF_THE_ROWS: Detail = Detail { rows: 2, ..WITHOUT_PEAKS };
const WITHOUT_GRADIENT_HISTOGRAMS: Detail = Detail { gradient_histograms: false, ..HALF_OF_THE_ROWS };
const IN_TURNS: Detail = Detail { sample: 4, rows: 4, in_turns: true, ..WITHOUT_GRADIENT_HISTOGRAMS };

/// What goes first where there is no room, with what is said of it.
pub(crate) const DETAILS: &[(Detail, &str)] = &[
    (ALL, ""),
    (WITHOUT_GRADIENT_PICTURES, "pictures of gradients"),
    (HALF_OF_THE_SAMPLE, "half of the sample"),
    (WITHOUT_PEAKS, "pictures of the largest values"),
    (HALF_OF_THE_ROWS, "half of the rows of embeddings"),
    (WITHOUT_GRADIENT_HISTOGRAMS, "histograms of gradients"),
    (IN_TURNS, "statistics of some parameters, which take turns"),
];
