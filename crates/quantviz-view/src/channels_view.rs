//! What quantization cost a parameter channel by channel, as JSON has it.

use quantviz_core::{ChannelFidelity, ChannelScales, Channels};
use serde::Serialize;

/// How the measure spreads over channels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChannelsView {
    /// The least decibels of all channels.
    pub min: Option<f64>,
    /// What a twentieth of them does not reach.
    pub p5: Option<f64>,
    /// What half of them do not reach.
    pub median: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// Those that suffer most, worst first.
    pub worst: Vec<ChannelView>,
    /// All of them, in order, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<ChannelView>>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the measures are those of quantviz_core::ChannelFidelity, by their names")]
pub struct ChannelView {
    pub index: u64,
    pub sqnr_db: Option<f64>,
    pub exact: bool,
    pub mse: f64,
    pub max_abs_error: f64,
    pub mean_error: f64,
    pub reference_range: Option<[f64; 2]>,
    /// What its codes are multiplied with, where each channel has a scale of its own, and all channels were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// What is taken from its codes before, where the file says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_point: Option<f64>,
}

impl ChannelsView {
    pub(crate) fn of(channels: &Channels, with_all: bool) -> Self {
        ChannelsView {
            min: channels.min,
            p5: channels.p5,
            median: channels.median,
            max: channels.max,
            worst: channels.worst().iter().map(ChannelView::of).collect(),
            all: with_all.then(|| channels.all.iter().map(ChannelView::of).collect()),
        }
    }

    /// The scale and the zero-point of every channel, where there is one for each.
    pub(crate) fn add(&mut self, scales: &ChannelScales) {
        let all = self.all.as_deref_mut().unwrap_or_default();
        if all.len() == scales.scales.len() {
            all.iter_mut().chain(&mut self.worst).for_each(|channel| channel.add(scales));
        }
    }
}

impl ChannelView {
    pub(crate) fn of(channel: &ChannelFidelity) -> Self {
        ChannelView {
            index: channel.index,
            sqnr_db: channel.sqnr_db,
            exact: channel.exact,
            mse: channel.mse,
            max_abs_error: channel.max_abs_error,
            mean_error: channel.mean_error,
            reference_range: channel.reference_range.map(|(low, high)| [low, high]),
            scale: None,
            zero_point: None,
        }
    }

    fn add(&mut self, scales: &ChannelScales) {
        let at = usize::try_from(self.index).unwrap_or(usize::MAX);
        self.scale = scales.scales.get(at).copied();
        self.zero_point = scales.zero_points.as_ref().and_then(|all| all.get(at).copied());
    }
}
