//! The whole of it: overview, list of layers, layers.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use quantviz_draw::Heatmap;
use quantviz_view::{ModelPage, RangeOrder};

use crate::data::{Data, json};
use crate::header::{header, remarks};
use crate::layer::layer;
use crate::picker::picker;
use crate::style::style;

const SCRIPT: &str = include_str!("page.js");

/// Layers that are open where nothing runs.
const OPEN: usize = 3;

/// A part of a page: everything of a model, with the style and the script that it needs.
#[derive(Clone, Debug)]
pub struct Fragment {
    title: String,
    html: String,
}

impl Fragment {
    /// Of a model and its variants. `name` tells fragments of one page apart: letters, digits and hyphens of it count.
    pub fn of(page: &ModelPage, name: &str) -> Self {
        Fragment::new(&page.title, fragment(page, &id_of(name)))
    }

    pub(crate) fn new(title: &str, html: Markup) -> Self {
        Fragment { title: title.to_owned(), html: html.into_string() }
    }

    /// The HTML.
    pub fn html(&self) -> &str {
        &self.html
    }
}

/// The id of a fragment of this name.
pub(crate) fn id_of(name: &str) -> String {
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("qv-{name}")
}

/// A page of its own around a fragment: a file that opens in any browser.
pub fn page(fragment: &Fragment) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is fetched, whatever stands in the page.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
                title { (fragment.title) " · quantviz" }
                style { "html,body{margin:0}@media (prefers-color-scheme:dark){html{background:#0d1117}}" }
            }
            body { main { (PreEscaped(&fragment.html)) } }
        }
    };
    page.into_string()
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

fn fragment(page: &ModelPage, id: &str) -> Markup {
    let links: Vec<String> = page
        .row_layers
        .iter()
        .map(|layer| layer.map(|layer| format!("#{id}-layer-{layer}")).unwrap_or_default())
        .collect();
    let heatmap = Heatmap::of(&page.chart).linking(&links);
    let data = Data::of(page, heatmap.row_height());
    html! {
        div class="qv" id=(id) {
            style { (PreEscaped(style())) }
            (header(page, id))
            section class="qv-ranges" aria-labelledby={ (id) "-ranges" } {
                div class="qv-bar-of-tools" {
                    h2 id={ (id) "-ranges" } { "Ranges of all weights" }
                    (standing_out(page))
                    label class="qv-live" {
                        "Rows "
                        select class="qv-order" {
                            @for (index, order) in RangeOrder::ALL.iter().enumerate() {
                                option value=(index) { (order.label()) }
                            }
                        }
                    }
                }
                @if page.chart.rows.is_empty() {
                    p { "There are no weights whose ranges could be shown." }
                } @else {
                    div class="qv-scroll" {
                        div class="qv-head" { (PreEscaped(heatmap.head().inline("img"))) }
                        div class="qv-rows" { (PreEscaped(heatmap.rows().inline("group"))) }
                    }
                    (PreEscaped(heatmap.foot().inline("img")))
                }
            }
            (picker(page, id))
            section class="qv-layers" aria-label="Layers" {
                @for (index, it) in page.layers.iter().enumerate() {
                    (layer(it, index, id, index.abs_diff(page.first) < OPEN))
                }
            }
            (remarks(page))
            script type="application/json" class="qv-data" { (PreEscaped(json(&data))) }
            script { (PreEscaped(SCRIPT)) (PreEscaped(format!("quantvizPage(\"{id}\");"))) }
        }
    }
}
