//! Views as text: for terminals, and for whoever looks at a notebook without its pages.

use quantviz_draw::{Counts, Values};
use quantviz_view::{
    ComparisonView, FidelityTable, HistogramBar, HistogramSet, Listing, ModelPage, PageLayer, PageMeasure,
    PageParameter, Row, SpreadCells, number,
};

pub(crate) fn listing(listing: &Listing) -> String {
    let rows = listing.rows.iter().enumerate().map(|(index, row)| {
        let group = if row.is_first { row.group.as_str() } else { "" };
        let role = if row.is_reference { "the reference" } else { "" };
        [&index.to_string(), group, &row.variant, &row.file, role].map(str::to_owned)
    });
    format!("{}\n{}", listing.title, columns(rows.collect()))
}

/// The models of a page, a line each, and what is on it.
pub(crate) fn page(page: &ModelPage) -> String {
    let mut lines = vec![format!("{}: {}", page.title, page.summary())];
    for model in &page.models {
        let found = model.found.iter().cloned();
        let facts = model.facts.iter().cloned().chain(model.quality.clone()).chain(found);
        lines.push(format!("{}: {}", model.label, facts.collect::<Vec<_>>().join(" · ")));
    }
    if !page.warnings.is_empty() {
        lines.push(format!("{} warnings, of which the first is: {}", page.warnings.len(), page.warnings[0]));
    }
    lines.join("\n")
}

/// The models, and the weights of each variant, worst first.
pub(crate) fn comparison(all: &ModelPage, view: &ComparisonView) -> String {
    let mut lines = vec![page(all)];
    for (variant, model) in view.variants.iter().zip(&all.models[1..]) {
        let table = FidelityTable::of(variant);
        let head = [&model.label, "dB", "best", "error"].map(str::to_owned);
        let rows =
            table.rows.iter().map(|row| [&row.name, &row.sqnr, &row.headroom, &row.error].map(String::clone));
        lines.push(format!("\n{}", columns([head].into_iter().chain(rows).collect())));
    }
    lines.join("\n")
}

pub(crate) fn layer(layer: &PageLayer) -> String {
    let badges: Vec<&str> = layer.badges.iter().map(|badge| badge.text.as_str()).collect();
    let mut lines = vec![format!("{} {} · {}", layer.name, layer.op, badges.join(" · "))];
    if !layer.parameters.is_empty() {
        lines.push(rows(&layer.parameters));
    }
    lines.extend(layer.measures.iter().map(measure));
    for (model, group) in &layer.findings {
        lines.push(format!("{} {} in {model}: {}", group.code, group.level.name(), group.advice));
    }
    lines.join("\n")
}

pub(crate) fn parameter(parameter: &PageParameter) -> String {
    let mut lines = vec![format!("{} · {} {}", parameter.name, parameter.layer, parameter.op)];
    lines.push(rows(&parameter.rows));
    lines.extend(parameter.measures.iter().map(measure));
    lines.join("\n")
}

/// Each panel as a row of blocks.
pub(crate) fn histogram(set: &HistogramSet, values: Values, counts: Counts) -> String {
    let mut lines = vec![format!("{}: {}", set.title, set.height)];
    for panel in &set.panels {
        let codes = panel.codes.as_ref().filter(|_| values == Values::Codes);
        let (bars, what) = match codes {
            Some(codes) => (&codes.bars, codes.caption.clone()),
            None => (&panel.bars, format!("{} … {}", number(set.axis.low), number(set.axis.high))),
        };
        lines.push(format!("{} · {} · {what}", panel.label, panel.caption));
        lines.push(blocks(bars, counts));
    }
    lines.join("\n")
}

/// Columns of text that a histogram takes.
const WIDTH: usize = 64;

fn blocks(bars: &[HistogramBar], counts: Counts) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let height = |bar: &HistogramBar| if counts == Counts::Log { bar.log_height } else { bar.height };
    let mut heights = [0.0f64; WIDTH];
    for bar in bars {
        let place = ((bar.from + bar.to) / 2.0 * WIDTH as f64) as usize;
        let tallest = &mut heights[place.min(WIDTH - 1)];
        *tallest = tallest.max(height(bar));
    }
    let block = |height: &f64| match *height {
        none if none <= 0.0 => ' ',
        some => BLOCKS[((some * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    heights.iter().map(block).collect::<String>().trim_end().to_owned()
}

fn rows(rows: &[(String, Row)]) -> String {
    let head =
        ["parameter", "model", "type", "shape", "min", "max", "scale", "zero-point"].map(str::to_owned);
    let row = |(model, row): &(String, Row)| {
        let [min, max] = match &row.range {
            Some(range) => [range.min.clone(), range.max.clone()],
            None => ["not readable".to_owned(), String::new()],
        };
        let (scale, zero_point) = (spread(row.scale.as_ref()), spread(row.zero_point.as_ref()));
        [row.name.clone(), model.clone(), row.dtype.clone(), row.shape.clone(), min, max, scale, zero_point]
    };
    columns([head].into_iter().chain(rows.iter().map(row)).collect())
}

fn spread(cells: Option<&SpreadCells>) -> String {
    match cells {
        Some(SpreadCells::One(one)) => one.clone(),
        Some(SpreadCells::Many { min, max, .. }) => format!("{min} … {max}"),
        _ => "–".to_owned(),
    }
}

fn measure(measure: &PageMeasure) -> String {
    let PageMeasure { model, row, .. } = measure;
    format!("{model} of {}: {} dB, {}", row.name, row.sqnr, row.why)
}

/// Rows whose cells stand below each other.
fn columns<const N: usize>(rows: Vec<[String; N]>) -> String {
    let letters = |cell: &String| cell.chars().count();
    let width = |column: usize| rows.iter().map(|row| letters(&row[column])).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).filter(|(_, width)| *width > 0);
        let cells = cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - letters(cell))));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["größe", "", "1"], ["b", "", "2"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(rows.into()), "größe  1\nb      2");
    }
}
