//! Fragments smaller than a page: a layer, a parameter, histograms, a listing, an error.

use maud::{Markup, PreEscaped, html};
use quantviz_draw::{Counts, Picture, STYLE as PICTURES, Values, histograms, strip};
use quantviz_view::{HistogramSet, Listing, PageLayer, PageParameter};

use crate::fragment::{Fragment, STYLE, id_of};
use crate::layer::{layer, measures, parameters};

impl Fragment {
    /// Layers, each with all that is known of it.
    pub fn of_layers(title: &str, layers: &[PageLayer], name: &str) -> Self {
        let id = id_of(name);
        let all = html! { @for (index, it) in layers.iter().enumerate() { (layer(it, index, &id, true)) } };
        around(title, &id, &all)
    }

    /// One parameter, in all models that have it.
    pub fn of_parameter(parameter: &PageParameter, name: &str) -> Self {
        let PageParameter { name: title, layer, op, rows, measures: all, channels, .. } = parameter;
        let shown = html! {
            h2 class="qv-name" { (title) }
            " " span class="qv-op" { (layer) " " (op) }
            @if !rows.is_empty() { (parameters(rows)) }
            @if !all.is_empty() { (measures(all)) }
            @for it in channels { (figure(&strip(it))) }
        };
        around(title, &id_of(name), &shown)
    }

    /// Histograms side by side, drawn in one way.
    pub fn of_histograms(set: &HistogramSet, values: Values, counts: Counts, name: &str) -> Self {
        let shown = html! {
            h2 { span class="qv-name" { (set.title) } " " span class="qv-op" { (set.height) } }
            (figure(&histograms(set, values, counts)))
        };
        around(&set.title, &id_of(name), &shown)
    }

    /// Models to choose from.
    pub fn of_listing(listing: &Listing, name: &str) -> Self {
        let shown = html! {
            h2 class="qv-name" { (listing.title) }
            div class="qv-wide" {
                table class="qv-choices" {
                    thead {
                        tr {
                            th scope="col" class="qv-number" { "number" }
                            @for name in ["model", "variant", "file", "what it is"] { th scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for (index, row) in listing.rows.iter().enumerate() {
                            tr {
                                td class="qv-number" { (index) }
                                th scope="row" { @if row.is_first { (row.group) } }
                                td { (row.variant) }
                                td class="qv-name" { (row.file) }
                                td { @if row.is_reference { "the reference" } }
                            }
                        }
                    }
                }
            }
        };
        around(&listing.title, &id_of(name), &shown)
    }

    /// What went wrong, in a line.
    pub fn of_error(line: &str, name: &str) -> Self {
        let shown = html! { p role="alert" { span class="qv-bad" { "error: " } (line) } };
        around("error", &id_of(name), &shown)
    }
}

fn figure(picture: &Picture) -> Markup {
    html! { figure { (PreEscaped(picture.inline("img"))) } }
}

fn around(title: &str, id: &str, shown: &Markup) -> Fragment {
    let all = html! {
        div class="qv" id=(id) {
            style { (PreEscaped(PICTURES)) (PreEscaped(STYLE)) }
            (shown)
        }
    };
    Fragment::new(title, all)
}
