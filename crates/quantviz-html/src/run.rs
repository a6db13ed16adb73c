//! A training run as a part of a page. It needs no script: all of it is there to be read.

use maud::{Markup, PreEscaped, html};
use quantviz_draw::{cloud, curve, heat_strip, run_grid};
use quantviz_view::{GridState, Mood, RunCurve, RunGrid, RunPage, count, number};

use crate::fragment::{Fragment, id_of};
use crate::style::style;

impl Fragment {
    /// Of a training run. `name` tells fragments of one page apart: letters, digits and hyphens of it count.
    pub fn of_run(page: &RunPage, name: &str) -> Self {
        Fragment::new(&page.title, run(page, &id_of(name)))
    }
}

fn run(page: &RunPage, id: &str) -> Markup {
    html! {
        div class="qv" id=(id) {
            style { (PreEscaped(style())) }
            header {
                h1 id={ (id) "-title" } { (page.title) }
                p class="qv-verdict" {
                    strong class=(class(page.mood)) { (sign(page.mood)) (page.verdict) "." }
                    @for sentence in &page.sentences { " " (sentence) }
                }
                @if let Some(reason) = &page.reason { p class="qv-bad" { (reason) } }
                ul class="qv-facts" { @for fact in &page.facts { li { (fact) } } }
            }
            (curves(&page.curves, id))
            @if let Some(grid) = &page.grid { (cells(grid, page, id)) }
            (strips(page, id))
            (embeddings(page, id))
            (notes(page, id))
            footer {
                @if !page.caveats.is_empty() {
                    details {
                        summary { "What these pictures do not say: sampled, older or left out" }
                        ul { @for caveat in &page.caveats { li { (caveat) } } }
                    }
                }
                p { "Parameters only: what activations and attention do is not in them." }
                p { "Made by quantviz " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    }
}

fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "qv-good",
        Mood::Bad => "qv-bad",
        _ => "",
    }
}

fn sign(mood: Mood) -> &'static str {
    if mood == Mood::Bad { "▲ " } else { "" }
}

fn curves(all: &[RunCurve], id: &str) -> Markup {
    let small = all.get(1..).unwrap_or_default();
    html! {
        @if let Some(first) = all.first() {
            section aria-labelledby={ (id) "-curves" } {
                h2 id={ (id) "-curves" } { "Step by step" }
                figure { (PreEscaped(curve(first, 960.0, 240.0).inline("img"))) }
                @if !small.is_empty() {
                    div class="qv-two" {
                        @for one in small {
                            figure class="qv-fits" { (PreEscaped(curve(one, 470.0, 150.0).inline("img"))) }
                        }
                    }
                }
            }
        }
    }
}

fn cells(shown: &RunGrid, page: &RunPage, id: &str) -> Markup {
    let grid = &shown.grid;
    html! {
        section aria-labelledby={ (id) "-grid" } {
            h2 id={ (id) "-grid" } { "Where it changes" }
            p class="qv-op" { (shown.caption) ". " (shown.meaning) }
            @let cells = run_grid(grid, &shown.caption);
            figure class="qv-fits" {
                // As large as it is: numbers stand in its cells.
                div style={ "width:" (cells.width) "px" } { (PreEscaped(cells.inline("group"))) }
            }
            details {
                summary { "The same as a table" }
                div class="qv-wide" {
                    table class="qv-choices" {
                        thead {
                            tr {
                                th scope="col" { "layer" }
                                @for column in &grid.columns { th scope="col" class="qv-number" { (column) } }
                            }
                        }
                        tbody {
                            @for row in &grid.rows {
                                tr {
                                    th scope="row" { (row.label) }
                                    @for cell in &row.cells {
                                        td class="qv-number" {
                                            @match (cell.state, cell.value) {
                                                (GridState::Frozen, _) => "frozen",
                                                (GridState::Measured, Some(value)) => (number(value.0)),
                                                (GridState::Missing, _) => "not measured",
                                                _ => "",
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if !page.moved.is_empty() {
                h3 { "What moves most" }
                div class="qv-wide" {
                    table class="qv-choices" {
                        thead {
                            tr {
                                th scope="col" { "parameter" }
                                th scope="col" class="qv-number" { (page.moved_by) }
                                th scope="col" class="qv-number" { "change since the snapshot before" }
                                th scope="col" { "how it was measured" }
                            }
                        }
                        tbody {
                            @for row in &page.moved {
                                tr {
                                    th scope="row" { (row.parameter) }
                                    td class="qv-number" { (row.update) }
                                    td class="qv-number" { (row.change) }
                                    td class="qv-op" { @if row.caveat.is_empty() { "exact" } @else { (row.caveat) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn strips(page: &RunPage, id: &str) -> Markup {
    html! {
        @if !page.strips.is_empty() {
            section aria-labelledby={ (id) "-strips" } {
                h2 id={ (id) "-strips" } { "How weights are spread, step by step" }
                p class="qv-op" {
                    "Values go up, steps go to the right; the stronger the colour, the more weights have values like these. "
                    "Shown are the parameters that move most."
                }
                @for strip in &page.strips { figure { (PreEscaped(heat_strip(strip).inline("img"))) } }
            }
        }
    }
}

fn embeddings(page: &RunPage, id: &str) -> Markup {
    html! {
        @if !page.embeddings.is_empty() {
            section aria-labelledby={ (id) "-embeddings" } {
                h2 id={ (id) "-embeddings" } { "What it thinks is alike" }
                p class="qv-op" {
                    "Rows of embeddings along the two directions in which they differ most. Distances here are not those of all "
                    "directions: what lies apart is different; what lies together may be."
                }
                @for it in &page.embeddings {
                    h3 { (it.parameter) " " span class="qv-op" { (it.caption) } }
                    @if let Some(turned) = &it.turned { p class="qv-looks" { "◆ " (turned) } }
                    div class="qv-three" {
                        @for moment in &it.moments {
                            figure class="qv-fits" { (PreEscaped(cloud(it, moment).inline("img"))) }
                        }
                    }
                }
            }
        }
    }
}

fn notes(page: &RunPage, id: &str) -> Markup {
    let first = page.notes.len().div_ceil(2);
    html! {
        @if !page.notes.is_empty() {
            section aria-labelledby={ (id) "-notes" } {
                h2 id={ (id) "-notes" } { "What was written on the way" }
                dl class="qv-notes" {
                    @for (at, note) in page.notes.iter().enumerate() {
                        @if at == first && page.notes_left_out > 0 {
                            dt class="qv-op" { "…" }
                            dd class="qv-op" { (count(page.notes_left_out as u64)) " more" }
                        }
                        dt { "step " (count(note.step)) @if !note.name.is_empty() { " · " (note.name) } }
                        dd { (note.text) }
                    }
                }
            }
        }
    }
}
