//! What stands above everything: the models, how they fare, what was odd; and what stands below it.

use maud::{Markup, html};
use quantviz_view::ModelPage;

use crate::layer::finding_group;

/// Warnings that are listed; a broken model can have thousands.
const WARNINGS: usize = 50;

pub(crate) fn header(page: &ModelPage, id: &str) -> Markup {
    html! {
        header {
            h1 id={ (id) "-title" } { (page.title) }
            div class="qv-wide" {
                table {
                    thead {
                        tr {
                            th scope="col" { "model" }
                            th scope="col" { "file" }
                            th scope="col" { "what it is" }
                            th scope="col" { "signal to quantization noise" }
                            th scope="col" { "findings" }
                        }
                    }
                    tbody {
                        @for (index, model) in page.models.iter().enumerate() {
                            tr {
                                th scope="row" { (model.label) }
                                td class="qv-file" title=(model.path) { (model.file) }
                                td { (model.facts.join(" · ")) }
                                td {
                                    @if let Some(quality) = &model.quality { (quality) }
                                    @else if index == 0 && page.models.len() > 1 { "the reference" }
                                    @else { "–" }
                                }
                                td { (model.found.as_deref().unwrap_or("–")) }
                            }
                        }
                    }
                }
            }
            @if !page.missing.is_empty() {
                ul class="qv-missing" {
                    @for line in &page.missing { li { "▲ " (line) } }
                }
            }
            @if !page.warnings.is_empty() {
                details class="qv-warnings" {
                    summary { (page.warnings.len()) @if page.warnings.len() == 1 { " warning" } @else { " warnings" } ": what could not be read, is odd or has no counterpart" }
                    ul {
                        @for warning in page.warnings.iter().take(WARNINGS) { li { (warning) } }
                        @if page.warnings.len() > WARNINGS {
                            li { "and " (page.warnings.len() - WARNINGS) " more; 'quantviz inspect --json' has all of them" }
                        }
                    }
                }
            }
        }
    }
}

/// What is about no layer, and scales of activations side by side.
pub(crate) fn remarks(page: &ModelPage) -> Markup {
    html! {
        @if !page.findings.is_empty() {
            section {
                h2 { "Findings about whole models" }
                @for (model, group) in &page.findings { (finding_group(model, group)) }
            }
        }
        @if let Some(scales) = &page.scales {
            details class="qv-scales" {
                summary { "Scales of activations, side by side: those first that differ most" }
                div class="qv-wide" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "activation" }
                                @for variant in &scales.variants { th scope="col" class="qv-number" { (variant) } }
                                th scope="col" class="qv-number" { "largest by smallest" }
                            }
                        }
                        tbody {
                            @for row in &scales.rows {
                                tr {
                                    th scope="row" { (row.tensor) }
                                    @for scale in &row.scales { td class="qv-number" { (scale) } }
                                    td class="qv-number" { (row.ratio) }
                                }
                            }
                        }
                    }
                }
                @if scales.left_out > 0 { p { (scales.left_out) " more differ less." } }
            }
        }
        footer {
            @for note in &page.notes { p { (note) } }
            p { "Made by quantviz " (env!("CARGO_PKG_VERSION")) "." }
        }
    }
}
