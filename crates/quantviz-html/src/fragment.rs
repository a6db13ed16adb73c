//! The whole of it: overview, list of layers, layers.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use quantviz_view::ModelPage;

use crate::data::{Data, json};
use crate::header::{header, remarks};
use crate::layer::layer;
use crate::picker::picker;
use crate::ranges::ranges;
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

fn fragment(page: &ModelPage, id: &str) -> Markup {
    html! {
        div class="qv" id=(id) {
            style { (PreEscaped(style())) }
            (header(page, id))
            (ranges(page, id))
            (picker(page, id))
            section class="qv-layers" aria-label="Layers" {
                @for (index, it) in page.layers.iter().enumerate() {
                    (layer(it, index, id, index.abs_diff(page.first) < OPEN))
                }
            }
            (remarks(page))
            script type="application/json" class="qv-data" { (PreEscaped(json(&Data::of(page)))) }
            script { (PreEscaped(SCRIPT)) (PreEscaped(format!("quantvizPage(\"{id}\");"))) }
        }
    }
}
