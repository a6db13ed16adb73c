//! The ranges of all weights: rows in blocks that close, in any order, and which models stand beside each other.

use maud::{Markup, PreEscaped, html};
use quantviz_draw::Heatmap;
use quantviz_view::{ModelPage, RangeBlock, RangeOrder, Verdict};

pub(crate) fn ranges(page: &ModelPage, id: &str) -> Markup {
    let links: Vec<String> = page
        .row_layers
        .iter()
        .map(|layer| layer.map(|layer| format!("#{id}-layer-{layer}")).unwrap_or_default())
        .collect();
    let heatmap = Heatmap::of(&page.chart).linking(&links).choosing();
    let blocks = page.chart.blocks();
    let has_headings = blocks.iter().any(|block| block.name.is_some());
    html! {
        section class="qv-ranges" aria-labelledby={ (id) "-ranges" } {
            div class="qv-bar-of-tools" {
                h2 id={ (id) "-ranges" } { "Ranges of all weights" }
                (standing_out(page))
                @if has_headings {
                    button type="button" class="qv-go qv-fold qv-live" { "close all blocks" }
                }
                label class="qv-live" {
                    "Rows "
                    select class="qv-order" {
                        @for (index, order) in RangeOrder::ALL.iter().enumerate() {
                            option value=(index) { (order.label()) }
                        }
                    }
                }
            }
            (choice_of_models(page, &heatmap, id))
            @if page.chart.rows.is_empty() {
                p { "There are no weights whose ranges could be shown." }
            } @else {
                div class="qv-scroll" {
                    div class="qv-head" { (PreEscaped(heatmap.head().inline("img"))) }
                    div class="qv-rows" { @for block in &blocks { (rows(block, &heatmap)) } }
                    @if has_headings {
                        // Rows in another order stand in no block.
                        div class="qv-flat" hidden { (PreEscaped(heatmap.ground().inline("group"))) }
                    }
                }
                p class="qv-said qv-row-said qv-live" { "Point at a row, or move to it, for its numbers." }
                div class="qv-foot" { (PreEscaped(heatmap.foot().inline("img"))) }
            }
        }
    }
}

fn rows(block: &RangeBlock, heatmap: &Heatmap<'_>) -> Markup {
    let rows = PreEscaped(heatmap.block(block).inline("group"));
    html! {
        @match &block.name {
            Some(name) => {
                details class="qv-block" open {
                    summary {
                        span class="qv-name" { (name) } " "
                        span class=(class(block.verdict)) { (sign(block.verdict)) (block.caption) }
                    }
                    (rows)
                }
            }
            None => (rows)
        }
    }
}

fn class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Poor) => "qv-bad",
        Some(Verdict::Improvable) => "qv-looks",
        _ => "qv-op",
    }
}

fn sign(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Poor) => "▲ ",
        Some(Verdict::Improvable) => "◆ ",
        _ => "",
    }
}

/// Which models stand in the places that there are, where there are more models than places.
fn choice_of_models(page: &ModelPage, heatmap: &Heatmap<'_>, id: &str) -> Markup {
    let left_out = heatmap.left_out();
    let starts = heatmap.starts();
    html! {
        @if !left_out.is_empty() {
            style class="qv-places" { (PreEscaped(places(id, page.models.len(), &starts))) }
            p class="qv-still" {
                "The ranges are those of the first " (starts.len()) " models. Not drawn: "
                (left_out.iter().map(|it| it.label.as_str()).collect::<Vec<_>>().join(", "))
                ". What each layer of them is, stands below."
            }
            div class="qv-models qv-live" role="group" aria-label="Models whose ranges are drawn" {
                span { (starts.len()) " of " (page.models.len()) " models are drawn: " (page.models[0].label) " and" }
                @for place in 1..starts.len() {
                    " "
                    select class="qv-model" aria-label={ "Model in place " (place) } {
                        @for (index, model) in page.models.iter().enumerate().skip(1) {
                            option value=(index) selected[index == place] { (model.label) }
                        }
                    }
                }
            }
        }
    }
}

/// The style that puts the first models in their places, and hides the others: the script writes it anew.
fn places(id: &str, models: usize, starts: &[f64]) -> String {
    let place = |model: usize| match starts.get(model) {
        Some(start) => format!("transform:translate({start}px)"),
        None => "display:none".to_owned(),
    };
    (0..models).map(|model| format!("#{id} .qv-p{model}{{{}}}", place(model))).collect()
}

/// The rows that stand out, one step away however many rows there are.
fn standing_out(page: &ModelPage) -> Markup {
    let of_row = |row: Option<usize>| row.and_then(|row| page.row_layers[row].map(|layer| (row, layer)));
    html! {
        span class="qv-live" {
            @for (what, row) in [("worst", page.chart.worst()), ("widest", page.chart.widest())] {
                @if let Some((row, layer)) = of_row(row) {
                    button type="button" class="qv-go" data-layer=(layer) { (what) ": " (page.chart.rows[row].short) }
                    " "
                }
            }
        }
    }
}
