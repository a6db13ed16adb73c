//! What a grid of a run says of its parameters.

use quantviz_core::{Quantity, Statistics, StepReading};

/// A number that there is for each parameter at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// One that was recorded.
    Recorded(Quantity),
    /// The change since the snapshot before by what there is, both as root mean squares.
    RelativeChange,
}

impl Measure {
    const RELATIVE_CHANGE: &'static str = "relative_change";

    /// By its name: that of an array, or its end.
    ///
    /// ```
    /// use quantviz_core::Quantity;
    /// use quantviz_view::Measure;
    ///
    /// assert_eq!(Measure::named("std"), Some(Measure::Recorded(Quantity::Std)));
    /// assert_eq!(Measure::named("relative_change"), Some(Measure::RelativeChange));
    /// assert_eq!(Measure::named("beauty"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let is_called = |it: &&Measure| it.field() == name || it.name() == name;
        Measure::all().iter().find(is_called).copied()
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let recorded = Quantity::ALL.iter().copied().map(Measure::Recorded);
        recorded.chain([Measure::RelativeChange]).collect()
    }

    /// What says best where a model changes, of what was recorded at a step: what one step of the optimizer does; else, as of
    /// checkpoints that are many steps apart, the change since the snapshot before; else, as of the first of them, how large weights
    /// are.
    pub fn fitting(reading: &StepReading) -> Self {
        let any = |measure: &Measure| {
            (0..reading.catalogue().parameters.len()).any(|at| measure.of(reading.statistics(), at).is_some())
        };
        let best = [Measure::Recorded(Quantity::UpdateRatio), Measure::RelativeChange];
        best.into_iter().find(any).unwrap_or(Measure::Recorded(Quantity::Std))
    }

    /// Its name, in JSON.
    pub fn name(self) -> String {
        match self {
            Measure::Recorded(quantity) => quantity.name().to_owned(),
            Measure::RelativeChange => format!("w.{}", Self::RELATIVE_CHANGE),
        }
    }

    /// The name that it is asked for by.
    pub fn field(self) -> String {
        match self {
            Measure::Recorded(quantity) => quantity.field(),
            Measure::RelativeChange => Self::RELATIVE_CHANGE.to_owned(),
        }
    }

    /// What it is, in words.
    pub fn words(self) -> String {
        match self {
            Measure::Recorded(Quantity::UpdateRatio) => "update by size".to_owned(),
            Measure::Recorded(Quantity::Std) => "standard deviation".to_owned(),
            Measure::Recorded(quantity) => quantity.field(),
            Measure::RelativeChange => "change since the snapshot before, by size".to_owned(),
        }
    }

    /// What that means, for those who do not know.
    pub fn meaning(self) -> &'static str {
        match self {
            Measure::Recorded(Quantity::UpdateRatio) => {
                "How much one step of the optimizer changes the weights, by how large they are. About 0.001 is usual; far \
                 more is a step too large, far less a part that hardly learns."
            }
            Measure::RelativeChange => {
                "How much the weights have changed since the snapshot before, by how large they are: both as root mean \
                 squares. What one step changes could only be told of snapshots of neighbouring steps."
            }
            Measure::Recorded(Quantity::Std) => {
                "How far the weights spread around their mean. How much they change cannot be told of the first snapshot."
            }
            _ => "",
        }
    }

    /// Whether it is of a step that the weights take: parameters that are not trained have none.
    pub(crate) fn is_of_steps(self) -> bool {
        match self {
            Measure::Recorded(quantity) => {
                matches!(quantity, Quantity::UpdateRatio | Quantity::Change)
                    || quantity.name().starts_with("g.")
            }
            Measure::RelativeChange => true,
        }
    }

    /// Of a parameter of a catalogue; `None` where it was not taken.
    pub fn of(self, statistics: &Statistics, parameter: usize) -> Option<f64> {
        let value = |quantity| statistics.value(quantity, parameter);
        match self {
            Measure::Recorded(quantity) => value(quantity),
            Measure::RelativeChange => {
                let size = value(Quantity::Mean)?.hypot(value(Quantity::Std)?);
                // Nothing that has not changed is infinitely much of nothing.
                value(Quantity::Change).map(|change| if change == 0.0 { 0.0 } else { change / size })
            }
        }
    }
}
