//! What quantization cost each channel of a weight, in a row.

use quantviz_core::{count, number, one_line};
use serde::Serialize;

use crate::axis::{Axis, Tick};
use crate::channels_view::ChannelView;
use crate::comparison::PairView;

/// The decibels of all channels of a weight, side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChannelStrip {
    /// What its codes are: `INT8`.
    pub label: String,
    /// The name of the weight in the reference.
    pub parameter: String,
    /// `64 channels along axis 0: 31.2 to 44.9 dB, half of them below 40.1; the worst are 3, 17, 5`.
    pub caption: String,
    /// Numbers of channels, from the left to the right.
    pub axis: Axis,
    /// Decibels: 0 is the foot of the cells, 1 the top.
    pub decibels: Vec<Tick>,
    /// How many channels there are.
    pub channels: usize,
    /// How many of them share a cell.
    pub channels_a_cell: usize,
    /// A cell for each channel, or for each few where there are many.
    pub cells: Vec<ChannelCell>,
    /// What stands below the cells: scales, and zero-points that differ.
    pub rows: Vec<ChannelRow>,
}

/// A number of each channel, below its decibels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChannelRow {
    /// What it is: `scale`.
    pub name: &'static str,
    /// The same, from where to where: `scale: 0.00213 to 0.00871`.
    pub caption: String,
    /// Its numbers: 0 is the foot of the row, 1 the top.
    pub ticks: Vec<Tick>,
    /// A height for each cell; of several channels the largest counts.
    pub heights: Vec<f64>,
    /// The number of each cell, as it is written; empty where it has none.
    pub numbers: Vec<String>,
}

/// One channel, or the worst of a few.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChannelCell {
    /// Its height by its decibels; what is exact reaches the top.
    pub height: f64,
    /// Its decibels as they are written: `39.6 dB`, `exact`.
    pub decibels: String,
    /// All of it in words.
    pub tooltip: String,
}

/// More cells than this nobody tells apart.
const MOST: usize = 256;
/// Decibels that the foot of the cells stands below the worst channel, at most.
const BELOW: f64 = 6.0;

impl ChannelStrip {
    /// The strip of a pair that was compared with all its channels; `None` where there is one channel or none.
    pub fn of(pair: &PairView) -> Option<Self> {
        let channels = pair.channels.as_ref()?;
        let all = channels.all.as_ref().filter(|all| all.len() > 1)?;
        let finite = || all.iter().filter_map(|it| it.sqnr_db).filter(|it| it.is_finite());
        let highest = finite().fold(1.0, f64::max);
        // Channels are told apart by what is between them, of which little would be seen above all that they keep.
        let least = finite().reduce(f64::min).unwrap_or(0.0);
        let decibels = Axis::between(if least > BELOW { least - BELOW } else { least.min(0.0) }, highest);
        let each = all.len().div_ceil(MOST);
        let cells = all.chunks(each).filter_map(|few| ChannelCell::of(few, &decibels)).collect();
        let axis = pair.channel_axis.map(|axis| format!(" along axis {axis}")).unwrap_or_default();
        let spread = channels.min.zip(channels.max).map(|(min, max)| format!(": {min:.1} to {max:.1} dB"));
        let half = channels.median.map(|it| format!(", half of them below {it:.1}"));
        let worst: Vec<String> = channels.worst.iter().take(3).map(|it| it.index.to_string()).collect();
        let caption = format!(
            "{} channels{axis}{}{}; the worst are {}",
            count(all.len() as u64),
            spread.unwrap_or_default(),
            half.unwrap_or_default(),
            worst.join(", ")
        );
        let scale = |it: &ChannelView| it.scale;
        let zero_point = |it: &ChannelView| it.zero_point;
        let rows = [
            ChannelRow::of("scale", all, each, scale),
            // One that all share says nothing channel by channel.
            ChannelRow::of("zero-point", all, each, zero_point).filter(|_| differ(all, zero_point)),
        ];
        Some(ChannelStrip {
            rows: rows.into_iter().flatten().collect(),
            channels: all.len(),
            channels_a_cell: each,
            label: pair.label.clone(),
            parameter: one_line(&pair.reference),
            caption,
            axis: Axis::between(0.0, (all.len() - 1) as f64),
            decibels: decibels.ticks,
            cells,
        })
    }
}

impl ChannelStrip {
    /// The same, saying of which model it is, where that is not said by the type of its codes.
    #[must_use]
    pub fn in_model(self, model: &str) -> Self {
        let label = if model.starts_with(&self.label) {
            one_line(model)
        } else {
            format!("{} {}", one_line(model), self.label)
        };
        ChannelStrip { label, ..self }
    }
}

fn differ(all: &[ChannelView], number: impl Fn(&ChannelView) -> Option<f64>) -> bool {
    all.windows(2).any(|two| number(&two[0]) != number(&two[1]))
}

impl ChannelRow {
    /// `None` where no channel has such a number.
    fn of(
        name: &'static str,
        all: &[ChannelView],
        each: usize,
        of: impl Fn(&ChannelView) -> Option<f64>,
    ) -> Option<Self> {
        let finite = |it: &ChannelView| of(it).filter(|number| number.is_finite());
        let least = all.iter().filter_map(finite).reduce(f64::min)?;
        let most = all.iter().filter_map(finite).reduce(f64::max)?;
        let axis = Axis::between(least.min(0.0), most.max(0.0));
        let height = |few: &[ChannelView]| few.iter().filter_map(finite).reduce(f64::max);
        Some(ChannelRow {
            name,
            caption: if least == most {
                format!("{name}: {} throughout", number(least))
            } else {
                format!("{name}: {} to {}", number(least), number(most))
            },
            numbers: all.chunks(each).map(|few| height(few).map_or(String::new(), number)).collect(),
            heights: all.chunks(each).map(|few| height(few).map_or(0.0, |it| axis.place(it))).collect(),
            ticks: axis.ticks,
        })
    }
}

impl ChannelCell {
    fn of(few: &[ChannelView], decibels: &Axis) -> Option<Self> {
        let rank =
            |it: &ChannelView| it.sqnr_db.unwrap_or(if it.exact { f64::INFINITY } else { f64::NEG_INFINITY });
        let worst = few.iter().min_by(|one, other| rank(one).total_cmp(&rank(other)))?;
        let sqnr = match worst.sqnr_db {
            Some(db) => format!("{db:.1} dB"),
            None if worst.exact => "exact".to_owned(),
            None => "all of it is error".to_owned(),
        };
        let range = worst.reference_range;
        let range = range.map(|[low, high]| format!(", {} … {}", number(low), number(high)));
        let last = few.last().filter(|it| it.index != worst.index && few.len() > 1);
        let worst_of = last.map(|last| format!(" (the worst of {} to {})", few[0].index, last.index));
        let scale = worst.scale.map(|it| format!(", scale {}", number(it)));
        let zero_point = worst.zero_point.map(|it| format!(", zero-point {}", number(it)));
        Some(ChannelCell {
            height: decibels.place(rank(worst)),
            decibels: sqnr.clone(),
            tooltip: format!(
                "channel {}{}: {sqnr}{}{}{}",
                worst.index,
                worst_of.unwrap_or_default(),
                range.unwrap_or_default(),
                scale.unwrap_or_default(),
                zero_point.unwrap_or_default()
            ),
        })
    }
}
