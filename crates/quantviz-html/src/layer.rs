//! A layer: its numbers, what quantization cost it, what was found, pictures.

use maud::{Markup, PreEscaped, html};
use quantviz_draw::{histograms_in_all_ways, strip};
use quantviz_view::{FindingGroup, PageLayer, PageMeasure, Row, SpreadCells, Verdict};

use crate::picker::badges;

pub(crate) fn layer(layer: &PageLayer, index: usize, id: &str, is_open: bool) -> Markup {
    html! {
        details class="qv-layer" data-layer=(index) open[is_open] {
            summary {
                h2 { span class="qv-name" { (layer.name) } " " span class="qv-op" { (layer.op) } }
                " " (badges(&layer.badges, true))
            }
            div class="qv-detail" id={ (id) "-layer-" (index) } tabindex="-1" {
                @if layer.parameters.is_empty() && layer.activations.is_empty() {
                    p { "It has no parameters." }
                }
                @for (model, group) in &layer.findings { (finding_group(model, group)) }
                @if !layer.parameters.is_empty() { (parameters(&layer.parameters)) }
                @if !layer.measures.is_empty() { (measures(&layer.measures)) }
                @if !layer.histograms.is_empty() {
                    h3 { "How its numbers are spread" }
                    (choice())
                    @for set in &layer.histograms {
                        figure class="qv-histograms" { (PreEscaped(histograms_in_all_ways(set).inline("img"))) }
                    }
                }
                @if !layer.channels.is_empty() {
                    h3 { "What it cost each channel" }
                    @for it in &layer.channels { figure { (PreEscaped(strip(it).inline("img"))) } }
                }
                @if !layer.activations.is_empty() { (activations(layer)) }
            }
        }
    }
}

/// How histograms are shown; all layers follow.
fn choice() -> Markup {
    html! {
        div class="qv-choice qv-live" role="group" aria-label="Histograms" {
            button type="button" data-show="log" aria-pressed="false" { "logarithmic counts" }
            " "
            button type="button" data-show="codes" aria-pressed="false" { "codes instead of values" }
        }
    }
}

fn spread(cells: Option<&SpreadCells>) -> String {
    match cells {
        Some(SpreadCells::One(one)) => one.clone(),
        Some(SpreadCells::Many { min, max, mean }) => format!("{min} … {max}, mean {mean}"),
        _ => "–".to_owned(),
    }
}

pub(crate) fn parameters(rows: &[(String, Row)]) -> Markup {
    // The style knows which columns are numbers.
    let names =
        ["parameter", "model", "type", "shape", "min", "max", "mean", "std", "scale", "zero-point", "more"];
    html! {
        h3 { "Parameters" }
        div class="qv-wide" {
            table class="qv-parameters" {
                thead {
                    tr {
                        @for name in names { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for (model, row) in rows {
                        tr {
                            th scope="row" { (row.name) }
                            td { (model) }
                            td { (row.dtype) }
                            td { (row.shape) }
                            @match &row.range {
                                Some(range) => {
                                    @for cell in [&range.min, &range.max, &range.mean, &range.std] {
                                        td { (cell) }
                                    }
                                }
                                None => { td colspan="4" { "not readable" } }
                            }
                            td { (spread(row.scale.as_ref())) }
                            td { (spread(row.zero_point.as_ref())) }
                            td { (others(row)) }
                        }
                    }
                }
            }
        }
    }
}

fn others(row: &Row) -> String {
    let offset = row.offset.as_ref().map(|it| format!("offset {}", spread(Some(it))));
    let parts = offset.into_iter().chain(row.granularity.clone()).chain(row.left_out.clone());
    parts.chain(row.remarks.iter().cloned()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn measures(all: &[PageMeasure]) -> Markup {
    let names = [
        "parameter",
        "model",
        "encoding",
        "where the error comes from",
        "SQNR, dB",
        "best by rounding, dB",
        "largest error",
        "cosine",
        "clipped",
        "codes in use",
    ];
    html! {
        h3 { "What quantization cost" }
        div class="qv-wide" {
            table class="qv-measures" {
                thead {
                    tr {
                        @for name in names { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for PageMeasure { model, row, levels, clipped, max_error, cosine, .. } in all {
                        tr {
                            th scope="row" { (row.name) }
                            td { (model) }
                            td { (row.encoding) }
                            td { (row.error) }
                            td class=[verdict(row.verdict)] { (sign(row.verdict)) (row.sqnr) }
                            td { (row.headroom) }
                            @for cell in [max_error, cosine, clipped, levels] { td { (cell) } }
                        }
                        tr class="qv-why" {
                            td colspan="10" {
                                (row.why)
                                @for it in row.aligned.iter().chain(&row.remarks) { "; " (it) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn verdict(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Poor => Some("qv-bad"),
        Verdict::Improvable => Some("qv-looks"),
        _ => None,
    }
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Poor => "▲ ",
        Verdict::Improvable => "◆ ",
        _ => "",
    }
}

pub(crate) fn finding_group(model: &str, group: &FindingGroup) -> Markup {
    html! {
        div class={ "qv-finding qv-" (group.level.name()) } {
            p { strong { (group.code) " " (group.level.name()) } " in " (model) }
            ul {
                @for line in &group.lines {
                    li { @if !line.parameter.is_empty() { span class="qv-name" { (line.parameter) } ": " } (line.message) }
                }
            }
            p { (group.advice) }
        }
    }
}

fn activations(layer: &PageLayer) -> Markup {
    html! {
        h3 { "What it makes, quantized" }
        div class="qv-wide" {
            table {
                thead {
                    tr {
                        @for name in ["activation", "model", "type"] { th scope="col" { (name) } }
                        @for name in ["scale", "zero-point"] { th scope="col" class="qv-number" { (name) } }
                    }
                }
                tbody {
                    @for (model, row) in &layer.activations {
                        tr {
                            th scope="row" { (row.tensor) }
                            td { (model) }
                            td { (row.dtype) }
                            td class="qv-number" { (row.scale) }
                            td class="qv-number" { (row.zero_point) }
                        }
                    }
                }
            }
        }
    }
}
