//! How much of everything goes into a snapshot, and what gives way first.

#[derive(Clone, Copy)]
pub(crate) struct Detail {
    /// Pictures of gradients and of changes, of some matrices.
    pub(crate) some_pictures: bool,
    /// Every so manieth element of the sample.
    pub(crate) sample: usize,
    /// Pictures of all matrices in half as many rows and columns.
    pub(crate) coarse_pictures: bool,
    /// Every so manieth row of embeddings.
    pub(crate) rows: usize,
    pub(crate) gradient_histograms: bool,
    /// More of the parameter that somebody has chosen.
    pub(crate) focus: bool,
    /// Whether groups take turns, each in a part of the budget.
    pub(crate) in_turns: bool,
}

const ALL: Detail = Detail {
    some_pictures: true,
    sample: 1,
    coarse_pictures: false,
    rows: 1,
    gradient_histograms: true,
    focus: true,
    in_turns: false,
};
const WITHOUT_SOME_PICTURES: Detail = Detail { some_pictures: false, ..ALL };
const HALF_OF_THE_SAMPLE: Detail = Detail { sample: 2, ..WITHOUT_SOME_PICTURES };
const COARSE_PICTURES: Detail = Detail { coarse_pictures: true, ..HALF_OF_THE_SAMPLE };
const HALF_OF_THE_ROWS: Detail = Detail { rows: 2, ..COARSE_PICTURES };
const WITHOUT_GRADIENT_HISTOGRAMS: Detail = Detail { gradient_histograms: false, ..HALF_OF_THE_ROWS };
const IN_TURNS: Detail =
    Detail { sample: 4, rows: 4, focus: false, in_turns: true, ..WITHOUT_GRADIENT_HISTOGRAMS };

/// What goes first where there is no room, with what is said of it. What somebody has asked for goes nearly last.
pub(crate) const DETAILS: &[(Detail, &str)] = &[
    (ALL, ""),
    (WITHOUT_SOME_PICTURES, "pictures of gradients and of changes"),
    (HALF_OF_THE_SAMPLE, "half of the sample"),
    (COARSE_PICTURES, "every second row and column of pictures"),
    (HALF_OF_THE_ROWS, "half of the rows of embeddings"),
    (WITHOUT_GRADIENT_HISTOGRAMS, "histograms of gradients"),
    (IN_TURNS, "statistics of some parameters, which take turns"),
];
