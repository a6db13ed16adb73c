//! The rows of a chart of ranges in other orders, and those that stand out.

use serde::Serialize;

use crate::range_chart::{RangeBar, RangeChart, RangeRow};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RangeOrder {
    /// As the layers stand in the model.
    Layers,
    /// The widest range first.
    Range,
    /// The fewest decibels first.
    Sqnr,
    /// Those first for which rounding to the nearest would gain most.
    Headroom,
}

impl RangeOrder {
    /// Every order.
    pub const ALL: &[RangeOrder] =
        &[RangeOrder::Layers, RangeOrder::Range, RangeOrder::Sqnr, RangeOrder::Headroom];

    /// What people choose: `widest range first`.
    pub fn label(self) -> &'static str {
        match self {
            RangeOrder::Layers => "order of the layers",
            RangeOrder::Range => "widest range first",
            RangeOrder::Sqnr => "fewest decibels first",
            RangeOrder::Headroom => "most headroom first",
        }
    }
}

impl RangeChart {
    /// The places of all rows in another order. What is not quantized comes last where quantization is asked for, and rows
    /// that are alike stay as they are.
    pub fn order(&self, by: RangeOrder) -> Vec<usize> {
        let key = |row: &RangeRow| match by {
            RangeOrder::Layers => 0.0,
            RangeOrder::Range => -width(row),
            RangeOrder::Sqnr => sqnr(row).unwrap_or(f64::INFINITY),
            RangeOrder::Headroom => -headroom(row).unwrap_or(f64::NEG_INFINITY),
        };
        let mut places: Vec<usize> = (0..self.rows.len()).collect();
        places.sort_by(|&one, &other| key(&self.rows[one]).total_cmp(&key(&self.rows[other])));
        places
    }

    /// The row whose range is the widest, where several differ.
    pub fn widest(&self) -> Option<usize> {
        let first = *self.order(RangeOrder::Range).first()?;
        self.rows.iter().any(|row| width(row) < width(&self.rows[first])).then_some(first)
    }

    /// The quantized row that keeps the fewest decibels, where several differ.
    pub fn worst(&self) -> Option<usize> {
        let first = *self.order(RangeOrder::Sqnr).first()?;
        let least = sqnr(&self.rows[first])?;
        self.rows.iter().filter_map(sqnr).any(|it| it > least).then_some(first)
    }
}

fn width(row: &RangeRow) -> f64 {
    row.bars.iter().flatten().map(|bar| bar.high - bar.low).fold(0.0, f64::max)
}

/// Of the variant that suffers most.
fn sqnr(row: &RangeRow) -> Option<f64> {
    row.bars.iter().flatten().filter(|bar| bar.ranks.is_some()).map(RangeBar::rank).reduce(f64::min)
}

fn headroom(row: &RangeRow) -> Option<f64> {
    row.bars.iter().flatten().filter_map(|bar| Some(bar.ranks?[1])).reduce(f64::max)
}
